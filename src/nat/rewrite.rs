//! How does a translated packet look? One address, one port and the checksums over them change in
//! place; nothing else does.
//!
//! Every checksum is updated from the words that changed (RFC 1624), so a packet that came in
//! corrupt goes out corrupt, and stays detectable.

use zerocopy::FromBytes;

use super::session::{Endpoint, FlowKey, Proto, Side};
use crate::frame::{DropReason, Flags, Row};
use crate::wire::checksum::Delta;
use crate::wire::icmp4::Icmp4Header;
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::proto;
use crate::wire::tcp::{self, TcpHeader};
use crate::wire::udp::{self, UdpHeader};

/// Protocols other than TCP, UDP and ICMP whose checksum covers the addresses, with its place:
/// DCCP (RFC 4340 5.1) and UDP-Lite (RFC 3828 3.1).
const DCCP: (u8, usize) = (33, 6);
const UDP_LITE: (u8, usize) = (136, 6);

/// Bytes of the headers of a packet without IP options that are looked at, TCP's or UDP's with it.
pub const WHOLE: usize = ip4::HEADER + tcp::HEADER;

/// Writes the local end of a whole TCP or UDP packet without IP options; `packet` begins with its
/// IPv4 header, and its checksums are not left to hardware.
#[inline(always)]
pub(super) fn local_end(packet: &mut [u8; WHOLE], key: &FlowKey, to: Endpoint) {
    let (ip, port) = match key.side {
        Side::In2Out => (12, ip4::HEADER),
        Side::Out2In => (16, ip4::HEADER + 2),
    };
    packet[ip..ip + 4].copy_from_slice(&to.ip.to_be_bytes());
    packet[port..port + 2].copy_from_slice(&to.port.to_be_bytes());
    let of_ip = Delta::NONE.dword(key.local.ip, to.ip);
    let of_all = of_ip.word(key.local.port, to.port);
    change(packet, ip4::CHECKSUM, |field| of_ip.apply(field));
    match key.proto {
        Proto::Tcp => change(packet, ip4::HEADER + tcp::CHECKSUM, |field| of_all.apply(field)),
        _ => change(packet, ip4::HEADER + udp::CHECKSUM, |field| of_all.apply_udp(field)),
    }
}

#[inline(always)]
fn change(packet: &mut [u8; WHOLE], at: usize, to: impl Fn(u16) -> u16) {
    let field = u16::from_be_bytes([packet[at], packet[at + 1]]);
    packet[at..at + 2].copy_from_slice(&to(field).to_be_bytes());
}

/// Writes the local end of a packet: its source from inside, its destination from outside.
/// Updates the row too.
#[inline]
pub(super) fn endpoint(
    frame: &mut [u8],
    row: &mut Row,
    side: Side,
    to: Endpoint,
) -> Result<(), DropReason> {
    let header = if row.proto == proto::TCP { tcp::HEADER } else { udp::HEADER };
    if frame.len() < usize::from(row.l4) + header {
        return Err(DropReason::L4TooShort);
    }
    let delta = address(frame, row, side, to.ip)?;
    let l4 = frame.get_mut(usize::from(row.l4)..).ok_or(DropReason::L4TooShort)?;
    let partial = row.flags.has(Flags::PARTIAL_CHECKSUM);
    match row.proto {
        proto::UDP => {
            let (udp, _) = UdpHeader::mut_from_prefix(l4).map_err(|_| DropReason::L4TooShort)?;
            let port = if side == Side::In2Out { &mut udp.src } else { &mut udp.dst };
            let delta_all = delta.word(port.get(), to.port);
            port.set(to.port);
            let field = udp.checksum.get();
            udp.checksum.set(if partial {
                apply_partial(delta, field)
            } else {
                delta_all.apply_udp(field)
            });
        }
        proto::TCP => {
            let (tcp, _) = TcpHeader::mut_from_prefix(l4).map_err(|_| DropReason::L4TooShort)?;
            let port = if side == Side::In2Out { &mut tcp.src } else { &mut tcp.dst };
            let delta_all = delta.word(port.get(), to.port);
            port.set(to.port);
            let field = tcp.checksum.get();
            tcp.checksum.set(if partial {
                apply_partial(delta, field)
            } else {
                delta_all.apply(field)
            });
        }
        _ => {
            let (icmp, _) = Icmp4Header::mut_from_prefix(l4).map_err(|_| DropReason::L4TooShort)?;
            let sum = Delta::NONE.word(icmp.id.get(), to.port).apply(icmp.checksum.get());
            icmp.checksum.set(sum);
            icmp.id.set(to.port);
            // One identifier stands for both ports.
            (row.sport, row.dport) = (to.port, to.port);
            return Ok(());
        }
    }
    match side {
        Side::In2Out => row.sport = to.port,
        Side::Out2In => row.dport = to.port,
    }
    Ok(())
}

/// A checksum that the sender left to its hardware: the field holds the sum of the
/// pseudo-header, not complemented, and knows nothing of ports.
const fn apply_partial(delta: Delta, field: u16) -> u16 {
    !delta.apply(!field)
}

/// Writes the local address of a packet, row included, and returns what that means for a checksum
/// that covers the addresses.
#[inline]
pub(super) fn address(
    frame: &mut [u8],
    row: &mut Row,
    side: Side,
    to: u32,
) -> Result<Delta, DropReason> {
    let l3 = frame.get_mut(usize::from(row.l3)..).ok_or(DropReason::Ip4TooShort)?;
    let (ip, _) = Ip4Header::mut_from_prefix(l3).map_err(|_| DropReason::Ip4TooShort)?;
    let (field, known) = match side {
        Side::In2Out => (&mut ip.src, &mut row.src),
        Side::Out2In => (&mut ip.dst, &mut row.dst),
    };
    let delta = Delta::NONE.dword(field.get(), to);
    field.set(to);
    *known = to;
    ip.checksum.set(delta.apply(ip.checksum.get()));
    Ok(delta)
}

/// Writes the local address of a packet that keeps its ports, if it has any: a whole address is
/// bound one to one, or this is a later fragment, whose transport header is elsewhere.
pub(super) fn whole_address(
    frame: &mut [u8],
    row: &mut Row,
    side: Side,
    to: u32,
) -> Result<(), DropReason> {
    let delta = address(frame, row, side, to)?;
    if row.flags.has(Flags::LATER_FRAGMENT) {
        return Ok(());
    }
    let l3 = usize::from(row.l3);
    let Some(ip) = frame.get(l3..) else { return Ok(()) };
    let (ip, _) = Ip4Header::ref_from_prefix(ip).map_err(|_| DropReason::Ip4TooShort)?;
    let l4 = l3 + ip.header_len();
    let place = match row.proto {
        proto::TCP => tcp::CHECKSUM,
        proto::UDP => udp::CHECKSUM,
        number if number == DCCP.0 => DCCP.1,
        number if number == UDP_LITE.0 => UDP_LITE.1,
        _ => return Ok(()),
    };
    let field = frame.get_mut(l4 + place..).and_then(|f| f.first_chunk_mut());
    let field: &mut [u8; 2] = field.ok_or(DropReason::L4TooShort)?;
    let sum = u16::from_be_bytes(*field);
    let partial = row.flags.has(Flags::PARTIAL_CHECKSUM);
    let sum = match row.proto {
        _ if partial => apply_partial(delta, sum),
        proto::UDP => delta.apply_udp(sum),
        _ => delta.apply(sum),
    };
    *field = sum.to_be_bytes();
    Ok(())
}
