//! The provider's address translation, as far as it can be judged by itself.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use ipnet::Ipv4Net;

use super::peering::public;
use super::problem::Problem;
use super::read::{Ctx, Node, Section};
use super::schema;
use super::value::{address, boolean, choice, integer, list, parsed, prefix4, some, text};
use crate::model::{
    DEFAULT_HOST_SESSIONS, DEFAULT_NAT_PORTS, DEFAULT_SESSIONS, ForwardProtocol, MAX_POOL,
    MIN_NAT_PORTS, Nat, NatFiltering, NatPooling, NatTimeouts, PortForward, PortRange, SESSIONS,
    StaticBinding, overlap,
};
use crate::time::Span;

/// The longest timeout: a day.
const MAX_TIMEOUT: u64 = 86_400;

pub(super) fn nat(ctx: &Ctx, node: &Node<'_>) -> Option<Nat> {
    let table = Section::open(ctx, node, "`nat`", &schema::NAT)?;
    let inside = table.need("inside", "inside = [\"10.0.0.0/8\"], what is translated", |c, n| {
        some(c, n, prefix4)
    });
    let pool = table
        .need("pool", "pool = [\"203.0.113.64/28\"], what it becomes", |c, n| some(c, n, public));
    let statics = table.read("static", |c, n| list(c, n, static_binding)).unwrap_or_default();
    let forwards = table.read("forward", |c, n| list(c, n, forward)).unwrap_or_default();
    let filters = [
        ("endpoint-independent", NatFiltering::EndpointIndependent),
        ("address-dependent", NatFiltering::AddressDependent),
        ("address-and-port-dependent", NatFiltering::AddressAndPortDependent),
    ];
    let filtering = table.read("filtering", |c, n| choice(c, n, &filters)).unwrap_or_default();
    let pairings = [("paired", NatPooling::Paired), ("soft-paired", NatPooling::SoftPaired)];
    let pooling = table.read("pooling", |c, n| choice(c, n, &pairings)).unwrap_or_default();
    let ports = table.read("ports", ports).unwrap_or(DEFAULT_NAT_PORTS);
    let timeouts = table.read("timeouts", timeouts).unwrap_or_default();
    let inbound_refresh = table.read("inbound_refresh", boolean).unwrap_or(true);
    let sessions = table.read("sessions", |c, n| integer(c, n, SESSIONS));
    let host_sessions = table.read("host_sessions", |c, n| integer(c, n, 1..=*SESSIONS.end()));
    let icmp_source = table.read("icmp_source", address);
    let (inside, pool) = (inside?, pool?);
    check_pool(&table, &inside, &pool);
    check_bindings(&table, &statics, &forwards);
    table.ok().then(|| Nat {
        icmp_source: icmp_source.unwrap_or(pool[0].network()),
        inside,
        pool,
        statics,
        forwards,
        ports,
        pooling,
        filtering,
        timeouts,
        inbound_refresh,
        sessions: sessions.unwrap_or(DEFAULT_SESSIONS),
        host_sessions: host_sessions.unwrap_or(DEFAULT_HOST_SESSIONS),
    })
}

fn check_pool(table: &Section<'_, '_>, inside: &[Ipv4Net], pool: &[Ipv4Net]) {
    for ((at, net), item) in pool.iter().enumerate().zip(table.node.at("pool").items()) {
        let report = |message: String, help: &str| {
            let problem = Problem::error(item.span.clone(), message).help(help);
            table.ctx.report::<()>(problem);
        };
        if let Some(other) = pool[..at].iter().find(|other| overlap(net, other)) {
            report(format!("{net} overlaps {other}"), "an address is in the pool once");
        }
        if let Some(other) = inside.iter().find(|other| overlap(net, other)) {
            report(format!("{net} is inside too, by {other}"), "the pool is on the outside");
        }
    }
    let size = pool.iter().map(|net| 1_u64 << (32 - net.prefix_len())).sum::<u64>();
    if size > u64::from(MAX_POOL) {
        let help = format!("a pool has at most {MAX_POOL} addresses, a /16");
        table.error("pool", format!("the pool has {size} addresses"), help);
    }
}

fn static_binding(ctx: &Ctx, node: &Node<'_>) -> Option<StaticBinding> {
    let table = Section::open(ctx, node, "a static binding", &schema::NAT_STATIC)?;
    let inside = table.need("inside", "inside = \"10.0.0.5\"", address);
    let outside = table.need("outside", "outside = \"203.0.113.80\"", address);
    Some(StaticBinding { inside: inside?, outside: outside? })
}

