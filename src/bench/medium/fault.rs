//! Does the sink notice what goes wrong? A medium around another that does harm on purpose, by
//! number and by time, and counts what it did.
//!
//! Harm by number befalls every n-th frame of a lane that arrives, one kind a frame: dropped
//! before duplicated, before swapped with the next, before a flipped bit. Harm by time is counted
//! from the first frame sent: during the stall nothing is taken, during the blackout whatever
//! arrives is lost. A [`Switch`] turns a blackout on and off at any time.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use zerocopy::FromBytes;

use super::Tester;
use crate::bench::trial::Clock;
use crate::time::Span;
use crate::wire::eth::ether_type;
use crate::wire::ip4::Ip4Header;
use crate::wire::vlan::read_tags;
use crate::wire::{ip6, udp};

/// What to do; 0 and empty spans for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSpec {
    /// Every so many frames are lost.
    pub drop_every: u64,
    /// Every so many come twice.
    pub duplicate_every: u64,
    /// Every so many come after the next one.
    pub swap_every: u64,
    /// In every so many, one bit of the payload is flipped.
    pub flip_every: u64,
    /// From when, and for how long nothing is taken.
    pub stall: (Span, Span),
    /// From when, and for how long everything is lost.
    pub blackout: (Span, Span),
    /// Whether [`Tester::drops`] owns up to losses: else they stand in no counter.
    pub counts_drops: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Frames lost by number.
    pub dropped: u64,
    /// Frames lost in blackouts.
    pub blacked_out: u64,
    /// Frames that came twice.
    pub duplicated: u64,
    /// Frames that came after the next one.
    pub swapped: u64,
    /// Frames with a flipped bit.
    pub flipped: u64,
    /// Calls of `send` that the stall turned away.
    pub turned_away: u64,
}

/// Turns a blackout on and off.
#[derive(Clone, Debug, Default)]
pub struct Switch(Rc<Cell<bool>>);

impl Switch {
    /// Whether everything is lost from now on.
    pub fn set(&self, dark: bool) {
        self.0.set(dark);
    }
}

/// A medium that does harm.
#[derive(Debug)]
pub struct Fault<T, C> {
    inner: T,
    clock: C,
    spec: FaultSpec,
    switch: Switch,
    /// When the first frame was sent.
    begin: Option<u64>,
    lanes: Vec<Lane>,
    injected: Injected,
    /// Drops that were owned up to.
    reported: u64,
}

/// A frame that waits for the next one so long has none to be swapped with, in nanoseconds.
const ALONE_NS: u64 = 20_000_000;
/// Bytes of the largest frame.
const LARGEST: usize = 1 << 16;

/// The state of one lane.
#[derive(Debug)]
struct Lane {
    seen: u64,
    /// A frame that is to come after the next one: its size and since when it waits.
    held: Option<(usize, u64)>,
    hold: Vec<u8>,
    scratch: Vec<u8>,
}

impl<T: Tester, C: Clock> Fault<T, C> {
    /// Wraps a medium of so many lanes.
    pub fn new(inner: T, lanes: usize, spec: FaultSpec, clock: C) -> Self {
        let buffer = || vec![0; LARGEST];
        let lane = || Lane { seen: 0, held: None, hold: buffer(), scratch: buffer() };
        Self {
            inner,
            clock,
            spec,
            switch: Switch::default(),
            begin: None,
            lanes: (0..lanes).map(|_| lane()).collect(),
            injected: Injected::default(),
            reported: 0,
        }
    }

    /// A switch for blackouts.
    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }

    /// What was done so far.
    pub const fn injected(&self) -> Injected {
        self.injected
    }

    /// Whether a span of the spec is on.
    fn is_within(&self, (from, length): (Span, Span), now: u64) -> bool {
        let passed = self.begin.map(|begin| now - begin);
        length.0 > 0 && passed.is_some_and(|passed| (from.0..from.0 + length.0).contains(&passed))
    }
}

impl<T: Tester, C: Clock> Tester for Fault<T, C> {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let now = self.clock.now();
        self.begin.get_or_insert(now);
        if self.is_within(self.spec.stall, now) {
            self.injected.turned_away += 1;
            return Ok(0);
        }
        self.inner.send(lane, want, write)
    }

    fn receive(&mut self, lane: usize, mut look: impl FnMut(&[u8])) -> io::Result<usize> {
        let now = self.clock.now();
        let dark = self.switch.0.get() || self.is_within(self.spec.blackout, now);
        let Self { inner, spec, lanes, injected, .. } = self;
        let lane_state = &mut lanes[lane];
        let len = inner.receive(lane, |frame| {
            if dark {
                injected.blacked_out += 1;
            } else {
                lane_state.pass(frame, now, spec, injected, &mut look);
            }
        })?;
        match lane_state.held {
            Some((size, since)) if len == 0 && now - since > ALONE_NS => {
                lane_state.held = None;
                look(&lane_state.hold[..size]);
                Ok(1)
            }
            _ => Ok(len),
        }
    }

    fn step(&mut self) {
        self.inner.step();
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut drops = self.inner.drops()?;
        if self.spec.counts_drops {
            let lost = self.injected.dropped + self.injected.blacked_out;
            drops.push(("injected".to_owned(), lost - self.reported));
            self.reported = lost;
        }
        Ok(drops)
    }
}

