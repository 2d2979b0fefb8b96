//! Stages: each is one loop over a batch that answers one question.
//!
//! A stage takes the set of packets it is asked about (bits of a `u64`) and says what became of
//! them: they stay in the batch with something written into their rows, or their way ends here
//! with a name. The head of each stage's file says what it reads, writes and ends.

pub mod answer;
pub mod classify;
pub mod control_traffic;
pub mod egress;
pub mod express;
pub mod foresee;
pub mod fragment;
pub mod gateway;
pub mod group;
pub mod icmp;
pub mod lookup;
pub mod nat44;
pub mod nsg;
pub mod pieces;
pub mod police;
pub mod punt;
pub mod quoted;
pub mod rewrite;
pub mod source_check;
pub mod state;
pub mod steer;
pub mod validate;

#[cfg(test)]
mod tests;

use crate::frame::{Batch, Bits, Flags, Frame, Outgoing, Pool, Row};
use crate::ids::{Direction, MeterId, PortId, WorkerId};
use crate::tables::{Counters, Tables};

pub use punt::{Message, Punt};
pub use state::{Held, Sharded, Shards};

/// What a stage has at hand besides the batch: the tables, and what belongs to its worker.
#[derive(Debug)]
pub struct Context<'a> {
    /// The snapshot of this turn.
    pub tables: &'a Tables,
    /// The worker that runs the stage.
    pub worker: WorkerId,
    /// Sessions and flows of the shards.
    pub shards: &'a mut Shards,
    /// Free frames.
    pub pool: &'a mut Pool,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// Where frames leave for ports, workers and control.
    pub out: &'a mut Outbox,
}

/// Frames that leave a batch, until the worker passes them on at the batch's end.
#[derive(Debug)]
pub struct Outbox {
    /// By port.
    pub ports: Vec<Vec<Outgoing>>,
    /// By worker: packets whose state belongs to it.
    pub workers: Vec<Vec<(Frame, Row)>>,
    /// For control.
    pub punts: Vec<Punt>,
    /// ICMP errors to make at the batch's end: place in the batch, what, from which address.
    pub reports: Vec<(usize, icmp::Report, u32)>,
    /// Frames that wait for a neighbour.
    pub held: Vec<Held>,
    /// Room for the packets of *express*.
    pub express: Box<express::Scratch>,
}

/// Room that keeps an outbox from growing while packets flow: every frame of a batch and an
/// answer to it.
const ROOM: usize = 4 * crate::frame::BATCH;

impl Outbox {
    /// Empty boxes for this many ports and workers.
    pub fn new(ports: usize, workers: usize) -> Self {
        Self {
            ports: (0..ports).map(|_| Vec::with_capacity(ROOM)).collect(),
            workers: (0..workers).map(|_| Vec::with_capacity(ROOM)).collect(),
            punts: Vec::with_capacity(ROOM),
            reports: Vec::with_capacity(ROOM),
            held: Vec::with_capacity(state::HELD_MOST),
            express: Box::default(),
        }
    }

    /// Lines a frame up for a port. `OPEN` says whether something may be left open in it.
    #[inline(always)]
    pub fn send<const OPEN: bool>(&mut self, port: PortId, frame: Frame, row: &Row) {
        let out = if OPEN { Outgoing::new(frame, row) } else { Outgoing::closed(frame, row) };
        self.ports[port.index()].push(out);
    }
}

/// The sets that *classify* sorts a batch into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sorted {
    /// Provider edge without NAT.
    pub cross: u64,
    /// Provider edge with NAT.
    pub nat: u64,
    /// IPv4 for an edge, a VNet or a service.
    pub ip: u64,
    /// ARP for them.
    pub arp: u64,
}

/// The members of `set` whose rows satisfy `test`.
#[inline(always)]
pub fn select(batch: &Batch, set: u64, mut test: impl FnMut(&Row) -> bool) -> u64 {
    let mut found = 0;
    for i in Bits(set) {
        found |= u64::from(test(batch.row(i))) << i;
    }
    found
}

/// Bytes behind the Ethernet header and the tags, without padding where the packet says its size.
#[inline(always)]
pub(crate) fn payload(row: &Row) -> u32 {
    if row.flags.has(Flags::IP4) {
        u32::from(row.ip_len)
    } else {
        row.len.saturating_sub(u32::from(row.l3 - row.off))
    }
}

/// Counts packets and their bytes on a meter, if there is one.
#[inline(always)]
pub(crate) fn meter(
    counters: &Counters,
    meter: Option<MeterId>,
    direction: Direction,
    (packets, bytes): (u64, u64),
) {
    let Some(meter) = meter else { return };
    let meter = counters.meter(meter);
    let (packets_of, bytes_of) = match direction {
        Direction::ToAzure => (&meter.in_packets, &meter.in_bytes),
        Direction::ToOnprem => (&meter.out_packets, &meter.out_bytes),
    };
    packets_of.add(packets);
    bytes_of.add(bytes);
}
