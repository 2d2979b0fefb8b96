//! What does the configuration say about this packet? The form that all shards share and read.
//!
//! It decides which side a packet is on, which shard owns it, and which inside and outside
//! endpoints are bound to each other for good. It holds no state.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::config::{
    Filtering, MAX_POOL, MAX_SESSIONS, NatConfig, NatConfigError, Pooling, PortRange, Timeouts,
};
use super::icmp_error::Quote;
use super::pool::{Pool, shard_of_inside};
use super::session::{Endpoint, FlowKey, Proto, Side};
use crate::frame::{DropReason, Flags, Row};
use crate::ids::ShardId;
use crate::time::Span;

/// Sorted, disjoint ranges of addresses.
#[derive(Clone, Debug, Default)]
struct Ranges(Vec<(u32, u32)>);

/// So few ranges are looked at one after the other.
const FEW: usize = 8;

impl Ranges {
    fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    #[inline(always)]
    fn contains(&self, address: u32) -> bool {
        if self.0.len() <= FEW {
            return self.0.iter().any(|&(first, last)| (first..=last).contains(&address));
        }
        let after = self.0.partition_point(|&(first, _)| first <= address);
        after > 0 && address <= self.0[after - 1].1
    }

    fn overlap(&self, other: &Ranges) -> Option<u32> {
        self.0.iter().find_map(|&(first, last)| {
            let meets = |&&(f, l): &&(u32, u32)| f <= last && first <= l;
            other.0.iter().find(meets).map(|&(f, _)| f.max(first))
        })
    }
}

/// Who must see a packet next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The shard that translates it.
    Session(ShardId),
    /// A fragment from outside: only the first one tells, by [`Bindings::outside_owner`]; the
    /// caller remembers that for the later ones, under a [`super::FragmentKey`].
    Fragment,
}

/// A compiled [`NatConfig`].
#[derive(Clone, Debug)]
pub struct Bindings {
    inside: Ranges,
    outside: Ranges,
    /// Addresses for dynamic mappings.
    pool: Pool,
    /// (inside, outside), sorted by inside; the other sorted by outside.
    statics_by_inside: Vec<(u32, u32)>,
    statics_by_outside: Vec<(u32, u32)>,
    /// Packed endpoints, sorted by the first.
    forwards_by_inside: Vec<(u64, Endpoint)>,
    forwards_by_outside: Vec<(u64, Endpoint)>,
    pub(super) ports: PortRange,
    pub(super) timeouts: Timeouts,
    pub(super) filtering: Filtering,
    pub(super) pooling: Pooling,
    pub(super) inbound_refresh: bool,
    pub(super) sessions: usize,
    pub(super) host_sessions: u32,
}

#[inline(always)]
fn find<K: Ord + Copy, V: Copy>(list: &[(K, V)], key: K) -> Option<V> {
    if list.is_empty() {
        return None;
    }
    list.binary_search_by_key(&key, |e| e.0).ok().map(|i| list[i].1)
}

fn twice<K: Ord + Copy, V>(sorted: &[(K, V)]) -> Option<K> {
    sorted.windows(2).find(|w| w[0].0 == w[1].0).map(|w| w[0].0)
}

fn unpack(key: u64) -> SocketAddrV4 {
    let [_, _proto, a, b, c, d, high, low] = key.to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))
}

