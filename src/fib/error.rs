//! Why is there no table, or no such route in it?

use std::io;

use super::writer::MAX_NEXT_HOP;
use crate::ids::NextHopId;

/// Why a table could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum FibError {
    /// The kernel gave no address space.
    #[error("no address space for a forwarding table")]
    NoMemory(#[from] io::Error),
    /// The table's arrays are used up.
    #[error("the forwarding table is full")]
    Full,
    /// The number does not fit an entry.
    #[error("next hop {0} is above {max}", max = MAX_NEXT_HOP)]
    NextHop(NextHopId),
}