fn forward(ctx: &Ctx, node: &Node<'_>) -> Option<PortForward> {
    let table = Section::open(ctx, node, "a forwarded port", &schema::NAT_FORWARD)?;
    let protocols = [("tcp", ForwardProtocol::Tcp), ("udp", ForwardProtocol::Udp)];
    let protocol =
        table.need("proto", "proto = \"tcp\" or \"udp\"", |c, n| choice(c, n, &protocols));
    let outside = table.need("outside", "outside = \"203.0.113.80:443\"", socket);
    let inside = table.need("inside", "inside = \"10.0.0.5:443\"", socket);
    Some(PortForward { protocol: protocol?, outside: outside?, inside: inside? })
}

fn socket(ctx: &Ctx, node: &Node<'_>) -> Option<SocketAddrV4> {
    let socket: SocketAddrV4 = parsed(ctx, node, "address:port, such as 203.0.113.80:443")?;
    if socket.port() == 0 {
        return ctx.report(
            Problem::error(node.span.clone(), "port 0 cannot be forwarded")
                .help("a port is 1 to 65535"),
        );
    }
    Some(socket)
}

// Outside or inside, an address, and a port with whether it is TCP's.
type Bound = (bool, Ipv4Addr, Option<(u16, bool)>);

// No address or port leads to two places, and a whole address leaves no port to forward.
fn check_bindings(table: &Section<'_, '_>, statics: &[StaticBinding], forwards: &[PortForward]) {
    let mut seen: BTreeMap<Bound, Range<usize>> = BTreeMap::new();
    let mut claim =
        |outside: bool, address: Ipv4Addr, port: Option<(u16, bool)>, span: Range<usize>| {
            let side = if outside { "outside" } else { "inside" };
            let whole = port.and_then(|_| seen.get(&(outside, address, None)));
            if let Some(first) = seen.get(&(outside, address, port)).or(whole) {
                table.ctx.report::<()>(
                    Problem::error(span, format!("{address} is bound twice {side}"))
                        .label("the second binding")
                        .also(first.clone(), "the first")
                        .help("an address or port leads to one place"),
                );
            } else {
                seen.insert((outside, address, port), span);
            }
        };
    for (binding, item) in statics.iter().zip(table.node.at("static").items()) {
        claim(false, binding.inside, None, item.at("inside").span);
        claim(true, binding.outside, None, item.at("outside").span);
    }
    for (forward, item) in forwards.iter().zip(table.node.at("forward").items()) {
        let tcp = forward.protocol == ForwardProtocol::Tcp;
        let (inside, outside) = (forward.inside, forward.outside);
        claim(false, *inside.ip(), Some((inside.port(), tcp)), item.at("inside").span);
        claim(true, *outside.ip(), Some((outside.port(), tcp)), item.at("outside").span);
    }
}

/// "80" or "1000-2000".
pub(super) fn port_range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(PortRange { first, last })
}

fn ports(ctx: &Ctx, node: &Node<'_>) -> Option<PortRange> {
    let range = port_range(text(ctx, node)?);
    let range =
        range.filter(|range| range.first > 0 && range.last - range.first + 1 >= MIN_NAT_PORTS);
    range.or_else(|| {
        ctx.report(
            Problem::error(node.span.clone(), "these are no ports for a translator")
                .help(format!("\"FIRST-LAST\", at least {MIN_NAT_PORTS} ports from 1 to 65535")),
        )
    })
}

fn timeouts(ctx: &Ctx, node: &Node<'_>) -> Option<NatTimeouts> {
    let table = Section::open(ctx, node, "`timeouts`", &schema::NAT_TIMEOUTS)?;
    let default = NatTimeouts::default();
    // The least that the protocol's RFC allows, where it says so: below, the operator is told.
    let seconds = |key: &str, default: Span, least: u64, rfc: &str| {
        let Some(own) = table.read(key, |c, n| integer(c, n, 1..=MAX_TIMEOUT)) else {
            return default;
        };
        if own < least {
            let message = format!("`{key}` of {own} s is below the {least} s of {rfc}");
            table.ctx.report::<()>(
                Problem::warning(table.node.at(key).span, message)
                    .help("sessions that are idle but alive will break"),
            );
        }
        Span::secs(own)
    };
    Some(NatTimeouts {
        udp: seconds("udp", default.udp, 120, "RFC 4787 REQ-5"),
        tcp_established: seconds(
            "tcp_established",
            default.tcp_established,
            7440,
            "RFC 5382 REQ-5",
        ),
        tcp_opening: seconds("tcp_opening", default.tcp_opening, 0, ""),
        tcp_closing: seconds("tcp_closing", default.tcp_closing, 0, ""),
        icmp: seconds("icmp", default.icmp, 60, "RFC 5508 REQ-2"),
        fragment: seconds("fragment", default.fragment, 0, ""),
        quarantine: seconds("quarantine", default.quarantine, 0, ""),
    })
}
