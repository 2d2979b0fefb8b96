//! Virtual networks: address space, subnets, interfaces; their peerings and user-defined routes.

use std::collections::HashMap;

use ipnet::Ipv4Net;

use super::gateway::gateway;
use super::names::reference;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section};
use super::schema;
use super::value::{address, boolean, choice, mac, name, prefix4, some, string};
use crate::model::{
    GATEWAY_SUBNET, Gateway, MAX_SUBNET_LEN, Nic, NicName, NsgName, PortName, Subnet, SubnetName,
    Udr, UdrNextHop, VNet, VNetName, VNetPeering, overlap,
};

pub(super) fn vnet<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, VNet>> {
    let title = format!("vnet {}", node.name);
    let table = Section::open(ctx, node, title, &schema::VNET)?;
    let name = name(ctx, node, &node.name, VNetName::new);
    let region = table.need("region", "region = \"West Europe\"", string);
    let space =
        table.need("address_space", "address_space = [\"10.10.0.0/16\"]", |c, n| some(c, n, space));
    let gateway = table.read("gateway", gateway);
    let space_known = space.is_some();
    let space = space.unwrap_or_default();
    if space_known {
        check_space(&table, &space);
        check_gateway_subnet(&table, &space, gateway.as_ref());
    }
    let subnets = subnets(&table, &space, gateway.as_ref());
    let nics = nics(&table, &subnets, gateway.as_ref());
    let value = (|| {
        Some(VNet { name: name?, region: region?, address_space: space, subnets, nics, gateway })
    })();
    table.entry(value)
}

