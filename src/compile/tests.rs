//! Which next hop each address has in each routing domain.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config;
use crate::flow::Tuple;
use crate::flow::rules::{Action, RuleDirection};
use crate::frame::DropReason;
use crate::ids::{AttachmentId, GatewayId, NeighbourId, RewriteId};
use crate::model::{StaticRoute, Udr, UdrNextHop};
use crate::neighbour::{NeighbourState, Word};
use crate::tables::{Attachment, NextHop, Role};

const LAB: &str = include_str!("../../docs/examples/lab.toml");
const FASTPATH: (&str, &str) = ("fastpath = true", "fastpath = false");

fn model(changes: &[(&str, &str)], more: &str) -> Model {
    let mut text = LAB.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands in the lab once");
        text = text.replacen(from, to, 1);
    }
    text += more;
    config::parse("lab.toml", &text).unwrap_or_else(|report| panic!("{report:?}")).model
}

fn compiled(changes: &[(&str, &str)], more: &str) -> Compiled {
    compile(&model(changes, more), 1).unwrap()
}

/// Where an address leads in a routing domain, in words.
fn leads(own: &Compiled, vrf: &str, address: &str) -> String {
    let index = own.vrfs.iter().position(|known| known.name == vrf);
    let index = index.unwrap_or_else(|| panic!("a domain {vrf} in {:?}", own.vrfs));
    let address: Ipv4Addr = address.parse().unwrap();
    let tables = &own.tables;
    let via = |id: NeighbourId| own.neighbours[id.index()].address.to_string();
    match tables.next_hop(tables.fibs[index].lookup(address.into())) {
        NextHop::Blackhole(reason) => reason.name().to_owned(),
        NextHop::Local => "local".to_owned(),
        NextHop::Connected(id) => format!("connected {}", tables.attachment(id).name),
        NextHop::Adjacency(_, id) => via(id),
        NextHop::Gateway(id) => format!("gateway {}", tables.gateway(id).name),
        NextHop::Paths(id) => {
            let best = &tables.path_group(id).tiers[0];
            let mut all: Vec<_> = best.iter().map(|(_, id)| via(*id)).collect();
            all.sort();
            all.join(" ")
        }
    }
}

const PRI: &str = "172.16.0.1";
const SEC: &str = "172.16.0.5";
const BOTH: &str = "172.16.0.1 172.16.0.5";

#[test]
fn each_domain_of_the_lab_leads_where_the_service_does() {
    let own = compiled(&[], "");
    for (vrf, address, want) in [
        ("contoso private", "10.10.1.4", "10.10.1.4"),
        ("contoso private", "10.10.1.5", "gateway hub"),
        ("contoso private", "10.20.1.4", "gateway hub"),
        ("contoso private", "10.30.0.1", "no_route"),
        ("contoso private", "192.168.1.1", "no_transit"),
        ("contoso private", "172.16.0.1", PRI),
        ("contoso private", "172.16.0.2", "local"),
        ("contoso private", "172.16.0.6", "local"),
        ("contoso private", "198.51.100.9", "no_route"),
        ("hub GatewaySubnet", "10.10.1.4", "10.10.1.4"),
        ("hub GatewaySubnet", "10.10.1.5", "connected hub workload"),
        ("hub GatewaySubnet", "10.20.1.4", "10.20.1.4"),
        ("hub GatewaySubnet", "10.10.2.1", "no_route"),
        ("hub GatewaySubnet", "192.168.1.1", "no_route"),
        ("hub workload", "10.10.1.1", "local"),
        ("hub workload", "10.20.1.4", "10.20.1.4"),
        ("hub workload", "192.168.1.1", BOTH),
        ("hub workload", "192.168.50.1", SEC),
        ("hub workload", "198.51.100.9", "no_route"),
        ("spoke apps", "10.10.1.4", "10.10.1.4"),
        ("spoke apps", "192.168.1.1", BOTH),
        ("spoke apps", "192.168.50.1", "10.10.1.10"),
        ("contoso microsoft", "198.51.100.9", "connected m365"),
        ("contoso microsoft", "198.51.100.1", "local"),
        ("contoso microsoft", "203.0.113.2", "local"),
        ("contoso microsoft", "203.0.113.70", "no_transit"),
        ("contoso microsoft", "10.10.1.4", "no_route"),
        ("microsoft core", "203.0.113.64", "203.0.113.1 203.0.113.5"),
        ("microsoft core", "203.0.113.1", "no_route"),
        ("microsoft core", "192.168.1.1", "no_route"),
    ] {
        assert_eq!(leads(&own, vrf, address), want, "{address} in {vrf}");
    }
}

