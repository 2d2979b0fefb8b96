//! A trial under way: sends, receives, calls events, and waits until everything has come to rest.

use std::collections::BTreeMap;
use std::io;

use super::conserve;
use super::lane::Lane;
use super::run::during;
use super::{Clock, EventTime, Spec, TrialError, Watch};
use crate::bench::medium::{Device, Tester};
use crate::bench::record::trial::DeviceFrames;
use crate::bench::traffic::Stream;

/// A trial under way.
pub(super) struct Course<'a, T, S, C, W> {
    tester: &'a mut T,
    clock: &'a C,
    lanes: Vec<Lane<'a, S>>,
    watch: &'a mut W,
    spec: &'a Spec,
    begin: u64,
    drops: BTreeMap<String, u64>,
}

/// How a trial came to rest.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) device: Option<DeviceFrames>,
    pub(super) drops: BTreeMap<String, u64>,
    pub(super) unaccounted: Option<i64>,
    /// Whether it did, before its time was over.
    pub(super) at_rest: bool,
}

impl<'a, T: Tester, S: Stream, C: Clock, W: Watch> Course<'a, T, S, C, W> {
    /// Begins now.
    pub(super) fn begin(
        tester: &'a mut T,
        clock: &'a C,
        lanes: Vec<Lane<'a, S>>,
        watch: &'a mut W,
        spec: &'a Spec,
    ) -> Self {
        Self { tester, clock, lanes, watch, spec, begin: clock.now(), drops: BTreeMap::new() }
    }

    /// Nanoseconds since the begin.
    pub(super) fn passed(&self) -> u64 {
        self.clock.now() - self.begin
    }

    /// The lanes, after the end.
    pub(super) fn into_lanes(self) -> Vec<Lane<'a, S>> {
        self.lanes
    }

    /// Sends the whole schedule and calls the events.
    pub(super) fn send(&mut self) -> Result<Vec<EventTime>, TrialError> {
        let mut events = Vec::with_capacity(self.spec.events.len());
        self.begin = self.clock.now();
        while self.lanes.iter().any(|lane| !lane.is_done) {
            self.call(&mut events)?;
            for lane in self.lanes.iter_mut().filter(|lane| !lane.is_done) {
                lane.send(self.tester, self.clock, self.begin).map_err(during("sending"))?;
            }
            self.receive().map_err(during("receiving"))?;
            self.clock.turn();
        }
        Ok(events)
    }

    /// Calls the next event if it is due.
    #[inline]
    fn call(&mut self, events: &mut Vec<EventTime>) -> Result<(), TrialError> {
        let Some(event) = self.spec.events.get(events.len()) else { return Ok(()) };
        let ramp_ns = self.spec.ramp.0;
        let begin = self.passed();
        if begin >= event.0 + ramp_ns {
            self.watch.event(events.len()).map_err(during("an event of a trial"))?;
            let (begin_ns, end_ns) = (begin - ramp_ns, self.passed() - ramp_ns);
            events.push(EventTime { due_ns: event.0, begin_ns, end_ns });
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> io::Result<usize> {
        self.tester.step();
        let mut len = 0;
        for lane in &mut self.lanes {
            len += lane.receive(self.tester, self.clock, self.begin, self.watch)?;
        }
        Ok(len)
    }

    /// Receives until everything has come to rest, or the time for that is over.
    ///
    /// It has when every frame is accounted for; without accounts, when all have arrived; and
    /// else when neither a frame nor an account has moved for the spec's patience.
    pub(super) fn drain<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        before: Option<&DeviceFrames>,
    ) -> Result<Rest, TrialError> {
        let drain = self.spec.drain;
        // Of all accounts this one alone is about the time under load.
        let accounts = device.accounts().map_err(during("reading the device's accounts"))?;
        let idle_turns = accounts.and_then(|accounts| accounts.idle_turns);
        let begin = self.passed();
        // Times of the last frame, of the last account that moved, and of the last look at them.
        let (mut arrived, mut moved, mut looked) = (begin, begin, begin);
        let mut seen = None;
        loop {
            let len = self.receive().map_err(during("receiving"))?;
            self.clock.turn();
            let now = self.passed();
            if len > 0 {
                arrived = now;
            }
            let over = now - begin >= drain.limit.0;
            if now - arrived.max(looked) < drain.quiet.0 && !over {
                continue;
            }
            looked = now;
            let mut accounts =
                device.accounts().map_err(during("reading the device's accounts"))?;
            if let Some(accounts) = &mut accounts {
                // Looks that differ in this alone are at rest.
                accounts.idle_turns = None;
            }
            self.read_drops()?;
            let device = before.zip(accounts.as_ref()).map(|(before, after)| DeviceFrames {
                idle_turns,
                ..conserve::since(before, after)
            });
            let unaccounted = device.as_ref().map(|device| self.unaccounted(device));
            if seen != accounts {
                (seen, moved) = (accounts, now);
            }
            let complete = match unaccounted {
                Some(missing) => missing == 0,
                None => self.lanes.iter().all(|lane| lane.tally.is_complete()),
            };
            let at_rest = complete || now - arrived.max(moved) >= drain.patience.0;
            if at_rest || over {
                let drops = std::mem::take(&mut self.drops);
                return Ok(Rest { device, drops, unaccounted, at_rest });
            }
        }
    }

    fn read_drops(&mut self) -> Result<(), TrialError> {
        let drops = self.tester.drops().map_err(during("reading the medium's counters"))?;
        for (counter, frames) in drops {
            *self.drops.entry(counter).or_default() += frames;
        }
        Ok(())
    }

    fn unaccounted(&self, device: &DeviceFrames) -> i64 {
        let offered = self.lanes.iter().map(|lane| lane.tally.sent()).sum();
        let arrived = self.lanes.iter().map(|lane| lane.tally.counts.arrived).sum();
        conserve::unaccounted(offered, arrived, device, &self.drops)
    }
}
