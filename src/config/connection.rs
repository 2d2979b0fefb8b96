//! Connections, services behind the Microsoft peering, and static routes.

use ipnet::Ipv4Net;

use super::names::reference;
use super::peering::public;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section};
use super::schema;
use super::value::{address, boolean, choice, integer, name, prefix4, some};
use crate::ids::{Link, PeeringKind};
use crate::model::limits::MAX_WEIGHT;
use crate::model::{
    CircuitName, Connection, PortName, ServiceEndpoint, ServiceName, StaticRoute, VNetName,
    not_public,
};

pub(super) fn connection<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Connection>> {
    let table = Section::open(ctx, node, "this connection", &schema::CONNECTION)?;
    let circuit = table.need("circuit", "circuit = \"NAME\"", |c, n| {
        reference(c, n, &c.names.circuits, CircuitName::new)
    });
    let vnet = table
        .need("vnet", "vnet = \"NAME\"", |c, n| reference(c, n, &c.names.vnets, VNetName::new));
    let weight = table.read("weight", |c, n| integer(c, n, 0..=MAX_WEIGHT)).unwrap_or(0);
    let fastpath = table.read("fastpath", boolean).unwrap_or(false);
    let value = (|| Some(Connection { circuit: circuit?, vnet: vnet?, weight, fastpath }))();
    table.entry(value)
}

pub(super) fn service_endpoint<'a>(
    ctx: &Ctx,
    node: &Node<'a>,
) -> Option<Entry<'a, ServiceEndpoint>> {
    let title = format!("service_endpoint {}", node.name);
    let table = Section::open(ctx, node, title, &schema::SERVICE_ENDPOINT)?;
    let name = name(ctx, node, &node.name, ServiceName::new);
    let prefix = table.need("prefix", "prefix = \"198.51.100.0/24\"", public);
    let router = table.need("router", "router = \"198.51.100.1\", in the prefix", address);
    let port = table
        .need("port", "port = \"PORT\"", |c, n| reference(c, n, &c.names.ports, PortName::new));
    if let (Some(prefix), Some(router)) = (prefix, router)
        && (!prefix.contains(&router)
            || prefix.prefix_len() < 31
                && (router == prefix.network() || router == prefix.broadcast()))
    {
        let help = "the router has a host's address of the prefix; servers use it as their gateway";
        table.error("router", format!("{router} is no host of {prefix}"), help);
    }
    let value =
        (|| Some(ServiceEndpoint { name: name?, prefix: prefix?, router: router?, port: port? }))();
    table.entry(value)
}

pub(super) fn route<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, StaticRoute>> {
    let table = Section::open(ctx, node, "this route", &schema::ROUTE)?;
    let peerings = [("private", PeeringKind::Private), ("microsoft", PeeringKind::Microsoft)];
    let links = [("primary", Link::Primary), ("secondary", Link::Secondary)];
    let circuit = table.need("circuit", "circuit = \"NAME\"", |c, n| {
        reference(c, n, &c.names.circuits, CircuitName::new)
    });
    let peering = table
        .need("peering", "peering = \"private\" or \"microsoft\"", |c, n| choice(c, n, &peerings));
    let read = |c: &Ctx, n: &Node<'_>| on_premises(c, n, peering);
    let prefixes = match table.get("prefixes") {
        Some(both) if table.get("prefix").is_some() => {
            let problem = Problem::error(both.span, "`prefix` and `prefixes` in one route");
            ctx.report(problem.help("`prefix` is for one, `prefixes` for a list: keep one of them"))
        }
        Some(list) => some(ctx, &list, read),
        None => table
            .need("prefix", "prefix = \"192.168.0.0/16\", of on-premises", read)
            .map(|one| vec![one]),
    };
    let link = table.read("link", |c, n| choice(c, n, &links));
    let as_path_len = table.read("as_path_len", |c, n| integer(c, n, 1..=u8::MAX)).unwrap_or(1);
    let value = (|| {
        Some(StaticRoute {
            circuit: circuit?,
            peering: peering?,
            prefixes: prefixes?,
            link,
            as_path_len,
        })
    })();
    table.entry(value)
}

/// A prefix of on-premises, which a Microsoft peering takes when it is public.
fn on_premises(ctx: &Ctx, node: &Node<'_>, peering: Option<PeeringKind>) -> Option<Ipv4Net> {
    let prefix = prefix4(ctx, node)?;
    if peering != Some(PeeringKind::Microsoft) {
        return Some(prefix);
    }
    let Some(why) = not_public(&prefix) else { return Some(prefix) };
    ctx.report(
        Problem::error(node.span.clone(), format!("{prefix} is not public: {why}"))
            .help("the Microsoft peering takes public prefixes, and no default route"),
    )
}