#[test]
fn fastpath_has_entries_by_edition_and_direct() {
    let seed = compiled(&[("edition = \"today\"", "edition = \"seed\"")], "");
    assert_eq!(leads(&seed, "contoso private", "10.10.1.4"), "gateway hub");
    let off = compiled(&[FASTPATH], "");
    assert_eq!(leads(&off, "contoso private", "10.10.1.4"), "gateway hub");
}

const DIRECT: (&str, &str) = (
    "encapsulation    = \"QinQ\"\ns_tag            = 1001\n\
     links            = { primary = \"msee-pri\", secondary = \"msee-sec\" }",
    "direct = \"ams\"\ns_tag = 1001",
);
const PAIR: &str = "\n[direct.ams]\nspeed = \"10 Gbps\"\nencapsulation = \"QinQ\"\n\
     ports = { primary = \"msee-pri\", secondary = \"msee-sec\" }\n";

#[test]
fn on_a_direct_fastpath_reaches_spokes_and_follows_routes_of_the_gateway() {
    let udr = |prefix: &str| {
        format!(
            "{PAIR}\n[[udr]]\nvnet = \"hub\"\nsubnet = \"GatewaySubnet\"\nprefix = \"{prefix}\"\n\
             next_hop = \"VirtualAppliance\"\nnext_hop_ip = \"10.10.1.10\"\n"
        )
    };
    let own = compiled(&[DIRECT], PAIR);
    assert_eq!(leads(&own, "contoso private", "10.20.1.4"), "10.20.1.4");
    let own = compiled(&[DIRECT], &udr("10.20.1.0/24"));
    assert_eq!(leads(&own, "contoso private", "10.20.1.4"), "10.10.1.10");
    assert_eq!(leads(&own, "hub GatewaySubnet", "10.20.1.4"), "10.10.1.10");
    assert_eq!(leads(&own, "contoso private", "10.10.1.4"), "10.10.1.4");
    // A route that is less specific than the network itself holds nowhere in it.
    let own = compiled(&[DIRECT], &udr("10.20.0.0/15"));
    assert_eq!(leads(&own, "contoso private", "10.20.1.4"), "10.20.1.4");
    assert_eq!(leads(&own, "hub GatewaySubnet", "10.20.1.4"), "10.20.1.4");
}

#[test]
fn a_route_of_the_gateway_takes_a_providers_circuit_off_fastpath_for_what_it_covers() {
    let own = compiled(
        &[],
        "\n[[udr]]\nvnet = \"hub\"\nsubnet = \"GatewaySubnet\"\nprefix = \"10.10.1.4/32\"\n\
         next_hop = \"VirtualAppliance\"\nnext_hop_ip = \"10.10.1.10\"\n",
    );
    assert_eq!(leads(&own, "contoso private", "10.10.1.4"), "gateway hub");
    assert_eq!(leads(&own, "hub GatewaySubnet", "10.10.1.4"), "10.10.1.10");
    assert_eq!(leads(&own, "contoso private", "10.10.1.10"), "10.10.1.10", "on FastPath");
    assert_eq!(leads(&own, "hub workload", "10.10.1.4"), "10.10.1.4", "not the subnet's route");
}

