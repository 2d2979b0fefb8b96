//! Connections: what they join can be joined, and the limits on how many there are.

use std::collections::HashMap;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::{Ctx, Entry};
use super::subnet_place;
use crate::model::limits::{CIRCUITS_PER_LOCATION, circuits_per_vnet, vnets_per_circuit};
use crate::model::{
    Circuit, Connection, Edition, MAX_GATEWAY_SUBNET_LEN_16_CIRCUITS, VNet, overlap,
};

pub(super) fn check(ctx: &Ctx, draft: &Draft<'_>, edition: Edition) {
    let mut taken = HashMap::new();
    for connection in &draft.connections {
        let own = &connection.value;
        let place = connection.node.span.clone();
        if let Some(first) = taken.insert((&own.circuit, &own.vnet), place.clone()) {
            let message =
                format!("circuit {} and vnet {} are connected twice", own.circuit, own.vnet);
            ctx.report::<()>(
                Problem::error(place, message)
                    .label("the second connection")
                    .also(first, "the first")
                    .help("a circuit and a virtual network have one connection"),
            );
        }
        let (circuit, vnet) = (draft.circuit(&own.circuit), draft.vnet(&own.vnet));
        if let Some(circuit) = circuit {
            private_peering(ctx, connection, &circuit.value);
        }
        if let Some(vnet) = vnet {
            gateway(ctx, connection, &vnet.value);
        }
        if let (Some(circuit), Some(vnet)) = (circuit, vnet) {
            addresses(ctx, circuit, vnet);
        }
    }
    per_vnet(ctx, draft, edition);
    per_circuit(ctx, draft, edition);
}

fn private_peering(ctx: &Ctx, connection: &Entry<'_, Connection>, circuit: &Circuit) {
    if circuit.private.is_none() {
        let name = &circuit.name;
        ctx.report::<()>(
            Problem::error(
                connection.node.at("circuit").span,
                format!("circuit {name} has no private peering"),
            )
            .help(format!(
                "virtual networks are on the private peering: add [circuit.{name}.private]"
            )),
        );
    }
}

fn gateway(ctx: &Ctx, connection: &Entry<'_, Connection>, vnet: &VNet) {
    let Some(gateway) = &vnet.gateway else {
        let message = format!("vnet {} has no gateway", vnet.name);
        ctx.report::<()>(Problem::error(connection.node.at("vnet").span, message).help(
            "a connection ends at a gateway: add gateway = { type = \"ExpressRoute\", \
             sku = \"ErGw1AZ\", subnet = \"10.10.255.0/27\" }",
        ));
        return;
    };
    if connection.value.fastpath && !gateway.sku.limits().fastpath {
        let message =
            format!("the gateway of {} has no FastPath: it is {}", vnet.name, gateway.sku);
        ctx.report::<()>(
            Problem::error(connection.node.at("fastpath").span, message).help(
                "FastPath takes UltraPerformance, ErGw3AZ, or ErGwScale with 10 units or more",
            ),
        );
    }
}

// A link's own addresses inside the network would be unreachable from it.
fn addresses(ctx: &Ctx, circuit: &Entry<'_, Circuit>, vnet: &Entry<'_, VNet>) {
    let Some(peering) = &circuit.value.private else { return };
    for (link, subnet) in peering.subnets.iter() {
        let space = &vnet.value.address_space;
        let Some(other) = space.iter().find(|other| overlap(other, &subnet.net())) else {
            continue;
        };
        let place = subnet_place(&circuit.node.at("private"), link);
        let message = format!("{} overlaps {other} of vnet {}", subnet.net(), vnet.value.name);
        ctx.report::<()>(
            Problem::error(place.span, message)
                .label(format!("the {link} link"))
                .also(vnet.node.at("address_space").span, "the virtual network")
                .help("the links' subnets are in no virtual network of the circuit"),
        );
    }
}

fn per_vnet(ctx: &Ctx, draft: &Draft<'_>, edition: Edition) {
    for vnet in &draft.vnets {
        let Some(gateway) = &vnet.value.gateway else { continue };
        let own: Vec<_> =
            draft.connections.iter().filter(|c| c.value.vnet == vnet.value.name).collect();
        let most = circuits_per_vnet(edition, gateway.sku);
        if let Some(beyond) = own.get(most) {
            let message = format!("vnet {} has more than {most} circuits", vnet.value.name);
            ctx.report::<()>(
                Problem::error(beyond.node.span.clone(), message)
                    .label("the first connection too many")
                    .help(format!("a {} gateway takes {most} circuits", gateway.sku)),
            );
        }
        if own.len() >= 16 && gateway.subnet.prefix_len() > MAX_GATEWAY_SUBNET_LEN_16_CIRCUITS {
            ctx.report::<()>(
                Problem::error(
                    vnet.node.at("gateway").at("subnet").span,
                    "GatewaySubnet is too small for 16 circuits",
                )
                .help("it is a /26 or larger with 16 circuits"),
            );
        }
        per_location(ctx, draft, vnet, &own);
    }
}

fn per_location(
    ctx: &Ctx,
    draft: &Draft<'_>,
    vnet: &Entry<'_, VNet>,
    connections: &[&Entry<'_, Connection>],
) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for connection in connections {
        let Some(circuit) = draft.circuit(&connection.value.circuit) else { continue };
        let location = circuit.value.peering_location.as_str();
        let count = counts.entry(location).or_default();
        *count += 1;
        if *count == CIRCUITS_PER_LOCATION + 1 {
            let message = format!(
                "vnet {} has more than {CIRCUITS_PER_LOCATION} circuits from {location}",
                vnet.value.name
            );
            ctx.report::<()>(
                Problem::error(connection.node.span.clone(), message)
                    .label("the first connection too many")
                    .help("more circuits come from other peering locations"),
            );
        }
    }
}

fn per_circuit(ctx: &Ctx, draft: &Draft<'_>, edition: Edition) {
    for circuit in &draft.circuits {
        let own = &circuit.value;
        let most = vnets_per_circuit(edition, own.sku, own.bandwidth);
        let mut connections = draft.connections.iter().filter(|c| c.value.circuit == own.name);
        if let Some(beyond) = connections.nth(most) {
            let message = format!("circuit {} has more than {most} virtual networks", own.name);
            ctx.report::<()>(
                Problem::error(beyond.node.span.clone(), message)
                    .label("the first connection too many")
                    .help("a Premium circuit takes more, by its bandwidth, in today's edition"),
            );
        }
    }
}
