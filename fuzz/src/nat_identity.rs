//! NAT under any sequence of packets, errors and time: each outcome is the naive model's, there and
//! back is where a packet began, no two live mappings share an outside endpoint, sums stay right,
//! and a shard that nobody cleans up behaves as one that is.

use std::sync::Arc;

use thruway::frame::DropReason;
use thruway::ids::ShardId;
use thruway::mem::Arena;
use thruway::nat::{
    Endpoint, Filtering, Nat44Shard, NatConfig, Pooling, PortForward, PortRange, Proto, Side,
    StaticBinding, Timeouts, Translated, shard_of_inside,
};
use thruway::time::{Now, Span};
use thruway::wire::build::{self, TcpFields};
use thruway::wire::icmp4::kind;
use thruway::wire::tcp::flag::{ACK, FIN, RST, SYN};

use super::nat_model::{Expected, Model};
use super::packet::Packet;
use thruway::hostile::Entropy;

/// It has the last slice of the first of three addresses, and the first two of the second.
const SHARD: ShardId = ShardId(21);
/// Most operations of one run.
const STEPS: usize = 150;
/// TCP flags by how often they come.
const FLAGS: [u8; 12] =
    [SYN, SYN, SYN, SYN, SYN | ACK, SYN | ACK, ACK, ACK, ACK, ACK, FIN | ACK, RST];

