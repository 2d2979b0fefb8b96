//! A virtual network gateway as workers see it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::ids::VrfId;
use crate::police::Policer;

/// The limits of a gateway's SKU and where its packets are looked up; several instances share
/// the flows and the limits are those of the whole gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The VNet's name.
    pub name: String,
    /// The VNet's routes as the GatewaySubnet sees them.
    pub vrf: VrfId,
    /// The limits, unless the service's limits are off.
    pub limits: Option<GatewayLimits>,
    /// Whether fragmentation needed is answered, or packets over 1,400 bytes die in silence.
    pub answers_icmp: bool,
    /// Instances that share the flows by hash.
    pub instances: u16,
    /// Number of the VNet, the domain of its flows.
    pub domain: u16,
}

/// A gateway's limits, shared and exact over all workers.
#[derive(Clone, Debug)]
pub struct GatewayLimits {
    /// Bits a second.
    pub bits: Arc<Policer>,
    /// Packets a second.
    pub packets: Arc<Policer>,
    /// New flows a second.
    pub new_flows: Arc<Policer>,
    /// Most flows at a time.
    pub flows: u64,
    /// Flows known now, over all shards.
    pub known: Arc<AtomicU64>,
}

/// Largest packet that a gateway carries, in bytes (ExpressRoute gateways, 1,400).
pub const GATEWAY_MTU: u16 = 1400;
