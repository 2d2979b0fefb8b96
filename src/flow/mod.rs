//! Which packets belong together? Flows by symmetric 5-tuple, how many a gateway knows, and what
//! a network security group says to the first packet of each.
//!
//! A [`FlowTable`] belongs to one shard and so to one worker; a [`Census`] counts over all shards.
//! Whether a flow is known depends on the packets' times alone, never on when housekeeping ran.

mod address_set;
mod census;
mod classifier;
pub mod hash;
mod key;
pub mod nsg_flow;
pub mod rules;
mod table;

pub use address_set::AddressSet;
pub use census::Census;
pub use hash::{hash5, shard_of};
pub use key::{Key, Tuple, Way};
pub use table::{FlowTable, Refused};
