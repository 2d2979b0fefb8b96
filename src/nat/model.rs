//! A naive NAT beside the real one: ordered maps, everything that has ended removed before every
//! step. Random operations must have the same outcome in both.
//!
//! The model does not foretell which free port is taken; it checks that the one that was taken is
//! free and may be used. A second real shard, on which nobody ever calls `expire`, must write the
//! same bytes as the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::packet::{Packet, ip};
use super::*;
use crate::frame::DropReason;
use crate::ids::ShardId;
use crate::mem::Arena;
use crate::time::{Now, Span};
use crate::wire::icmp4::kind;
use crate::wire::tcp::flag::{ACK, FIN, RST, SYN};

#[derive(Clone, Debug)]
struct ModelSession {
    deadline: Now,
    tcp: tcp_state::TcpState,
    spoke: bool,
}

#[derive(Clone, Debug)]
struct ModelMapping {
    outside: Endpoint,
    fixed: bool,
    rests_until: Now,
    sessions: BTreeMap<Endpoint, ModelSession>,
}

/// What the model expects of a packet that passes.
#[derive(Debug, PartialEq)]
enum Expected {
    /// The local end becomes this.
    Known(Endpoint),
    /// A new mapping: any free outside endpoint, on this pool address if the host has one.
    Fresh(Option<u32>),
}

struct Model {
    rules: Arc<Bindings>,
    shard: ShardId,
    mappings: BTreeMap<(Proto, Endpoint), ModelMapping>,
    /// The address of each host that has one.
    paired: BTreeMap<u32, u32>,
}

impl Model {
    fn purge(&mut self, now: Now) {
        let quarantine = self.rules.timeouts.quarantine;
        for ((proto, _), mapping) in &mut self.mappings {
            for session in mapping.sessions.values().filter(|s| s.deadline <= now) {
                use tcp_state::TcpState::{BothFin, Transitory};
                let closed = *proto == Proto::Tcp && [BothFin, Transitory].contains(&session.tcp);
                let rest = if mapping.fixed || closed { Span::ZERO } else { quarantine };
                mapping.rests_until = mapping.rests_until.max(session.deadline + rest);
            }
            mapping.sessions.retain(|_, s| s.deadline > now);
        }
        self.mappings.retain(|_, m| !m.sessions.is_empty() || m.rests_until > now);
        let mappings = &self.mappings;
        self.paired.retain(|host, _| mappings.keys().any(|(_, inside)| inside.ip == *host));
    }

    fn sessions(&self) -> usize {
        self.mappings.values().map(|m| m.sessions.len()).sum()
    }

    fn host_sessions(&self, host: u32) -> usize {
        let of_host = self.mappings.iter().filter(|((_, e), _)| e.ip == host);
        of_host.map(|(_, m)| m.sessions.len()).sum()
    }

    fn by_outside(&self, proto: Proto, outside: Endpoint) -> Option<(Proto, Endpoint)> {
        let mut found =
            self.mappings.iter().filter(|((p, _), m)| *p == proto && m.outside == outside);
        let key = found.next().map(|(key, _)| *key);
        assert!(found.next().is_none(), "two mappings on one outside endpoint");
        key
    }

    fn is_usable(&self, proto: Proto, outside: Endpoint) -> bool {
        let range = self.rules.ports;
        let pool = self.rules.pool().addresses();
        let Some(place) = pool.iter().position(|ip| *ip == outside.ip) else { return false };
        // 64 slices an address, and as many of them a shard as there are addresses.
        let slice = place * 64 + usize::from(outside.port / 2 % 64);
        slice / pool.len() == self.shard.index()
            && (range.first..=range.last).contains(&outside.port)
            && self.rules.fixed_inside(proto, outside).is_none()
            && self.by_outside(proto, outside).is_none()
    }

    fn has_free_port(&self, proto: Proto, address: u32) -> bool {
        let range = self.rules.ports;
        (range.first..=range.last).any(|p| self.is_usable(proto, Endpoint::new(address, p)))
    }

