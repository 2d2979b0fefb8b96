//! What an accepted text means.

use std::net::Ipv4Addr;

use super::{LAB, TWO, accepted, lab_with};
use crate::ids::{Link, PeeringKind};
use crate::model::{
    Bandwidth, CapturePace, Encapsulation, FallbackReason, GatewaySku, NatPooling, NsgAddress,
    NsgDirection, PortKind, Role, UdrNextHop, XdpMode,
};
use crate::time::Span;
use crate::wire::vlan::TagStack;

#[test]
fn the_lab_says_what_it_says() {
    let model = accepted(LAB).model;
    assert_eq!(model.ports.len(), 9);
    let names: Vec<&str> = model.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names[..3], ["ce-1", "ce-2", "pe-pri"], "the order of the file is kept");
    assert_eq!(model.ports[0].kind, PortKind::Tap { ifname: "tw-ce-1".into(), netns: None });

    let circuit = &model.circuits[0];
    assert_eq!(circuit.bandwidth, Bandwidth::gbps(1));
    assert_eq!(circuit.encapsulation, Encapsulation::QinQ);
    let private = circuit.private.as_ref().unwrap();
    assert_eq!(circuit.link_tags(private), TagStack::double(1001, 200));
    assert_eq!(private.customer(Link::Secondary), Ipv4Addr::new(172, 16, 0, 5));
    let microsoft = circuit.microsoft.as_ref().unwrap();
    assert_eq!(microsoft.edge(Link::Secondary), Ipv4Addr::new(203, 0, 113, 6));

    let nat = model.providers[0].nat.as_ref().unwrap();
    assert_eq!(nat.icmp_source, Ipv4Addr::new(203, 0, 113, 64), "the first of the pool");
    assert_eq!(nat.timeouts.udp, Span::secs(300));
    let outside: Vec<String> = nat.outside().iter().map(ToString::to_string).collect();
    assert_eq!(outside, ["203.0.113.64/28", "203.0.113.80/32", "203.0.113.81/32"]);
    let access = model.providers[0].access(PeeringKind::Microsoft).unwrap();
    assert_eq!(access.primary.as_ref().unwrap().tags, TagStack::single(300));

    let hub = &model.vnets[0];
    assert_eq!(hub.gateway.as_ref().unwrap().sku, GatewaySku::ErGw3Az);
    assert_eq!(hub.nics[1].subnet.as_str(), "workload");
    let spoke = &model.vnets[1].subnets[0];
    let firewall = Ipv4Addr::new(10, 10, 1, 10);
    assert_eq!(spoke.udrs[0].next_hop, UdrNextHop::VirtualAppliance(firewall));
    assert_eq!(model.gateway_vnet(&model.vnets[1].name), Some(hub), "lent by the hub");

    let rules = model.nsgs[0].evaluation(NsgDirection::Inbound);
    assert_eq!(rules.len(), 5);
    assert_eq!(rules[0].destination_ports[2].last, 8099);
    assert_eq!(rules[1].sources[1], NsgAddress::Prefix("192.168.67.0/24".parse().unwrap()));
}

#[test]
fn a_nat_is_paired_unless_the_file_says_otherwise() {
    let pooling = |text: &str| accepted(text).model.providers[0].nat.as_ref().unwrap().pooling;
    assert_eq!(pooling(LAB), NatPooling::Paired, "RFC 6888 REQ-2");
    let timeouts = "timeouts = { udp = 300, icmp = 60 }";
    for (word, own) in [("paired", NatPooling::Paired), ("soft-paired", NatPooling::SoftPaired)] {
        assert_eq!(pooling(&lab_with(timeouts, &format!("pooling = \"{word}\""))), own);
    }
}

