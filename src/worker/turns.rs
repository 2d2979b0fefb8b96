//! How busy is a thread that polls? The share of its turns that found no work, while there was some
//! to do.

use crate::sync::Counter;
use crate::time::{Now, Span};

/// Longer without work than this is a pause.
const PAUSE: Span = Span::millis(1);

/// Counts turns. Those without work count once work comes again, and only when that was soon: a
/// pause says nothing of how busy a thread is while there is something to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turns {
    worked_at: Now,
    empty: u64,
}

impl Turns {
    /// Notes a turn.
    #[inline]
    pub fn note(&mut self, now: Now, found_work: bool, busy: &Counter, idle: &Counter) {
        if !found_work {
            self.empty += 1;
            return;
        }
        busy.add(1);
        if now.since(self.worked_at) < PAUSE {
            idle.add(self.empty);
        }
        *self = Self { worked_at: now, empty: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_without_work_count_when_work_comes_again_soon() {
        let (busy, idle) = (Counter::default(), Counter::default());
        let mut turns = Turns::default();
        let mut note = |micros, found_work| {
            turns.note(Now(1_000_000_000) + Span::micros(micros), found_work, &busy, &idle);
            (busy.value(), idle.value())
        };
        assert_eq!(note(0, true), (1, 0));
        assert_eq!(note(10, false), (1, 0), "who knows whether work comes again");
        assert_eq!(note(20, false), (1, 0));
        assert_eq!(note(30, true), (2, 2));
        assert_eq!(note(31, true), (3, 2));
        // A pause.
        assert_eq!(note(40, false), (3, 2));
        assert_eq!(note(2000, true), (4, 2));
    }
}
