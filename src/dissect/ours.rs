//! What does the data plane read of a frame? Calls the functions of *validate* and of `wire` that
//! frames in flight go through, over the same buffer with the same headroom.
//!
//! Tags of both types are taken, as on a port with `accept_88a8`. Of IPv6, which *validate* carries
//! as it is, the views say what stands there, and nothing of it makes a frame invalid.

use std::net::Ipv4Addr;

use zerocopy::FromBytes;

use super::Whole;
use super::view::{View, name};
use crate::frame::{DropReason, FRAME_SIZE, Flags, HEADROOM, ROOM, Row};
use crate::stage::validate;
use crate::wire::eth::{self, ether_type};
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::ip6::{self, Ip6Header};
use crate::wire::{icmp4, proto, tcp, udp, vlan};

/// Reads a frame.
pub fn read(frame: &Whole) -> View {
    let mut buffer = [0; FRAME_SIZE];
    let kept = frame.bytes.len().min(ROOM);
    buffer[HEADROOM..HEADROOM + kept].copy_from_slice(&frame.bytes[..kept]);
    let off = u16::try_from(HEADROOM).expect("a place in a frame");
    let len = u32::try_from(frame.bytes.len()).expect("a frame is shorter than 4 GiB");
    let mut row = Row { off, len, ..Row::default() };
    let mut view = View::default();
    if let Err(reason) = validate::layer2(&buffer, &mut row, true) {
        // Too long for a buffer is known from the size alone.
        let told = reason == DropReason::FrameTooLong || tags_are_there(frame);
        return if told { refused(view, reason) } else { cut(view) };
    }
    if !tags_are_there(frame) {
        return cut(view);
    }
    layer2(&mut view, &frame.bytes, &row);
    match row.ether_type {
        ether_type::IP4 => ip4(view, frame, &buffer, row),
        ether_type::IP6 => {
            let whole = ip6(&mut view, frame, usize::from(row.l3 - row.off));
            if frame.is_cut() && !whole {
                return cut(view);
            }
            view.valid = Some(true);
            view
        }
        _ => {
            view.valid = Some(true);
            view
        }
    }
}

fn refused(view: View, reason: DropReason) -> View {
    let why = reason.doc().split_whitespace().collect::<Vec<_>>().join(" ");
    View { valid: Some(false), reason: Some(reason.name()), why: Some(why), ..view }
}

fn cut(view: View) -> View {
    let why = "the capture ends inside the headers".to_owned();
    View { valid: None, why: Some(why), ..view }
}

/// Whether the capture kept all tags, or the frame itself ends in them.
fn tags_are_there(frame: &Whole) -> bool {
    !frame.is_cut() || vlan::read_tags(&frame.bytes[..frame.captured]).is_some()
}

fn layer2(view: &mut View, bytes: &[u8], row: &Row) {
    let tags = vlan::read_tags(bytes).expect("validate read them");
    let count = usize::from(row.tags);
    let tpids: Vec<u16> = tags.tags()[..count].iter().map(|tag| tag.tpid).collect();
    let tcis = [row.outer, row.inner][..count].to_vec();
    let vids: Vec<u16> = tcis.iter().map(|tci| tci & vlan::VID).collect();
    // Behind both MAC addresses; without tags, where the first would stand.
    let first = eth::HEADER - 2;
    view.put(name::TPIDS, first, tpids);
    view.put(name::TCIS, first + 2, tcis);
    view.put(name::VIDS, first + 2, vids);
    let l3 = usize::from(row.l3 - row.off);
    view.put(name::ETHER_TYPE, l3 - 2, row.ether_type);
    view.put(name::L3_OFFSET, l3, l3);
}

