//! What a worker keeps between batches: sessions and flows by shard, and frames that wait.

use std::sync::Arc;

use super::steer::Told;
use crate::flow::{FlowTable, nsg_flow};
use crate::frame::{Frame, Row};
use crate::ids::{SHARDS, ShardId};
use crate::mem::Arena;
use crate::nat::{FragmentTable, Nat44Shard};
use crate::neighbour::NeighbourState;
use crate::tables::{Gateway, NatEntry, Tables};
use crate::time::{Now, Span};

pub use crate::tables::waiting::{HELD_MOST, WaitsFor};

/// A frame that waited this long goes: ARP had its three tries.
pub const HELD_SPAN: Span = Span::secs(5);

/// How much state each shard may keep.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// NSG flows a shard.
    pub nsg_flows: usize,
    /// Gateway flows a shard; fewer where the SKU allows fewer.
    pub gateway_flows: usize,
    /// Datagrams in fragments a shard.
    pub fragments: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        // The largest gateway, ErGwScale of 40 units, knows 4,000,000 flows: 62,500 a shard, and a
        // quarter more since a hash is not even.
        Self { nsg_flows: 16 << 10, gateway_flows: 80 << 10, fragments: 256 }
    }
}

/// How long later fragments may follow their first.
pub const FRAGMENT_IDLE: Span = Span::secs(30);

/// One of something for each shard of this worker's.
#[derive(Debug)]
pub struct Sharded<T>(Box<[Option<T>; SHARDS]>);

impl<T> Sharded<T> {
    fn new(owned: impl Fn(ShardId) -> bool, mut make: impl FnMut(ShardId) -> T) -> Self {
        let make = |index| Some(ShardId::from_index(index)).filter(|id| owned(*id)).map(&mut make);
        let all: Box<[Option<T>]> = (0..SHARDS).map(make).collect();
        Self(all.try_into().unwrap_or_else(|_| unreachable!("one for each shard")))
    }

    /// A shard's.
    ///
    /// # Panics
    /// When another worker owns it: *steer* let a packet through that is not ours.
    #[inline(always)]
    pub fn of(&self, id: ShardId) -> &T {
        self.0[id.index() % SHARDS].as_ref().expect("steer sends packets to their owner")
    }

    /// A shard's, to change.
    ///
    /// # Panics
    /// As [`Sharded::of`].
    #[inline(always)]
    pub fn of_mut(&mut self, id: ShardId) -> &mut T {
        self.0[id.index() % SHARDS].as_mut().expect("steer sends packets to their owner")
    }

    /// All of this worker's.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// All of this worker's, to change.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }
}

/// What the shards keep; a worker has only what it owns.
#[derive(Debug)]
pub struct Shards {
    /// By NAT id.
    pub nats: Vec<Sharded<Nat44Shard>>,
    /// Flows that security groups allowed.
    pub nsg_flows: Sharded<FlowTable>,
    /// Flows that each gateway knows, by gateway id; none where limits are off.
    pub gateway_flows: Vec<Sharded<FlowTable>>,
    /// Ports of datagrams that come in fragments.
    pub fragments: Sharded<FragmentTable<Told>>,
}

impl Shards {
    /// State for the shards that `owned` names, with `nats`' bindings.
    pub fn new(
        sizes: Sizes,
        (nats, gateways): (&[NatEntry], &[Gateway]),
        seed: u64,
        owned: impl Fn(ShardId) -> bool,
    ) -> Self {
        let mut arena = Arena::default();
        let nat = |nat: &NatEntry| {
            let bindings = &nat.bindings;
            Sharded::new(&owned, |id| Nat44Shard::new(&mut arena, id, Arc::clone(bindings), seed))
        };
        Self {
            nats: nats.iter().map(nat).collect(),
            nsg_flows: Sharded::new(&owned, |_| {
                FlowTable::new(&mut arena, sizes.nsg_flows, nsg_flow::IDLE)
            }),
            gateway_flows: gateways
                .iter()
                .map(|own| Sharded::new(&owned, |_| known_flows(&mut arena, own, sizes)))
                .collect(),
            fragments: Sharded::new(&owned, |_| FragmentTable::new(sizes.fragments, FRAGMENT_IDLE)),
        }
    }
}

/// Room for a gateway's flows: a few more than an even share, since a hash is not even.
fn known_flows(arena: &mut Arena, gateway: &Gateway, sizes: Sizes) -> FlowTable {
    match &gateway.limits {
        Some(limits) => {
            let share = usize::try_from(limits.flows.limit()).unwrap_or(usize::MAX) / SHARDS;
            let room = (share + share / 4 + 64).min(sizes.gateway_flows);
            FlowTable::counted(arena, room, Arc::clone(&limits.flows))
        }
        None => FlowTable::new(arena, 1, Span::secs(1)),
    }
}

/// A frame that waits for ARP.
#[derive(Debug)]
pub struct Held {
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// Since when.
    pub since: Now,
    /// The frame.
    pub frame: Frame,
    /// Its facts; look-up starts again from here.
    pub row: Row,
}

/// What is to be done with a held frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits on.
    Waits,
    /// Its neighbour is known, or has failed: look-up decides again.
    Goes,
    /// It waited too long.
    Late,
}

/// What is to be done with a held frame at `now`.
pub fn fate(tables: &Tables, held: &Held, now: Now) -> Fate {
    let ready = match held.waits_for {
        WaitsFor::Neighbour(id) => tables.words.load(id).state() != NeighbourState::Incomplete,
        WaitsFor::Address(attachment, address) => {
            tables.gleaned.contains_key(&(attachment, address))
        }
    };
    match ready {
        true => Fate::Goes,
        false if now.since(held.since) >= HELD_SPAN => Fate::Late,
        false => Fate::Waits,
    }
}
