//! Peerings of a circuit.

use ipnet::{Ipv4Net, Ipv6Net};

use super::problem::Problem;
use super::read::{Ctx, Node, Section};
use super::schema;
use super::value::{choice, integer, prefix4, prefix6, some, text, vlan};
use crate::ids::PeeringKind;
use crate::model::{
    Asn, LinkSubnet, MAX_SHARED_KEY, MicrosoftPeering, Peering, PerLink, RoutingRegistry,
    SharedKey, Subnets4, Subnets6, documentation, halves4, halves6, not_public,
};

pub(super) fn peering(
    ctx: &Ctx,
    node: &Node<'_>,
    circuit: &str,
    kind: PeeringKind,
) -> Option<Peering> {
    let keys = match kind {
        PeeringKind::Private => &schema::PRIVATE,
        PeeringKind::Microsoft => &schema::MICROSOFT,
    };
    let title = format!("the {kind} peering of {circuit}");
    let table = Section::open(ctx, node, title, keys)?;
    let states = [("Enabled", true), ("Disabled", false)];
    let enabled = table.read("state", |c, n| choice(c, n, &states)).unwrap_or(true);
    let vlan = table.need("vlan", "vlan = 200, the C-tag on both links", vlan);
    let peer_asn = table.need("peer_asn", "peer_asn = 65010, the customer's AS", asn);
    let subnets = subnets(&table, kind);
    let subnets6 = subnets6(&table);
    let shared_key = table.read("shared_key", shared_key);
    let microsoft = match kind {
        PeeringKind::Private => None,
        PeeringKind::Microsoft => microsoft(&table, peer_asn),
    };
    if !table.ok() {
        return None;
    }
    Some(Peering {
        kind,
        enabled,
        vlan: vlan?,
        peer_asn: peer_asn?,
        subnets: subnets?,
        subnets6,
        shared_key,
        microsoft,
    })
}

fn asn(ctx: &Ctx, node: &Node<'_>) -> Option<Asn> {
    let asn = Asn(integer(ctx, node, 0..=u32::MAX)?);
    if let Some(why) = asn.forbidden() {
        return ctx.report(
            Problem::error(node.span.clone(), format!("`{}` cannot be {asn}: {why}", node.name))
                .label("not a customer's AS")
                .help("use a public AS, or a private one such as 65010"),
        );
    }
    if asn.is_documentation() {
        let message = format!("AS {asn} is reserved for documentation (RFC 5398)");
        ctx.report::<()>(
            Problem::advice(node.span.clone(), message)
                .help("it works here; the service does not accept it"),
        );
    }
    Some(asn)
}

fn shared_key(ctx: &Ctx, node: &Node<'_>) -> Option<SharedKey> {
    let key = SharedKey::new(text(ctx, node)?);
    key.or_else(|| {
        ctx.report(Problem::error(node.span.clone(), "this is no shared key").help(format!(
            "a shared key has 1 to {MAX_SHARED_KEY} letters and digits, nothing else"
        )))
    })
}

const SUBNET_HELP: &str = "primary_subnet and secondary_subnet (a /30 each), or one subnet (a /29)";

// The IPv4 subnets of the links, by either way of writing them.
fn subnets(table: &Section<'_, '_>, kind: PeeringKind) -> Option<Subnets4> {
    let pair = if let Some(node) = table.get("subnet") {
        refuse_both(table, ["subnet", "primary_subnet", "secondary_subnet"]);
        let net = public_if(table.ctx, &node, kind)?;
        halves4(net).or_else(|| {
            table.error("subnet", format!("{net} is no /29"), format!("give {SUBNET_HELP}"));
            None
        })?
    } else {
        let read = |key| table.need(key, SUBNET_HELP, |c, n| link_subnet(c, n, kind));
        let (primary, secondary) = (read("primary_subnet"), read("secondary_subnet"));
        PerLink { primary: primary?, secondary: secondary? }
    };
    let (a, b) = (pair.primary.net(), pair.secondary.net());
    if a.contains(&b) || b.contains(&a) {
        let message = format!("the links' subnets {a} and {b} overlap");
        table.error("secondary_subnet", message, "each link has a /30 of its own");
        return None;
    }
    Some(pair)
}

fn refuse_both(table: &Section<'_, '_>, [whole, primary, secondary]: [&str; 3]) {
    for key in [primary, secondary] {
        if table.get(key).is_some() {
            let message = format!("`{key}` beside `{whole}`");
            table.error(
                key,
                message,
                format!("keep `{whole}`, or both `{primary}` and `{secondary}`"),
            );
        }
    }
}