#[test]
fn a_subnet_without_propagation_does_not_know_on_premises() {
    let own = compiled(
        &[(
            "prefix = \"10.20.1.0/24\", port = \"spoke\"",
            "prefix = \"10.20.1.0/24\", port = \"spoke\", propagate_gateway_routes = false",
        )],
        "",
    );
    assert_eq!(leads(&own, "spoke apps", "192.168.1.1"), "no_route");
    assert_eq!(leads(&own, "spoke apps", "192.168.50.1"), "10.10.1.10", "its own route stays");
    assert_eq!(leads(&own, "hub workload", "192.168.1.1"), BOTH);
}

#[test]
fn without_gateway_transit_a_spoke_is_unknown_to_on_premises() {
    let own = compiled(&[("allow_gateway_transit = true\nuse_remote_gateways   = true\n", "")], "");
    assert_eq!(leads(&own, "contoso private", "10.20.1.4"), "no_route");
    assert_eq!(leads(&own, "spoke apps", "192.168.1.1"), "no_route");
    assert_eq!(leads(&own, "spoke apps", "10.10.1.4"), "10.10.1.4", "peered all the same");
}

/// A second circuit on the same ports, connected to the hub.
fn second(weight: u16, as_path_len: u8) -> String {
    format!(
        "\n[circuit.fabrikam]\nsubscription = \"lab\"\nresource_group = \"network\"\n\
         provider = \"Lab Exchange\"\npeering_location = \"London\"\nbandwidth = \"1 Gbps\"\n\
         sku = \"Standard\"\nbilling = \"Metered\"\nencapsulation = \"QinQ\"\ns_tag = 1002\n\
         links = {{ primary = \"msee-pri\", secondary = \"msee-sec\" }}\n\
         [circuit.fabrikam.private]\nvlan = 200\npeer_asn = 65010\n\
         primary_subnet = \"172.16.1.0/30\"\nsecondary_subnet = \"172.16.1.4/30\"\n\
         [[connection]]\ncircuit = \"fabrikam\"\nvnet = \"hub\"\nweight = {weight}\n\
         [[route]]\ncircuit = \"fabrikam\"\npeering = \"private\"\nprefix = \"192.168.0.0/16\"\n\
         as_path_len = {as_path_len}\n"
    )
}

/// Where flows to an address go while the neighbours with these addresses do not answer.
fn without(own: &Compiled, vrf: &str, address: &str, dead: &[&str]) -> Option<String> {
    let tables = &own.tables;
    let index = own.vrfs.iter().position(|info| info.name == vrf).unwrap();
    let address: Ipv4Addr = address.parse().unwrap();
    let NextHop::Paths(group) = tables.next_hop(tables.fibs[index].lookup(address.into())) else {
        panic!("{address} has no paths");
    };
    for (at, spec) in own.neighbours.iter().enumerate() {
        let state = match dead.contains(&spec.address.to_string().as_str()) {
            true => NeighbourState::Down,
            false => NeighbourState::Reachable,
        };
        tables.words.store(NeighbourId::from_index(at), Word::new(MacAddr([2; 6]), state));
    }
    let chosen = (0..64).map(|flow: u32| {
        let hash = flow.wrapping_mul(0x9e37_79b9);
        let id = tables.path_group(group).choose(hash, &tables.words)?;
        Some(own.neighbours[tables.adjacency(id).1.index()].address.to_string())
    });
    let mut all: Vec<String> = chosen.collect::<Option<_>>()?;
    all.sort();
    all.dedup();
    Some(all.join(" "))
}

#[test]
fn dead_paths_count_as_withdrawn_routes() {
    // The site behind the secondary alone is covered by the prefix that both links carry.
    let own = compiled(&[], "");
    let site = |dead: &[&str]| without(&own, "hub workload", "192.168.50.1", dead);
    assert_eq!(site(&[]).as_deref(), Some(SEC), "the longest prefix while it lives");
    assert_eq!(site(&[SEC]).as_deref(), Some(PRI), "then the next shorter one");
    assert_eq!(site(&[SEC, PRI]), None);
    // A longer AS path, or a lower weight, is still a path.
    let second = compiled(&[], &second(1, 9));
    let far = |dead: &[&str]| without(&second, "hub workload", "192.168.1.1", dead);
    assert_eq!(far(&[]).as_deref(), Some(BOTH));
    assert!(far(&[PRI, SEC]).is_some(), "the other circuit takes over");
}

