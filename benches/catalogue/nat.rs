//! NAT44 at the provider edge: known sessions both ways, new ones, and those that end.

use std::net::Ipv4Addr;

use thruway::frame::{BATCH, FRAME_SIZE, Row};
use thruway::ids::ShardId;
use thruway::mem::Arena;
use thruway::nat::{Nat44Shard, NatConfig, Timeouts, Translated, shard_of_inside};
use thruway::stage::{nat44, validate};
use thruway::time::{Now, Span};
use thruway::wire::tcp::flag;

use super::bench::with_room;
use super::lab::{CE, EDGE1, START};
use super::rig::{Frames, Rig, Staged};
use super::stages::to_nat;
use super::traffic::{self, SMALL};
use super::{Scenario, Work};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("nat/in2out/udp/64B", BATCH, || known(traffic::in2out(SMALL))),
        Scenario::new("nat/in2out/tcp/64B", BATCH, || {
            let mut work = known(traffic::in2out_tcp(flag::SYN));
            translate(&mut work);
            work.frames = Frames::Same(traffic::in2out_tcp(flag::ACK));
            work
        }),
        Scenario::new("nat/out2in/udp/64B", BATCH, answered),
        Scenario::new("nat/open/udp/64B", BATCH, || through(Frames::New(traffic::opening, 0))),
        Scenario::new("nat/expire/udp/64-sessions", BATCH, Endings::new),
    ]
}

fn through(frames: Frames) -> Staged {
    Staged::new(Rig::new(&with_room(), "ce-1"), frames, to_nat, nat44::run)
}

fn known(frames: Vec<Vec<u8>>) -> Staged {
    through(Frames::Same(frames))
}

fn translate(work: &mut Staged) {
    work.prepare();
    work.run();
    work.settle();
}

/// Answers to sessions that were opened before.
fn answered() -> Staged {
    let mut work = known(traffic::in2out(SMALL));
    work.prepare();
    work.run();
    let outside = work.rig.with(|_, batch| {
        let end = |i| (batch.row(i).src.to_be_bytes(), batch.row(i).sport);
        (0..BATCH).map(end).collect::<Vec<_>>()
    });
    work.settle();
    work.rig.enter_by("pe-pri");
    let frames = outside.into_iter().map(|end| traffic::out2in(end, SMALL[0])).collect();
    work.frames = Frames::Same(frames);
    work
}

/// Each round opens 64 sessions and lets time pass, so that as many end, and as many ports come
/// back, that began some minutes before.
struct Endings {
    shard: Nat44Shard,
    hosts: Vec<Ipv4Addr>,
    now: Now,
    round: u64,
    ended: usize,
}

/// Between two rounds: a tick of the wheel that knows which sessions may have ended.
const TICK: Span = Span(1 << 30);
/// How long a session lives, and how long its port rests.
const LIFE: Span = Span::secs(120);

impl Endings {
    fn new() -> Self {
        let config = NatConfig {
            inside: vec!["10.0.0.0/8".parse().expect("a prefix")],
            pool: vec!["198.51.100.0/24".parse().expect("a prefix")],
            timeouts: Timeouts { udp: LIFE, quarantine: LIFE, ..Timeouts::default() },
            ..NatConfig::default()
        };
        let bindings = config.compile().expect("the pool fits");
        let own = |address: &u32| shard_of_inside(*address) == ShardId(0);
        let hosts = (0x0a00_0000..).filter(own).map(Ipv4Addr::from_bits).take(BATCH).collect();
        let shard = Nat44Shard::new(&mut Arena::default(), ShardId(0), bindings, 0);
        Self { shard, hosts, now: START, round: 0, ended: 0 }
    }

    fn open(&mut self, host: Ipv4Addr) {
        let port = u16::try_from(1024 + self.round % 60_000).expect("below 65,536");
        let bytes = traffic::udp(host.octets(), [192, 0, 2, 1], (port, 53), SMALL[0])
            .eth(CE, EDGE1)
            .build();
        let mut frame = [0; FRAME_SIZE];
        frame[..bytes.len()].copy_from_slice(&bytes);
        let len = u32::try_from(bytes.len()).expect("small");
        let mut row = Row { len, arrival: self.now, ..Row::default() };
        validate::layer2(&frame, &mut row, false).expect("a frame");
        validate::header(&frame, &mut row).expect("a packet");
        assert_eq!(self.shard.in2out(&mut frame, &mut row), Ok(Translated::Done));
    }
}

impl Work for Endings {
    fn prepare(&mut self) {
        self.now = self.now + TICK;
        self.round += 1;
        for host in self.hosts.clone() {
            self.open(host);
        }
    }

    fn run(&mut self) {
        self.ended = self.shard.expire(self.now, 4 * BATCH);
    }

    fn settle(&mut self) {
        if self.round > 2 * LIFE.0 / TICK.0 {
            // A few are gone already: who looks for a free port clears up what has ended there.
            assert!(self.ended > BATCH * 9 / 10, "only {} ended", self.ended);
        }
    }
}
