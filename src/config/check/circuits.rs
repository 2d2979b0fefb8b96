//! Circuits among each other: keys and public subnets that are theirs alone.

use std::collections::HashMap;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::Ctx;
use super::subnet_place;
use crate::model::{ServiceKey, overlap};

pub(super) fn check(ctx: &Ctx, draft: &Draft<'_>) {
    service_keys(ctx, draft);
    microsoft_subnets(ctx, draft);
}

fn service_keys(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken: HashMap<ServiceKey, usize> = HashMap::new();
    for (at, circuit) in draft.circuits.iter().enumerate() {
        let first = *taken.entry(circuit.value.service_key).or_insert(at);
        if first != at {
            let first = &draft.circuits[first];
            let message = format!(
                "circuits {} and {} have one service key",
                first.value.name, circuit.value.name
            );
            ctx.report::<()>(
                Problem::error(circuit.node.at("service_key").span, message)
                    .label("the second circuit")
                    .also(first.node.at("service_key").span, "the first")
                    .help("a service key is one circuit's: leave it out to have it derived"),
            );
        }
    }
}

// All Microsoft peerings are in one routing domain on Microsoft's side.
fn microsoft_subnets(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken = Vec::new();
    for circuit in &draft.circuits {
        let Some(peering) = &circuit.value.microsoft else { continue };
        let place = circuit.node.at("microsoft");
        for (link, subnet) in peering.subnets.iter() {
            let (net, place) = (subnet.net(), subnet_place(&place, link));
            let other = taken.iter().find(|(other, _, _)| overlap(other, &net));
            if let Some((other, name, first)) = other
                && *name != &circuit.value.name
            {
                let message = format!("{net} overlaps {other} of circuit {name}");
                ctx.report::<()>(
                    Problem::error(place.span.clone(), message)
                        .label("the second peering")
                        .also(std::ops::Range::clone(first), "the first")
                        .help("each Microsoft peering has public subnets of its own"),
                );
            }
            taken.push((net, &circuit.value.name, place.span));
        }
    }
}
