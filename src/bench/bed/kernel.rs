//! The kernel as the same way through a scenario: routes, neighbours, and nft where addresses are
//! translated. Untagged, since not every kernel has VLANs: the same frames as thruway's own.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::bench::medium::MediumError;
use crate::bench::medium::device::{Nat, Router};
use crate::bench::scenario::Scenario;
use crate::bench::scenario::router::Station;

/// The wires, by number.
const ONPREM: usize = 0;
const AZURE: usize = 1;

/// The kernel's configuration for a scenario.
///
/// # Errors
/// For ways and tags that a kernel's router has not.
pub(super) fn router(scenario: &Scenario) -> Result<Router, MediumError> {
    let Some(router) = scenario.router() else {
        return Err(MediumError::refused(
            "the kernel is measured as fastpath (plain forwarding) or nat, untagged, so that it \
             does the same work on the same frames: add --hand-over Untagged",
        ));
    };
    let spec = scenario.spec();
    let mut own = Router::default();
    for (wire, station) in [(ONPREM, &router.onprem), (AZURE, &router.azure)] {
        attach(&mut own, wire, station);
    }
    own.nat = router.translation.map(|(inside, pool)| Nat {
        inside,
        pool: Some((pool.network(), pool.broadcast())),
        out: AZURE,
        sessions: u32::try_from(spec.flows + spec.new_flows).unwrap_or(u32::MAX),
    });
    Ok(own)
}

/// A /30 of the router's own towards a station, and what lies behind it.
fn attach(router: &mut Router, wire: usize, station: &Station) {
    let third = u8::try_from(wire).expect("two wires");
    let own = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, third, 1), 30);
    let next_hop = Ipv4Addr::new(192, 168, third, 2);
    router.addresses.push((wire, own));
    router.neighbours.push((wire, next_hop, station.next_hop_mac));
    router.routes.extend(station.prefixes.iter().map(|prefix| (*prefix, next_hop)));
}
