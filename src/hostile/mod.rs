//! What may an enemy send? Frames by a grammar, sequences of them, and captured frames changed.
//!
//! ```text
//!  bytes of a fuzzer ─┐             ┌─ grammar   one frame of any family
//!                     ├─ Entropy ──>├─ attack    the next frame of a sequence
//!  seed ── Numbers ───┘             └─ mutate    a captured frame, changed
//! ```
//!
//! Every choice is read from [`Entropy`], so the same bytes make the same frames; zeroes make the
//! plainest ones. Frames are made for [`Hosts`], the addresses that mean something where they go:
//! an enemy who guesses addresses is stopped at the door. Lengths lie one time in ten, and nine
//! times in ten the checksums are right ([`mend()`]), so that what stands behind the checks is
//! reached. Nothing here sends, reads a clock, or knows thruway's tables.

pub mod attack;
mod entropy;
pub mod grammar;
mod hosts;
pub mod mend;
pub mod mutate;
mod stream;

#[cfg(test)]
mod tests;

pub use attack::Attack;
pub use entropy::{Entropy, Numbers};
pub use hosts::{Hosts, Lane};
pub use mend::mend;
pub use stream::{Kind, Sizes, Stream, UnknownKind};
