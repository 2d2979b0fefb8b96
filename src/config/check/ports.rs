//! Ports: one user for each interface, one for each tag stack, cables between memory ports.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use super::super::Draft;
use super::super::problem::Problem;
use super::super::read::{Ctx, Node};
use crate::ids::PeeringKind;
use crate::model::{PortKind, PortName, TWO_TAG_MTU, VlanId};
use crate::wire::vlan::TagStack;

pub(super) fn check(ctx: &Ctx, draft: &mut Draft<'_>) {
    interfaces(ctx, draft);
    captures(ctx, draft);
    cables(ctx, draft);
    let attachments = attachments(draft);
    tags(ctx, &attachments);
    s_tags(ctx, draft);
    let double: HashSet<PortName> = attachments
        .iter()
        .filter(|attachment| attachment.tags.len() == 2)
        .map(|attachment| attachment.port.clone())
        .collect();
    mtus(ctx, draft, &double);
}

fn interfaces(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken: HashMap<_, (&PortName, Range<usize>)> = HashMap::new();
    for port in &draft.ports {
        let Some(interface) = port.value.kind.interface() else { continue };
        let place = port.node.at(port.value.kind.name()).span;
        if let Some((other, first)) = taken.get(&interface) {
            let message = format!("ports {other} and {} are one interface", port.value.name);
            ctx.report::<()>(
                Problem::error(place, message)
                    .label("the second port")
                    .also(first.clone(), "the first")
                    .help("an interface is one port; tags tell circuits and peerings apart"),
            );
        } else {
            taken.insert(interface, (&port.value.name, place));
        }
    }
}

// What is written is written anew: nothing else may read or write it.
fn captures(ctx: &Ctx, draft: &Draft<'_>) {
    let mut read: HashMap<&PathBuf, Range<usize>> = HashMap::new();
    let mut written: HashMap<&PathBuf, Range<usize>> = HashMap::new();
    let report = |file: &PathBuf, place: Range<usize>, first: &Range<usize>| {
        let message = format!("{} is written and used twice", file.display());
        ctx.report::<()>(
            Problem::error(place, message)
                .label("the second use")
                .also(first.clone(), "the first")
                .help("give each `out` a file of its own; ports may share an `in`"),
        );
    };
    for port in &draft.ports {
        let PortKind::Pcap { input, output, .. } = &port.value.kind else { continue };
        let pcap = port.node.at("pcap");
        if let Some(file) = input {
            let place = pcap.at("in").span;
            if let Some(first) = written.get(file) {
                report(file, place.clone(), first);
            }
            read.insert(file, place);
        }
        if let Some(file) = output {
            let place = pcap.at("out").span;
            if let Some(first) = written.get(file).or(read.get(file)) {
                report(file, place.clone(), first);
            }
            written.insert(file, place);
        }
    }
}

fn cables(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken: HashMap<&PortName, Range<usize>> = HashMap::new();
    for cable in &draft.cables {
        for (end, item) in cable.value.ends.iter().zip(cable.node.at("ends").items()) {
            let port = draft.ports.iter().find(|port| port.value.name == *end);
            if port.is_some_and(|port| port.value.kind != PortKind::Memory) {
                ctx.report::<()>(
                    Problem::error(item.span.clone(), format!("{end} is not a port in memory"))
                        .help("a cable joins two ports with memory = true"),
                );
            }
            if let Some(first) = taken.insert(end, item.span.clone()) {
                ctx.report::<()>(
                    Problem::error(item.span, format!("{end} is the end of two cables"))
                        .label("the second cable")
                        .also(first, "the first")
                        .help("a port in memory is the end of one cable"),
                );
            }
        }
    }
}

/// What a port and a tag stack are used for.
struct Attachment {
    port: PortName,
    tags: TagStack,
    what: String,
    place: Range<usize>,
}

