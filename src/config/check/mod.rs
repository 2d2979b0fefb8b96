//! Checks that compare parts of the configuration with each other.
//!
//! Only entries without an error of their own are compared, so that one mistake is one error.

mod advise;
mod circuits;
mod connections;
mod ports;
mod providers;
mod routes;
mod vnets;

pub(super) use advise::advise;

use super::Draft;
use super::read::{Ctx, Entry, Node};
use crate::ids::Link;
use crate::model::{Circuit, CircuitName, Model, VNet, VNetName};

/// Reports every error between entries, and completes what depends on several: the routes of
/// subnets and the MTU of ports.
pub(super) fn check(ctx: &Ctx, draft: &mut Draft<'_>, globals: &Model) {
    ports::check(ctx, draft);
    circuits::check(ctx, draft);
    providers::check(ctx, draft);
    vnets::check(ctx, draft);
    routes::place_udrs(ctx, draft);
    connections::check(ctx, draft, globals.service.edition);
    routes::check(ctx, draft);
}

impl<'a> Draft<'a> {
    fn circuit(&self, name: &CircuitName) -> Option<&Entry<'a, Circuit>> {
        self.circuits.iter().find(|entry| entry.value.name == *name)
    }

    fn vnet(&self, name: &VNetName) -> Option<&Entry<'a, VNet>> {
        self.vnets.iter().find(|entry| entry.value.name == *name)
    }
}

/// Where the subnet of a peering's link is written.
fn subnet_place<'a>(peering: &Node<'a>, link: Link) -> Node<'a> {
    let own = match link {
        Link::Primary => "primary_subnet",
        Link::Secondary => "secondary_subnet",
    };
    peering.get("subnet").unwrap_or_else(|| peering.at(own))
}
