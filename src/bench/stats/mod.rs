//! How sure is a difference between two series of figures?
//!
//! | module | question |
//! |---|---|
//! | [`summary`] | where do figures lie, and how far apart? |
//! | [`bootstrap`] | how sure is a median? |
//! | [`signed_rank`] | could pairs differ like this by chance? |
//! | [`compare`] | is B better than A, worse, equal, or is it not known yet? |
//!
//! Everything random is seeded: the same figures and seed give the same answer.

pub mod bootstrap;
pub mod compare;
pub mod signed_rank;
pub mod summary;
#[cfg(test)]
mod tests;