#[test]
fn ports_that_carry_two_tags_are_wider() {
    let model = accepted(LAB).model;
    let mtu = |name: &str| model.ports.iter().find(|p| p.name.as_str() == name).unwrap().mtu;
    assert_eq!([mtu("ce-1"), mtu("pe-pri"), mtu("msee-sec"), mtu("hub")], [1500, 1504, 1504, 1500]);
}

#[test]
fn fastpath_has_the_hubs_addresses_and_says_that_the_spokes_take_the_gateway() {
    let loaded = accepted(LAB);
    let plans = loaded.model.fastpath();
    let addresses: Vec<String> = plans[0].entries.iter().map(|e| e.address.to_string()).collect();
    assert_eq!(addresses, ["10.10.1.4", "10.10.1.10"]);
    assert_eq!(plans[0].fallbacks[0].reason, FallbackReason::PeeredVnet);
    assert!(loaded.advice.iter().any(|p| p.message().contains("1 address of vnet spoke")));
}

#[test]
fn a_route_on_gatewaysubnet_takes_a_providers_circuit_off_fastpath() {
    let text = format!(
        "{LAB}\n[[udr]]\nvnet = \"hub\"\nsubnet = \"GatewaySubnet\"\nprefix = \"10.10.1.4/32\"\n\
         next_hop = \"VirtualAppliance\"\nnext_hop_ip = \"10.10.1.10\"\n"
    );
    let plans = accepted(&text).model.fastpath();
    assert_eq!(plans[0].entries.len(), 1);
    assert_eq!(plans[0].fallbacks[0].reason, FallbackReason::GatewayRoute);
}

#[test]
fn addresses_beyond_a_circuits_25_000_take_the_gateway() {
    let mut text = LAB.replace("prefix = \"10.10.1.0/24\"", "prefix = \"10.10.0.0/17\"");
    for n in 0..25_000_u32 {
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 10, 16, 0)) + n);
        text += &format!("[vnet.hub.nic.n{n}]\nip = \"{ip}\"\n");
    }
    let plans = accepted(&text).model.fastpath();
    assert_eq!(plans[0].entries.len(), 25_000);
    let beyond: Vec<_> = plans[0].fallbacks.iter().map(|own| (own.reason, own.addresses)).collect();
    assert_eq!(beyond, [(FallbackReason::Limit, 2), (FallbackReason::PeeredVnet, 1)]);
}

#[test]
fn the_seed_edition_has_fastpath_on_direct_alone() {
    let loaded = accepted(&lab_with("edition = \"today\"", "edition = \"seed\""));
    assert_eq!(loaded.model.fastpath()[0].entries, []);
    assert_eq!(loaded.model.fastpath()[0].fallbacks[0].reason, FallbackReason::NeedsDirect);
}

#[test]
fn the_seed_edition_takes_two_29_subnets_with_a_note() {
    let seed = lab_with("edition = \"today\"", "edition = \"seed\"")
        .replace("172.16.0.0/30", "172.16.0.0/29")
        .replace("172.16.0.4/30", "172.16.0.8/29");
    let loaded = accepted(&seed);
    let private = loaded.model.circuits[0].private.as_ref().unwrap();
    assert_eq!(private.edge(Link::Secondary), Ipv4Addr::new(172, 16, 0, 10));
    assert!(loaded.advice.iter().any(|p| p.message() == "`primary_subnet` is a /29"));
}

#[test]
fn documentation_ranges_count_as_public_with_a_note() {
    let loaded = accepted(LAB);
    let note = loaded.advice.iter().find(|p| p.message().contains("203.0.113.64/26")).unwrap();
    assert_eq!(note.message(), "203.0.113.64/26 is for documentation (RFC 5737)");
    assert_eq!(note.line(), super::line_of(LAB, "advertised_public_prefixes"));
}

