//! Ports and cables.

use std::path::PathBuf;

use super::names::reference;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section, titled};
use super::schema;
use super::value::{boolean, choice, integer, list, mac, name, text};
use crate::model::{
    Cable, CapturePace, MAX_IFNAME, MAX_MTU, MIN_MTU, ONE_TAG_MTU, Port, PortKind, PortName,
    XdpMode,
};

const KINDS: [&str; 5] = ["tap", "packet", "xdp", "memory", "pcap"];

const XDP_MODES: [(&str, XdpMode); 3] =
    [("auto", XdpMode::Auto), ("native", XdpMode::Native), ("generic", XdpMode::Generic)];

/// A port. Without an MTU of its own it has [`ONE_TAG_MTU`], until it is known what crosses it.
pub(super) fn port<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Port>> {
    let table = Section::open(ctx, node, titled(node, "port", "name"), &schema::PORT)?;
    let name = table.need("name", "name = \"ce-1\"", |c, n| name(c, n, text(c, n)?, PortName::new));
    let netns = table.read("netns", text).map(PathBuf::from);
    let kind = kind(&table, netns);
    let mtu = table.read("mtu", |c, n| integer(c, n, MIN_MTU..=MAX_MTU));
    let mac = table.read("mac", mac);
    let accept_88a8 = table.read("accept_88a8", boolean).unwrap_or(false);
    let allow = table.read("allow", |c, n| choice(c, n, &[("host-interface", true)]));
    of_xdp_alone(&table, kind.as_ref());
    let of_the_host = matches!(kind, Some(PortKind::Packet { .. } | PortKind::Xdp { .. }));
    if allow.is_some() && kind.is_some() && !of_the_host {
        table.error(
            "allow",
            format!("{} takes no interface of the host", table.title),
            "`allow` is for packet and xdp ports",
        );
    }
    let value = (|| {
        Some(Port {
            name: name?,
            kind: kind?,
            mtu: mtu.unwrap_or(ONE_TAG_MTU),
            mac,
            allow_host_interface: allow.unwrap_or(false),
            accept_88a8,
        })
    })();
    table.entry(value)
}

fn kind(table: &Section<'_, '_>, netns: Option<PathBuf>) -> Option<PortKind> {
    let given: Vec<&str> = KINDS.into_iter().filter(|key| table.get(key).is_some()).collect();
    let [key] = given[..] else {
        let found = if given.is_empty() { "no kind".to_owned() } else { given.join(" and ") };
        return table.ctx.report(
            Problem::error(table.node.span.clone(), format!("{} has {found}", table.title))
                .label("expected exactly one kind")
                .help(
                    "give it one of: tap = \"DEVICE\", packet = \"INTERFACE\", \
                     xdp = \"INTERFACE\", memory = true, pcap = { in = \"FILE\" }",
                ),
        );
    };
    if let ("memory" | "pcap", Some(_)) = (key, &netns) {
        let message = format!("{} has no interface, and so no namespace", table.title);
        table.error("netns", message, "leave `netns` out");
    }
    if key == "pcap" {
        return table.read(key, captures);
    }
    if key == "memory" {
        let memory = table.read("memory", boolean)?;
        if !memory {
            table.error("memory", "`memory` is false", "write memory = true, or another kind");
        }
        return Some(PortKind::Memory);
    }
    let ifname = table.read(key, interface)?;
    Some(match key {
        "tap" => PortKind::Tap { ifname, netns },
        "packet" => PortKind::Packet { ifname, netns },
        _ => PortKind::Xdp {
            ifname,
            netns,
            mode: table.read("xdp_mode", |c, n| choice(c, n, &XDP_MODES)).unwrap_or_default(),
            busy_poll: table.read("busy_poll", boolean).unwrap_or(false),
        },
    })
}

/// Keys that mean nothing to another kind of port.
fn of_xdp_alone(table: &Section<'_, '_>, kind: Option<&PortKind>) {
    if !kind.is_some_and(|kind| !matches!(kind, PortKind::Xdp { .. })) {
        return;
    }
    for key in ["xdp_mode", "busy_poll"] {
        if table.get(key).is_some() {
            let message = format!("{} has no XDP sockets", table.title);
            table.error(key, message, format!("`{key}` goes with `xdp`"));
        }
    }
}

fn captures(ctx: &Ctx, node: &Node<'_>) -> Option<PortKind> {
    let table = Section::open(ctx, node, "`pcap`", &schema::PCAP)?;
    let input = table.read("in", text).map(PathBuf::from);
    let output = table.read("out", text).map(PathBuf::from);
    let paces = [("capture", CapturePace::Capture), ("none", CapturePace::Unpaced)];
    let pace = table.read("pace", |c, n| choice(c, n, &paces));
    if table.get("in").is_none() && table.get("out").is_none() {
        return ctx.report(
            Problem::error(node.span.clone(), "`pcap` names no capture")
                .help("write pcap = { in = \"FILE\", out = \"FILE\" }, or one of the two"),
        );
    }
    if pace.is_some() && table.get("in").is_none() {
        table.error("pace", "there is no capture to pace", "`pace` goes with `in`");
    }
    table.ok().then(|| PortKind::Pcap { input, output, pace: pace.unwrap_or_default() })
}

// As the kernel's dev_valid_name() has it.
fn interface(ctx: &Ctx, node: &Node<'_>) -> Option<String> {
    let text = text(ctx, node)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    if text.len() > MAX_IFNAME || text.chars().any(odd) || matches!(text, "." | "..") {
        return ctx.report(
            Problem::error(node.span.clone(), format!("{text:?} is no interface's name"))
                .help(format!("a name has 1 to {MAX_IFNAME} bytes, without white space, / and :")),
        );
    }
    Some(text.to_owned())
}

pub(super) fn cable<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Cable>> {
    let table = Section::open(ctx, node, "this cable", &schema::CABLE)?;
    let ends = table.need("ends", "ends = [\"PORT\", \"PORT\"]", |ctx, node| {
        let ends = list(ctx, node, |c, n| reference(c, n, &c.names.ports, PortName::new))?;
        <[PortName; 2]>::try_from(ends).ok().or_else(|| {
            ctx.report(
                Problem::error(node.span.clone(), "a cable has two ends")
                    .help("write ends = [\"PORT\", \"PORT\"]"),
            )
        })
    });
    if let Some([a, b]) = &ends
        && a == b
    {
        table.error("ends", format!("both ends are {a}"), "a cable joins two different ports");
    }
    table.entry(ends.map(|ends| Cable { ends }))
}
