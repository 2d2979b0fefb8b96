//! Model to tables: a pure function.
//!
//! Everything that can be decided once is decided here and never per packet: which addresses take
//! FastPath, which paths are equal, what a service tag means in this virtual network.

mod attachments;
mod builder;
mod effective;
mod nat;
mod nsg;
mod routes;
mod vnets;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::fib::FibWriter;
use crate::ids::{AttachmentId, Direction, Link, NatId, PeeringKind, PolicerId, PortId};
use crate::model::Model;
use crate::tables::{NatEntry, Tables};
use crate::wire::eth::MacAddr;

pub use builder::port_mac;

/// A neighbour that the tables name: its id is its place in [`Compiled::neighbours`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourSpec {
    /// Where it is.
    pub attachment: AttachmentId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address, where it is not to be asked for.
    pub mac: Option<MacAddr>,
    /// Whether routes depend on it, so that it is looked after all the time.
    pub watched: bool,
}

/// Which side of a link a meter is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The provider's.
    Provider,
    /// Microsoft's.
    Microsoft,
}

/// What a meter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterName {
    /// The circuit.
    pub circuit: String,
    /// The peering.
    pub peering: PeeringKind,
    /// The link.
    pub link: Link,
    /// Who counts.
    pub side: Side,
}

/// An access port and the link ports whose loss it passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossPath {
    /// The port towards the customer.
    pub access: PortId,
    /// The ports of its links: when all are down, so is the access port.
    pub links: Vec<PortId>,
}

/// The tables, and what control needs beside them.
#[derive(Debug)]
pub struct Compiled {
    /// What workers read.
    pub tables: Tables,
    /// By neighbour id.
    pub neighbours: Vec<NeighbourSpec>,
    /// Prefixes whose addresses are neighbours on an attachment.
    pub on_link: Vec<(AttachmentId, Ipv4Net)>,
    /// By meter id.
    pub meters: Vec<MeterName>,
    /// By gateway id: the VNet's name.
    pub gateways: Vec<String>,
    /// By NAT id: the circuit's name.
    pub nats: Vec<String>,
    /// By VRF id.
    pub vrfs: Vec<VrfInfo>,
    /// The writers of the tables' FIBs, by VRF id.
    pub fibs: Vec<FibWriter>,
    /// Access ports that follow their links.
    pub loss: Vec<LossPath>,
    /// What an operator should know and the configuration alone does not tell: routes over a
    /// gateway's limit.
    pub advice: Vec<String>,
}

/// Why a model cannot be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", errors.join("; "))]
pub struct CompileError {
    /// Each is a sentence.
    pub errors: Vec<String>,
}

/// A routing domain, for people.
#[derive(Clone, Debug)]
pub struct VrfInfo {
    /// `contoso private`, `hub workload`, and so on.
    pub name: String,
    /// Its routes, in order of prefix, and where they lead.
    pub routes: Vec<(crate::fib::Prefix4, Arc<str>)>,
}

/// How many neighbours beyond those that the configuration names can be found on connected
/// prefixes.
pub const GLEANED_MOST: usize = 16 << 10;

/// Compiles a model for so many workers.
///
/// # Errors
/// When parts of the model do not fit together on the ports that they share.
pub fn compile(model: &Model, workers: usize) -> Result<Compiled, CompileError> {
    let mut build = builder::Builder::new(model);
    attachments::add(&mut build);
    routes::add(&mut build);
    build.finish(workers)
}

/// The key of a policer: one a side, circuit, link, direction, and peering where each has its own.
type PolicerKey = (Side, usize, Link, Direction, Option<PeeringKind>);

/// Maps that the parts of the compiler share.
#[derive(Debug, Default)]
struct Known {
    policers: HashMap<PolicerKey, PolicerId>,
    nats: HashMap<usize, NatId>,
    /// Microsoft's side of a peering on a link.
    peerings: HashMap<(usize, PeeringKind, Link), AttachmentId>,
    /// A VNet's subnet, by VNet and subnet index.
    subnets: HashMap<(usize, usize), AttachmentId>,
    services: HashMap<usize, AttachmentId>,
    nat_tables: Vec<NatEntry>,
}