#[test]
fn a_port_of_captures_is_read_and_needs_no_interface() {
    let kind = |pcap: &str| {
        let model = accepted(&lab_with("tap  = \"tw-hub\"", pcap)).model;
        let port = model.ports.into_iter().find(|port| port.name.as_str() == "hub").unwrap();
        assert_eq!((port.kind.name(), port.kind.interface()), ("pcap", None));
        port.kind
    };
    let both = kind("pcap = { in = \"a.pcap\", out = \"b.pcapng\", pace = \"none\" }");
    let (input, output) = (Some("a.pcap".into()), Some("b.pcapng".into()));
    assert_eq!(both, PortKind::Pcap { input, output, pace: CapturePace::Unpaced });
    let read = PortKind::Pcap { input: Some("a".into()), output: None, pace: CapturePace::Capture };
    assert_eq!(kind("pcap = { in = \"a\" }"), read);
}

#[test]
fn an_xdp_port_is_read_with_its_mode() {
    let kind = |lines: &str| {
        let loaded = accepted(&lab_with("tap  = \"tw-hub\"", lines));
        assert!(loaded.advice.iter().all(|problem| !problem.message().contains("xdp")));
        loaded.model.ports.into_iter().find(|port| port.name.as_str() == "hub").unwrap().kind
    };
    let xdp =
        |mode, busy_poll| PortKind::Xdp { ifname: "eth7".into(), netns: None, mode, busy_poll };
    assert_eq!(kind("xdp = \"eth7\""), xdp(XdpMode::Auto, false));
    let generic = "xdp = \"eth7\"\nxdp_mode = \"generic\"\nbusy_poll = true";
    assert_eq!(kind(generic), xdp(XdpMode::Generic, true));
    assert_eq!(kind("xdp = \"eth7\"\nxdp_mode = \"native\""), xdp(XdpMode::Native, false));
}

#[test]
fn a_direct_lends_its_circuits_its_ports_and_encapsulation() {
    let text = lab_with(
        "encapsulation    = \"QinQ\"\ns_tag            = 1001\n\
         links            = { primary = \"msee-pri\", secondary = \"msee-sec\" }",
        "direct = \"ams\"",
    ) + "\n[direct.ams]\nspeed = \"10 Gbps\"\nencapsulation = \"Dot1Q\"\n\
         ports = { primary = \"msee-pri\", secondary = \"msee-sec\" }\n";
    let model = accepted(&text).model;
    let circuit = &model.circuits[0];
    assert_eq!(circuit.links.as_ref().unwrap().primary.as_str(), "msee-pri");
    assert_eq!(circuit.link_tags(circuit.private.as_ref().unwrap()), TagStack::single(200));
    assert!(!circuit.policing.enabled, "the customer asks for it on a Direct");
    // Spokes are on FastPath there.
    assert_eq!(model.fastpath()[0].entries.len(), 3);
}

#[test]
fn each_role_has_its_own_side() {
    let model = accepted(TWO).model;
    let ports = |role| {
        let model = model.for_role(role).unwrap();
        model.ports.iter().map(|port| port.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ports(Role::Provider), ["ce-1", "ce-2", "pe-pri", "pe-sec"]);
    assert_eq!(ports(Role::Microsoft), ["msee-pri", "msee-sec", "hub", "m365"]);
    assert_eq!(ports(Role::All).len(), 8);
    let provider = model.for_role(Role::Provider).unwrap();
    assert_eq!(provider.circuits[0].links, None);
    assert_eq!(provider.circuits[0].s_tag, model.circuits[0].s_tag);
    assert!(provider.vnets.is_empty() && provider.routes.is_empty());
    assert!(model.for_role(Role::Microsoft).unwrap().providers.is_empty());
}

#[test]
fn a_cable_is_not_split_between_two_processes() {
    let split = accepted(LAB).model.for_role(Role::Provider).unwrap_err();
    assert_eq!((split.mine.as_str(), split.theirs.as_str()), ("pe-pri", "msee-pri"));
}

#[test]
fn the_same_text_is_the_same_model() {
    assert_eq!(accepted(LAB).model, accepted(LAB).model);
}
