//! The gateway of a virtual network.

use ipnet::Ipv4Net;

use super::problem::Problem;
use super::read::{Ctx, Node, Section};
use super::schema;
use super::value::{choice, integer, prefix4, text};
use crate::model::{
    Gateway, GatewayIcmp, GatewaySku, MAX_GATEWAY_SUBNET_LEN, MAX_INSTANCES, MAX_SCALE_UNITS,
};

pub(super) fn gateway(ctx: &Ctx, node: &Node<'_>) -> Option<Gateway> {
    let table = Section::open(ctx, node, "this gateway", &schema::GATEWAY)?;
    table.need("type", "type = \"ExpressRoute\"", kind);
    let sku = sku(&table);
    let subnet = table.need("subnet", "subnet = \"10.10.255.0/27\", GatewaySubnet", subnet);
    let answers = [("answer", GatewayIcmp::Answer), ("silent", GatewayIcmp::Silent)];
    let icmp = table.read("icmp", |c, n| choice(c, n, &answers)).unwrap_or_default();
    let instances = table.read("instances", |c, n| integer(c, n, 2..=MAX_INSTANCES)).unwrap_or(2);
    if !table.ok() {
        return None;
    }
    Some(Gateway { sku: sku?, subnet: subnet?, icmp, instances, udrs: Vec::new() })
}

fn kind(ctx: &Ctx, node: &Node<'_>) -> Option<()> {
    let help = match text(ctx, node)? {
        "ExpressRoute" => return Some(()),
        "Vpn" => "a VPN gateway does not reach a circuit's private peering: use \"ExpressRoute\"",
        _ => "`type` is \"ExpressRoute\"",
    };
    let message = format!("`type` = \"{}\"", node.value.as_str().unwrap_or_default());
    ctx.report(Problem::error(node.span.clone(), message).label("not supported").help(help))
}

fn sku(table: &Section<'_, '_>) -> Option<GatewaySku> {
    // The scalable SKU's units are another key; 1 stands for them until it is read.
    let skus = [
        ("Standard", GatewaySku::Standard),
        ("HighPerformance", GatewaySku::HighPerformance),
        ("UltraPerformance", GatewaySku::UltraPerformance),
        ("ErGw1AZ", GatewaySku::ErGw1Az),
        ("ErGw2AZ", GatewaySku::ErGw2Az),
        ("ErGw3AZ", GatewaySku::ErGw3Az),
        ("ErGwScale", GatewaySku::ErGwScale(1)),
    ];
    let sku = table.need("sku", "sku = \"ErGw3AZ\"", |c, n| choice(c, n, &skus));
    let units = |c: &Ctx, n: &Node<'_>| integer(c, n, 1..=MAX_SCALE_UNITS);
    match sku? {
        GatewaySku::ErGwScale(_) => {
            let help = format!("units = 1 to {MAX_SCALE_UNITS}, of 1 Gbit/s each");
            table.need("units", &help, units).map(GatewaySku::ErGwScale)
        }
        sku => {
            if table.get("units").is_some() {
                let help = "leave `units` out, or write sku = \"ErGwScale\"";
                table.error("units", format!("{sku} has no units"), help);
            }
            Some(sku)
        }
    }
}

fn subnet(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv4Net> {
    let net = prefix4(ctx, node)?;
    if net.prefix_len() > MAX_GATEWAY_SUBNET_LEN {
        let message = format!("GatewaySubnet is a /{}", net.prefix_len());
        return ctx.report(
            Problem::error(node.span.clone(), message)
                .label("too small")
                .help(format!("it is a /{MAX_GATEWAY_SUBNET_LEN} or larger")),
        );
    }
    Some(net)
}
