//! ICMP errors that thruway makes (RFC 792, RFC 1812 4.3): from its address on the attachment
//! where the packet came in, back the way it came, under a rate limit.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::Context;
use crate::frame::{Batch, Flags, Frame, HEADROOM, Row};
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::wire::icmp4::{self, Icmp4Header, kind, unreachable};
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::offload::complete_l4;
use crate::wire::{checksum, proto, segment};

/// An error to report to a packet's sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Time to live exceeded in transit.
    TimeExceeded,
    /// No route.
    NetUnreachable,
    /// The neighbour does not answer.
    HostUnreachable,
    /// Nothing listens there.
    PortUnreachable,
    /// Nothing there takes this protocol.
    ProtocolUnreachable,
    /// Too large for the next hop, which takes this many bytes (RFC 1191).
    FragmentationNeeded(u16),
    /// Communication administratively prohibited (RFC 5508 REQ-8: a NAT out of resources).
    AdminProhibited,
}

impl Report {
    const fn type_code_mtu(self) -> (u8, u8, u16) {
        match self {
            Report::TimeExceeded => (kind::TIME_EXCEEDED, 0, 0),
            Report::NetUnreachable => (kind::UNREACHABLE, unreachable::NET, 0),
            Report::HostUnreachable => (kind::UNREACHABLE, unreachable::HOST, 0),
            Report::PortUnreachable => (kind::UNREACHABLE, unreachable::PORT, 0),
            Report::ProtocolUnreachable => (kind::UNREACHABLE, unreachable::PROTOCOL, 0),
            Report::FragmentationNeeded(mtu) => {
                (kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, mtu)
            }
            Report::AdminProhibited => (kind::UNREACHABLE, unreachable::ADMIN_PROHIBITED, 0),
        }
    }
}

/// Largest ICMP error, in bytes of the IP packet (RFC 1812 4.3.2.3).
const MOST: usize = 576;
/// Time to live of what thruway sends.
const TTL: u8 = 64;

/// Tells the sender of packet `i` what became of it, from the address that thruway has where the
/// packet came in; says nothing where an error must not be sent or the rate limit is reached.
pub fn report(cx: &mut Context<'_>, batch: &mut Batch, i: usize, report: Report) {
    if let Some((_, own)) = cx.tables.attachment(batch.row(i).attachment).own() {
        report_from(cx, batch, i, report, own);
    }
}

/// As [`report`], from an address of the caller's choice.
pub fn report_from(cx: &mut Context<'_>, batch: &mut Batch, i: usize, report: Report, own: u32) {
    if may_report(batch.row(i)) {
        cx.out.reports.push((i, report, own));
    }
}

/// Makes the errors that the stages wished for, at the batch's end and in the packets' order, so
/// that who gets the last token does not depend on which stage came first. The packets have been
/// dropped by then and still stand in the batch.
pub fn make(cx: &mut Context<'_>, batch: &mut Batch) {
    if cx.out.reports.is_empty() {
        return;
    }
    let mut reports = std::mem::take(&mut cx.out.reports);
    reports.sort_unstable_by_key(|(i, _, _)| *i);
    for (i, report, own) in reports.drain(..) {
        let (frame, row) = batch.both(i);
        if row.is_open() {
            close(frame, row);
        }
        // A sender's address is never a group's (IEEE 802.3 3.2.3): who forges one wants others told.
        if macs(frame, usize::from(row.off)).0.is_group() {
            continue;
        }
        if !cx.tables.icmp_limits[row.attachment.index()].admit(row.arrival, 1) {
            continue;
        }
        let Some(mut answer) = cx.pool.take() else { continue };
        let to = build(&mut answer, frame, row, report, own);
        cx.counters.originated.add(1);
        cx.out.send::<false>(row.port, answer, &to);
    }
    cx.out.reports = reports;
}