fn attachments(draft: &Draft<'_>) -> Vec<Attachment> {
    let mut all = Vec::new();
    let mut add = |port: &PortName, tags, what: String, place: Node<'_>| {
        all.push(Attachment { port: port.clone(), tags, what, place: place.span });
    };
    for circuit in &draft.circuits {
        let own = &circuit.value;
        for peering in own.peerings() {
            let place = circuit.node.at(&peering.kind.to_string()).at("vlan");
            for (link, port) in own.links.iter().flat_map(|links| links.iter()) {
                let what =
                    format!("the {link} link, {} peering, of circuit {}", peering.kind, own.name);
                add(port, own.link_tags(peering), what, place.clone());
            }
        }
    }
    for provider in &draft.providers {
        let own = &provider.value;
        if let Some(circuit) = draft.circuit(&own.circuit) {
            for peering in circuit.value.peerings() {
                let tags = circuit.value.link_tags(peering);
                for (link, port) in own.links.iter() {
                    let what = format!("the {link} link of provider {}", own.name);
                    add(port, tags, what, provider.node.at("links").at(&link.to_string()));
                }
            }
        }
        for kind in [PeeringKind::Private, PeeringKind::Microsoft] {
            for (link, access) in own.access(kind).iter().flat_map(|access| access.iter()) {
                let Some(access) = access else { continue };
                let what = format!("the {kind} access of provider {}, {link}", own.name);
                let place = provider.node.at(&kind.to_string()).at(&link.to_string());
                add(&access.port, access.tags, what, place);
            }
        }
    }
    for vnet in &draft.vnets {
        for subnet in &vnet.value.subnets {
            let Some(port) = &subnet.port else { continue };
            let what = format!("subnet {} of vnet {}", subnet.name, vnet.value.name);
            let place = vnet.node.at("subnets").at(subnet.name.as_str()).at("port");
            add(port, TagStack::UNTAGGED, what, place);
        }
    }
    for service in &draft.services {
        let what = format!("service_endpoint {}", service.value.name);
        add(&service.value.port, TagStack::UNTAGGED, what, service.node.at("port"));
    }
    all
}

fn tags(ctx: &Ctx, attachments: &[Attachment]) {
    let mut taken: HashMap<(&PortName, TagStack), &Attachment> = HashMap::new();
    for attachment in attachments {
        let key = (&attachment.port, attachment.tags);
        let Some(first) = taken.get(&key) else {
            taken.insert(key, attachment);
            continue;
        };
        let message = format!(
            "port {} is used twice with the same tags ({}): by {} and by {}",
            attachment.port, attachment.tags, first.what, attachment.what
        );
        ctx.report::<()>(
            Problem::error(attachment.place.clone(), message)
                .label("the second use")
                .also(first.place.clone(), "the first")
                .help("give one of them another port, or other tags"),
        );
    }
}

// The S-tag is the circuit, so it is one circuit's on a port even where the C-tags differ.
fn s_tags(ctx: &Ctx, draft: &Draft<'_>) {
    let mut taken: HashMap<(&PortName, VlanId), usize> = HashMap::new();
    for (at, circuit) in draft.circuits.iter().enumerate() {
        let (Some(s_tag), Some(links)) = (circuit.value.s_tag, &circuit.value.links) else {
            continue;
        };
        for (_, port) in links.iter() {
            let first = *taken.entry((port, s_tag)).or_insert(at);
            if first == at {
                continue;
            }
            let first = &draft.circuits[first];
            let message = format!(
                "circuits {} and {} have one S-tag on port {port}",
                first.value.name, circuit.value.name
            );
            ctx.report::<()>(
                Problem::error(circuit.node.at("s_tag").span, message)
                    .label("the second circuit")
                    .also(first.node.at("s_tag").span, "the first")
                    .help("the S-tag says which circuit a frame belongs to: give each its own"),
            );
            break;
        }
    }
}

fn mtus(ctx: &Ctx, draft: &mut Draft<'_>, double: &HashSet<PortName>) {
    for port in &mut draft.ports {
        if !double.contains(&port.value.name) {
            continue;
        }
        match port.node.get("mtu") {
            None => port.value.mtu = TWO_TAG_MTU,
            Some(place) if port.value.mtu < TWO_TAG_MTU => {
                let message = format!(
                    "port {} carries two tags with an MTU of {}",
                    port.value.name, port.value.mtu
                );
                ctx.report::<()>(
                    Problem::warning(place.span, message)
                        .label("packets of 1500 bytes do not fit")
                        .help(format!("write mtu = {TWO_TAG_MTU}, or leave `mtu` out")),
                );
            }
            Some(_) => {}
        }
    }
}