// The ranges that a virtual network cannot have.
fn space(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv4Net> {
    const REFUSED: [(&str, &str); 6] = [
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("168.63.129.16/32", "the host's own services"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "class E"),
    ];
    let net = prefix4(ctx, node)?;
    let refused = REFUSED
        .iter()
        .find(|(range, _)| range.parse::<Ipv4Net>().is_ok_and(|range| overlap(&range, &net)));
    if let Some((range, what)) = refused {
        return ctx.report(
            Problem::error(node.span.clone(), format!("{net} holds {range}: {what}"))
                .help("a virtual network has private or public unicast addresses"),
        );
    }
    Some(net)
}

fn check_space(table: &Section<'_, '_>, space: &[Ipv4Net]) {
    for ((at, net), item) in space.iter().enumerate().zip(table.node.at("address_space").items()) {
        if let Some(other) = space[..at].iter().find(|other| overlap(net, other)) {
            let problem = Problem::error(item.span, format!("{net} overlaps {other}"));
            table.ctx.report::<()>(problem.help("an address is in the address space once"));
        }
    }
}

fn check_gateway_subnet(table: &Section<'_, '_>, space: &[Ipv4Net], gateway: Option<&Gateway>) {
    let Some(gateway) = gateway else { return };
    if !space.iter().any(|range| range.contains(&gateway.subnet)) {
        outside_space(table, &table.node.at("gateway").at("subnet"), gateway.subnet, space);
    }
}

fn outside_space(table: &Section<'_, '_>, place: &Node<'_>, net: Ipv4Net, space: &[Ipv4Net]) {
    let space: Vec<String> = space.iter().map(Ipv4Net::to_string).collect();
    table.ctx.report::<()>(
        Problem::error(place.span.clone(), format!("{net} is outside {}", table.title))
            .help(format!("the address space is {}", space.join(", "))),
    );
}

fn subnets(table: &Section<'_, '_>, space: &[Ipv4Net], gateway: Option<&Gateway>) -> Vec<Subnet> {
    let Some(node) = table.get("subnets") else { return Vec::new() };
    if !node.value.is_table() {
        node.wrong_type::<()>(table.ctx, "a table of subnets");
    }
    let mut subnets: Vec<Subnet> = Vec::new();
    for entry in node.entries() {
        let Some(subnet) = subnet(table.ctx, &entry) else { continue };
        let place = entry.at("prefix");
        if !space.is_empty() && !space.iter().any(|range| range.contains(&subnet.prefix)) {
            outside_space(table, &place, subnet.prefix, space);
        }
        let taken = subnets.iter().map(|other| (other.prefix, other.name.to_string()));
        let taken = taken.chain(gateway.map(|own| (own.subnet, GATEWAY_SUBNET.to_owned())));
        for (prefix, name) in taken {
            if overlap(&prefix, &subnet.prefix) {
                let message = format!("{} overlaps {prefix} of {name}", subnet.prefix);
                let problem = Problem::error(place.span.clone(), message);
                table.ctx.report::<()>(problem.help("no two subnets share an address"));
            }
        }
        subnets.push(subnet);
    }
    subnets
}

fn subnet(ctx: &Ctx, node: &Node<'_>) -> Option<Subnet> {
    if node.name == GATEWAY_SUBNET {
        return ctx.report(
            Problem::error(node.span.clone(), "GatewaySubnet is the gateway's").help(
                "leave it out here, and write gateway = { type = \"ExpressRoute\", \
                 sku = \"ErGw3AZ\", subnet = \"10.10.255.0/27\" }",
            ),
        );
    }
    let title = format!("subnet {}", node.name);
    let table = Section::open(ctx, node, title, &schema::SUBNET)?;
    let name = name(ctx, node, &node.name, SubnetName::new);
    let prefix = table.need("prefix", "prefix = \"10.10.1.0/24\"", |ctx, node| {
        let prefix = prefix4(ctx, node)?;
        if prefix.prefix_len() > MAX_SUBNET_LEN {
            let message = format!("a subnet of /{} has no room for a VM", prefix.prefix_len());
            return ctx.report(
                Problem::error(node.span.clone(), message)
                    .help("a subnet is a /29 or larger: five addresses are the service's"),
            );
        }
        Some(prefix)
    });
    let port = table.read("port", |c, n| reference(c, n, &c.names.ports, PortName::new));
    let nsg = table.read("nsg", |c, n| reference(c, n, &c.names.nsgs, NsgName::new));
    let propagate = table.read("propagate_gateway_routes", boolean).unwrap_or(true);
    if !table.ok() {
        return None;
    }
    Some(Subnet {
        name: name?,
        prefix: prefix?,
        port,
        nsg,
        udrs: Vec::new(),
        propagate_gateway_routes: propagate,
    })
}

fn nics(table: &Section<'_, '_>, subnets: &[Subnet], gateway: Option<&Gateway>) -> Vec<Nic> {
    let Some(node) = table.get("nic") else { return Vec::new() };
    if !node.value.is_table() {
        node.wrong_type::<()>(table.ctx, "tables, as in [vnet.NAME.nic.NAME]");
    }
    // With a subnet in error its interfaces cannot be judged.
    let judged = table.ok();
    let mut taken = HashMap::new();
    let mut nics = Vec::new();
    for entry in node.entries() {
        let Some((name, ip, mac)) = nic(table.ctx, &entry) else { continue };
        if !judged {
            continue;
        }
        let place = entry.at("ip");
        if let Some(first) = taken.insert(ip, place.span.clone()) {
            table.ctx.report::<()>(
                Problem::error(place.span.clone(), format!("{ip} is taken"))
                    .label("the second interface")
                    .also(first, "the first")
                    .help("an address belongs to one interface"),
            );
        }
        let Some(subnet) = subnets.iter().find(|subnet| subnet.prefix.contains(&ip)) else {
            outside_subnets(table, &place, ip, subnets, gateway);
            continue;
        };
        if subnet.reserved(ip) {
            let message = format!("{ip} is one of the service's own in {}", subnet.prefix);
            table.ctx.report::<()>(
                Problem::error(place.span.clone(), message)
                    .help("the first four addresses of a subnet and the last are reserved"),
            );
        }
        nics.push(Nic { name, ip, subnet: subnet.name.clone(), mac });
    }
    nics
}

type NicParts = (NicName, std::net::Ipv4Addr, Option<crate::wire::eth::MacAddr>);

fn nic(ctx: &Ctx, node: &Node<'_>) -> Option<NicParts> {
    let title = format!("nic {}", node.name);
    let table = Section::open(ctx, node, title, &schema::NIC)?;
    let name = name(ctx, node, &node.name, NicName::new);
    let ip = table.need("ip", "ip = \"10.10.1.4\", in one of the subnets", address);
    let mac = table.read("mac", mac);
    Some((name?, ip?, mac))
}

fn outside_subnets(
    table: &Section<'_, '_>,
    place: &Node<'_>,
    ip: std::net::Ipv4Addr,
    subnets: &[Subnet],
    gateway: Option<&Gateway>,
) {
    let problem = if gateway.is_some_and(|gateway| gateway.subnet.contains(&ip)) {
        Problem::error(place.span.clone(), format!("{ip} is in GatewaySubnet"))
            .help("nothing but the gateway itself is in GatewaySubnet")
    } else {
        let known: Vec<String> =
            subnets.iter().map(|subnet| format!("{} ({})", subnet.prefix, subnet.name)).collect();
        Problem::error(place.span.clone(), format!("{ip} is in no subnet of {}", table.title))
            .help(format!("the subnets are: {}", known.join(", ")))
    };
    table.ctx.report::<()>(problem);
}

pub(super) fn vnet_peering<'a>(
    ctx: &Ctx,
    node: &Node<'a>,
    vnets: &[Entry<'_, VNet>],
) -> Option<Entry<'a, VNetPeering>> {
    let table = Section::open(ctx, node, "this vnet_peering", &schema::VNET_PEERING)?;
    let vnet = |c: &Ctx, n: &Node<'_>| reference(c, n, &c.names.vnets, VNetName::new);
    let a = table.need("a", "a = \"VNET\", the hub when a gateway is shared", vnet);
    let b = table.need("b", "b = \"VNET\", the spoke when a gateway is shared", vnet);
    let transit = table.read("allow_gateway_transit", boolean).unwrap_or(false);
    let remote = table.read("use_remote_gateways", boolean).unwrap_or(false);
    let global = table.read("global", boolean);
    let (a, b) = (a?, b?);
    let region = |name| vnets.iter().find(|own| own.value.name == name).map(|v| &v.value.region);
    let apart = match (region(a.clone()), region(b.clone())) {
        (Some(a), Some(b)) => Some(a != b),
        _ => None,
    };
    if let (Some(own), Some(apart)) = (global, apart)
        && own != apart
    {
        let regions = if apart { "different regions" } else { "one region" };
        let help = "a peering is global when the regions differ: leave `global` out";
        table.error("global", format!("{a} and {b} are in {regions}"), help);
    }
    let value = VNetPeering {
        a,
        b,
        allow_gateway_transit: transit,
        use_remote_gateways: remote,
        global: global.or(apart).unwrap_or(false),
    };
    table.entry(Some(value))
}

