//! The kernel as the same way through a scenario: routes, neighbours, and nft where addresses are
//! translated. Untagged, since not every kernel has VLANs: the same frames as thruway's own.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::bench::medium::MediumError;
use crate::bench::medium::device::{Nat, Router};
use crate::bench::scenario::places::{AZURE_MAC, INSIDE, ONPREM_HOSTS, ONPREM_MAC, SERVICES, VMS};
use crate::bench::scenario::{HandOver, Scenario, Way};

/// The wires, by number.
const ONPREM: usize = 0;
const AZURE: usize = 1;
/// The kernel's own /30 towards Azure's side, and the station there.
const TRANSIT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 255, 1), 30);
const BEHIND: Ipv4Addr = Ipv4Addr::new(192, 168, 255, 2);

/// The kernel's configuration for a scenario.
///
/// # Errors
/// For ways and tags that a kernel's router has not.
pub(super) fn router(scenario: &Scenario) -> Result<Router, MediumError> {
    let spec = scenario.spec();
    if spec.hand_over != HandOver::Untagged {
        return Err(MediumError::refused(
            "the kernel is measured untagged, so that it does the same work on the same frames: \
             add --hand-over Untagged",
        ));
    }
    let customer = scenario.customer();
    let edge = Ipv4Addr::from(u32::from(customer) + 1);
    let mut router = Router {
        addresses: vec![(ONPREM, Ipv4Net::new_assert(edge, 30)), (AZURE, TRANSIT)],
        neighbours: vec![(ONPREM, customer, ONPREM_MAC), (AZURE, BEHIND, AZURE_MAC)],
        ..Router::default()
    };
    match spec.way {
        Way::FastPath => {
            router.routes = vec![(VMS, BEHIND), (ONPREM_HOSTS, customer)];
        }
        Way::Nat => {
            let pool = scenario.pool();
            router.routes = vec![(SERVICES, BEHIND), (INSIDE, customer)];
            router.nat = Some(Nat {
                inside: INSIDE,
                pool: Some((pool.network(), pool.broadcast())),
                out: AZURE,
                sessions: u32::try_from(spec.flows + spec.new_flows).unwrap_or(u32::MAX),
            });
        }
        Way::Gateway | Way::Provider | Way::Microsoft => {
            return Err(MediumError::refused(format!(
                "the kernel has no way {}: compare fastpath (plain forwarding) or nat",
                spec.way
            )));
        }
    }
    Ok(router)
}
