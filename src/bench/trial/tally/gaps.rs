//! Where in a stream were frames lost? Runs of lost numbers, and the longest run of each flow.
//!
//! Told of arrivals in order of number, 64 at a time, after nothing can arrive any more. Exact
//! for any number of losses: of the runs longer than [`WORTH`] frames the [`MOST`] longest are
//! kept, whatever was lost is counted, and each flow's longest run is known. A flow is the numbers
//! that are equal modulo the number of flows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Runs up to this long are no gap: single losses are counted, not listed.
pub const WORTH: u64 = 3;
/// The most runs that are kept.
pub const MOST: usize = 1024;
/// The most flows whose gaps are kept apart.
pub const MOST_FLOWS: u64 = 1 << 16;

/// Numbers lost in a row; in a flow's run, in a row of that flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// How many.
    pub frames: u64,
    /// The first.
    pub first: u64,
}

/// The losses of one stream.
#[derive(Debug)]
pub struct Losses {
    /// Numbers under this are not counted: they belong to the ramp.
    first: u64,
    open: Run,
    /// The longest runs, the shortest on top.
    runs: BinaryHeap<Reverse<Run>>,
    /// Runs longer than [`WORTH`], those that were not kept included.
    worthy: u64,
    lost: u64,
    last: Option<u64>,
    flows: Vec<Flow>,
}

/// A flow's present and its longest run.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    open: Run,
    longest: Run,
}

impl Losses {
    /// Nothing lost yet, of the numbers from `first` on; gaps of flows are kept when `flows` is
    /// between 2 and [`MOST_FLOWS`].
    pub fn new(first: u64, flows: u64) -> Self {
        let apart = (2..=MOST_FLOWS).contains(&flows);
        let flows = if apart { usize::try_from(flows).expect("at most 2^16") } else { 0 };
        Self {
            first,
            open: Run::default(),
            runs: BinaryHeap::with_capacity(MOST + 1),
            worthy: 0,
            lost: 0,
            last: None,
            flows: vec![Flow::default(); flows],
        }
    }

    /// Frames that were lost.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The last one.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Runs longer than [`WORTH`], more of them than [`Losses::runs`] gives when there are many.
    pub const fn worthy(&self) -> u64 {
        self.worthy
    }