#[test]
fn weight_then_as_path_choose_and_what_is_equal_shares() {
    let towards = |weight, as_path_len| {
        leads(&compiled(&[], &second(weight, as_path_len)), "hub workload", "192.168.1.1")
    };
    let other = "172.16.1.1 172.16.1.5";
    assert_eq!(towards(100, 1), format!("{BOTH} {other}"), "four equal paths");
    assert_eq!(towards(101, 9), other, "weight before the AS path");
    assert_eq!(towards(99, 1), BOTH);
    assert_eq!(towards(100, 2), BOTH, "at equal weight the shorter path");
}

#[test]
fn a_gateway_learns_no_more_routes_than_its_sku() {
    let mut model = model(&[], "");
    model.routes.clear();
    let limit = model.vnets[0].gateway.as_ref().unwrap().sku.limits().routes;
    for n in 0..limit + 5 {
        let prefix = Ipv4Net::new(Ipv4Addr::from(0xc0a8_0000 + n * 2), 31).unwrap();
        let circuit = model.circuits[0].name.clone();
        let peering = PeeringKind::Private;
        model.routes.push(StaticRoute {
            circuit,
            peering,
            prefixes: vec![prefix],
            link: None,
            as_path_len: 1,
        });
    }
    let reachable = |own: &Compiled| {
        let vrf = own.vrfs.iter().position(|vrf| vrf.name == "hub workload").unwrap();
        let paths = |n: &u32| {
            let id = own.tables.fibs[vrf].lookup(0xc0a8_0000 + n * 2);
            matches!(own.tables.next_hop(id), NextHop::Paths(_))
        };
        (0..limit + 5).filter(paths).count()
    };
    let own = compile(&model, 1).unwrap();
    assert_eq!(reachable(&own), limit as usize);
    assert!(own.advice.iter().any(|text| text.contains("5 routes are left out")));
    model.service.limits = false;
    assert_eq!(reachable(&compile(&model, 1).unwrap()), limit as usize + 5);
}

#[test]
fn the_tag_virtual_network_means_peered_networks_and_on_premises_too() {
    let own = compiled(&[], "");
    let rules = own.tables.nsg(crate::ids::NsgId(0));
    let from = |src: &str| {
        let src: Ipv4Addr = src.parse().unwrap();
        let tuple = Tuple {
            src: src.into(),
            dst: u32::from(Ipv4Addr::new(10, 10, 1, 4)),
            sport: 1024,
            dport: 22,
            proto: 6,
        };
        rules.evaluate(RuleDirection::Inbound, &tuple).0
    };
    for (src, want) in [
        ("10.10.1.9", Action::Allow),
        ("10.20.1.4", Action::Allow),
        ("192.168.1.1", Action::Allow),
        ("192.168.66.1", Action::Deny),
        ("172.16.0.1", Action::Deny),
        ("8.8.8.8", Action::Deny),
    ] {
        assert_eq!(from(src), want, "{src}");
    }
}

#[test]
fn two_owners_of_one_tag_stack_are_refused() {
    let mut model = model(&[], "");
    let spoke = model.vnets[1].subnets[0].port.clone();
    model.vnets[0].subnets[0].port = spoke;
    let errors = compile(&model, 1).unwrap_err().errors;
    assert!(errors[0].contains("something else has these tags there"), "{errors:?}");
}

// Look-ups against Azure's rules, applied one by one.

/// A route of a subnet, as Azure lists effective routes.
#[derive(Clone, Copy, Debug)]
struct Listed {
    prefix: Ipv4Net,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Bgp,
    User(UdrNextHop),
}

impl Source {
    /// On a tie: user-defined, then BGP, then system.
    fn rank(self) -> u8 {
        match self {
            Source::System => 0,
            Source::Bgp => 1,
            Source::User(_) => 2,
        }
    }
}

