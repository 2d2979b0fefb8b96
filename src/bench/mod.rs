//! How fast is it, and is that certain? The parts of `thruway bench` that need neither ports nor
//! clocks: which load to try next.
//!
//! | module | question |
//! |---|---|
//! | [`search`] | which load and duration next, and what do the trials so far say? |

pub mod search;
