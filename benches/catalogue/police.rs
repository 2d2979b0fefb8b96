//! A policer alone: one reservation for 64 packets.

use thruway::frame::BATCH;
use thruway::police::{Policer, Rate};
use thruway::time::{Now, Span};

use super::lab::START;
use super::{Scenario, Work};

/// Bytes of each packet.
const SIZE: u64 = 64;

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new("police/admit/ipv4/64B", BATCH, Bucket::new)]
}

struct Bucket {
    policer: Policer,
    now: Now,
    admitted: usize,
}

impl Bucket {
    fn new() -> Self {
        let rate = Rate::kbps(10_000_000).expect("ten gigabits a second");
        Self { policer: Policer::new(rate, 1 << 20), now: START, admitted: 0 }
    }
}

impl Work for Bucket {
    fn prepare(&mut self) {
        self.now = self.now + Span::micros(10);
        self.admitted = 0;
    }

    fn run(&mut self) {
        let mut reservation = self.policer.reserve();
        for _ in 0..BATCH {
            self.admitted += usize::from(reservation.admit(self.now, SIZE));
        }
        let committed = reservation.commit();
        assert!(committed.is_ok(), "nobody else uses the bucket");
    }

    fn settle(&mut self) {
        assert_eq!(self.admitted, BATCH);
    }
}