/// The route that holds for an address.
fn chosen(routes: &[Listed], address: Ipv4Addr) -> Option<Listed> {
    let system = |prefix: &Ipv4Net| {
        let mut own = routes.iter().filter(|own| matches!(own.source, Source::System));
        own.any(|own| own.prefix.contains(prefix))
    };
    let covering = routes.iter().filter(|own| own.prefix.contains(&address));
    // Routes of the network and of peered ones are preferred even to more specific BGP.
    let covering =
        covering.filter(|own| !matches!(own.source, Source::Bgp) || !system(&own.prefix));
    covering.max_by_key(|own| (own.prefix.prefix_len(), own.source.rank())).copied()
}

/// What an address of the system's routes, or of a user's VnetLocal, is in the networks at hand.
fn in_network(model: &Model, address: Ipv4Addr) -> String {
    for vnet in &model.vnets {
        if let Some(subnet) = vnet.subnets.iter().find(|own| own.prefix.contains(&address)) {
            return match vnet.nic_at(address) {
                Some(_) => address.to_string(),
                None => format!("connected {} {}", vnet.name, subnet.name),
            };
        }
    }
    "no_route".to_owned()
}

fn want(model: &Model, routes: &[Listed], address: Ipv4Addr) -> String {
    let routers = model.vnets.iter().flat_map(|vnet| &vnet.subnets).map(|own| own.router());
    if routers.into_iter().any(|router| router == address) {
        return "local".to_owned();
    }
    match chosen(routes, address).map(|own| own.source) {
        None | Some(Source::User(UdrNextHop::Internet)) => "no_route".to_owned(),
        Some(Source::System | Source::User(UdrNextHop::VnetLocal)) => in_network(model, address),
        Some(Source::Bgp) => BOTH.to_owned(),
        Some(Source::User(UdrNextHop::None)) => DropReason::Blackhole.name().to_owned(),
        Some(Source::User(UdrNextHop::VirtualAppliance(via))) => via.to_string(),
    }
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    let base = prop::sample::select(vec![
        [10, 10, 0, 0],
        [10, 10, 1, 0],
        [10, 10, 1, 4],
        [10, 20, 0, 0],
        [10, 20, 1, 4],
        [192, 168, 0, 0],
        [192, 168, 50, 9],
        [0, 0, 0, 0],
    ]);
    let len = prop::sample::select(vec![0, 8, 12, 15, 16, 17, 23, 24, 25, 29, 32]);
    (base, len).prop_map(|(base, len)| Ipv4Net::new(base.into(), len).unwrap().trunc())
}

fn next_hop() -> impl Strategy<Value = UdrNextHop> {
    prop_oneof![
        Just(UdrNextHop::VirtualAppliance(Ipv4Addr::new(10, 10, 1, 10))),
        Just(UdrNextHop::VnetLocal),
        Just(UdrNextHop::Internet),
        Just(UdrNextHop::None),
    ]
}