const fn ip(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

/// Inside addresses of one shard: the first has a port forward, the last a static binding.
fn hosts() -> [u32; 5] {
    let mut hosts = (0x0a00_0001..).filter(|&address| shard_of_inside(address) == SHARD);
    [(); 5].map(|()| hosts.next().expect("there are many"))
}

fn config(filtering: Filtering, pooling: Pooling) -> NatConfig {
    let hosts = hosts();
    let net = |text: &str| text.parse().expect("a prefix");
    NatConfig {
        inside: vec![net("10.0.0.0/8")],
        // Two ports a slice and protocol.
        pool: vec![net("203.0.113.64/31"), net("203.0.113.66/32")],
        ports: PortRange { first: 1024, last: 1151 },
        statics: vec![StaticBinding {
            inside: hosts[4].into(),
            outside: ip(203, 0, 113, 99).into(),
        }],
        forwards: vec![PortForward {
            proto: Proto::Tcp,
            // A port that the shard would give out otherwise.
            outside: "203.0.113.65:1026".parse().expect("an endpoint"),
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
    }
}

/// A packet of `proto` between these ends.
pub(crate) fn packet(
    proto: Proto,
    src: Endpoint,
    dst: Endpoint,
    flags: u8,
    side: Side,
) -> build::Packet {
    let ip = build::Packet::ip4(src.ip, dst.ip).id(9);
    match (proto, side) {
        (Proto::Udp, _) => ip.udp(src.port, dst.port, b"data"),
        (Proto::Tcp, _) => {
            let fields =
                TcpFields { src: src.port, dst: dst.port, seq: 7, flags, ..TcpFields::default() };
            ip.tcp(fields, b"segment")
        }
        (_, Side::In2Out) => ip.icmp_echo(kind::ECHO_REQUEST, src.port, 9, b"ping"),
        (_, Side::Out2In) => ip.icmp_echo(kind::ECHO_REPLY, dst.port, 9, b"ping"),
    }
}

/// Lets a packet through a shard.
pub(crate) fn apply(
    shard: &mut Nat44Shard,
    side: Side,
    packet: &mut Packet,
) -> Result<Translated, DropReason> {
    match side {
        Side::In2Out => shard.in2out(&mut packet.buf[..], &mut packet.row),
        Side::Out2In => shard.out2in(&mut packet.buf[..], &mut packet.row),
    }
}

struct Run {
    model: Model,
    hosts: [u32; 5],
    /// The one under test, and one that nobody calls `expire` on.
    shard: Nat44Shard,
    lazy: Nat44Shard,
    /// Outside endpoints seen so far.
    seen: Vec<(Proto, Endpoint)>,
    now: Now,
    outcomes: Vec<&'static str>,
}

/// Lets operations run on a shard and on the model.
///
/// # Panics
/// When they differ.
pub fn check(data: &[u8]) {
    outcomes(data);
}

/// What became of the packets of a run: the reasons' names, or "passed".
///
/// # Panics
/// As [`check`].
pub fn outcomes(data: &[u8]) -> Vec<&'static str> {
    let mut input = Entropy::new(data);
    let kind = input.byte();
    let filtering = [
        Filtering::EndpointIndependent,
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ][usize::from(kind % 3)];
    let pooling = if kind >= 128 { Pooling::SoftPaired } else { Pooling::Paired };
    let mut run = Run::new(&config(filtering, pooling));
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
    }
    run.outcomes
}

impl Run {
    fn new(config: &NatConfig) -> Self {
        let rules = config.compile().expect("the configuration is right");
        let shard = || Nat44Shard::new(&mut Arena::default(), SHARD, Arc::clone(&rules), 7);
        Self {
            model: Model::new(config.clone(), Arc::clone(&rules), SHARD),
            hosts: hosts(),
            shard: shard(),
            lazy: shard(),
            seen: vec![
                (Proto::Tcp, Endpoint::new(ip(203, 0, 113, 65), 1026)),
                (Proto::Udp, Endpoint::new(ip(203, 0, 113, 99), 5002)),
                (Proto::Udp, Endpoint::new(ip(203, 0, 113, 65), 1027)),
            ],
            now: Now(3_000_000_000_000),
            outcomes: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Entropy<'_>) {
        self.model.purge(self.now);
        let (what, which, more) = (input.byte(), input.byte(), input.byte());
        let proto = [Proto::Udp, Proto::Tcp, Proto::Icmp][usize::from(which % 3)];
        let flags = FLAGS[usize::from(more / 5) % FLAGS.len()];
        let remote = more % 5;
        let (seen_proto, seen) = self.seen[usize::from(which / 3) % self.seen.len()];
        match what % 16 {
            0..=5 => {
                let host = self.hosts[usize::from(which / 3) % 5];
                let local = Endpoint::new(host, 5000 + u16::from(which / 15 % 4));
                self.packet(Side::In2Out, proto, local, remote, flags);
            }
            6..=10 => {
                let proto = if proto == Proto::Icmp { proto } else { seen_proto };
                self.packet(Side::Out2In, proto, seen, remote, flags);
            }
            11 => {
                let side = if more >= 128 { Side::In2Out } else { Side::Out2In };
                self.error(side, (seen_proto, seen), remote);
            }
            12 => {
                self.shard.expire(self.now, usize::from(which % 5));
            }
            13 => self.tick(u64::from(which) * 8),
            14 => self.tick([4_000, 7_000, 10_000, 60_000][usize::from(which % 4)]),
            _ => self.tick(u64::from(which % 4)),
        }
        self.compare();
    }

    fn tick(&mut self, milliseconds: u64) {
        self.now = self.now + Span::millis(milliseconds);
    }

    fn remote(proto: Proto, number: u8) -> Endpoint {
        let ip = ip(198, 51, 100, 1) + u32::from(number / 2);
        Endpoint::new(ip, if proto == Proto::Icmp { 0 } else { 80 + u16::from(number % 2) })
    }

    fn packet(&mut self, side: Side, proto: Proto, local: Endpoint, remote: u8, flags: u8) {
        let remote = Self::remote(proto, remote);
        let (src, dst) = if side == Side::In2Out { (local, remote) } else { (remote, local) };
        let original = Packet::of(&packet(proto, src, dst, flags, side), self.now);
        let expected = self.model.packet(side, proto, local, remote, flags, self.now);

        let (mut packet, mut again) = (original.clone(), original.clone());
        let outcome = apply(&mut self.shard, side, &mut packet);
        assert_eq!(outcome, apply(&mut self.lazy, side, &mut again), "expiry changes nothing");
        assert!(packet.buf == again.buf, "expiry changes nothing");
        self.outcomes.push(outcome.map_or_else(DropReason::name, |_| "passed"));

        let became = if side == Side::In2Out { packet.src() } else { packet.dst() };
        match (&outcome, &expected) {
            (Err(reason), Err(model)) => {
                assert_eq!(reason, model);
                assert!(packet.buf == original.buf, "a packet that is dropped stays as it is");
                return;
            }
            (Ok(Translated::Done), Ok(Expected::Known(model))) => assert_eq!(became, *model),
            (Ok(Translated::Done), Ok(Expected::Fresh(paired))) => {
                assert!(self.model.is_usable(proto, became), "{became:?} is not free");
                assert!(paired.is_none_or(|address| address == became.ip), "RFC 4787 REQ-2");
            }
            _ => panic!("{outcome:?}, but the model expects {expected:?}"),
        }
        packet.check();
        let (inside, outside) =
            if side == Side::In2Out { (local, became) } else { (became, local) };
        self.model.opened(side, proto, inside, outside, remote, flags, self.now);
        self.seen.push((proto, outside));
        // It takes a copy of everything.
        if self.outcomes.len().is_multiple_of(4) {
            self.there_and_back(side, proto, &original, &packet);
        }
    }

    /// There and back again is where it began; on a copy, so that the run goes on as it was.
    fn there_and_back(&self, side: Side, proto: Proto, original: &Packet, sent: &Packet) {
        let back = if side == Side::In2Out { Side::Out2In } else { Side::In2Out };
        let answer = match proto {
            Proto::Icmp => build::Packet::ip4(sent.row.dst, sent.row.src).icmp_echo(
                kind::ECHO_REPLY,
                sent.row.sport,
                9,
                b"ping",
            ),
            _ => packet(proto, sent.dst(), sent.src(), ACK, back),
        };
        let mut answer = Packet::of(&answer, self.now);
        let outcome = apply(&mut self.shard.clone(), back, &mut answer);
        assert_eq!(outcome, Ok(Translated::Done), "an answer passes");
        answer.check();
        assert_eq!((answer.src(), answer.dst()), (original.dst(), original.src()));
    }

    fn error(&mut self, side: Side, (proto, outside): (Proto, Endpoint), remote: u8) {
        let remote = Self::remote(proto, remote);
        let key = self.model.by_outside(proto, outside);
        let alive = key.filter(|key| self.model.is_alive(*key)).map(|(_, inside)| inside);
        let whole = (outside.ip == ip(203, 0, 113, 99)).then(|| self.hosts[4]);
        let (error, expected) = match side {
            Side::Out2In => {
                let sent = packet(proto, outside, remote, ACK, Side::In2Out).build();
                let error = build::Packet::ip4(remote.ip, outside.ip);
                let inside = whole.map(|ip| Endpoint::new(ip, outside.port)).or(alive);
                (error.icmp_error(kind::UNREACHABLE, 1, 0, &sent), inside)
            }
            Side::In2Out => {
                let Some((_, inside)) = key else { return };
                let received = packet(proto, remote, inside, ACK, Side::Out2In).build();
                let error = build::Packet::ip4(inside.ip, remote.ip);
                let known = whole.is_some() || alive.is_some();
                (error.icmp_error(kind::UNREACHABLE, 1, 0, &received), known.then_some(outside))
            }
        };
        let mut error = Packet::of(&error, self.now);
        let outcome = apply(&mut self.shard, side, &mut error);
        let Some(expected) = expected else {
            assert_eq!(outcome, Err(DropReason::NatNoSession));
            return;
        };
        assert_eq!(outcome, Ok(Translated::Done));
        error.check();
        let eth = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], error.quote()].concat();
        let quoted = Packet::read(&eth, self.now).expect("a whole packet is quoted");
        quoted.check();
        let (became, address) = match side {
            Side::Out2In => (quoted.src(), error.row.dst),
            Side::In2Out => (quoted.dst(), error.row.src),
        };
        assert_eq!((became, address), (expected, expected.ip));
    }

    /// The sessions that live are the same on all three.
    fn compare(&self) {
        let model = self.model.listed(self.now);
        for shard in [&self.shard, &self.lazy] {
            let real = shard.sessions(self.now);
            let mut real: Vec<_> = real
                .map(|s| (s.proto, s.inside.into(), s.outside.into(), s.remote.into(), s.deadline))
                .collect();
            real.sort_unstable();
            assert_eq!(real, model, "the sessions that live");
        }
    }
}