impl Bindings {
    pub(super) fn compile(config: &NatConfig) -> Result<Self, NatConfigError> {
        check_numbers(config)?;
        let pool_size: u64 =
            config.pool.iter().map(|net| 1u64 << (32 - u32::from(net.prefix_len()))).sum();
        let pool_size = usize::try_from(pool_size).unwrap_or(usize::MAX);
        if pool_size > MAX_POOL {
            return Err(NatConfigError::PoolTooLarge(pool_size));
        }

        let mut statics_by_inside: Vec<_> =
            config.statics.iter().map(|s| (s.inside.to_bits(), s.outside.to_bits())).collect();
        let mut statics_by_outside: Vec<_> = statics_by_inside.iter().map(|s| (s.1, s.0)).collect();
        statics_by_inside.sort_unstable();
        statics_by_outside.sort_unstable();
        let whole = |ip| SocketAddrV4::new(Ipv4Addr::from_bits(ip), 0);
        if let Some(ip) = twice(&statics_by_inside) {
            return Err(NatConfigError::InsideTwice(whole(ip)));
        }
        if let Some(ip) = twice(&statics_by_outside) {
            return Err(NatConfigError::OutsideTwice(whole(ip)));
        }
        let (forwards_by_inside, forwards_by_outside) =
            compile_forwards(config, &statics_by_inside, &statics_by_outside)?;

        let nets = |nets: &[ipnet::Ipv4Net]| -> Vec<(u32, u32)> {
            nets.iter().map(|n| (n.network().to_bits(), n.broadcast().to_bits())).collect()
        };
        let mut inside = nets(&config.inside);
        let mut outside = nets(&config.pool);
        for s in &config.statics {
            inside.push((s.inside.to_bits(), s.inside.to_bits()));
            outside.push((s.outside.to_bits(), s.outside.to_bits()));
        }
        for f in &config.forwards {
            inside.push((f.inside.ip().to_bits(), f.inside.ip().to_bits()));
            outside.push((f.outside.ip().to_bits(), f.outside.ip().to_bits()));
        }
        let (inside, outside) = (Ranges::new(inside), Ranges::new(outside));
        if let Some(ip) = inside.overlap(&outside) {
            return Err(NatConfigError::BothSides(Ipv4Addr::from_bits(ip)));
        }

        let mut pool = Vec::with_capacity(pool_size);
        for (first, last) in nets(&config.pool) {
            let free = |ip: &u32| find(&statics_by_outside, *ip).is_none();
            pool.extend((first..=last).filter(free));
        }
        let mut seen = std::collections::BTreeSet::new();
        pool.retain(|ip| seen.insert(*ip));

        Ok(Self {
            inside,
            outside,
            pool: Pool::new(pool),
            statics_by_inside,
            statics_by_outside,
            forwards_by_inside,
            forwards_by_outside,
            ports: config.ports,
            timeouts: config.timeouts,
            filtering: config.filtering,
            pooling: config.pooling,
            inbound_refresh: config.inbound_refresh,
            sessions: config.sessions,
            host_sessions: config.host_sessions,
        })
    }

    /// Which translation a valid IPv4 packet between these addresses is for; `None` when NAT has no
    /// business with it.
    #[inline(always)]
    pub fn side(&self, src: u32, dst: u32) -> Option<Side> {
        if self.inside.contains(src) {
            Some(Side::In2Out)
        } else if self.outside.contains(dst) {
            Some(Side::Out2In)
        } else {
            None
        }
    }

    /// Which shard a whole packet with this key belongs to.
    #[inline(always)]
    pub fn owner_of(&self, key: &FlowKey) -> ShardId {
        match key.side {
            Side::In2Out => shard_of_inside(key.local.ip),
            Side::Out2In => self.shard_of(key.proto, key.local),
        }
    }

    /// Which shard a packet of `side` belongs to; `frame` is the whole buffer.
    ///
    /// # Errors
    /// When the packet is an ICMP error whose quoted packet cannot be read, or a protocol without
    /// ports towards an address that is not bound one to one.
    pub fn owner(&self, side: Side, frame: &[u8], row: &Row) -> Result<Owner, DropReason> {
        if row.flags.has(Flags::ICMP_ERROR) {
            return self.icmp_error_owner(side, frame, row).map(Owner::Session);
        }
        if side == Side::In2Out {
            return Ok(Owner::Session(shard_of_inside(row.src)));
        }
        if let Some(inside) = self.static_inside(row.dst) {
            return Ok(Owner::Session(shard_of_inside(inside)));
        }
        if row.flags.has(Flags::FRAGMENT) {
            return Ok(Owner::Fragment);
        }
        self.outside_owner(row).map(Owner::Session)
    }

    /// The shard of a packet from outside that has ports: where [`Owner::Fragment`] sends a first
    /// fragment.
    ///
    /// # Errors
    /// When the packet has no ports.
    pub fn outside_owner(&self, row: &Row) -> Result<ShardId, DropReason> {
        let proto = Proto::of(row.proto).filter(|_| row.flags.has(Flags::L4));
        let proto = proto.ok_or(DropReason::NatUnsupportedProtocol)?;
        Ok(self.shard_of(proto, Endpoint::new(row.dst, row.dport)))
    }