fn ip4(mut view: View, frame: &Whole, buffer: &[u8; FRAME_SIZE], mut row: Row) -> View {
    let done = validate::header(buffer, &mut row);
    if frame.is_cut() && ends_in_headers(frame, &row, done) {
        return cut(view);
    }
    if let Err(reason) = done {
        return refused(view, reason);
    }
    let l3 = usize::from(row.l3 - row.off);
    let (header, _) =
        Ip4Header::ref_from_prefix(&frame.bytes[l3..]).expect("validate read the header");
    view.put(name::VERSION, l3, header.version());
    view.put(name::SRC, l3 + 12, Ipv4Addr::from_bits(row.src).to_string());
    view.put(name::DST, l3 + 16, Ipv4Addr::from_bits(row.dst).to_string());
    view.put(name::PROTOCOL, l3 + 9, row.proto);
    view.put(name::TTL, l3 + 8, row.ttl);
    view.put(name::TOTAL_SIZE, l3 + 2, row.ip_len);
    view.put(name::DONT_FRAGMENT, l3 + 6, row.flags.has(Flags::DF));
    let more = header.flags_fragment.get() & ip4::MF != 0;
    view.put(name::MORE_FRAGMENTS, l3 + 6, more);
    view.put(name::FRAGMENT_OFFSET, l3 + 6, header.fragment_offset());
    if row.flags.has(Flags::L4) {
        let l4 = usize::from(row.l4 - row.off);
        view.put(name::L4_OFFSET, l4, l4);
        match row.proto {
            proto::ICMP => view.put(name::ICMP_TYPE, l4, row.icmp_type),
            _ => {
                view.put(name::SRC_PORT, l4, row.sport);
                view.put(name::DST_PORT, l4 + 2, row.dport);
            }
        }
    }
    match validate::martian(&row) {
        Ok(()) => View { valid: Some(true), ..view },
        Err(reason) => refused(view, reason),
    }
}

/// Whether what *validate* said of the IPv4 header depends on bytes that the capture cut off.
fn ends_in_headers(frame: &Whole, row: &Row, done: Result<(), DropReason>) -> bool {
    let l3 = usize::from(row.l3 - row.off);
    let captured = &frame.bytes[..frame.captured];
    let Some(Ok((header, _))) = captured.get(l3..).map(Ip4Header::ref_from_prefix) else {
        // Nothing to cut off when the frame itself is too short for a header.
        return frame.bytes.len() >= l3 + ip4::HEADER;
    };
    let l4 = l3 + header.header_len().max(ip4::HEADER);
    let transport = match header.proto {
        _ if header.fragment_offset() > 0 => 0,
        proto::TCP => tcp::HEADER,
        proto::UDP => udp::HEADER,
        proto::ICMP => size_of::<icmp4::Icmp4Header>(),
        _ => 0,
    };
    match done {
        Ok(()) | Err(DropReason::L4TooShort | DropReason::Ip4BadFragment) => {
            captured.len() < (l4 + transport).min(frame.bytes.len())
        }
        Err(_) => captured.len() < l4.min(frame.bytes.len()),
    }
}

/// Whether all headers are there: where not, nothing can be said of those behind.
fn ip6(view: &mut View, frame: &Whole, l3: usize) -> bool {
    let packet = &frame.bytes[..frame.captured][l3.min(frame.captured)..];
    let Ok((header, _)) = Ip6Header::ref_from_prefix(packet) else { return false };
    if header.version() != 6 {
        return true;
    }
    let upper = ip6::upper(packet);
    view.put(name::VERSION, l3, header.version());
    view.put(name::SRC, l3 + 8, header.source().to_string());
    view.put(name::DST, l3 + 24, header.destination().to_string());
    if let Some(upper) = upper {
        view.put(name::PROTOCOL, l3 + 6, upper.proto);
    }
    view.put(name::TTL, l3 + 7, header.hop_limit);
    view.put(name::TOTAL_SIZE, l3 + 4, usize::from(header.payload_len.get()) + ip6::HEADER);
    let Some(upper) = upper else { return false };
    let at = l3 + upper.offset;
    view.put(name::MORE_FRAGMENTS, at, upper.fragment.is_some_and(|fragment| fragment.more()));
    let offset = upper.fragment.map_or(0, |fragment| fragment.offset());
    view.put(name::FRAGMENT_OFFSET, at, offset);
    let rest = &packet[upper.offset..];
    let size = match upper.proto {
        proto::TCP => tcp::HEADER,
        proto::UDP => udp::HEADER,
        proto::ICMP6 => 4,
        _ => return true,
    };
    if offset != 0 {
        return true;
    }
    if rest.len() < size {
        return false;
    }
    view.put(name::L4_OFFSET, at, at);
    if upper.proto == proto::ICMP6 {
        view.put(name::ICMP_TYPE, at, rest[0]);
    } else {
        // Both begin with their ports (RFC 9293 3.1, RFC 768).
        view.put(name::SRC_PORT, at, u16::from_be_bytes([rest[0], rest[1]]));
        view.put(name::DST_PORT, at + 2, u16::from_be_bytes([rest[2], rest[3]]));
    }
    true
}
