//! User-defined routes into their subnets, and static routes of on-premises.

use std::collections::HashMap;
use std::ops::Range;

use ipnet::Ipv4Net;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::{Ctx, Entry, suggest};
use super::super::vnet::UdrAt;
use crate::ids::PeeringKind;
use crate::model::limits::{ROUTES_MICROSOFT, routes_private};
use crate::model::{GATEWAY_SUBNET, StaticRoute, UdrNextHop, VNetName, covered, overlap};

/// Puts each user-defined route into its subnet.
pub(super) fn place_udrs(ctx: &Ctx, draft: &mut Draft<'_>) {
    let udrs = std::mem::take(&mut draft.udrs);
    let mut taken = HashMap::new();
    for entry in &udrs {
        let own = &entry.value;
        let place = entry.node.at("prefix").span;
        let key = (&own.vnet, own.subnet.as_str(), own.udr.prefix);
        if let Some(first) = taken.insert(key, place.clone()) {
            let message = format!("{} is routed twice in subnet {}", own.udr.prefix, own.subnet);
            ctx.report::<()>(
                Problem::error(place, message)
                    .label("the second route")
                    .also(first, "the first")
                    .help("a subnet has one user-defined route for a prefix"),
            );
        }
        appliance(ctx, draft, entry);
        place_udr(ctx, draft, entry);
    }
    drop(taken);
    draft.udrs = udrs;
}

fn place_udr(ctx: &Ctx, draft: &mut Draft<'_>, entry: &Entry<'_, UdrAt>) {
    let own = &entry.value;
    let Some(vnet) = draft.vnets.iter_mut().find(|vnet| vnet.value.name == own.vnet) else {
        return;
    };
    if own.subnet == GATEWAY_SUBNET {
        let Some(gateway) = &mut vnet.value.gateway else {
            ctx.report::<()>(
                Problem::error(
                    entry.node.at("subnet").span,
                    format!("vnet {} has no gateway", own.vnet),
                )
                .help("GatewaySubnet is there when the vnet has a `gateway`"),
            );
            return;
        };
        on_gateway_subnet(ctx, entry, gateway.subnet);
        gateway.udrs.push(own.udr);
        return;
    }
    let subnets = &mut vnet.value.subnets;
    match subnets.iter_mut().find(|subnet| subnet.name.as_str() == own.subnet) {
        Some(subnet) => subnet.udrs.push(own.udr),
        None => {
            let known = subnets.iter().map(|subnet| subnet.name.as_str());
            let help = suggest(&own.subnet, known.chain([GATEWAY_SUBNET]), "subnets");
            let message = format!("vnet {} has no subnet {}", own.vnet, own.subnet);
            ctx.report::<()>(Problem::error(entry.node.at("subnet").span, message).help(help));
        }
    }
}

// The routes that stop a gateway from working.
fn on_gateway_subnet(ctx: &Ctx, entry: &Entry<'_, UdrAt>, subnet: Ipv4Net) {
    let udr = &entry.value.udr;
    let place = entry.node.at("prefix").span;
    if udr.prefix.prefix_len() == 0 {
        ctx.report::<()>(
            Problem::error(place, "a default route on GatewaySubnet is not supported")
                .help("route the prefixes of the workloads instead"),
        );
    } else if overlap(&udr.prefix, &subnet)
        && matches!(udr.next_hop, UdrNextHop::None | UdrNextHop::VirtualAppliance(_))
    {
        let message = format!("{} takes GatewaySubnet ({subnet}) away from itself", udr.prefix);
        ctx.report::<()>(
            Problem::error(place, message)
                .help("a route that covers GatewaySubnet cannot lead to an appliance or nowhere"),
        );
    }
}

