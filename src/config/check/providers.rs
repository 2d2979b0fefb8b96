//! Providers against the circuits that they provide.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::{Ctx, Entry, Node};
use crate::ids::PeeringKind;
use crate::model::{Nat, Peering, Provider, covered, overlap};

pub(super) fn check(ctx: &Ctx, draft: &Draft<'_>) {
    let mut provided = HashMap::new();
    for provider in &draft.providers {
        let place = provider.node.at("circuit").span;
        let name = &provider.value.circuit;
        if let Some(first) = provided.insert(name, place.clone()) {
            ctx.report::<()>(
                Problem::error(place, format!("circuit {name} has two providers"))
                    .label("the second provider")
                    .also(first, "the first")
                    .help("a circuit has one provider; its links and NAT are in one table"),
            );
        }
        hand_over(ctx, draft, provider);
        nat(ctx, draft, provider);
    }
}

fn hand_over(ctx: &Ctx, draft: &Draft<'_>, provider: &Entry<'_, Provider>) {
    let Some(circuit) = draft.circuit(&provider.value.circuit) else { return };
    for kind in [PeeringKind::Private, PeeringKind::Microsoft] {
        if provider.value.access(kind).is_some() && circuit.value.peering(kind).is_none() {
            let name = &circuit.value.name;
            ctx.report::<()>(
                Problem::error(
                    provider.node.at(&kind.to_string()).span,
                    format!("circuit {name} has no {kind} peering"),
                )
                .label("handed over here")
                .help(format!("add [circuit.{name}.{kind}], or leave `{kind}` out")),
            );
        }
    }
}

fn nat(ctx: &Ctx, draft: &Draft<'_>, provider: &Entry<'_, Provider>) {
    let Some(nat) = &provider.value.nat else { return };
    let node = provider.node.at("nat");
    if provider.value.microsoft.is_none() {
        ctx.report::<()>(
            Problem::error(node.span.clone(), "`nat` without a hand-over of the Microsoft peering")
                .help("only the Microsoft peering is translated: add `microsoft`"),
        );
        return;
    }
    let circuit = draft.circuit(&provider.value.circuit);
    let Some(peering) = circuit.and_then(|circuit| circuit.value.microsoft.as_ref()) else {
        return;
    };
    for (net, place) in outside(nat, &node) {
        advertised(ctx, peering, net, &place);
    }
}

// What the translator has on the outside, and where it is written.
fn outside<'a>(nat: &Nat, node: &Node<'a>) -> Vec<(Ipv4Net, Node<'a>)> {
    let mut all: Vec<(Ipv4Net, Node<'a>)> =
        nat.pool.iter().copied().zip(node.at("pool").items()).collect();
    let mut add = |address: Ipv4Addr, place| all.push((Ipv4Net::from(address), place));
    for (binding, item) in nat.statics.iter().zip(node.at("static").items()) {
        add(binding.outside, item.at("outside"));
    }
    for (forward, item) in nat.forwards.iter().zip(node.at("forward").items()) {
        add(*forward.outside.ip(), item.at("outside"));
    }
    if let Some(place) = node.get("icmp_source") {
        add(nat.icmp_source, place);
    }
    all
}

fn advertised(ctx: &Ctx, peering: &Peering, net: Ipv4Net, place: &Node<'_>) {
    let prefixes = peering.advertised_public_prefixes();
    let shown = if net.prefix_len() == 32 { net.addr().to_string() } else { net.to_string() };
    if !covered(&net, prefixes) {
        let list: Vec<String> = prefixes.iter().map(Ipv4Net::to_string).collect();
        let message = format!("{shown} is outside the advertised public prefixes");
        ctx.report::<()>(Problem::error(place.span.clone(), message).help(format!(
            "Microsoft drops sources outside them: use addresses of {}",
            list.join(", ")
        )));
    }
    for (link, subnet) in peering.subnets.iter() {
        if overlap(&subnet.net(), &net) {
            let message =
                format!("{shown} overlaps {}, the {link} link of the peering", subnet.net());
            ctx.report::<()>(
                Problem::error(place.span.clone(), message)
                    .help("the links' own addresses are not translated: leave them out"),
            );
        }
    }
}