/// Makes of a dropped super-frame its first segment, which is what its sender knows, and completes
/// a checksum that was left open: that is quoted.
#[cold]
fn close(frame: &mut Frame, row: &mut Row) {
    let off = usize::from(row.off);
    let bytes = &mut frame.all_mut()[off..off + row.len as usize];
    if row.gso_size > 0
        && let Ok(size) = segment::keep(bytes, row.gso_size, 1)
    {
        row.len = u32::try_from(size).expect("no more than before");
        let packet = size - usize::from(row.l3 - row.off);
        row.ip_len = u16::try_from(packet).unwrap_or(row.ip_len);
    }
    let _ = complete_l4(&mut bytes[..row.len as usize]);
    row.gso_size = 0;
    row.flags.clear(Flags::PARTIAL_CHECKSUM);
}

/// No error about an error, a later fragment, a group or broadcast frame, or a source that is not
/// one host (RFC 1812 4.3.2.7).
fn may_report(row: &Row) -> bool {
    row.flags.has(Flags::IP4)
        && !row.flags.has(Flags::ICMP_ERROR)
        && !row.flags.has(Flags::LATER_FRAGMENT)
        && !row.flags.has(Flags::L2_GROUP)
        && row.src >> 28 < 14
        && row.src >> 24 != 0
        && row.src >> 24 != 127
}

/// Writes the error into `answer` and returns the row that describes it.
fn build(answer: &mut Frame, offender: &Frame, row: &Row, report: Report, own: u32) -> Row {
    let (kind, code, mtu) = report.type_code_mtu();
    let l3 = usize::from(row.l3);
    let quote = usize::from(row.ip_len).min(MOST - ip4::HEADER - icmp4::HEADER);
    let start = HEADROOM + eth::HEADER;
    let icmp_at = start + ip4::HEADER;
    let quote_at = icmp_at + icmp4::HEADER;
    let end = quote_at + quote;
    answer[quote_at..end].copy_from_slice(&offender[l3..l3 + quote]);

    let mut icmp =
        Icmp4Header { kind, code, checksum: U16::ZERO, id: U16::ZERO, seq: U16::new(mtu) };
    let sum = checksum::add(0, icmp.as_bytes());
    icmp.checksum = U16::new(!checksum::fold(checksum::add(sum, &answer[quote_at..end])));
    answer[icmp_at..quote_at].copy_from_slice(icmp.as_bytes());

    let total_len = u16::try_from(end - start).expect("576 at most");
    let mut ip = Ip4Header {
        version_ihl: 0x45,
        // Internetwork control, as RFC 1812 4.3.2.5 asks of errors.
        tos: 0xc0,
        total_len: U16::new(total_len),
        id: U16::ZERO,
        flags_fragment: U16::new(ip4::DF),
        ttl: TTL,
        proto: proto::ICMP,
        checksum: U16::ZERO,
        src: U32::new(own),
        dst: U32::new(row.src),
    };
    ip.checksum = U16::new(checksum::of(ip.as_bytes()));
    answer[start..icmp_at].copy_from_slice(ip.as_bytes());

    let l2 = back(answer, offender, row, start);
    Row {
        arrival: row.arrival,
        off: u16::try_from(l2).expect("inside the headroom"),
        len: u32::try_from(end - l2).expect("a frame"),
        port: row.port,
        order: row.order,
        ..Row::default()
    }
}

/// Writes the layer-2 header that leads back to a frame's sender, with the same tags; returns
/// where it begins.
fn back(answer: &mut Frame, offender: &Frame, row: &Row, l3: usize) -> usize {
    let off = usize::from(row.off);
    let (theirs, ours) = macs(offender, off);
    let tags = row_tags(row);
    tags.write_l2(&mut answer[..], l3, theirs, ours, row.outer, ether_type::IP4)
        .expect("the headroom holds two tags")
}

/// A frame's source and destination MAC address.
pub fn macs(frame: &Frame, off: usize) -> (MacAddr, MacAddr) {
    let (header, _) =
        eth::EthHeader::ref_from_prefix(&frame[off..]).expect("a frame has its Ethernet header");
    (header.src, header.dst)
}

/// The tags that a frame came in with.
pub fn row_tags(row: &Row) -> crate::wire::vlan::TagStack {
    use crate::wire::vlan::TagStack;
    match row.tags {
        0 => TagStack::UNTAGGED,
        1 => TagStack::single(row.outer),
        _ => TagStack::double(row.outer, row.inner),
    }
}
