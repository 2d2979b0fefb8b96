//! What did a port receive and send? Into the counters, every frame in one of them.

use crate::frame::DropReason;
use crate::ids::PortId;
use crate::io::Counts;
use crate::tables::Counters;

/// Notes what was received from a port, and what was lost on the way.
pub(super) fn note_received(counters: &Counters, port: PortId, counts: &Counts) {
    counters.received.add(u64::from(counts.frames));
    counters.split.add(u64::from(counts.split));
    let lost = [
        (DropReason::NoFrame, counts.no_frame),
        (DropReason::FrameTooLong, counts.too_long),
        (DropReason::SuperFrame, counts.super_frame),
    ];
    let port = counters.port(port);
    for (reason, n) in lost {
        counters.note_drop(reason, u64::from(n));
        port.dropped.add(u64::from(n));
    }
    port.rx_frames.add(u64::from(counts.frames));
    port.rx_bytes.add(counts.bytes);
}

/// Notes what was sent to a port, and what was lost on the way.
pub(super) fn note_sent(counters: &Counters, port: PortId, counts: &Counts) {
    counters.sent.add(u64::from(counts.frames));
    counters.split.add(u64::from(counts.split));
    let lost = [
        (DropReason::NoFrame, counts.no_frame),
        (DropReason::PortDown, counts.down),
        (DropReason::PortFull, counts.full),
        (DropReason::FrameTooLong, counts.too_long),
    ];
    let port = counters.port(port);
    for (reason, n) in lost {
        counters.note_drop(reason, u64::from(n));
        port.dropped.add(u64::from(n));
    }
    port.tx_frames.add(u64::from(counts.frames));
    port.tx_bytes.add(counts.bytes);
}
