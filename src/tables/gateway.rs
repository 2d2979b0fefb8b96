//! A virtual network gateway as workers see it.

use std::sync::Arc;

use crate::flow::Census;
use crate::ids::VrfId;
use crate::police::Policer;
use crate::time::Span;

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
    /// Flows known now over all shards, and how many there may be.
    pub flows: Arc<Census>,
}

/// Largest packet that a gateway carries, in bytes (ExpressRoute gateways, 1,400).
pub const GATEWAY_MTU: u16 = 1400;

/// How long a gateway remembers a flow after its last packet; the service publishes none, so it
/// is that of security groups.
pub const GATEWAY_IDLE: Span = Span::secs(240);
