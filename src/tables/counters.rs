//! Counters: one set a worker, plain stores, any thread may read.

use crate::frame::DropReason;
use crate::ids::{GatewayId, MeterId, PortId};
use crate::sync::Counter;

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterNames {
    /// Ports.
    pub ports: usize,
    /// Meters.
    pub meters: usize,
    /// Gateways.
    pub gateways: usize,
}

/// What one worker counted. The sum of the accounting balances at rest:
/// received + originated + split = sent + dropped + punted + answered + held.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counters {
    /// Frames that came in by a port.
    pub received: Counter,
    /// Packets that thruway made: ICMP, ARP.
    pub originated: Counter,
    /// Frames that cutting super-frames and fragmenting made beyond those received.
    pub split: Counter,
    /// Frames that went out by a port.
    pub sent: Counter,
    /// Frames given to control.
    pub punted: Counter,
    /// Packets to an address of ours that were answered.
    pub answered: Counter,
    /// Frames that wait for a neighbour now.
    pub held: Counter,
    /// Packets that changed workers.
    pub handed_over: Counter,
    /// Turns that found work.
    pub busy_turns: Counter,
    /// Turns that found none, between two that did with no pause between them.
    pub idle_turns: Counter,
    /// By [`DropReason`].
    pub dropped: [Counter; DropReason::COUNT],
    ports: Box<[PortCounters]>,
    meters: Box<[MeterCounters]>,
    gateways: Box<[GatewayCounters]>,
}

/// Frames and bytes of one port.
#[derive(Debug, Default)]
pub struct PortCounters {
    /// Frames received.
    pub rx_frames: Counter,
    /// Bytes received, with all tags.
    pub rx_bytes: Counter,
    /// Frames sent.
    pub tx_frames: Counter,
    /// Bytes sent, with all tags.
    pub tx_bytes: Counter,
    /// Frames dropped here on the way in or out.
    pub dropped: Counter,
}

/// Bytes of one circuit, peering and link: what a Metered plan counts.
#[derive(Debug, Default)]
pub struct MeterCounters {
    /// Packets towards Azure.
    pub in_packets: Counter,
    /// Bytes towards Azure, of the IP packets.
    pub in_bytes: Counter,
    /// Packets towards on-premises.
    pub out_packets: Counter,
    /// Bytes towards on-premises, of the IP packets.
    pub out_bytes: Counter,
    /// Packets above the bandwidth, dropped, towards Azure.
    pub in_policed: Counter,
    /// Packets above the bandwidth, dropped, towards on-premises.
    pub out_policed: Counter,
}

/// What one gateway did.
#[derive(Debug, Default)]
pub struct GatewayCounters {
    /// Packets through the gateway.
    pub packets: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Packets that took FastPath past it.
    pub fastpath_packets: Counter,
    /// Their bytes.
    pub fastpath_bytes: Counter,
    /// Packets by instance.
    pub instances: [Counter; INSTANCES],
}

/// The most instances of one gateway.
pub const INSTANCES: usize = 16;

fn boxed<T: Default>(len: usize) -> Box<[T]> {
    std::iter::repeat_with(T::default).take(len).collect()
}

impl Counters {
    /// All zero.
    pub fn new(names: CounterNames) -> Self {
        Self {
            received: Counter::default(),
            originated: Counter::default(),
            split: Counter::default(),
            sent: Counter::default(),
            punted: Counter::default(),
            answered: Counter::default(),
            held: Counter::default(),
            handed_over: Counter::default(),
            busy_turns: Counter::default(),
            idle_turns: Counter::default(),
            dropped: std::array::from_fn(|_| Counter::default()),
            ports: boxed(names.ports),
            meters: boxed(names.meters),
            gateways: boxed(names.gateways),
        }
    }

    /// One port's.
    #[inline(always)]
    pub fn port(&self, id: PortId) -> &PortCounters {
        &self.ports[id.index()]
    }

    /// One meter's.
    #[inline(always)]
    pub fn meter(&self, id: MeterId) -> &MeterCounters {
        &self.meters[id.index()]
    }

    /// One gateway's.
    #[inline(always)]
    pub fn gateway(&self, id: GatewayId) -> &GatewayCounters {
        &self.gateways[id.index()]
    }

    /// Counts `n` packets dropped for `reason`.
    #[inline(always)]
    pub fn note_drop(&self, reason: DropReason, n: u64) {
        self.dropped[reason as usize].add(n);
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(Counter::value).sum()
    }
}