    fn icmp_error_owner(&self, side: Side, frame: &[u8], row: &Row) -> Result<ShardId, DropReason> {
        let quote = Quote::of(frame, row).ok_or(DropReason::NatBadIcmp)?;
        if side == Side::In2Out {
            return Ok(shard_of_inside(quote.dst));
        }
        if let Some(inside) = self.static_inside(quote.src) {
            return Ok(shard_of_inside(inside));
        }
        let (proto, sport, _) = quote.ports.ok_or(DropReason::NatNoSession)?;
        Ok(self.shard_of(proto, Endpoint::new(quote.src, sport)))
    }

    #[inline(always)]
    fn shard_of(&self, proto: Proto, outside: Endpoint) -> ShardId {
        match self.fixed_inside(proto, outside) {
            Some(inside) => shard_of_inside(inside.ip),
            None => self.pool.shard_of(outside.ip, outside.port),
        }
    }

    /// Whether an address is one of the NAT's own on the outside.
    #[inline]
    pub fn is_outside(&self, address: u32) -> bool {
        self.outside.contains(address)
    }

    /// The addresses that dynamic mappings use.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The outside address of an inside address that is bound one to one.
    pub fn static_outside(&self, inside: u32) -> Option<u32> {
        find(&self.statics_by_inside, inside)
    }

    /// The inside address of an outside address that is bound one to one.
    #[inline]
    pub fn static_inside(&self, outside: u32) -> Option<u32> {
        find(&self.statics_by_outside, outside)
    }

    /// The outside endpoint that an inside endpoint is bound to.
    pub fn fixed_outside(&self, proto: Proto, inside: Endpoint) -> Option<Endpoint> {
        find(&self.forwards_by_inside, inside.pack(proto))
            .or_else(|| self.static_outside(inside.ip).map(|ip| Endpoint::new(ip, inside.port)))
    }

    /// The inside endpoint that an outside endpoint is bound to.
    #[inline]
    pub fn fixed_inside(&self, proto: Proto, outside: Endpoint) -> Option<Endpoint> {
        find(&self.forwards_by_outside, outside.pack(proto))
            .or_else(|| self.static_inside(outside.ip).map(|ip| Endpoint::new(ip, outside.port)))
    }

    /// How long a session lives after the packet that opens it.
    pub(super) fn first_life(&self, proto: Proto) -> Span {
        match proto {
            Proto::Tcp => self.timeouts.tcp_opening,
            Proto::Udp => self.timeouts.udp,
            Proto::Icmp => self.timeouts.icmp,
        }
    }
}

fn check_numbers(config: &NatConfig) -> Result<(), NatConfigError> {
    let PortRange { first, last } = config.ports;
    if first == 0 || last < first || last - first < 127 {
        return Err(NatConfigError::TooFewPorts(first, last));
    }
    let fragment = config.timeouts.fragment;
    if config.timeouts.shortest().min(fragment) < Span::secs(1) {
        return Err(NatConfigError::TimeoutTooShort);
    }
    if !(1..=MAX_SESSIONS).contains(&config.sessions) {
        return Err(NatConfigError::BadCapacity(config.sessions));
    }
    Ok(())
}

type Forwards = Vec<(u64, Endpoint)>;

fn compile_forwards(
    config: &NatConfig,
    statics_by_inside: &[(u32, u32)],
    statics_by_outside: &[(u32, u32)],
) -> Result<(Forwards, Forwards), NatConfigError> {
    let (mut by_inside, mut by_outside) = (Vec::new(), Vec::new());
    for f in &config.forwards {
        for socket in [f.inside, f.outside] {
            if f.proto == Proto::Icmp || socket.port() == 0 {
                return Err(NatConfigError::NoPort(f.proto, socket));
            }
        }
        if find(statics_by_inside, f.inside.ip().to_bits()).is_some() {
            return Err(NatConfigError::InsideTwice(f.inside));
        }
        if find(statics_by_outside, f.outside.ip().to_bits()).is_some() {
            return Err(NatConfigError::OutsideTwice(f.outside));
        }
        let (inside, outside) = (Endpoint::from(f.inside), Endpoint::from(f.outside));
        by_inside.push((inside.pack(f.proto), outside));
        by_outside.push((outside.pack(f.proto), inside));
    }
    by_inside.sort_unstable();
    by_outside.sort_unstable();
    if let Some(key) = twice(&by_inside) {
        return Err(NatConfigError::InsideTwice(unpack(key)));
    }
    if let Some(key) = twice(&by_outside) {
        return Err(NatConfigError::OutsideTwice(unpack(key)));
    }
    Ok((by_inside, by_outside))
}
