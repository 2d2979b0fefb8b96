//! Which next hop does an address lead to? The forwarding table (FIB) of one VRF.
//!
//! | file | question |
//! |---|---|
//! | [`prefix`] | which addresses does a route cover |
//! | [`trie`] | which routes are there: ordered, slow, trusted; for both address families |
//! | `compact` | where does an address lead: the compiled form that workers read |
//! | `dir24` | the same for the price of one memory access, in front of large tables |
//! | `form` | when does a table spend memory on speed |
//! | `writer` | how does a change reach the workers: in place, word by word |
//! | `reach` | how far does a change go |
//! | `pack` | how do 256 entries become a chunk |
//! | `blocks` | when may a replaced part be used again |
//! | [`synth`] | a table as large and as nested as the Internet's, for benches |
//!
//! Workers hold an `Arc<Fib>`, taken from the snapshot; control holds the [`FibWriter`]. A change
//! is visible to workers at once and needs no new snapshot. `NextHopId(0)` means no route.
//!
//! Not here: what a next hop is, which of several routes is best, IPv6's compiled form.

mod blocks;
mod compact;
mod dir24;
mod error;
mod form;
mod pack;
pub mod prefix;
mod reach;
pub mod synth;
pub mod trie;
mod writer;

#[cfg(test)]
mod tests;

pub use compact::{Block, Fib};
pub use error::FibError;
pub use form::Form;
pub use prefix::{Prefix4, Prefix6};
pub use trie::Trie;
pub use writer::{FibWriter, Mark};

use std::sync::Arc;

use crate::ids::NextHopId;

impl Fib {
    /// A table that will not change; for one that will, keep its [`FibWriter`].
    ///
    /// # Errors
    /// As for [`FibWriter::build`].
    pub fn build(
        routes: impl IntoIterator<Item = (Prefix4, NextHopId)>,
    ) -> Result<Arc<Fib>, FibError> {
        FibWriter::build(routes).map(|writer| writer.fib())
    }
}
