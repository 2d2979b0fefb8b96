//! Which MAC address does a neighbour have, and can it be used? ARP (RFC 826) as a state machine
//! without sockets and clocks, with the timers of RFC 4861 in IPv4's terms.
//!
//! Control owns an [`Arp`] and feeds it packets and time; workers read one word per neighbour
//! from [`Words`]. Frames that wait for an answer are the workers' business, and IPv6's neighbour
//! discovery is not here.

mod arp;
mod entry;
mod interface;
mod report;
mod word;

#[cfg(test)]
mod tests;

pub use arp::Arp;
pub use entry::EntryState;
pub use interface::Interface;
pub use report::{ArpOutput, ArpRow, Ignored, Reaction};
pub use word::{NeighbourState, Word, Words};
