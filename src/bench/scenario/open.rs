//! How do sessions and flows get there before the first trial? Every flow is sent once, until all
//! have come through (RFC 9693 phase 1); of translated ones the outside is noted.
//!
//! The loop is closed: no more frames are under way than a window, and what got lost is sent again.

use std::io;
use std::sync::Arc;

use super::places::TO_AZURE;
use super::{Limits, Mix, Scenario, ScenarioError, Way};
use crate::bench::medium::{BURST, Tester};
use crate::bench::traffic::{Frames, Genome, Learned, Learner, Probe, Stream as _, size};
use crate::io::clock;
use crate::time::{Now, Span};

/// Frames under way at once: less than any ring or socket buffer holds.
const WINDOW: u64 = 256;
/// Without a frame for so long, and in so many looks, those under way are lost; a thread that was
/// off its core has not looked.
const STALL: Span = Span::millis(100);
const STALL_LOOKS: u32 = 100;
/// How often what got lost is sent again.
const ROUNDS: usize = 10;
/// How long opening may take at most, beside the time for each flow: every medium is ten times
/// faster, unless it has no core.
const PATIENCE: Span = Span::secs(60);
const PATIENCE_PER_FLOW_MICROS: u64 = 100;
/// The trial that these frames belong to.
const TRIAL: u16 = u16::MAX;

/// What opening left behind.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The other side of every session; none without NAT.
    pub learned: Option<Arc<Learned>>,
    /// Flows that were sent.
    pub flows: u64,
    /// How long that took.
    pub took: Span,
    /// Frames that had to be sent again.
    pub again: u64,
}

/// Why flows could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The medium failed.
    #[error("the medium failed while flows were opened: {0}")]
    Medium(#[from] io::Error),
    /// There are no such frames.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Not all came through.
    #[error(
        "{missing} of {flows} flows did not come through in {rounds} rounds and {seconds} s: look \
         at the forwarder's drops"
    )]
    Missing {
        /// Flows that were never seen.
        missing: u64,
        /// Flows that were sent.
        flows: u64,
        /// How often those that were lost were sent again.
        rounds: usize,
        /// How long that took.
        seconds: u64,
    },
}

impl Scenario {
    /// Sends each of the scenario's flows through once and learns what came of it. Works on any
    /// medium, in bounded time.
    ///
    /// # Errors
    /// When the medium fails, or flows do not come through.
    pub fn open(&self, tester: &mut impl Tester) -> Result<Opened, OpenError> {
        let genome = Genome::one(size::LEAST).expect("the least is in range");
        let frames = self.frames(TO_AZURE, &genome, Mix::Known, None)?;
        let flows = frames.flows();
        let len = usize::try_from(flows).expect("a table of flows fits memory");
        let mut opening = Opening {
            frames,
            learner: Learner::new(TRIAL, len),
            pace: self.pace(),
            begin: clock::now(),
            sent: 0,
        };
        let all = opening.run(tester)?;
        let took = clock::now().since(opening.begin);
        let learned = opening.learner.finish().filter(|_| self.spec.way.translates());
        Ok(Opened { learned: learned.map(Arc::new), flows, took, again: all - flows })
    }

    /// New flows a second that the forwarder takes, where a limit says so.
    fn pace(&self) -> Option<u64> {
        let limited = self.spec.way == Way::Gateway && self.spec.limits == Limits::Enforced;
        limited.then_some(u64::from(self.spec.gateway.limits().new_flows_per_second) * 9 / 10)
    }
}

struct Opening {
    frames: Frames,
    learner: Learner,
    pace: Option<u64>,
    begin: Now,
    sent: u64,
}

impl Opening {
    /// Rounds until nothing is missing; returns how many frames were sent.
    fn run(&mut self, tester: &mut impl Tester) -> Result<u64, OpenError> {
        let flows = self.frames.flows();
        let until = self.begin + PATIENCE + Span::micros(PATIENCE_PER_FLOW_MICROS * flows);
        self.round(tester, until, flows, |index| index)?;
        let mut rounds = 1;
        while self.learner.missing() > 0 {
            if rounds == ROUNDS || clock::now() > until {
                let missing = self.learner.missing();
                let seconds = clock::now().since(self.begin).0 / 1_000_000_000;
                return Err(OpenError::Missing { missing, flows, rounds, seconds });
            }
            let missing = self.learner.unseen();
            self.round(tester, until, missing.len() as u64, |index| {
                missing[usize::try_from(index).expect("an index")]
            })?;
            rounds += 1;
        }
        Ok(self.sent)
    }

    /// Sends `len` flows, a window at a time, and waits for the last of them.
    fn round(
        &mut self,
        tester: &mut impl Tester,
        until: Now,
        len: u64,
        place: impl Fn(u64) -> u64,
    ) -> Result<(), OpenError> {
        let (mut next, mut under_way) = (0, 0);
        let (mut heard, mut looks) = (clock::now(), 0);
        while next < len || under_way > 0 {
            let now = clock::now();
            let want = self.want(under_way, now).min(len - next);
            if want > 0 {
                let frames = &mut self.frames;
                let want = usize::try_from(want).expect("a burst");
                let taken = tester.send(TO_AZURE, want, |buf| {
                    let probe = Probe { trial: TRIAL, seq: place(next), ..Probe::default() };
                    next += 1;
                    frames.write(&probe, buf)
                })?;
                self.sent += taken as u64;
                under_way += taken as u64;
            }
            tester.step();
            let (learner, mut came) = (&mut self.learner, 0);
            tester.receive(TO_AZURE, |frame| came += u64::from(learner.see(frame)))?;
            looks += 1;
            if came > 0 {
                (heard, looks) = (now, 0);
                under_way = under_way.saturating_sub(came);
            } else if now.since(heard) > STALL && looks > STALL_LOOKS {
                // Lost: the next round has them.
                under_way = 0;
                (heard, looks) = (now, 0);
            }
            if now > until {
                break;
            }
        }
        Ok(())
    }

    /// How many frames may be sent now.
    fn want(&self, under_way: u64, now: Now) -> u64 {
        let room = WINDOW.saturating_sub(under_way).min(BURST as u64);
        let Some(pace) = self.pace else { return room };
        let due = u128::from(now.since(self.begin).0) * u128::from(pace) / 1_000_000_000;
        room.min(u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.sent))
    }
}
