//! Is this a packet at all? In two halves: every frame's Ethernet header and tags, and, where
//! thruway routes or translates, the IPv4 header behind them.
//!
//! - **Reads** the frame; `off`, `len`.
//! - **Writes** `l3`, `ether_type`, `tags`, `outer`, `inner`; for IPv4 `src`, `dst`, `proto`,
//!   `ip_len`, `ttl`, `l4`, `sport`, `dport`, `tcp_flags`, `icmp_type`, `flags`.
//! - **Ends** `frame_too_short`, `frame_too_long`, `third_tag`, `foreign_tag_type`; `ip4_too_short`,
//!   `ip4_bad_checksum`, `ip4_bad_version`, `ip4_bad_header_length`, `ip4_bad_total_length`,
//!   `ip4_bad_fragment`, `l4_too_short`, `martian_source`, `martian_destination`.

use zerocopy::FromBytes;

use super::Context;
use crate::frame::{Batch, Bits, DropReason, FRAME_SIZE, Flags, Row};
use crate::planted::{Bug, planted};
use crate::wire::eth::{self, ether_type};
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::tcp::{self, TcpHeader};
use crate::wire::udp::{self, UdpHeader};
use crate::wire::{checksum, icmp4, proto, vlan};

/// Reads each frame's Ethernet header and tags.
pub fn frame(cx: &mut Context<'_>, batch: &mut Batch) {
    for i in Bits(batch.live()) {
        let (frame, row) = batch.both(i);
        let accept_88a8 = cx.tables.ports[row.port.index()].accept_88a8;
        if let Err(reason) = layer2(frame, row, accept_88a8) {
            batch.drop(i, reason);
        }
    }
}

/// Reads the IPv4 header of each packet in `set`; what is left of the set is routable.
pub fn ip4(batch: &mut Batch, set: u64) -> u64 {
    let mut good = set;
    for i in Bits(set) {
        let (frame, row) = batch.both(i);
        if let Err(reason) = header(frame, row).and_then(|()| martian(row)) {
            batch.drop(i, reason);
            good &= !(1 << i);
        }
    }
    good
}

/// Fills the row from the Ethernet header and the tags.
///
/// # Errors
/// When the frame ends too early, has a third tag, or a tag type that the port refuses.
#[inline(always)]
pub fn layer2(
    frame: &[u8; FRAME_SIZE],
    row: &mut Row,
    accept_88a8: bool,
) -> Result<(), DropReason> {
    let off = usize::from(row.off);
    let end = off + row.len as usize;
    let bytes = match frame.get(off..end) {
        Some(bytes) => bytes,
        None => head(frame, row, off).ok_or(DropReason::FrameTooLong)?,
    };
    let word = |at: usize| -> Result<u16, DropReason> {
        let two = bytes.get(at..at + 2).ok_or(DropReason::FrameTooShort)?;
        Ok(u16::from_be_bytes([two[0], two[1]]))
    };
    let mut kind = word(12)?;
    let mut at = eth::HEADER;
    row.tags = 0;
    if kind == ether_type::VLAN || kind == ether_type::SERVICE_VLAN {
        if kind == ether_type::SERVICE_VLAN && !accept_88a8 {
            return Err(DropReason::ForeignTagType);
        }
        row.outer = word(at)?;
        row.tags = 1;
        kind = word(at + 2)?;
        at += vlan::TAG;
        if kind == ether_type::VLAN {
            row.inner = word(at)?;
            row.tags = 2;
            kind = word(at + 2)?;
            at += vlan::TAG;
            if vlan::is_tag(kind) {
                return Err(DropReason::ThirdTag);
            }
        }
        if kind == ether_type::SERVICE_VLAN {
            return Err(DropReason::ForeignTagType);
        }
    }
    row.ether_type = kind;
    row.l3 = row.off + u16::try_from(at).expect("22 at most");
    row.flags = Flags(row.flags.0 & Flags::PARTIAL_CHECKSUM.0);
    if bytes[0] & 1 != 0 {
        row.flags.set(Flags::L2_GROUP);
    }
    Ok(())
}

/// Fills the row from the IPv4 header, in the order of RFC 1812 5.2.2, and from the transport
/// header when the packet carries one.
///
/// # Errors
/// The first check that fails, by name.
#[inline(always)]
pub fn header(frame: &[u8; FRAME_SIZE], row: &mut Row) -> Result<(), DropReason> {
    let l3 = usize::from(row.l3);
    let end = usize::from(row.off) + row.len as usize;
    match frame.get(l3..end) {
        Some(packet) => header_of(packet, packet.len(), row),
        None => {
            let packet = head(frame, row, l3).ok_or(DropReason::Ip4TooShort)?;
            header_of(packet, end - l3, row)
        }
    }
}

/// What a super-frame shows of itself from `at` on: all headers, and some of its payload.
#[cold]
fn head<'a>(frame: &'a [u8; FRAME_SIZE], row: &Row, at: usize) -> Option<&'a [u8]> {
    (row.gso_size > 0).then(|| frame.get(at..)).flatten()
}

