//! The outside: ports, clocks and the system calls under them.

pub mod pcap;
pub mod port;

pub use port::{Counts, Queue};
