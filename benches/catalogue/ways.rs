//! Whole ways through a worker: from a memory port, by every stage, to another memory port.

use thruway::frame::BATCH;
use thruway::time::Span;

use super::bench::{Bench, with_room, without_limits, without_nsg};
use super::rig::MOST_FLOWS;
use super::traffic::{IMIX, SMALL, mix, opening};
use super::{Scenario, Work};

/// Between two packets: half a million a second, so housekeeping, every 10 ms, has its share.
const PAUSE: Span = Span::micros(2);

pub(super) fn all() -> Vec<Scenario> {
    let limits = with_room as fn() -> String;
    let open = || without_nsg(&with_room());
    let mut all = vec![
        way("cross-push/qinq-tcp/64B", "cross-push", limits, SMALL, BATCH),
        way("cross-pop/qinq-tcp/64B", "cross-pop", limits, SMALL, BATCH),
        way("fastpath/qinq-tcp/64B", "fastpath", open, SMALL, BATCH),
        way("fastpath-wide/qinq-tcp/64B", "fastpath", wide, SMALL, BATCH),
        way("fastpath-nsg/qinq-tcp/64B", "fastpath", limits, SMALL, BATCH),
        way("gateway/qinq-tcp/64B", "gateway", limits, SMALL, BATCH),
        way("gateway-no-limits/qinq-tcp/64B", "gateway", without_limits, SMALL, BATCH),
        way("to-onprem/qinq-tcp/64B", "vm-spoke", limits, SMALL, BATCH),
        way("to-onprem-nsg/qinq-tcp/64B", "vm-hub", limits, SMALL, BATCH),
        way("nat-in2out/qinq-udp/64B", "nat-in2out", limits, SMALL, BATCH),
        way("nat-out2in/qinq-udp/64B", "nat-out2in", limits, SMALL, BATCH),
        Scenario::new("pipeline/nat-open/qinq-udp/64B", BATCH, Opening::new),
        way("fastpath/qinq-tcp/imix", "fastpath", open, IMIX, BATCH),
        way("nat-in2out/qinq-udp/imix", "nat-in2out", limits, IMIX, BATCH),
    ];
    for len in [1, 8] {
        let x = |name: &str, kind, text| way(&format!("{name}x{len}"), kind, text, SMALL, len);
        all.push(x("fastpath/qinq-tcp/64B", "fastpath", open));
        all.push(x("gateway/qinq-tcp/64B", "gateway", limits));
        all.push(x("nat-in2out/qinq-udp/64B", "nat-in2out", limits));
    }
    let turn = |name, span| Scenario::new(name, 1, move || Idle::new(span));
    all.push(turn("worker/turn/idle/16-ports", PAUSE));
    all.push(turn("worker/turn/housekeeping/16-ports", Span::millis(10)));
    all
}

/// A lab with so many routes that its tables take their wide form.
fn wide() -> String {
    let sixteen = |n: u32| format!("\"192.168.{}.{}/28\"", 128 + n / 16, n % 16 * 16);
    let prefixes = (0..1024).map(sixteen).collect::<Vec<_>>().join(", ");
    let route = "[[route]]\ncircuit = \"contoso\"\npeering = \"private\"\nprefixes = ";
    format!("{}\n{route}[{prefixes}]\n", without_nsg(&with_room()))
}

fn way(
    name: &str,
    kind: &'static str,
    text: fn() -> String,
    sizes: &'static [usize],
    len: usize,
) -> Scenario {
    Scenario::new(format!("pipeline/{name}"), len, move || {
        let mut bench = Bench::new(&text());
        let traffic = mix(&mut bench, sizes).into_iter().find(|own| own.name == kind);
        let traffic = traffic.expect("the mix has this kind");
        Way { bench, port: traffic.port, frames: traffic.frames, len, at: 0 }
    })
}

/// Known flows of one kind.
struct Way {
    bench: Bench,
    port: usize,
    frames: Vec<Vec<u8>>,
    len: usize,
    at: usize,
}

impl Work for Way {
    fn prepare(&mut self) {
        for _ in 0..self.len {
            self.bench.push(self.port, &self.frames[self.at]);
            self.at = (self.at + 1) % self.frames.len();
        }
    }

    fn run(&mut self) {
        self.bench.turn_after(Span(PAUSE.0 * self.len as u64));
    }

    fn settle(&mut self) {
        assert_eq!(self.bench.drain(|_, _| {}), self.len, "every packet leaves");
    }
}

/// New flows through NAT.
struct Opening {
    bench: Bench,
    port: usize,
    next: u32,
}

impl Opening {
    fn new() -> Self {
        let bench = Bench::new(&with_room());
        Self { port: bench.port("ce-1"), bench, next: 0 }
    }
}

impl Work for Opening {
    fn prepare(&mut self) {
        if self.next >= MOST_FLOWS {
            *self = Self::new();
        }
        for number in (self.next..).take(BATCH) {
            self.bench.push(self.port, &opening(number));
        }
        self.next += 64;
    }

    fn run(&mut self) {
        self.bench.turn_after(Span(PAUSE.0 * BATCH as u64));
    }

    fn settle(&mut self) {
        assert_eq!(self.bench.drain(|_, _| {}), BATCH, "every packet leaves");
    }
}

/// Turns without packets.
struct Idle {
    bench: Bench,
    span: Span,
}

impl Idle {
    fn new(span: Span) -> Self {
        let mut bench = Bench::new(&with_room());
        assert_eq!(bench.ports(), 16);
        // NAT's sessions and the flows are there.
        for own in mix(&mut bench, SMALL) {
            bench.round(&own);
        }
        Self { bench, span }
    }
}

impl Work for Idle {
    fn prepare(&mut self) {}

    fn run(&mut self) {
        self.bench.turn_after(self.span);
    }

    fn settle(&mut self) {
        assert_eq!(self.bench.drain(|_, _| {}), 0, "nothing leaves");
    }
}
