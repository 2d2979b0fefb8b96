//! How fast is it, and is that certain? The parts of `thruway bench` that need neither ports nor
//! clocks: which load to try next, and what a series of figures says.
//!
//! | module | question |
//! |---|---|
//! | [`search`] | which load and duration next, and what do the trials so far say? |
//! | [`stats`] | how sure is a difference between two series? |

pub mod search;
pub mod stats;