impl Lane {
    /// Shows a frame, or does harm to it.
    fn pass(
        &mut self,
        frame: &[u8],
        now: u64,
        spec: &FaultSpec,
        injected: &mut Injected,
        look: &mut impl FnMut(&[u8]),
    ) {
        self.seen += 1;
        let is_due = |every: u64| every > 0 && self.seen.is_multiple_of(every);
        if is_due(spec.drop_every) {
            injected.dropped += 1;
            return;
        }
        if is_due(spec.duplicate_every) {
            injected.duplicated += 1;
            look(frame);
            look(frame);
        } else if is_due(spec.swap_every) && self.held.is_none() {
            self.hold[..frame.len()].copy_from_slice(frame);
            self.held = Some((frame.len(), now));
            return;
        } else if is_due(spec.flip_every) {
            injected.flipped += 1;
            let broken = &mut self.scratch[..frame.len()];
            broken.copy_from_slice(frame);
            flip(broken, self.seen);
            look(broken);
        } else {
            look(frame);
        }
        if let Some((size, _)) = self.held.take() {
            injected.swapped += 1;
            look(&self.hold[..size]);
        }
    }
}

/// Flips one bit of a frame's payload; which one depends on `number`.
fn flip(frame: &mut [u8], number: u64) {
    let begin = payload(frame).filter(|begin| *begin < frame.len()).unwrap_or(0);
    let bits = (frame.len() - begin) as u64 * 8;
    let bit = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % bits.max(1);
    let at = begin + usize::try_from(bit / 8).expect("within the frame");
    frame[at] ^= 1 << (bit % 8);
}

/// Where a UDP payload begins.
fn payload(frame: &[u8]) -> Option<usize> {
    let tags = read_tags(frame)?;
    let packet = frame.get(tags.payload()..)?;
    let header = match tags.ether_type {
        ether_type::IP4 => Ip4Header::ref_from_prefix(packet).ok()?.0.header_len(),
        ether_type::IP6 => ip6::HEADER,
        _ => return None,
    };
    Some(tags.payload() + header + udp::HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::medium::wire::{WireSpec, wire};
    use crate::bench::trial::ManualClock;

    /// What arrives of `frames` numbered frames; sent one a turn, a microsecond apart.
    fn arrivals(frames: u8, spec: FaultSpec) -> (Vec<u8>, Injected) {
        let clock = ManualClock::new(1_000);
        let (inner, _device) = wire(&WireSpec::default(), clock.clone());
        let mut fault = Fault::new(inner, 1, spec, clock.clone());
        let (mut next, mut seen) = (0, Vec::new());
        while next < frames {
            let number = next;
            next += u8::try_from(
                fault
                    .send(0, 1, |buf| {
                        buf[..60].fill(0);
                        buf[0] = number;
                        60
                    })
                    .unwrap(),
            )
            .unwrap();
            fault.receive(0, |frame| seen.push(frame[0])).unwrap();
            clock.turn();
        }
        clock.advance(ALONE_NS);
        fault.receive(0, |frame| seen.push(frame[0])).unwrap();
        (seen, fault.injected())
    }

    #[test]
    fn each_harm_does_what_it_says() {
        let none = FaultSpec::default();
        let cases = [
            (FaultSpec { drop_every: 3, ..none }, vec![0, 1, 3, 4, 6]),
            (FaultSpec { duplicate_every: 3, ..none }, vec![0, 1, 2, 2, 3, 4, 5, 5, 6]),
            (FaultSpec { swap_every: 3, ..none }, vec![0, 1, 3, 2, 4, 6, 5]),
            // The last one has nobody to be swapped with.
            (FaultSpec { swap_every: 7, ..none }, vec![0, 1, 2, 3, 4, 5, 6]),
            (FaultSpec { blackout: (Span::micros(2), Span::micros(3)), ..none }, vec![0, 1, 5, 6]),
        ];
        for (spec, expected) in cases {
            assert_eq!(arrivals(7, spec).0, expected, "{spec:?}");
        }
    }

    #[test]
    fn only_what_was_done_is_counted() {
        let spec =
            FaultSpec { drop_every: 4, duplicate_every: 2, swap_every: 7, ..Default::default() };
        let (seen, injected) = arrivals(7, spec);
        assert_eq!(seen, [0, 1, 1, 2, 4, 5, 5, 6]);
        let expected = Injected { dropped: 1, duplicated: 2, ..Injected::default() };
        assert_eq!(injected, expected);
    }

    #[test]
    fn a_stall_turns_frames_away_and_loses_none() {
        let spec = FaultSpec { stall: (Span::micros(2), Span::micros(5)), ..Default::default() };
        let (seen, injected) = arrivals(7, spec);
        assert_eq!((seen.len(), injected.turned_away), (7, 5));
    }
}
