//! Virtual networks among each other: peerings, shared gateways, address spaces.

use std::collections::HashMap;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::{Ctx, Entry};
use crate::model::{VNet, VNetName, VNetPeering, overlap};

pub(super) fn check(ctx: &Ctx, draft: &Draft<'_>) {
    let mut pairs = HashMap::new();
    let mut remote: HashMap<&VNetName, _> = HashMap::new();
    for peering in &draft.vnet_peerings {
        let (own, place) = (&peering.value, peering.node.span.clone());
        if own.a == own.b {
            let message = format!("vnet {} is peered with itself", own.a);
            ctx.report::<()>(
                Problem::error(peering.node.at("b").span, message)
                    .help("a peering joins two virtual networks"),
            );
            continue;
        }
        let pair = (own.a.clone().min(own.b.clone()), own.a.clone().max(own.b.clone()));
        if let Some(first) = pairs.insert(pair, place.clone()) {
            let message = format!("{} and {} are peered twice", own.a, own.b);
            ctx.report::<()>(
                Problem::error(place.clone(), message)
                    .label("the second peering")
                    .also(first, "the first")
                    .help("one [[vnet_peering]] holds for both directions"),
            );
        }
        if own.use_remote_gateways
            && let Some(first) = remote.insert(&own.b, place.clone())
        {
            let message = format!("{} uses two remote gateways", own.b);
            ctx.report::<()>(
                Problem::error(peering.node.at("use_remote_gateways").span, message)
                    .label("the second")
                    .also(first, "the first")
                    .help("a virtual network uses one remote gateway"),
            );
        }
        if let (Some(a), Some(b)) = (draft.vnet(&own.a), draft.vnet(&own.b)) {
            gateways(ctx, peering, &a.value, &b.value);
            if let Some(message) = shared_space(&a.value, &b.value) {
                ctx.report::<()>(
                    Problem::error(place, message)
                        .also(b.node.at("address_space").span, "overlaps")
                        .help("peered virtual networks have no address in common"),
                );
            }
        }
    }
    on_one_circuit(ctx, draft);
}

fn gateways(ctx: &Ctx, peering: &Entry<'_, VNetPeering>, a: &VNet, b: &VNet) {
    let own = &peering.value;
    let report = |key: &str, message: String, help: String| {
        ctx.report::<()>(Problem::error(peering.node.at(key).span, message).help(help));
    };
    if own.allow_gateway_transit && a.gateway.is_none() {
        report(
            "allow_gateway_transit",
            format!("{} has no gateway to lend", a.name),
            "`a` is the hub: exchange `a` and `b`, or give it a gateway".to_owned(),
        );
    }
    if own.use_remote_gateways && b.gateway.is_some() {
        report(
            "use_remote_gateways",
            format!("{} has a gateway of its own", b.name),
            "`b` is the spoke: exchange `a` and `b`, or leave its gateway out".to_owned(),
        );
    }
    if own.use_remote_gateways && !own.allow_gateway_transit {
        report(
            "use_remote_gateways",
            format!("{} does not lend its gateway", a.name),
            "it takes both: add allow_gateway_transit = true".to_owned(),
        );
    }
}

fn shared_space(a: &VNet, b: &VNet) -> Option<String> {
    a.address_space.iter().find_map(|left| {
        let right = b.address_space.iter().find(|right| overlap(left, right))?;
        Some(format!("{left} of vnet {} overlaps {right} of vnet {}", a.name, b.name))
    })
}

// All networks on a circuit share its routing domain.
fn on_one_circuit(ctx: &Ctx, draft: &Draft<'_>) {
    for (at, connection) in draft.connections.iter().enumerate() {
        let Some(vnet) = draft.vnet(&connection.value.vnet) else { continue };
        let same = |other: &&Entry<'_, crate::model::Connection>| {
            other.value.circuit == connection.value.circuit
                && other.value.vnet != connection.value.vnet
        };
        for other in draft.connections[..at].iter().filter(same) {
            let Some(other_vnet) = draft.vnet(&other.value.vnet) else { continue };
            if let Some(message) = shared_space(&other_vnet.value, &vnet.value) {
                ctx.report::<()>(
                    Problem::error(connection.node.at("vnet").span, message)
                        .label("on the same circuit")
                        .also(other.node.at("vnet").span, "connected first")
                        .help("virtual networks on one circuit share its routing domain"),
                );
            }
        }
    }
}
