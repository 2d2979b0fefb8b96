//! What do frames pass, for whoever measures single turns? A lane's ends and the workers between
//! them: lent by the tester, or taken apart, so that each worker can have a thread of its own.

use std::sync::{MutexGuard, PoisonError};

use super::{MemoryTester, queue};
use crate::bench::scenario::TO_AZURE;
use crate::frame::Pool;
use crate::io::memory::End;
use crate::worker::Worker;

/// What a lane's frames pass, laid open for whoever measures single turns.
#[derive(Debug)]
pub(in crate::bench) struct Hands<'a> {
    /// The workers; there is one.
    pub(in crate::bench) workers: MutexGuard<'a, Vec<Worker>>,
    /// Where frames enter.
    pub(in crate::bench) enter: &'a mut End,
    /// Where they leave.
    pub(in crate::bench) leave: &'a mut End,
}

impl MemoryTester {
    /// A lane's ends and the worker between them; none where workers have threads of their own.
    pub(in crate::bench) fn hands(&mut self, lane: usize) -> Option<Hands<'_>> {
        let workers = self.here.as_ref()?.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let [onprem, azure] = &mut self.sides;
        let (enter, leave) = if lane == TO_AZURE { (onprem, azure) } else { (azure, onprem) };
        Some(Hands { workers, enter: enter.ends.first_mut()?, leave: leave.ends.first_mut()? })
    }
    /// Takes workers in this thread apart, each with its ends of a lane; none where they have
    /// threads of their own.
    pub(in crate::bench) fn apart(self, lane: usize) -> Option<Apart> {
        let here = self.here?;
        let workers =
            std::mem::take(&mut *here.workers.lock().unwrap_or_else(PoisonError::into_inner));
        let [onprem, azure] = self.sides;
        let (enter, leave) = if lane == TO_AZURE { (onprem, azure) } else { (azure, onprem) };
        let (l3, ends) = (enter.l3, enter.ends.into_iter().zip(leave.ends));
        let lone = |(worker, (enter, leave))| Lone { worker, enter, leave };
        Some(Apart { lone: workers.into_iter().zip(ends).map(lone).collect(), l3, pool: self.pool })
    }
}

/// A worker with its ends of a lane.
#[derive(Debug)]
pub(in crate::bench) struct Lone {
    /// The worker.
    pub(in crate::bench) worker: Worker,
    /// Where its frames enter.
    pub(in crate::bench) enter: End,
    /// Where they leave.
    pub(in crate::bench) leave: End,
}

/// Workers by themselves.
#[derive(Debug)]
pub(in crate::bench) struct Apart {
    /// By worker.
    pub(in crate::bench) lone: Vec<Lone>,
    l3: usize,
    /// The tester's frames.
    pub(in crate::bench) pool: Pool,
}

impl Apart {
    /// The worker whose queue gets a frame.
    pub(in crate::bench) fn queue(&self, frame: &[u8]) -> usize {
        queue(frame, self.l3, self.lone.len())
    }
}
