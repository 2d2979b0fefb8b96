//! What does a frame cost at each kind of port? Prints nanoseconds a frame of 64 bytes, one
//! queue, batches of 64; run with `cargo test --release --lib measure -- --ignored --nocapture`.

use super::support::*;
use crate::frame::{Batch, DropReason, HEADROOM, Outgoing, Pool};
use crate::ids::PortId;
use crate::io::sys::xsk;
use crate::io::{
    PacketSpec, Port, PortError, PortKind, PortSpec, Queue, TapSpec, XdpMode, XdpSpec, clock,
    memory,
};
use crate::time::Span;
use crate::wire::build::Packet;

const ROUNDS: u32 = 2000;

fn fill(pool: &mut Pool, out: &mut Vec<Outgoing>) {
    let mut bytes = [0; 60];
    bytes[..6].copy_from_slice(&FAR.0);
    bytes[6..12].copy_from_slice(&NEAR.0);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    while out.len() < 64 {
        let Some(mut frame) = pool.take() else { return };
        frame[HEADROOM..HEADROOM + 60].copy_from_slice(&bytes);
        let off = u16::try_from(HEADROOM).unwrap();
        out.push(Outgoing::plain(frame, off, 60, crate::time::Now(0)));
    }
}

/// Times `from` sending and `to` receiving, turn by turn on this thread.
fn measure(what: &str, pools: (&mut Pool, &mut Pool), from: &mut Queue, to: &mut Queue) {
    let (mut out, mut batch) = (Vec::with_capacity(64), Batch::new());
    let (mut sending, mut receiving) = (Span::ZERO, Span::ZERO);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..ROUNDS {
        fill(pools.0, &mut out);
        let start = clock::now();
        sent += from.transmit(&mut out, pools.0).frames;
        sending.0 += clock::now().since(start).0;
        loop {
            let start = clock::now();
            let counts = to.receive(PortId(0), start, pools.1, &mut batch);
            if counts.frames == 0 {
                break;
            }
            receiving.0 += clock::now().since(start).0;
            received += counts.frames;
            (0..batch.len()).for_each(|i| batch.drop(i, DropReason::NoRoute));
            batch.finish(pools.1, |_, _| {});
        }
    }
    let each = |span: Span, frames: u32| span.0 / u64::from(frames.max(1));
    let (s, r) = (each(sending, sent), each(receiving, received));
    println!("{what}: send {s} ns, receive {r} ns a frame ({sent} sent, {received} received)");
    assert!(sent > 0);
}

fn open(kind: PortKind) -> (Port, Queue) {
    let (port, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
    (port, queues.remove(0))
}

#[test]
#[ignore = "a measurement"]
fn measure_ports() {
    in_namespace(|net| {
        let mut pools = Pool::family(2, 512).unwrap();
        let (mut second, mut first) = (pools.pop().unwrap(), pools.pop().unwrap());

        let (a, b) = memory::cable(1, 64).unwrap();
        let (mut a, mut b) =
            (Queue::Memory(a.into_queues().remove(0)), Queue::Memory(b.into_queues().remove(0)));
        measure("memory", (&mut first, &mut second), &mut a, &mut b);

        net.veth("a", "b");
        let (_a, mut a) = open(PortKind::Packet(PacketSpec::new("a")));
        let (_b, mut b) = open(PortKind::Packet(PacketSpec::new("b")));
        measure("packet over veth", (&mut first, &mut second), &mut a, &mut b);

        // The kernel's end of each TAP is a packet port.
        let (_tap, mut tap) = open(PortKind::Tap(TapSpec { mtu: 1504, ..TapSpec::new("t") }));
        let (_t, mut t) = open(PortKind::Packet(PacketSpec::new("t")));
        measure("tap to packet", (&mut first, &mut second), &mut tap, &mut t);
        measure("packet to tap", (&mut first, &mut second), &mut t, &mut tap);
    });
}

/// The kind of a port named, whose frames lie in the memory of the pool.
type Kind = fn(&str, &Pool) -> PortKind;

fn xdp(name: &str, pool: &Pool, mode: XdpMode, busy_poll: bool) -> PortKind {
    PortKind::Xdp(XdpSpec { mode, busy_poll, ..XdpSpec::new(name, pool.memory()) })
}

/// A batch of 64 comes in by one port and leaves by another, on one thread: the median time of a
/// frame, so that other load on the machine hardly counts. What the kernel does as the frames are
/// sent to the port is paid for by the sender.
#[test]
#[ignore = "a measurement"]
fn measure_forwarding() {
    let kinds: [(&str, Kind); 4] = [
        ("packet", |name, _| PortKind::Packet(PacketSpec::new(name))),
        ("xdp native", |name, pool| xdp(name, pool, XdpMode::Native, false)),
        ("xdp generic", |name, pool| xdp(name, pool, XdpMode::Generic, false)),
        ("xdp native, busy polling", |name, pool| xdp(name, pool, XdpMode::Native, true)),
    ];
    for _ in 0..3 {
        kinds.iter().for_each(|(what, kind)| in_namespace(|net| forwarding(net, what, *kind)));
    }
}

fn forwarding(net: &Net, what: &str, kind: Kind) {
    net.veth("a", "b");
    net.veth("c", "d");
    let pool = Pool::new(12_288).unwrap();
    let off = if what == "packet" { HEADROOM } else { xsk::HEADROOM };
    let opened = |name| Port::open(PortSpec { kind: kind(name, &pool), queues: 1 });
    let (from, to) = match (opened("b"), opened("c")) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(PortError::XdpNotPermitted { .. }), _) => return println!("{what}: not permitted"),
        (from, to) => panic!("{from:?} {to:?}"),
    };
    let ((_from, mut from), (_to, mut to)) = (from, to);
    let mut worker = Worker::with(from.remove(0), pool, off);
    worker.turn();
    let (_far, mut far) = open(PortKind::Packet(PacketSpec::new("d")));
    let (mut sink, mut batch) = (Pool::new(256).unwrap(), Batch::new());
    let raw = Raw::new(net, "a");
    let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[0; 18]);
    let frame = packet.eth(NEAR, FAR).build();
    let mut times = Vec::new();
    let (mut sending, mut passed) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let start = clock::now();
        (0..64).for_each(|_| raw.send(&frame));
        sending.push(clock::now().since(start).0 / 64);
        let start = clock::now();
        let counts = worker.pass_on(&mut to[0]);
        let time = clock::now().since(start).0;
        passed += counts.frames;
        if counts.frames == 64 {
            times.push(time / 64);
        }
        while far.receive(PortId(0), start, &mut sink, &mut batch).frames > 0 {
            (0..batch.len()).for_each(|i| batch.drop(i, DropReason::NoRoute));
            batch.finish(&mut sink, |_, _| {});
        }
    }
    times.sort_unstable();
    sending.sort_unstable();
    let median = |times: &[u64]| times.get(times.len() / 2).copied().unwrap_or(0);
    println!(
        "{what}: {} ns a frame, {} ns to send it there ({passed} passed)",
        median(&times),
        median(&sending)
    );
}