fn udrs() -> impl Strategy<Value = BTreeMap<Ipv4Net, UdrNextHop>> {
    prop::collection::btree_map(prefix(), next_hop(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_subnet_follows_azures_rules(
        bgp in prop::collection::btree_set(prefix(), 0..6),
        hub in udrs(),
        spoke in udrs(),
        gateway in udrs(),
    ) {
        let mut model = model(&[FASTPATH], "");
        let circuit = model.circuits[0].name.clone();
        model.routes = vec![StaticRoute {
            circuit,
            peering: PeeringKind::Private,
            prefixes: bgp.iter().copied().collect(),
            link: None,
            as_path_len: 1,
        }];
        let udrs = |own: &BTreeMap<Ipv4Net, UdrNextHop>| -> Vec<Udr> {
            own.iter().map(|(prefix, next_hop)| Udr { prefix: *prefix, next_hop: *next_hop }).collect()
        };
        model.vnets[0].subnets[0].udrs = udrs(&hub);
        model.vnets[1].subnets[0].udrs = udrs(&spoke);
        model.vnets[0].gateway.as_mut().unwrap().udrs = udrs(&gateway);
        let own = compile(&model, 1).unwrap();

        let system = model.vnets.iter().flat_map(|vnet| &vnet.address_space);
        let system: Vec<_> =
            system.map(|prefix| Listed { prefix: *prefix, source: Source::System }).collect();
        for (vrf, user, learns) in [
            ("hub workload", &hub, true),
            ("spoke apps", &spoke, true),
            ("hub GatewaySubnet", &gateway, false),
        ] {
            let mut routes = system.clone();
            if learns {
                routes.extend(bgp.iter().map(|prefix| Listed { prefix: *prefix, source: Source::Bgp }));
            }
            routes.extend(user.iter().map(|(prefix, next_hop)| Listed {
                prefix: *prefix,
                source: Source::User(*next_hop),
            }));
            let edges = routes.iter().flat_map(|own| {
                let (first, last) = (u32::from(own.prefix.network()), u32::from(own.prefix.broadcast()));
                [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
            });
            let known = [[10, 10, 1, 1], [10, 10, 1, 4], [10, 10, 1, 77], [10, 20, 1, 4], [10, 20, 9, 9]];
            let probes = edges.map(Ipv4Addr::from).chain(known.map(Ipv4Addr::from));
            for address in probes {
                prop_assert_eq!(
                    leads(&own, vrf, &address.to_string()),
                    want(&model, &routes, address),
                    "{} in {} of {:?}", address, vrf, routes
                );
            }
        }
    }
}

/// The next hops of an address, with the counters that its packets are counted by.
fn adjacency(own: &Compiled, vrf: &str, address: &str) -> (RewriteId, Option<GatewayId>) {
    let index = own.vrfs.iter().position(|known| known.name == vrf).unwrap();
    let address: Ipv4Addr = address.parse().unwrap();
    match own.tables.next_hop(own.tables.fibs[index].lookup(address.into())) {
        NextHop::Adjacency(rewrite, _) => {
            (rewrite, own.tables.rewrite(rewrite).exit.counted().gateway())
        }
        other => panic!("{address} leads to {other:?}"),
    }
}

#[test]
fn vms_of_a_subnet_that_fastpath_leads_to_share_a_rewrite() {
    let own = compiled(&[], "");
    let private = "contoso private";
    let first = adjacency(&own, private, "10.10.1.4");
    assert_eq!(adjacency(&own, private, "10.10.1.10"), first);
    assert!(first.1.is_some(), "they count as past the gateway");
    let (plain, past) = (&own.tables.rewrites, own.tables.rewrite(first.0));
    let plain = &plain[RewriteId::of(past.attachment).index()];
    assert_eq!((plain.header, plain.nsg, plain.mtu), (past.header, past.nsg, past.mtu));
    assert_eq!(plain.exit.counted().gateway(), None);
    // Without FastPath nobody leads past the gateway.
    let without = compiled(&[("fastpath = true", "fastpath = false")], "");
    assert_eq!(without.tables.rewrites.len(), without.tables.attachments.len());
    assert_eq!(own.tables.rewrites.len(), own.tables.attachments.len() + 1, "that of the hub");
}

#[test]
fn neighbours_that_are_found_get_next_hops_behind_those_that_are_known() {
    let own = compiled(&[], "");
    let service = |(_, own): &(usize, &Attachment)| matches!(own.role, Role::Service(_));
    let at = own.tables.attachments.iter().enumerate().find(service).unwrap().0;
    let at = AttachmentId::from_index(at);
    let before = own.tables.clone();
    let mut tables = own.tables;
    tables.glean([((at, 1), NeighbourId(900))]);
    tables.glean([((at, 2), NeighbourId(901))]);
    assert_eq!(tables.next_hops[..before.next_hops.len()], before.next_hops[..]);
    assert!(before.gleaned.is_empty());
    for (address, neighbour) in [(1, NeighbourId(900)), (2, NeighbourId(901))] {
        let (rewrite, found) = tables.adjacency(tables.gleaned[&(at, address)]);
        assert_eq!((rewrite.attachment, found), (at, neighbour));
    }
}