// An appliance stands in the virtual network or in one that it is peered with.
fn appliance(ctx: &Ctx, draft: &Draft<'_>, entry: &Entry<'_, UdrAt>) {
    let UdrNextHop::VirtualAppliance(address) = entry.value.udr.next_hop else { return };
    let own = &entry.value.vnet;
    let peered = draft.vnet_peerings.iter().filter_map(|peering| peering.value.other(own));
    let mut near: Vec<&VNetName> = peered.collect();
    near.push(own);
    // A peering or a network with errors of its own might have been the one.
    if !draft.all_peered {
        return;
    }
    let Some(near) = near.into_iter().map(|name| draft.vnet(name)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    if !near.iter().any(|vnet| vnet.value.contains(address)) {
        let message = format!("{address} is neither in vnet {own} nor in one peered with it");
        ctx.report::<()>(
            Problem::error(entry.node.at("next_hop_ip").span, message)
                .help("the appliance is reached directly: give the address of its interface"),
        );
    }
}

/// Static routes against their peerings.
pub(super) fn check(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken = HashMap::new();
    let mut counts: HashMap<_, usize> = HashMap::new();
    for route in &draft.routes {
        let own = &route.value;
        for (prefix, place) in own.prefixes.iter().zip(places(route)) {
            let key = (&own.circuit, own.peering, prefix, own.link);
            if let Some(first) = taken.insert(key, place.clone()) {
                ctx.report::<()>(
                    Problem::error(place, format!("{prefix} is routed twice"))
                        .label("the second route")
                        .also(first, "the first")
                        .help("routes of one prefix differ by `link`"),
                );
            }
        }
        against_peering(ctx, draft, route);
        let count = counts.entry((&own.circuit, own.peering)).or_default();
        limit(ctx, draft, route, *count);
        *count += own.prefixes.len();
    }
}

/// Where each prefix of a route stands.
fn places(route: &Entry<'_, StaticRoute>) -> Vec<Range<usize>> {
    match route.node.get("prefixes") {
        Some(list) => list.items().into_iter().map(|item| item.span).collect(),
        None => vec![route.node.at("prefix").span],
    }
}

fn against_peering(ctx: &Ctx, draft: &Draft<'_>, route: &Entry<'_, StaticRoute>) {
    let own = &route.value;
    let Some(circuit) = draft.circuit(&own.circuit) else { return };
    let Some(peering) = circuit.value.peering(own.peering) else {
        let message = format!("circuit {} has no {} peering", own.circuit, own.peering);
        ctx.report::<()>(
            Problem::error(route.node.at("peering").span, message)
                .help(format!("add [circuit.{}.{}]", own.circuit, own.peering)),
        );
        return;
    };
    if own.peering != PeeringKind::Microsoft {
        return;
    }
    let public = peering.advertised_public_prefixes();
    for (prefix, place) in own.prefixes.iter().zip(places(route)) {
        if !covered(prefix, public) {
            let list: Vec<String> = public.iter().map(Ipv4Net::to_string).collect();
            let message = format!("{prefix} is outside the advertised public prefixes");
            ctx.report::<()>(
                Problem::error(place, message).help(format!("they are: {}", list.join(", "))),
            );
        }
    }
}

// Beyond the limit a BGP session would be dropped.
fn limit(ctx: &Ctx, draft: &Draft<'_>, route: &Entry<'_, StaticRoute>, before: usize) {
    let own = &route.value;
    let Some(circuit) = draft.circuit(&own.circuit) else { return };
    let most = match own.peering {
        PeeringKind::Private => routes_private(circuit.value.sku),
        PeeringKind::Microsoft => ROUTES_MICROSOFT,
    };
    // Reported once, at the first route too many.
    if (before..before + own.prefixes.len()).contains(&most) && ctx.limits() {
        let message =
            format!("more than {most} routes on the {} peering of {}", own.peering, own.circuit);
        ctx.report::<()>(
            Problem::error(places(route)[most - before].clone(), message)
                .label("the first route too many")
                .help("the service drops the session; summarise, or write limits = \"off\""),
        );
    }
}
