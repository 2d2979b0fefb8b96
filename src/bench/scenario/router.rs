//! How must any other router be set up to do the same with the same frames? Untagged `fastpath` is
//! plain forwarding between two ports, untagged `nat` the same with source translation: a kernel
//! does both.

use ipnet::Ipv4Net;

use super::places::{INSIDE, ONPREM_HOSTS, SERVICES, TO_AZURE, TO_ONPREM, VNET};
use super::{HandOver, Scenario, Way};
use crate::wire::eth::MacAddr;

/// One port of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// The MAC address that the router must have there: the tester's frames are for it.
    pub own_mac: MacAddr,
    /// The tester's MAC address there: the next hop to all prefixes.
    pub next_hop_mac: MacAddr,
    /// What lies behind the tester there.
    pub prefixes: Vec<Ipv4Net>,
}

/// A router with two ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Towards on-premises.
    pub onprem: Station,
    /// Towards Azure.
    pub azure: Station,
    /// Sources that are translated on the way to Azure, and the addresses that they get; UDP
    /// sessions must outlive the measurement.
    pub translation: Option<(Ipv4Net, Ipv4Net)>,
}

impl Scenario {
    /// The scenario for another router; none where it takes more than one. Routes that are
    /// prefixes lie behind on-premises: for such a table, lane 1 is the one to measure.
    pub fn router(&self) -> Option<Router> {
        if self.spec.hand_over != HandOver::Untagged {
            return None;
        }
        let (onprem, azure, translation) = match self.spec.way {
            Way::FastPath => {
                let routes = self.spec.routes.prefixes().iter().map(|own| Ipv4Net::from(*own));
                let onprem = std::iter::once(ONPREM_HOSTS).chain(routes).collect();
                (onprem, VNET, None)
            }
            Way::Nat => (vec![INSIDE], SERVICES, Some((INSIDE, self.pool()))),
            Way::Gateway | Way::Provider | Way::Microsoft => return None,
        };
        let station = |lane, prefixes| Station {
            own_mac: self.lane(lane).enters.dst,
            next_hop_mac: Self::station(lane),
            prefixes,
        };
        let onprem = station(TO_AZURE, onprem);
        Some(Router { onprem, azure: station(TO_ONPREM, vec![azure]), translation })
    }
}
