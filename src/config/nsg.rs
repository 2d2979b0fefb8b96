//! Network security groups.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use toml::de::DeValue;

use super::nat::port_range;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section, suggest, titled};
use super::schema;
use super::value::{choice, integer, list, name, prefix4, some, text};
use crate::model::{
    MAX_PRIORITY, MIN_PRIORITY, Nsg, NsgAccess, NsgAddress, NsgDirection, NsgName, NsgProtocol,
    NsgRule, PortRange, ServiceTag,
};

pub(super) fn nsg<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Nsg>> {
    let table = Section::open(ctx, node, titled(node, "nsg", "name"), &schema::NSG)?;
    let name = table.need("name", "name = \"web\"", |c, n| name(c, n, text(c, n)?, NsgName::new));
    let rules = match table.get("rules") {
        Some(node) => list(ctx, &node, rule),
        None => Some(Vec::new()),
    };
    if let Some(rules) = &rules {
        check_rules(&table, rules);
    }
    let value = (|| Some(Nsg { name: name?, rules: rules? }))();
    table.entry(value)
}

fn check_rules(table: &Section<'_, '_>, rules: &[NsgRule]) {
    let mut names = HashMap::new();
    let mut priorities = HashMap::new();
    for (rule, item) in rules.iter().zip(table.node.at("rules").items()) {
        let place = item.at("name");
        if let Some(first) = names.insert(&rule.name, place.span.clone()) {
            table.ctx.report::<()>(
                Problem::error(place.span, format!("there are two rules named {}", rule.name))
                    .label("the second")
                    .also(first, "the first")
                    .help("a rule's name is its own in the group"),
            );
        }
        let place = item.at("priority");
        let inbound = rule.direction == NsgDirection::Inbound;
        if let Some(first) = priorities.insert((inbound, rule.priority), place.span.clone()) {
            let message = format!("two rules have priority {} in one direction", rule.priority);
            table.ctx.report::<()>(
                Problem::error(place.span, message)
                    .label("the second")
                    .also(first, "the first")
                    .help("each rule of a direction has a priority of its own"),
            );
        }
    }
}

fn rule(ctx: &Ctx, node: &Node<'_>) -> Option<NsgRule> {
    let table = Section::open(ctx, node, titled(node, "rule", "name"), &schema::NSG_RULE)?;
    let directions = [("Inbound", NsgDirection::Inbound), ("Outbound", NsgDirection::Outbound)];
    let verdicts = [("Allow", NsgAccess::Allow), ("Deny", NsgAccess::Deny)];
    let protocols = [
        ("*", NsgProtocol::Any),
        ("Tcp", NsgProtocol::Tcp),
        ("Udp", NsgProtocol::Udp),
        ("Icmp", NsgProtocol::Icmp),
        ("Esp", NsgProtocol::Esp),
        ("Ah", NsgProtocol::Ah),
    ];
    let name =
        table.need("name", "name = \"allow-web\"", |c, n| name(c, n, text(c, n)?, NsgName::new));
    let range = MIN_PRIORITY..=MAX_PRIORITY;
    let priority = table
        .need("priority", "priority = 100 to 4096, the lowest first", |c, n| integer(c, n, range));
    let direction = table.need("direction", "direction = \"Inbound\" or \"Outbound\"", |c, n| {
        choice(c, n, &directions)
    });
    let access =
        table.need("access", "access = \"Allow\" or \"Deny\"", |c, n| choice(c, n, &verdicts));
    let protocol =
        table.read("protocol", |c, n| choice(c, n, &protocols)).unwrap_or(NsgProtocol::Any);
    let addresses = |key| {
        table.read(key, |c, n| one_or_some(c, n, address)).unwrap_or_else(|| vec![NsgAddress::Any])
    };
    let (sources, destinations) = (addresses("source"), addresses("destination"));
    let ports = |key| {
        let ranges = table.read(key, |c, n| one_or_some(c, n, ports));
        if ranges.as_ref().is_some_and(|own| own.iter().any(|range| *range != PortRange::ANY))
            && !protocol.has_ports()
        {
            let help = "ports go with Tcp, Udp and *: leave the key out";
            table.error(key, "this protocol has no ports", help);
        }
        ranges.unwrap_or_else(|| vec![PortRange::ANY])
    };
    let (source_ports, destination_ports) = (ports("source_ports"), ports("destination_ports"));
    if !table.ok() {
        return None;
    }
    Some(NsgRule {
        name: name?.to_string(),
        priority: priority?,
        direction: direction?,
        access: access?,
        protocol,
        sources,
        source_ports,
        destinations,
        destination_ports,
    })
}

// One value, or an array of them.
fn one_or_some<'a, T>(
    ctx: &Ctx,
    node: &Node<'a>,
    read: fn(&Ctx, &Node<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    if node.value.is_array() { some(ctx, node, read) } else { read(ctx, node).map(|one| vec![one]) }
}

fn address(ctx: &Ctx, node: &Node<'_>) -> Option<NsgAddress> {
    const WORDS: [(&str, NsgAddress); 4] = [
        ("*", NsgAddress::Any),
        ("Internet", NsgAddress::Tag(ServiceTag::Internet)),
        ("AzureLoadBalancer", NsgAddress::Tag(ServiceTag::AzureLoadBalancer)),
        ("VirtualNetwork", NsgAddress::Tag(ServiceTag::VirtualNetwork)),
    ];
    let text = text(ctx, node)?;
    if let Some((_, word)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(*word);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(NsgAddress::Prefix(Ipv4Net::from(address)));
    }
    if text.contains('/') {
        return prefix4(ctx, node).map(NsgAddress::Prefix);
    }
    let help = suggest(text, WORDS.map(|(word, _)| word), "tags");
    ctx.report(
        Problem::error(node.span.clone(), format!("`{}` = \"{text}\" is unknown", node.name))
            .label("expected *, an address, a prefix or a service tag")
            .help(help),
    )
}

fn ports(ctx: &Ctx, node: &Node<'_>) -> Option<PortRange> {
    if let DeValue::Integer(_) = node.value {
        return integer(ctx, node, 0..=u16::MAX).map(|port| PortRange { first: port, last: port });
    }
    let text = text(ctx, node)?;
    if text == "*" {
        return Some(PortRange::ANY);
    }
    port_range(text).or_else(|| {
        ctx.report(
            Problem::error(node.span.clone(), format!("`{}` = \"{text}\"", node.name))
                .label("not a port or a range")
                .help("write 443, \"1000-2000\", \"*\", or an array of them"),
        )
    })
}
