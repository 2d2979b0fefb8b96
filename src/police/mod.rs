//! Is there bandwidth left for this packet? Token buckets, exact in integers, and the layer on
//! which bytes are counted.
//!
//! A [`Policer`] is one atomic word that all workers share; it never lets more than
//! `rate × time + burst` pass in any window. It shapes nothing, holds nothing back and does not
//! know what its units are: bytes, packets or new flows.

mod accounting;
mod policer;
mod rate;

pub use accounting::{Accounting, Size};
pub use policer::{Policer, Reservation};
pub use rate::{BadRate, Rate};