    /// The longest runs over [`WORTH`] frames, in order.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = self.runs.iter().map(|run| run.0).collect();
        runs.sort_unstable_by_key(|run| run.first);
        runs
    }

    /// Each flow's longest run, of no frames where it lost none.
    pub fn flows(&self) -> impl Iterator<Item = Run> {
        self.flows.iter().map(|flow| flow.longest.max(flow.open))
    }

    /// Learns which of the 64 numbers from `from` on arrived.
    #[inline]
    pub(super) fn word(&mut self, from: u64, arrived: u64) {
        let ramp = self.first.saturating_sub(from);
        let arrived = match ramp {
            0 => arrived,
            1..64 => arrived | !(u64::MAX << ramp),
            _ => return,
        };
        if arrived == u64::MAX {
            self.end_run();
            return;
        }
        let mut missing = !arrived;
        while missing != 0 {
            let seq = from + u64::from(missing.trailing_zeros());
            missing &= missing - 1;
            self.lose(seq);
        }
    }

    /// Nothing under `sent` is open any more.
    pub(super) fn close(&mut self, sent: u64) {
        debug_assert!(self.open.first + self.open.frames <= sent);
        self.end_run();
    }

    fn lose(&mut self, seq: u64) {
        self.lost += 1;
        self.last = Some(seq);
        if self.open.first + self.open.frames != seq {
            self.end_run();
        }
        if self.open.frames == 0 {
            self.open.first = seq;
        }
        self.open.frames += 1;
        self.lose_of_flow(seq);
    }

    fn lose_of_flow(&mut self, seq: u64) {
        let flows = self.flows.len() as u64;
        if flows == 0 {
            return;
        }
        let index = usize::try_from(seq % flows).expect("less than the flows' number");
        let flow = &mut self.flows[index];
        if flow.open.first + flow.open.frames * flows != seq || flow.open.frames == 0 {
            flow.longest = flow.longest.max(flow.open);
            flow.open = Run { frames: 0, first: seq };
        }
        flow.open.frames += 1;
    }

    #[inline]
    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.open);
        if run.frames <= WORTH {
            return;
        }
        self.worthy += 1;
        self.runs.push(Reverse(run));
        if self.runs.len() > MOST {
            self.runs.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::{Place, Window};
    use super::*;

    /// What became of frames, by a list of all of them.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Account {
        unique: u64,
        late: u64,
        again: u64,
        lost: u64,
        runs: Vec<Run>,
        flows: Vec<u64>,
    }

    /// Runs of numbers that did not arrive among `numbers`.
    fn runs_of(numbers: impl Iterator<Item = u64>, arrived: &[bool]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut before = true;
        for seq in numbers {
            let here = arrived[usize::try_from(seq).unwrap()];
            match runs.last_mut() {
                Some(run) if !here && !before => run.frames += 1,
                _ if !here => runs.push(Run { frames: 1, first: seq }),
                _ => {}
            }
            before = here;
        }
        runs
    }

    fn naive(sent: u64, arrivals: &[u64], first: u64, flows: u64) -> Account {
        let mut account = Account::default();
        let mut arrived = vec![false; usize::try_from(sent).unwrap()];
        let mut newest = None;
        for &seq in arrivals {
            let seen = &mut arrived[usize::try_from(seq).unwrap()];
            match (*seen, newest) {
                (true, _) => account.again += 1,
                (false, Some(newest)) if seq < newest => account.late += 1,
                (false, _) => {}
            }
            account.unique += u64::from(!*seen);
            *seen = true;
            newest = newest.max(Some(seq));
        }
        account.runs = runs_of(first..sent, &arrived);
        account.lost = account.runs.iter().map(|run| run.frames).sum();
        account.runs.retain(|run| run.frames > WORTH);
        let longest = |flow: u64| {
            let numbers = (flow..sent).step_by(usize::try_from(flows).unwrap());
            let runs = runs_of(numbers.filter(|seq| *seq >= first), &arrived);
            runs.iter().map(|run| run.frames).max().unwrap_or(0)
        };
        account.flows = (0..flows).map(longest).collect();
        account
    }

    fn ours(sent: u64, arrivals: &[u64], first: u64, flows: u64, width: u64) -> Account {
        let (mut window, mut losses) = (Window::new(width), Losses::new(first, flows));
        let mut account = Account::default();
        for &seq in arrivals {
            match window.mark(seq, &mut losses) {
                Place::Next { .. } => account.unique += 1,
                Place::Late { .. } => {
                    account.unique += 1;
                    account.late += 1;
                }
                Place::Again => account.again += 1,
                Place::Stale => panic!("{seq} is within the window"),
            }
        }
        window.finish(sent, &mut losses);
        account.lost = losses.lost();
        account.runs = losses.runs();
        account.flows = losses.flows().map(|run| run.frames).collect();
        account
    }

    proptest! {
        #[test]
        fn counts_and_runs_are_those_of_a_list_of_all_frames(
            drops in prop::collection::vec((0_u64..20_000, 1_u64..400), 0..20),
            moves in prop::collection::vec((0_usize..20_000, 1_usize..2_000), 0..50),
            again in prop::collection::vec(0_usize..20_000, 0..50),
            sent in 1_u64..20_000, first in 0_u64..300, flows in 2_u64..9,
        ) {
            let mut arrivals: Vec<u64> = (0..sent)
                .filter(|seq| !drops.iter().any(|(from, len)| (*from..from + len).contains(seq)))
                .collect();
            for (from, by) in moves {
                if from + by < arrivals.len() {
                    let seq = arrivals.remove(from);
                    arrivals.insert(from + by, seq);
                }
            }
            for at in again {
                if at < arrivals.len() {
                    arrivals.insert(at, arrivals[at]);
                }
            }
            let expected = naive(sent, &arrivals, first, flows);
            // Numbers move by up to 2,000 frames and the dropped ones: 2^14 hold that and make
            // the window move.
            for width in [1 << 14, 1 << 16] {
                prop_assert_eq!(&ours(sent, &arrivals, first, flows, width), &expected);
            }
        }
    }

    #[test]
    fn a_frame_that_the_window_has_passed_is_neither_new_nor_double() {
        let (mut window, mut losses) = (Window::new(0), Losses::new(0, 1));
        assert_eq!(window.mark(5, &mut losses), Place::Next { skipped: 5 });
        assert_eq!(window.mark(5 + 4096, &mut losses), Place::Next { skipped: 4095 });
        assert_eq!(window.mark(6, &mut losses), Place::Stale);
        assert_eq!(window.mark(64, &mut losses), Place::Late { extent: 4037 });
        assert_eq!(window.mark(64, &mut losses), Place::Again);
    }

    #[test]
    fn a_late_frame_after_any_number_of_others_is_not_lost() {
        let (mut window, mut losses) = (Window::new(3_000_000), Losses::new(0, 1));
        for seq in 1..3_000_000 {
            window.mark(seq, &mut losses);
        }
        assert_eq!(window.mark(0, &mut losses), Place::Late { extent: 2_999_999 });
        window.finish(3_000_000, &mut losses);
        assert_eq!(losses.lost(), 0);
    }

    #[test]
    fn of_too_many_runs_the_longest_are_kept_and_all_are_counted() {
        let (mut window, mut losses) = (Window::new(100_000), Losses::new(0, 1));
        for seq in (0..100_000_u64).filter(|seq| seq % 10 >= 4 && !(50_000..50_100).contains(seq)) {
            window.mark(seq, &mut losses);
        }
        window.finish(100_000, &mut losses);
        assert_eq!((losses.worthy(), losses.runs().len()), (10_000 - 11 + 1, MOST));
        assert!(losses.runs().contains(&Run { frames: 104, first: 50_000 }));
        assert_eq!(losses.lost(), 40_000 + 60);
    }
}