    /// Moves a session on, or says that there is none.
    fn advance(
        &mut self,
        key: (Proto, Endpoint),
        remote: Endpoint,
        side: Side,
        flags: u8,
        now: Now,
    ) -> bool {
        let t = self.rules.timeouts;
        let mapping = self.mappings.get_mut(&key);
        let Some(session) = mapping.and_then(|m| m.sessions.get_mut(&remote)) else {
            return false;
        };
        session.spoke |= side == Side::In2Out;
        let life = match key.0 {
            Proto::Udp => Some(t.udp),
            Proto::Icmp => Some(t.icmp),
            Proto::Tcp => {
                let (tcp, timer) = tcp_state::step(session.tcp, side, flags);
                session.tcp = tcp;
                match timer {
                    tcp_state::Timer::Keep => None,
                    tcp_state::Timer::Opening => Some(t.tcp_opening),
                    tcp_state::Timer::Established => Some(t.tcp_established),
                    tcp_state::Timer::Closing => Some(t.tcp_closing),
                }
            }
        };
        if let Some(life) = life {
            session.deadline = now + life;
        }
        true
    }

    fn packet(
        &mut self,
        side: Side,
        proto: Proto,
        local: Endpoint,
        remote: Endpoint,
        flags: u8,
        now: Now,
    ) -> Result<Expected, DropReason> {
        let fixed = match side {
            Side::In2Out => self.rules.fixed_outside(proto, local),
            Side::Out2In => self.rules.fixed_inside(proto, local),
        };
        let inside = match side {
            Side::In2Out => Some(local),
            Side::Out2In => fixed.or_else(|| self.by_outside(proto, local).map(|(_, e)| e)),
        };
        if let Some(inside) = inside
            && self.advance((proto, inside), remote, side, flags, now)
        {
            let outside = self.mappings[&(proto, inside)].outside;
            return Ok(Expected::Known(if side == Side::In2Out { outside } else { inside }));
        }
        if proto == Proto::Tcp && (flags & RST != 0 || (fixed.is_none() && flags != SYN)) {
            return Err(DropReason::NatNoSession);
        }
        let inside = inside.ok_or(DropReason::NatNoSession)?;
        let mapping = self.mappings.get(&(proto, inside));
        if side == Side::Out2In && fixed.is_none() {
            let mapping = mapping.filter(|m| !m.sessions.is_empty());
            let mapping = mapping.ok_or(DropReason::NatNoSession)?;
            let spoken = |(r, s): (&Endpoint, &ModelSession)| r.ip == remote.ip && s.spoke;
            let passes = match self.rules.filtering {
                Filtering::EndpointIndependent => true,
                Filtering::AddressDependent => mapping.sessions.iter().any(spoken),
                Filtering::AddressAndPortDependent => false,
            };
            if !passes {
                return Err(DropReason::NatFiltered);
            }
        }
        if self.host_sessions(inside.ip) >= self.rules.host_sessions as usize {
            return Err(DropReason::NatHostLimit);
        }
        let capacity = self.rules.sessions;
        let no_mapping_left = mapping.is_none() && self.mappings.len() >= capacity;
        if self.sessions() >= capacity || no_mapping_left {
            return Err(DropReason::NatTableFull);
        }
        match (mapping, fixed, side) {
            (Some(m), _, Side::In2Out) => Ok(Expected::Known(m.outside)),
            (None, Some(outside), Side::In2Out) => Ok(Expected::Known(outside)),
            (_, _, Side::Out2In) => Ok(Expected::Known(inside)),
            (None, None, Side::In2Out) => {
                let paired = self.paired.get(&inside.ip).copied();
                let own = paired.filter(|&address| self.has_free_port(proto, address));
                let mut pool = self.rules.pool().addresses().iter();
                let may_leave = paired.is_none() || self.rules.pooling == Pooling::SoftPaired;
                if own.is_some() {
                    Ok(Expected::Fresh(own))
                } else if may_leave && pool.any(|&address| self.has_free_port(proto, address)) {
                    Ok(Expected::Fresh(None))
                } else {
                    Err(DropReason::NatPoolExhausted)
                }
            }
        }
    }