/// As [`header`], of a packet of `size` bytes that begins with `packet`.
#[inline(always)]
fn header_of(packet: &[u8], size: usize, row: &mut Row) -> Result<(), DropReason> {
    // (1) The frame is long enough for the shortest header.
    let (ip, _) = Ip4Header::ref_from_prefix(packet).map_err(|_| DropReason::Ip4TooShort)?;
    // (2) The checksum; over the header length that (4) allows, hence read ahead.
    let header_len = ip.header_len();
    let whole = packet.get(..header_len);
    match whole {
        Some(header) if header_len >= ip4::HEADER => {
            if checksum::fold(checksum::add(0, header)) != 0xffff {
                return Err(DropReason::Ip4BadChecksum);
            }
        }
        // The length itself is broken: (3) speaks before (4).
        _ if ip.version() != 4 => return Err(DropReason::Ip4BadVersion),
        _ => return Err(DropReason::Ip4BadHeaderLength),
    }
    // (3) The version.
    if ip.version() != 4 {
        return Err(DropReason::Ip4BadVersion);
    }
    // (4) is done above. (5) The total length holds the header and lies in the frame.
    let total = ip.total_len.get();
    if usize::from(total) < header_len || usize::from(total) > size {
        return Err(DropReason::Ip4BadTotalLength);
    }
    row.ip_len = total;
    row.src = ip.src.get();
    row.dst = ip.dst.get();
    row.proto = ip.proto;
    row.ttl = ip.ttl;
    row.flags.set(Flags::IP4);
    if header_len > ip4::HEADER {
        row.flags.set(Flags::OPTIONS);
    }
    if ip.flags_fragment.get() & ip4::DF != 0 {
        row.flags.set(Flags::DF);
    }
    let late = u16::from(header_len > ip4::HEADER && planted(Bug::HeaderLength));
    row.l4 = row.l3 + u16::try_from(header_len).expect("60 at most") + late;
    let payload = &packet[header_len..usize::from(total).min(packet.len())];
    let payload_len = usize::from(total) - header_len;
    if ip.is_fragment() {
        row.flags.set(Flags::FRAGMENT);
        let offset = ip.fragment_offset();
        if offset + payload_len + header_len > usize::from(u16::MAX) {
            return Err(DropReason::Ip4BadFragment);
        }
        // RFC 1858: a second fragment that overlays TCP's flags.
        if offset == 8 && ip.proto == proto::TCP && !planted(Bug::FragmentOverlap) {
            return Err(DropReason::Ip4BadFragment);
        }
        if offset > 0 {
            row.flags.set(Flags::LATER_FRAGMENT);
            (row.sport, row.dport) = (0, 0);
            return Ok(());
        }
    }
    transport(payload, payload_len, row)
}

/// Fills the row from the transport header.
#[inline(always)]
fn transport(payload: &[u8], payload_len: usize, row: &mut Row) -> Result<(), DropReason> {
    let too_short = || {
        if row.flags.has(Flags::FRAGMENT) {
            DropReason::Ip4BadFragment
        } else {
            DropReason::L4TooShort
        }
    };
    (row.sport, row.dport) = (0, 0);
    match row.proto {
        proto::TCP => {
            let (tcp, _) = TcpHeader::ref_from_prefix(payload).map_err(|_| too_short())?;
            if tcp.header_len() < tcp::HEADER || tcp.header_len() > payload.len() {
                return Err(too_short());
            }
            row.sport = tcp.src.get();
            row.dport = tcp.dst.get();
            row.tcp_flags = tcp.flags;
        }
        proto::UDP => {
            let (udp, _) = UdpHeader::ref_from_prefix(payload).map_err(|_| too_short())?;
            let len = usize::from(udp.len.get());
            let whole = !row.flags.has(Flags::FRAGMENT);
            if len < udp::HEADER || (whole && len > payload_len) {
                return Err(too_short());
            }
            row.sport = udp.src.get();
            row.dport = udp.dst.get();
        }
        proto::ICMP => {
            let (icmp, _) =
                icmp4::Icmp4Header::ref_from_prefix(payload).map_err(|_| too_short())?;
            row.icmp_type = icmp.kind;
            if icmp4::is_error(icmp.kind) {
                row.flags.set(Flags::ICMP_ERROR);
            } else if icmp4::is_query(icmp.kind) {
                (row.sport, row.dport) = (icmp.id.get(), icmp.id.get());
            }
        }
        _ => return Ok(()),
    }
    row.flags.set(Flags::L4);
    Ok(())
}

/// Refuses the addresses that no router forwards in any routing domain (RFC 1812 5.3.7).
/// Documentation ranges and 169.254/16 are used on labs' and peerings' subnets and pass.
///
/// # Errors
/// Which of the two addresses it is.
#[inline(always)]
pub fn martian(row: &Row) -> Result<(), DropReason> {
    if martian_source(row.src) {
        return Err(DropReason::MartianSource);
    }
    let dst = row.dst;
    // 0/8, 127/8, 224/4 (multicast is not routed here) and 240/4 with the limited broadcast.
    if dst >> 24 == 0 || dst >> 24 == 127 || dst >> 28 >= 14 {
        return Err(DropReason::MartianDestination);
    }
    Ok(())
}

#[inline(always)]
fn martian_source(src: u32) -> bool {
    src >> 24 == 0 || src >> 24 == 127 || src >> 28 >= 14
}
