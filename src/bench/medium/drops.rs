//! Where on the way was it lost? Drop counters of interfaces, read as differences.

use crate::lab::{Interface, InterfaceCounters, LabError};

/// One counter of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Frames that came and were dropped.
    Received,
    /// Frames that the network card had no room for.
    Missed,
    /// Frames that were to go out and were dropped: the far end had no room.
    Sent,
}

impl Which {
    fn of(self, counters: &InterfaceCounters) -> u64 {
        match self {
            Which::Received => counters.rx_dropped,
            Which::Missed => counters.rx_missed,
            Which::Sent => counters.tx_dropped,
        }
    }
}

/// Counters that only ever grow, and what they were when they were last read.
#[derive(Debug, Default)]
pub struct DropMeter {
    counters: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    interface: Interface,
    which: Which,
    label: String,
    last: u64,
}

impl DropMeter {
    /// Adds a counter under a label; what it counted until now is left out.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn add(
        &mut self,
        interface: &Interface,
        which: Which,
        label: impl Into<String>,
    ) -> Result<(), LabError> {
        let last = which.of(&interface.counters()?);
        self.counters.push(Counter {
            interface: interface.clone(),
            which,
            label: label.into(),
            last,
        });
        Ok(())
    }

    /// What each counted since the last call, those that counted nothing left out.
    ///
    /// # Errors
    /// When an interface is gone.
    pub fn since(&mut self) -> Result<Vec<(String, u64)>, LabError> {
        let mut grown = Vec::new();
        for own in &mut self.counters {
            let now = own.which.of(&own.interface.counters()?);
            let more = now.saturating_sub(own.last);
            own.last = now;
            if more > 0 {
                grown.push((own.label.clone(), more));
            }
        }
        Ok(grown)
    }

    /// What each counted since it was added.
    ///
    /// # Errors
    /// When an interface is gone.
    pub fn total(&self) -> Result<u64, LabError> {
        let mut sum = 0;
        for own in &self.counters {
            sum += own.which.of(&own.interface.counters()?).saturating_sub(own.last);
        }
        Ok(sum)
    }
}
