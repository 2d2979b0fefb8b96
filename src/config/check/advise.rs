//! What is good to know about a configuration that can be used.

use std::collections::HashSet;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::Ctx;
use crate::model::{Model, PortKind, PortName};

/// Notes on a model without errors.
pub(in crate::config) fn advise(ctx: &Ctx, draft: &Draft<'_>, model: &Model) {
    if ctx.errors() > 0 {
        return;
    }
    unused_ports(ctx, draft, model);
    circuits(ctx, draft);
    providers(ctx, draft);
    vnets(ctx, draft);
    fastpath(ctx, draft, model);
}

fn unused_ports(ctx: &Ctx, draft: &Draft<'_>, model: &Model) {
    let used: HashSet<&PortName> = model.ports_in_use().collect();
    let cabled: HashSet<&PortName> = model.cables.iter().flat_map(|cable| &cable.ends).collect();
    for port in &draft.ports {
        let name = &port.value.name;
        if !used.contains(name) {
            ctx.report::<()>(
                Problem::advice(port.node.span.clone(), format!("nothing uses port {name}"))
                    .help("frames from it are dropped by name: unknown_tag"),
            );
        } else if port.value.kind == PortKind::Memory && !cabled.contains(name) {
            let message = format!("no cable ends at port {name}");
            ctx.report::<()>(
                Problem::advice(port.node.span.clone(), message)
                    .help("fit for replay and bench; `run` has nothing to join it with"),
            );
        }
    }
}

fn circuits(ctx: &Ctx, draft: &Draft<'_>) {
    for circuit in &draft.circuits {
        let (own, place) = (&circuit.value, circuit.node.span.clone());
        if own.peerings().next().is_none() {
            ctx.report::<()>(
                Problem::advice(place.clone(), format!("circuit {} has no peering", own.name))
                    .help("add [circuit.NAME.private] or [circuit.NAME.microsoft]"),
            );
        }
        if !own.usable() {
            ctx.report::<()>(
                Problem::advice(place, format!("circuit {} forwards nothing", own.name))
                    .help("it does when it is Provisioned and Enabled"),
            );
        }
    }
}

fn providers(ctx: &Ctx, draft: &Draft<'_>) {
    for provider in &draft.providers {
        if provider.value.microsoft.is_some() && provider.value.nat.is_none() {
            let place = provider.node.at("microsoft").span;
            ctx.report::<()>(
                Problem::advice(place, "the Microsoft peering is handed over without `nat`")
                    .help("sources have to be in the advertised public prefixes already"),
            );
        }
    }
}

fn vnets(ctx: &Ctx, draft: &Draft<'_>) {
    for vnet in &draft.vnets {
        for nic in &vnet.value.nics {
            let subnet = vnet.value.subnet(&nic.subnet);
            if subnet.is_some_and(|subnet| subnet.port.is_none()) {
                let place = vnet.node.at("nic").at(nic.name.as_str()).span;
                let message = format!("{} is in a subnet without a port", nic.ip);
                ctx.report::<()>(
                    Problem::advice(place, message)
                        .help(format!("give subnet {} a `port` to reach it", nic.subnet)),
                );
            }
        }
    }
    for peering in &draft.vnet_peerings {
        if peering.value.allow_gateway_transit && !peering.value.use_remote_gateways {
            let message = format!("{} does not use the gateway it is lent", peering.value.b);
            ctx.report::<()>(
                Problem::advice(peering.node.span.clone(), message)
                    .help("it takes both: add use_remote_gateways = true"),
            );
        }
    }
}

fn fastpath(ctx: &Ctx, draft: &Draft<'_>, model: &Model) {
    for plan in model.fastpath() {
        let Some(connection) = draft.connections.get(plan.connection) else { continue };
        for fallback in &plan.fallbacks {
            let message = format!(
                "{} of vnet {} by the gateway: {}",
                match fallback.addresses {
                    1 => "1 address".to_owned(),
                    many => format!("{many} addresses"),
                },
                fallback.vnet,
                fallback.reason.doc()
            );
            ctx.report::<()>(
                Problem::advice(connection.node.at("fastpath").span, message)
                    .help("they are reached all the same, with the gateway's limits"),
            );
        }
    }
}