fn link_subnet(ctx: &Ctx, node: &Node<'_>, kind: PeeringKind) -> Option<LinkSubnet<Ipv4Net>> {
    let net = public_if(ctx, node, kind)?;
    match net.prefix_len() {
        30 => LinkSubnet::<Ipv4Net>::new(net),
        // The older text speaks of two /29 subnets.
        29 if ctx.seed() => {
            ctx.report::<()>(
                Problem::advice(node.span.clone(), format!("`{}` is a /29", node.name)).help(
                    "the seed edition's text allows two /29 subnets; today it is a /30 for each \
                     link, or one /29 for both under `subnet`",
                ),
            );
            LinkSubnet::<Ipv4Net>::new(net)
        }
        len => ctx.report(
            Problem::error(node.span.clone(), format!("`{}` is a /{len}", node.name))
                .label("expected a /30")
                .help(format!("give {SUBNET_HELP}")),
        ),
    }
}

// The prefix; on the Microsoft peering it has to be public.
fn public_if(ctx: &Ctx, node: &Node<'_>, kind: PeeringKind) -> Option<Ipv4Net> {
    match kind {
        PeeringKind::Private => prefix4(ctx, node),
        PeeringKind::Microsoft => public(ctx, node),
    }
}

/// A public prefix; documentation ranges are public with a note.
pub(super) fn public(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv4Net> {
    let net = prefix4(ctx, node)?;
    if let Some(why) = not_public(&net) {
        return ctx.report(
            Problem::error(node.span.clone(), format!("{net} is not public: {why}"))
                .label("expected public addresses")
                .help("the Microsoft peering takes public addresses that the customer owns"),
        );
    }
    if let Some(what) = documentation(&net) {
        ctx.report::<()>(
            Problem::advice(node.span.clone(), format!("{net} is for {what}"))
                .label("counts as public here")
                .help("fit for a lab; the service asks for addresses that the customer owns"),
        );
    }
    Some(net)
}

fn subnets6(table: &Section<'_, '_>) -> Option<Subnets6> {
    const HELP: &str =
        "primary_subnet_v6 and secondary_subnet_v6 (a /126 each), or one subnet_v6 (a /125)";
    let [whole, first, second] = ["subnet_v6", "primary_subnet_v6", "secondary_subnet_v6"];
    let place = [whole, first, second].into_iter().find_map(|key| table.get(key))?;
    let pair = if let Some(node) = table.get(whole) {
        refuse_both(table, [whole, first, second]);
        let net = prefix6(table.ctx, &node)?;
        halves6(net).or_else(|| {
            table.error(whole, format!("{net} is no /125"), format!("give {HELP}"));
            None
        })?
    } else {
        let read = |key| table.need(key, HELP, link_subnet6);
        let (primary, secondary) = (read(first), read(second));
        PerLink { primary: primary?, secondary: secondary? }
    };
    if pair.primary == pair.secondary {
        table.error(second, "both links have the same subnet", "each link has a /126 of its own");
        return None;
    }
    table.ctx.report::<()>(
        Problem::warning(place.span, "IPv6 crosses the provider's side alone in this build")
            .help("the edges drop it by name: ip6_not_forwarded"),
    );
    Some(pair)
}

fn link_subnet6(ctx: &Ctx, node: &Node<'_>) -> Option<LinkSubnet<Ipv6Net>> {
    let net = prefix6(ctx, node)?;
    LinkSubnet::<Ipv6Net>::new(net).or_else(|| {
        let message = format!("`{}` is a /{}", node.name, net.prefix_len());
        ctx.report(Problem::error(node.span.clone(), message).label("expected a /126"))
    })
}

fn microsoft(table: &Section<'_, '_>, peer_asn: Option<Asn>) -> Option<MicrosoftPeering> {
    let registries = [
        ("ARIN", RoutingRegistry::Arin),
        ("APNIC", RoutingRegistry::Apnic),
        ("AFRINIC", RoutingRegistry::Afrinic),
        ("LACNIC", RoutingRegistry::Lacnic),
        ("RIPENCC", RoutingRegistry::RipeNcc),
        ("RADB", RoutingRegistry::Radb),
        ("ALTDB", RoutingRegistry::Altdb),
        ("LEVEL3", RoutingRegistry::Level3),
    ];
    let routing_registry = table.read("routing_registry", |c, n| choice(c, n, &registries));
    let customer_asn = table.read("customer_asn", asn);
    if customer_asn.is_some_and(Asn::is_private) {
        let help = "give the public AS in which the prefixes are registered, or leave it out";
        table.error("customer_asn", "`customer_asn` is a private AS", help);
    }
    if peer_asn.is_some_and(Asn::is_private) && customer_asn.is_none() {
        table.ctx.report::<()>(
            Problem::advice(table.node.at("peer_asn").span, "`peer_asn` is a private AS").help(
                "it works here; the service validates such a peering by hand, or by a public \
                 `customer_asn`",
            ),
        );
    }
    let help = "advertised_public_prefixes = [\"203.0.113.64/26\"]: sources outside are dropped";
    let prefixes = table.need("advertised_public_prefixes", help, |c, n| some(c, n, public));
    Some(MicrosoftPeering { advertised_public_prefixes: prefixes?, customer_asn, routing_registry })
}
