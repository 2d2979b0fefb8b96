//! What does an IPv4 packet look like on the other side of the provider's NAT44?
//!
//! The NAT is a bump in the wire that behaves as RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP),
//! RFC 7857 (updates) and RFC 6888 (carrier grade) ask: endpoint-independent mappings, one pool
//! address per inside host, hairpins, a TCP state machine, and ICMP errors that name what the
//! receiver knows.
//!
//! ```text
//!  Host (inside address) ──< Mapping (proto, inside ip:port <-> outside ip:port) ──< Session (remote ip:port)
//! ```
//!
//! State is cut into [`crate::ids::SHARDS`] shards. A shard owns all state of the inside addresses
//! that hash to it, and 1 in 64 of the pool's ports ([`pool`]), so that both directions of a
//! session know their owner without asking anybody.
//!
//! Invariants: two live mappings never share an outside (proto, address, port). What a packet
//! becomes depends on the arrival times of the packets before it and on nothing else: whatever has
//! expired counts as absent from that instant, whether or not [`Nat44Shard::expire`] came by.
//!
//! It does not send ICMP, answer ARP, look at routes, read a clock or log.

mod ahead;
mod apart;
pub mod binding;
pub mod config;
mod expiry;
pub mod fragments;
pub mod icmp_error;
mod open;
pub mod pool;
mod rewrite;
mod rng;
mod room;
pub mod session;
pub mod shard;
mod state;
mod table;
pub mod tcp_state;

#[cfg(test)]
mod packet;
#[cfg(test)]
mod requirements;

pub use binding::{Bindings, Owner};
pub use config::{
    Filtering, NatConfig, NatConfigError, Pooling, PortForward, PortRange, StaticBinding, Timeouts,
};
pub use fragments::{FragmentKey, FragmentTable};
pub use pool::{Pool, shard_of_inside};
pub use rewrite::WHOLE;
pub use session::{Endpoint, FlowKey, Proto, SessionView, Side};
pub use shard::{Counters, Lookup, Nat44Shard, SessionId, Translated};