/// A user-defined route with the place it belongs to.
pub(super) struct UdrAt {
    pub(super) vnet: VNetName,
    pub(super) subnet: String,
    pub(super) udr: Udr,
}

pub(super) fn udr<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, UdrAt>> {
    #[derive(Clone, Copy)]
    enum Kind {
        Appliance,
        Gateway,
        Other(UdrNextHop),
    }
    let kinds = [
        ("VirtualAppliance", Kind::Appliance),
        ("VnetLocal", Kind::Other(UdrNextHop::VnetLocal)),
        ("Internet", Kind::Other(UdrNextHop::Internet)),
        ("None", Kind::Other(UdrNextHop::None)),
        ("VirtualNetworkGateway", Kind::Gateway),
    ];
    let table = Section::open(ctx, node, "this udr", &schema::UDR)?;
    let vnet = table
        .need("vnet", "vnet = \"NAME\"", |c, n| reference(c, n, &c.names.vnets, VNetName::new));
    let subnet = table.need("subnet", "subnet = \"NAME\", or \"GatewaySubnet\"", string);
    let prefix = table.need("prefix", "prefix = \"192.168.0.0/16\"", prefix4);
    let help = "next_hop = \"VirtualAppliance\", \"VnetLocal\", \"Internet\" or \"None\"";
    let kind = table.need("next_hop", help, |c, n| choice(c, n, &kinds));
    let next_hop = match kind {
        Some(Kind::Appliance) => table
            .need("next_hop_ip", "next_hop_ip = \"10.10.1.10\", the appliance's address", address)
            .map(UdrNextHop::VirtualAppliance),
        Some(Kind::Other(next_hop)) => {
            if table.get("next_hop_ip").is_some() {
                let help = "leave `next_hop_ip` out, or write next_hop = \"VirtualAppliance\"";
                table.error("next_hop_ip", "this next hop has no address", help);
            }
            Some(next_hop)
        }
        Some(Kind::Gateway) => {
            table.error(
                "next_hop",
                "an ExpressRoute gateway is no next hop of a user-defined route",
                "on-premises is reached by the gateway's own routes; \
                 the next hop is VirtualAppliance, VnetLocal, Internet or None",
            );
            None
        }
        None => None,
    };
    let value = (|| {
        let udr = Udr { prefix: prefix?, next_hop: next_hop? };
        Some(UdrAt { vnet: vnet?, subnet: subnet?, udr })
    })();
    table.entry(value)
}