    /// The session that a packet opened, once the real one has shown its outside endpoint.
    #[expect(clippy::too_many_arguments, reason = "a test's book-keeping")]
    fn opened(
        &mut self,
        side: Side,
        proto: Proto,
        inside: Endpoint,
        outside: Endpoint,
        remote: Endpoint,
        flags: u8,
        now: Now,
    ) {
        let t = self.rules.timeouts;
        let life = [t.tcp_opening, t.udp, t.icmp][proto as usize];
        let fixed = self.rules.fixed_outside(proto, inside).is_some();
        let rests_until = Now(0);
        let new = ModelMapping { outside, fixed, rests_until, sessions: BTreeMap::new() };
        if !fixed {
            self.paired.entry(inside.ip).or_insert(outside.ip);
        }
        let mapping = self.mappings.entry((proto, inside)).or_insert(new);
        assert_eq!(mapping.outside, outside);
        let tcp = tcp_state::open(side, flags).unwrap_or_default();
        let session = ModelSession { deadline: now + life, tcp, spoke: side == Side::In2Out };
        mapping.sessions.entry(remote).or_insert(session);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Out { proto: Proto, host: usize, port: u16, remote: u8, flags: u8 },
    In { proto: Proto, target: prop::sample::Index, remote: u8, flags: u8 },
    Error { side: Side, target: prop::sample::Index, remote: u8 },
    Tick(u64),
    Expire(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let proto = || prop_oneof![Just(Proto::Udp), Just(Proto::Tcp), Just(Proto::Icmp)];
    let flags = || {
        prop_oneof![
            4 => Just(SYN),
            2 => Just(SYN | ACK),
            4 => Just(ACK),
            1 => Just(FIN | ACK),
            1 => Just(RST)
        ]
    };
    let index = any::<prop::sample::Index>;
    let op = prop_oneof![
        6 => (proto(), 0..5usize, 0..4u16, 0..5u8, flags()).prop_map(
            |(proto, host, port, remote, flags)| Op::Out { proto, host, port, remote, flags }),
        5 => (proto(), index(), 0..5u8, flags()).prop_map(
            |(proto, target, remote, flags)| Op::In { proto, target, remote, flags }),
        1 => (any::<bool>(), index(), 0..5u8).prop_map(|(out, target, remote)| {
            Op::Error { side: if out { Side::In2Out } else { Side::Out2In }, target, remote }
        }),
        3 => prop_oneof![0..2_000u64, Just(4_000), Just(7_000), Just(60_000)].prop_map(Op::Tick),
        1 => (0..5usize).prop_map(Op::Expire),
    ];
    prop::collection::vec(op, 1..150)
}

/// It has the last slice of the first of three addresses, and the first two of the second.
const SHARD: ShardId = ShardId(21);

/// Inside addresses of one shard: the first has a port forward, the last a static binding.
fn hosts() -> Vec<u32> {
    (0x0a00_0001..).filter(|&a| shard_of_inside(a) == SHARD).take(5).collect()
}

fn rules(filtering: Filtering, pooling: Pooling) -> Arc<Bindings> {
    let hosts = hosts();
    let config = NatConfig {
        inside: vec!["10.0.0.0/8".parse().unwrap()],
        // Two ports a slice and protocol.
        pool: ["203.0.113.64/31", "203.0.113.66/32"].map(|net| net.parse().unwrap()).into(),
        ports: PortRange { first: 1024, last: 1151 },
        statics: vec![StaticBinding {
            inside: hosts[4].into(),
            outside: "203.0.113.99".parse().unwrap(),
        }],
        forwards: vec![PortForward {
            proto: Proto::Tcp,
            // A port that the shard would give out otherwise.
            outside: "203.0.113.65:1026".parse().unwrap(),
            inside: std::net::SocketAddrV4::new(hosts[0].into(), 5001),
        }],
        timeouts: Timeouts {
            udp: Span::secs(10),
            tcp_established: Span::secs(40),
            tcp_opening: Span::secs(6),
            tcp_closing: Span::secs(5),
            icmp: Span::secs(4),
            fragment: Span::secs(3),
            quarantine: Span::secs(7),
        },
        filtering,
        pooling,
        sessions: 14,
        host_sessions: 6,
        ..NatConfig::default()
    };
    config.compile().unwrap()
}

struct Run {
    model: Model,
    /// The one under test, and one that nobody calls `expire` on.
    shard: Nat44Shard,
    lazy: Nat44Shard,
    /// Outside endpoints seen so far.
    seen: Vec<(Proto, Endpoint)>,
    now: Now,
    outcomes: BTreeMap<&'static str, u32>,
}

fn build(proto: Proto, src: Endpoint, dst: Endpoint, flags: u8, side: Side) -> Packet {
    match (proto, side) {
        (Proto::Udp, _) => Packet::udp(src, dst, b"data"),
        (Proto::Tcp, _) => Packet::tcp(src, dst, flags),
        (_, Side::In2Out) => Packet::echo(kind::ECHO_REQUEST, src.ip, dst.ip, src.port),
        (_, Side::Out2In) => Packet::echo(kind::ECHO_REPLY, src.ip, dst.ip, dst.port),
    }
}

fn apply(
    shard: &mut Nat44Shard,
    side: Side,
    packet: &mut Packet,
) -> Result<Translated, DropReason> {
    match side {
        Side::In2Out => shard.in2out(&mut packet.buf, &mut packet.row),
        Side::Out2In => shard.out2in(&mut packet.buf, &mut packet.row),
    }
}

impl Run {
    fn new(filtering: Filtering, pooling: Pooling) -> Self {
        let rules = rules(filtering, pooling);
        let (mappings, paired) = (BTreeMap::new(), BTreeMap::new());
        Self {
            model: Model { rules: rules.clone(), shard: SHARD, mappings, paired },
            shard: Nat44Shard::new(&mut Arena::default(), SHARD, rules.clone(), 7),
            lazy: Nat44Shard::new(&mut Arena::default(), SHARD, rules, 7),
            seen: vec![
                (Proto::Tcp, Endpoint::new(ip("203.0.113.65"), 1026)),
                (Proto::Udp, Endpoint::new(ip("203.0.113.99"), 5002)),
                (Proto::Udp, Endpoint::new(ip("203.0.113.65"), 1027)),
            ],
            now: Now(3_000_000_000_000),
            outcomes: BTreeMap::new(),
        }
    }

    fn step(&mut self, op: &Op) {
        self.model.purge(self.now);
        match op {
            Op::Tick(milliseconds) => self.now = self.now + Span::millis(*milliseconds),
            Op::Expire(budget) => {
                self.shard.expire(self.now, *budget);
            }
            Op::Out { proto, host, port, remote, flags } => {
                let local = Endpoint::new(hosts()[*host], 5000 + port);
                self.packet(Side::In2Out, *proto, local, *remote, *flags);
            }
            Op::In { proto, target, remote, flags } => {
                let (seen, local) = *target.get(&self.seen);
                let proto = if proto == &Proto::Icmp { *proto } else { seen };
                self.packet(Side::Out2In, proto, local, *remote, *flags);
            }
            Op::Error { side, target, remote } => {
                self.error(*side, *target.get(&self.seen), *remote)
            }
        }
        self.compare();
    }

    fn remote(proto: Proto, number: u8) -> Endpoint {
        let ip = ip("198.51.100.1") + u32::from(number / 2);
        Endpoint::new(ip, if proto == Proto::Icmp { 0 } else { 80 + u16::from(number % 2) })
    }

    fn packet(&mut self, side: Side, proto: Proto, local: Endpoint, remote: u8, flags: u8) {
        let remote = Self::remote(proto, remote);
        let (src, dst) = if side == Side::In2Out { (local, remote) } else { (remote, local) };
        let original = build(proto, src, dst, flags, side).at(self.now);
        let expected = self.model.packet(side, proto, local, remote, flags, self.now);

        let (mut packet, mut again) = (original.clone(), original.clone());
        let outcome = apply(&mut self.shard, side, &mut packet);
        assert_eq!(outcome, apply(&mut self.lazy, side, &mut again), "expiry changes nothing");
        assert_eq!(packet.buf, again.buf, "expiry changes nothing");
        *self.outcomes.entry(outcome.map_or_else(DropReason::name, |_| "passed")).or_default() += 1;

        let became = if side == Side::In2Out { packet.src() } else { packet.dst() };
        match (&outcome, &expected) {
            (Err(reason), Err(model)) => {
                assert_eq!(reason, model);
                assert_eq!(packet.buf, original.buf);
                return;
            }
            (Ok(Translated::Done), Ok(Expected::Known(model))) => assert_eq!(became, *model),
            (Ok(Translated::Done), Ok(Expected::Fresh(paired))) => {
                assert!(self.model.is_usable(proto, became), "{became:?} is not free");
                assert!(paired.is_none_or(|address| address == became.ip), "U2");
            }
            _ => panic!("{outcome:?}, but the model expects {expected:?}"),
        }
        packet.check();
        let (inside, outside) =
            if side == Side::In2Out { (local, became) } else { (became, local) };
        self.model.opened(side, proto, inside, outside, remote, flags, self.now);
        self.seen.push((proto, outside));

        // There and back again is where it began; on a copy, so that the run goes on as it was.
        let back = if side == Side::In2Out { Side::Out2In } else { Side::In2Out };
        let mut answer = build(proto, packet.dst(), packet.src(), ACK, back).at(self.now);
        if proto == Proto::Icmp {
            let (src, dst) = (packet.row.dst, packet.row.src);
            answer = Packet::echo(kind::ECHO_REPLY, src, dst, packet.row.sport).at(self.now);
        }
        apply(&mut self.shard.clone(), back, &mut answer).unwrap();
        answer.check();
        assert_eq!((answer.src(), answer.dst()), (original.dst(), original.src()));
    }

    fn error(&mut self, side: Side, (proto, outside): (Proto, Endpoint), remote: u8) {
        let remote = Self::remote(proto, remote);
        let key = self.model.by_outside(proto, outside);
        let alive = key.filter(|k| !self.model.mappings[k].sessions.is_empty()).map(|(_, e)| e);
        let whole = self.model.rules.static_inside(outside.ip);
        let inside = whole.map(|ip| Endpoint::new(ip, outside.port)).or(alive);
        let (mut error, expected) = match side {
            Side::Out2In => {
                let sent = build(proto, outside, remote, ACK, Side::In2Out);
                (sent.error(kind::UNREACHABLE, 1, remote.ip, outside.ip, 999), inside)
            }
            Side::In2Out => {
                let Some(inside) = key.map(|(_, e)| e) else { return };
                let received = build(proto, remote, inside, ACK, Side::Out2In);
                let expected = whole.or(alive.map(|_| 0)).map(|_| outside);
                (received.error(kind::UNREACHABLE, 1, inside.ip, remote.ip, 999), expected)
            }
        };
        error.row.arrival = self.now;
        let outcome = apply(&mut self.shard, side, &mut error);
        let Some(expected) = expected else {
            assert_eq!(outcome, Err(DropReason::NatNoSession));
            return;
        };
        assert_eq!(outcome, Ok(Translated::Done));
        error.check();
        let quoted = error.quoted();
        let (became, address) = match side {
            Side::Out2In => (quoted.src(), error.row.dst),
            Side::In2Out => (quoted.dst(), error.row.src),
        };
        assert_eq!((became, address), (expected, expected.ip));
    }

    /// The sessions that live are the same on all three.
    fn compare(&self) {
        let mut model: Vec<_> = Vec::new();
        for ((proto, inside), mapping) in &self.model.mappings {
            let living = mapping.sessions.iter().filter(|(_, s)| s.deadline > self.now);
            model.extend(living.map(|(r, s)| (*proto, *inside, mapping.outside, *r, s.deadline)));
        }
        for shard in [&self.shard, &self.lazy] {
            let real = shard.sessions(self.now);
            let mut real: Vec<_> = real
                .map(|s| (s.proto, s.inside.into(), s.outside.into(), s.remote.into(), s.deadline))
                .collect();
            real.sort_unstable();
            assert_eq!(real, model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 5000, ..ProptestConfig::default() })]
    #[test]
    fn a_shard_does_what_the_naive_model_does(ops in ops(), filter in 0..3u8, soft: bool) {
        let filtering = match filter {
            0 => Filtering::EndpointIndependent,
            1 => Filtering::AddressDependent,
            _ => Filtering::AddressAndPortDependent,
        };
        let pooling = if soft { Pooling::SoftPaired } else { Pooling::Paired };
        let mut run = Run::new(filtering, pooling);
        for op in &ops {
            run.step(op);
        }
    }
}

/// The random runs are worth something only if they get into every corner.
#[test]
fn random_runs_meet_every_reason_to_drop() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut outcomes: BTreeMap<&'static str, u32> = BTreeMap::new();
    for round in 0..60 {
        let ops = ops().new_tree(&mut runner).unwrap().current();
        let filtering = [Filtering::EndpointIndependent, Filtering::AddressDependent][round % 2];
        let pooling = [Pooling::Paired, Pooling::SoftPaired][round / 2 % 2];
        let mut run = Run::new(filtering, pooling);
        for op in &ops {
            run.step(op);
        }
        for (name, count) in run.outcomes {
            *outcomes.entry(name).or_default() += count;
        }
    }
    for reason in [
        DropReason::NatNoSession,
        DropReason::NatFiltered,
        DropReason::NatHostLimit,
        DropReason::NatTableFull,
        DropReason::NatPoolExhausted,
    ] {
        assert!(outcomes.contains_key(reason.name()), "{reason}: {outcomes:?}");
    }
    assert!(outcomes["passed"] > 1000, "{outcomes:?}");
}
