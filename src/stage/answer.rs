//! Is it for an address of ours? ICMP echo is answered on the spot; the rest is told that nothing
//! listens.
//!
//! - **Reads** `proto`, `icmp_type`, `flags`, addresses.
//! - **Writes** the frame: it becomes the answer.
//! - **Ends** everything it is given: answered, or `local_unreachable`.

use zerocopy::FromBytes;
use zerocopy::byteorder::network_endian::U16;

use super::Context;
use super::icmp::{self, Report};
use crate::frame::{Batch, Bits, DropReason, Flags, Frame, Row};
use crate::wire::checksum::{self, Delta};
use crate::wire::icmp4::{Icmp4Header, kind};
use crate::wire::ip4::Ip4Header;
use crate::wire::proto;

/// Time to live of answers.
const TTL: u8 = 64;

/// Answers the packets of `set`.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch, set: u64) {
    for i in Bits(set) {
        let row = *batch.row(i);
        let echo = row.proto == proto::ICMP
            && row.flags.has(Flags::L4)
            && row.icmp_type == kind::ECHO_REQUEST
            && !row.flags.has(Flags::FRAGMENT);
        if echo {
            let (mut frame, row) = batch.take(i);
            if echo_reply(&mut frame, &row) {
                cx.counters.answered.add(1);
                cx.counters.originated.add(1);
                cx.out.send::<false>(row.port, frame, &row);
            } else {
                cx.counters.note_drop(DropReason::LocalUnreachable, 1);
                cx.pool.put(frame);
            }
            continue;
        }
        let report = match row.proto {
            proto::ICMP => None,
            proto::TCP | proto::UDP => Some(Report::PortUnreachable),
            _ => Some(Report::ProtocolUnreachable),
        };
        if let Some(report) = report {
            icmp::report(cx, batch, i, report);
        }
        batch.drop(i, DropReason::LocalUnreachable);
    }
}

/// Turns an echo request into its reply, in place; `false` when its checksum is wrong, or it claims
/// to come from a group of stations, all of which would get the reply.
fn echo_reply(frame: &mut Frame, row: &Row) -> bool {
    let (l3, l4) = (usize::from(row.l3), usize::from(row.l4));
    let end = l3 + usize::from(row.ip_len);
    if checksum::fold(checksum::add(0, &frame[l4..end])) != 0xffff {
        return false;
    }
    let off = usize::from(row.off);
    let (theirs, ours) = icmp::macs(frame, off);
    if theirs.is_group() {
        return false;
    }
    frame[off..off + 6].copy_from_slice(&theirs.0);
    frame[off + 6..off + 12].copy_from_slice(&ours.0);

    let (ip, _) = Ip4Header::mut_from_prefix(&mut frame[l3..]).expect("validated");
    (ip.src, ip.dst) = (ip.dst, ip.src);
    let word = |ttl: u8| u16::from_be_bytes([ttl, proto::ICMP]);
    let changed = Delta::NONE.word(word(ip.ttl), word(TTL));
    ip.ttl = TTL;
    ip.checksum = U16::new(changed.apply(ip.checksum.get()));

    let (icmp, _) = Icmp4Header::mut_from_prefix(&mut frame[l4..end]).expect("validated");
    let word = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
    let changed = Delta::NONE.word(word(icmp.kind, icmp.code), word(kind::ECHO_REPLY, 0));
    icmp.kind = kind::ECHO_REPLY;
    icmp.code = 0;
    icmp.checksum = U16::new(changed.apply(icmp.checksum.get()));
    true
}
