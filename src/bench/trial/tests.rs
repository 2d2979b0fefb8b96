use std::net::Ipv4Addr;

use super::*;
use crate::bench::medium::wire::{WireSpec, wire};
use crate::bench::record::trial::VerdictKind;
use crate::bench::traffic::{Probe, Stream};
use crate::time::Span;
use crate::wire::build::Packet;
use crate::wire::eth::MacAddr;

/// 64-byte frames by the packet builder, `flows` of them by source port.
pub(crate) struct Plain(pub(crate) u64);

impl Stream for Plain {
    fn write(&mut self, probe: &Probe, buf: &mut [u8]) -> usize {
        let mut payload = [0; 18];
        probe.write(&mut payload);
        let port = 1024 + u16::try_from(probe.seq % self.0).unwrap();
        let packet = Packet::ip4(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1));
        let frame = packet.udp(port, 7, &payload).eth(MacAddr([2; 6]), MacAddr([2; 6])).build();
        buf[..frame.len()].copy_from_slice(&frame);
        frame.len()
    }

    fn flows(&self) -> u64 {
        self.0
    }
}

#[test]
fn a_load_below_the_capacity_arrives_whole_and_on_time() {
    let clock = ManualClock::new(500);
    let spec = WireSpec { rate: Some(1e6), ..WireSpec::default() };
    let (mut tester, mut device) = wire(&spec, clock.clone());
    let mut rig = Rig {
        tester: &mut tester,
        device: &mut device,
        streams: &mut [Plain(1)],
        clock: &clock,
        basis: Basis::default(),
    };
    let run = rig.run(&Spec::constant("x", &[900_000.0], Span::millis(100))).unwrap();
    let frames = run.trial.frames;
    assert_eq!((frames.intended, frames.offered, frames.received), (90_000, 90_000, 90_000));
    assert_eq!((frames.lost, frames.unsent, run.trial.unaccounted), (0, 0, Some(0)));
    assert_eq!(run.trial.verdict.kind, VerdictKind::Ok, "{:?}", run.trial.verdict);
}
