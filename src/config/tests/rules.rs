//! One mistake is one error, on its line, with what would be accepted.

use super::{LAB, lab_with, line_of, refused, shown};

/// Replaces `from` in the lab by `to`; the one error then stands where `at` is.
fn one_error(from: &str, to: &str, at: &str, message: &str, help: &str) {
    one_error_in(&lab_with(from, to), at, message, help);
}

/// Adds `more` to the lab; the one error then stands where `at` is.
fn one_error_with(more: &str, at: &str, message: &str, help: &str) {
    one_error_in(&format!("{LAB}\n{more}"), at, message, help);
}

fn one_error_in(text: &str, at: &str, message: &str, help: &str) {
    let report = refused(text);
    let errors = report.problems();
    assert_eq!(errors.len(), 1, "{}", shown(&report));
    let found = (errors[0].line(), errors[0].message());
    assert_eq!(found, (line_of(text, at), message), "{}", shown(&report));
    let accepted = errors[0].accepted().unwrap_or_default();
    assert!(accepted.contains(help), "{help:?} is not in {accepted:?}");
}

#[test]
fn keys() {
    one_error(
        "bandwidth        =",
        "bandwith         = \"1 Gbps\"\nbandwidth =",
        "bandwith ",
        "circuit contoso has no key `bandwith`",
        "did you mean `bandwidth`?",
    );
    one_error_with("[vnets.x]", "[vnets.x]", "the file has no key `vnets`", "did you mean `vnet`?");
    one_error(
        "bandwidth        = \"1 Gbps\"\n",
        "",
        "[circuit.contoso]",
        "circuit contoso has no `bandwidth`",
        "bandwidth = \"1 Gbps\"",
    );
    one_error(
        "vlan             = 200",
        "vlan = \"200\"",
        "vlan = \"200\"",
        "`vlan` is a string, not an integer",
        "",
    );
    one_error(
        "\"enforce\"",
        "\"enforced\"",
        "enforced",
        "`limits` = \"enforced\" is unknown",
        "did you mean `enforce`?",
    );
    one_error_with("[circuit]\nx = 1", "x = 1", "`x` is an integer, not a table", "");
}

#[test]
fn names() {
    one_error_with(
        "[vnet.\"a b\"]\nregion = \"r\"\naddress_space = [\"10.99.0.0/16\"]",
        "[vnet.\"a b\"]",
        "\"a b\" is no name: the name contains ' '",
        "letters, digits",
    );
    one_error(
        "port   = \"m365\"",
        "port   = \"m356\"",
        "m356",
        "there is no port `m356`",
        "did you mean `m365`?",
    );
    one_error(
        "circuit   = \"contoso\"\nlinks",
        "circuit   = \"fabrikam\"\nlinks",
        "fabrikam",
        "there is no circuit `fabrikam`",
        "the circuits are: contoso",
    );
    one_error(
        "nsg = \"web\"",
        "nsg = \"wep\"",
        "wep",
        "there is no nsg `wep`",
        "did you mean `web`?",
    );
    one_error_with(
        "[[port]]\nname = \"hub\" # again\ntap = \"t\"",
        "\"hub\" # again",
        "there are two ports named hub",
        "",
    );
}

#[test]
fn ports() {
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"tw-hub\"\nmemory = true",
        "[[port]]\nname = \"hub\"",
        "port hub has tap and memory",
        "one of: tap",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "",
        "[[port]]\nname = \"hub\"",
        "port hub has no kind",
        "one of: tap",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"a-name-that-is-long\"",
        "a-name",
        "\"a-name-that-is-long\" is no interface's name",
        "1 to 15 bytes",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"tw-spoke\"",
        "tap  = \"tw-spoke\"",
        "ports hub and spoke are one interface",
        "",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"x\"\nmtu = 70",
        "mtu = 70",
        "`mtu` is 70",
        "576 to 9216",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"x\"\nmac = \"01:00:00:00:00:01\"",
        "mac =",
        "01:00:00:00:00:01 is no interface's address",
        "lowest bit",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"x\"\nallow = \"host-interface\"",
        "allow =",
        "port hub takes no interface of the host",
        "packet and xdp",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "tap = \"x\"\nxdp_mode = \"native\"",
        "xdp_mode =",
        "port hub has no XDP sockets",
        "goes with `xdp`",
    );
    one_error(
        "tap  = \"tw-hub\"",
        "xdp = \"x\"\nxdp_mode = \"driver\"",
        "xdp_mode =",
        "`xdp_mode` = \"driver\" is unknown",
        "native",
    );
    one_error(
        "ends = [\"pe-sec\", \"msee-sec\"]",
        "ends = [\"pe-sec\"]",
        "ends = [\"pe-sec\"]",
        "a cable has two ends",
        "",
    );
    one_error(
        "ends = [\"pe-sec\", \"msee-sec\"]",
        "ends = [\"pe-sec\", \"pe-sec\"]",
        "ends = [\"pe-sec\", ",
        "both ends are pe-sec",
        "two different",
    );
    one_error(
        "ends = [\"pe-sec\", \"msee-sec\"]",
        "ends = [\"pe-sec\", \"hub\"]",
        "ends = [\"pe-sec\", ",
        "hub is not a port in memory",
        "memory = true",
    );
    one_error(
        "ends = [\"pe-sec\", \"msee-sec\"]",
        "ends = [\"pe-sec\", \"msee-pri\"]",
        "ends = [\"pe-sec\", ",
        "msee-pri is the end of two cables",
        "",
    );
}

#[test]
fn tags() {
    one_error(
        "secondary = { port = \"ce-2\", c_tag = 300 }",
        "secondary = { port = \"ce-2\", c_tag = 200 }",
        "microsoft = {",
        "port ce-2 is used twice with the same tags (c-tag 200): by the private access of provider contoso, secondary and by the microsoft access of provider contoso, secondary",
        "other tags",
    );
    one_error(
        "{ port = \"ce-2\", c_tag = 300 }",
        "{ port = \"ce-2\", s_tag = 3 }",
        "microsoft = {",
        "these are no tags of a hand-over",
        "untagged = true",
    );
    one_error(
        "{ port = \"ce-2\", c_tag = 300 }",
        "{ port = \"ce-2\", c_tag = 4095 }",
        "microsoft = {",
        "`c_tag` is 4095",
        "1 to 4094",
    );
    one_error(
        "port   = \"m365\"",
        "port   = \"hub\"",
        "port   = \"hub\"",
        "port hub is used twice with the same tags (untagged): by subnet workload of vnet hub and by service_endpoint m365",
        "another port",
    );
}

const SECOND: &str = "[circuit.second]\nprovider = \"p\"\npeering_location = \"Amsterdam\"\nbandwidth = \"50 Mbps\"\n\
    s_tag = 1002\nlinks = { primary = \"msee-pri\", secondary = \"msee-sec\" }\n\
    [circuit.second.private]\nvlan = 201\npeer_asn = 65011\nsubnet = \"172.16.9.0/29\"\n";

#[test]
fn circuits() {
    one_error(
        "\"1 Gbps\"",
        "\"3 Gbps\"",
        "\"3 Gbps\"",
        "3 Gbps is no bandwidth of a circuit on a provider's ports",
        "50 Mbps, 100 Mbps",
    );
    one_error(
        "\"1 Gbps\"",
        "\"fast\"",
        "\"fast\"",
        "`bandwidth` = \"fast\" is not a bandwidth such as \"500 Mbps\" or \"1 Gbps\"",
        "",
    );
    one_error(
        "\"Standard\"\nbilling",
        "\"Local\"\nbilling",
        "billing",
        "a Local circuit is not metered",
        "Unlimited",
    );
    one_error(
        "s_tag            = 1001\n",
        "",
        "[circuit.contoso]",
        "circuit contoso has no `s_tag`",
        "s_tag = 1001",
    );
    one_error("\"QinQ\"", "\"Dot1Q\"", "s_tag ", "an S-tag needs QinQ", "leave `s_tag` out");
    one_error(
        "secondary = \"msee-sec\" }",
        "secondary = \"msee-pri\" }",
        "secondary = \"msee-pri\" }",
        "both links are on port msee-pri",
        "port of its own",
    );
    one_error(
        "sku              =",
        "service_key = \"1234\"\nsku =",
        "service_key",
        "`service_key` = \"1234\" is not a GUID such as 3f6cf8b0-1c3a-4d21-9a34-0c2f6a8e7b55",
        "",
    );
    one_error(
        "sku              =",
        "nat = {}\nsku =",
        "nat = {}",
        "circuit contoso has no key `nat`",
        "[provider.NAME]",
    );
    one_error(
        "burst_ms = 10,",
        "burst_ms = 10, burst_bytes = 9000,",
        "policing",
        "the burst is given twice",
        "keep",
    );
    let same = SECOND.replace("s_tag = 1002", "s_tag = 1001");
    one_error_with(
        &same,
        "s_tag = 1001",
        "circuits contoso and second have one S-tag on port msee-pri",
        "",
    );
    let bad = SECOND.replace("links =", "direct = \"d\"\nlinks =")
        + "[direct.d]\nspeed = \"100 Gbps\"\nencapsulation = \"QinQ\"\n\
        ports = { primary = \"msee-pri\", secondary = \"msee-sec\" }";
    let report = refused(&format!("{LAB}\n{bad}"));
    let messages: Vec<&str> = report.problems().iter().map(|error| error.message()).collect();
    assert_eq!(
        messages,
        [
            "50 Mbps is no bandwidth of a circuit on ports of 100 Gbps",
            "the links are those of the Direct"
        ]
    );
}

#[test]
fn a_circuit_of_its_own_tag_shares_ports() {
    super::accepted(&format!("{LAB}\n{SECOND}"));
}

#[test]
fn peerings() {
    one_error(
        "vlan             = 300",
        "vlan = 200 # both",
        "200 # both",
        "both peerings of circuit contoso use VLAN 200",
        "VLAN of its own",
    );
    one_error("vlan             = 200", "vlan = 0", "vlan = 0", "`vlan` is 0", "1 to 4094");
    one_error(
        "primary_subnet   = \"172.16.0.0/30\"",
        "primary_subnet = \"172.16.0.0/29\"",
        "172.16.0.0/29",
        "`primary_subnet` is a /29",
        "one subnet (a /29)",
    );
    one_error(
        "primary_subnet   = \"172.16.0.0/30\"",
        "primary_subnet = \"172.16.0.1/30\"",
        "172.16.0.1/30",
        "172.16.0.1/30 has bits beyond its length",
        "172.16.0.0/30",
    );
    one_error(
        "secondary_subnet = \"172.16.0.4/30\"",
        "secondary_subnet = \"172.16.0.0/30\"",
        "secondary_subnet",
        "the links' subnets 172.16.0.0/30 and 172.16.0.0/30 overlap",
        "/30 of its own",
    );
    one_error(
        "secondary_subnet = \"172.16.0.4/30\"\n",
        "",
        "[circuit.contoso.private]",
        "the private peering of circuit contoso has no `secondary_subnet`",
        "/30 each",
    );
    one_error(
        "\"s3cret\"",
        "\"s3cret!\"",
        "s3cret!",
        "this is no shared key",
        "1 to 25 letters and digits",
    );
    one_error(
        "\"203.0.113.0/29\" ",
        "\"192.168.0.0/29\" ",
        "192.168.0.0/29",
        "192.168.0.0/29 is not public: private (RFC 1918)",
        "public addresses",
    );
    one_error(
        "[\"203.0.113.64/26\"]",
        "[\"203.0.113.64/26\", \"100.64.0.0/24\"]",
        "100.64.0.0/24",
        "100.64.0.0/24 is not public: shared between providers (RFC 6598)",
        "public",
    );
    one_error(
        "[\"203.0.113.64/26\"]",
        "[]",
        "prefixes = []",
        "`advertised_public_prefixes` is empty",
        "",
    );
    one_error(
        "\"ARIN\"",
        "\"ARRIN\"",
        "ARRIN",
        "`routing_registry` = \"ARRIN\" is unknown",
        "did you mean `ARIN`?",
    );
    for (asn, why) in [
        (65515, "AS 65515 to 65520 are reserved by the service"),
        (12076, "AS 12076 is Microsoft's own"),
        (0, "AS 0 is nobody's (RFC 7607)"),
    ] {
        let to = format!("vlan             = 200\npeer_asn         = {asn}");
        one_error(
            "vlan             = 200\npeer_asn         = 65010",
            &to,
            &format!("= {asn}\n"),
            &format!("`peer_asn` cannot be {asn}: {why}"),
            "65010",
        );
    }
}

#[test]
fn providers_and_nat() {
    one_error_with(
        "[provider.two]\ncircuit = \"contoso\" # two\nlinks = { primary = \"ce-1\", secondary = \"ce-2\" }\nprivate = { primary = { port = \"hub\", c_tag = 7 } }",
        "\"contoso\" # two",
        "circuit contoso has two providers",
        "one provider",
    );
    one_error(
        "pool     = [\"203.0.113.64/28\"]",
        "pool = [\"203.0.113.128/28\"]",
        "pool = ",
        "203.0.113.128/28 is outside the advertised public prefixes",
        "203.0.113.64/26",
    );
    one_error(
        "pool     = [\"203.0.113.64/28\"]",
        "pool = [\"10.1.0.0/28\"]",
        "pool = ",
        "10.1.0.0/28 is not public: private (RFC 1918)",
        "public",
    );
    one_error(
        "pool     = [\"203.0.113.64/28\"]",
        "pool = [\"203.0.113.64/28\", \"203.0.113.72/30\"]",
        "pool = ",
        "203.0.113.72/30 overlaps 203.0.113.64/28",
        "once",
    );
    one_error(
        "timeouts = { udp = 300, icmp = 60 }",
        "pooling = \"arbitrary\"",
        "pooling = ",
        "`pooling` = \"arbitrary\" is unknown",
        "soft-paired",
    );
    one_error(
        "outside = \"203.0.113.80\" }",
        "outside = \"198.51.100.80\" }",
        "static   =",
        "198.51.100.80 is outside the advertised public prefixes",
        "Microsoft drops",
    );
    one_error(
        "outside = \"203.0.113.81:443\"",
        "outside = \"203.0.113.80:443\"",
        "forward  =",
        "203.0.113.80 is bound twice outside",
        "one place",
    );
    one_error(
        "outside = \"203.0.113.81:443\"",
        "outside = \"203.0.113.81:0\"",
        "forward  =",
        "port 0 cannot be forwarded",
        "1 to 65535",
    );
    let wider = lab_with("[\"203.0.113.64/26\"]", "[\"203.0.113.0/24\"]")
        .replace("pool     = [\"203.0.113.64/28\"]", "pool = [\"203.0.113.4/30\"]");
    one_error_in(
        &wider,
        "pool = ",
        "203.0.113.4/30 overlaps 203.0.113.4/30, the secondary link of the peering",
        "not translated",
    );
}

#[test]
fn virtual_networks() {
    one_error(
        "prefix = \"10.10.1.0/24\"",
        "prefix = \"10.11.1.0/24\"",
        "10.11.1.0/24",
        "10.11.1.0/24 is outside vnet hub",
        "10.10.0.0/16",
    );
    one_error(
        "prefix = \"10.10.1.0/24\"",
        "prefix = \"10.10.1.0/30\"",
        "10.10.1.0/30",
        "a subnet of /30 has no room for a VM",
        "/29 or larger",
    );
    one_error(
        "prefix = \"10.10.1.0/24\"",
        "prefix = \"10.10.0.0/16\"",
        "prefix = \"10.10.0.0/16\"",
        "10.10.0.0/16 overlaps 10.10.255.0/27 of GatewaySubnet",
        "share an address",
    );
    one_error(
        "workload = {",
        "GatewaySubnet = {",
        "GatewaySubnet =",
        "GatewaySubnet is the gateway's",
        "gateway = {",
    );
    one_error(
        "ip = \"10.10.1.4\"",
        "ip = \"10.10.1.3\"",
        "ip = \"10.10.1.3\"",
        "10.10.1.3 is one of the service's own in 10.10.1.0/24",
        "first four",
    );
    one_error(
        "ip = \"10.10.1.4\"",
        "ip = \"10.10.2.4\"",
        "ip = \"10.10.2.4\"",
        "10.10.2.4 is in no subnet of vnet hub",
        "10.10.1.0/24 (workload)",
    );
    one_error(
        "ip = \"10.10.1.4\"",
        "ip = \"10.10.255.4\"",
        "ip = \"10.10.255.4\"",
        "10.10.255.4 is in GatewaySubnet",
        "nothing but the gateway",
    );
    one_error(
        "ip = \"10.10.1.4\"",
        "ip = \"10.10.1.10\" # first",
        "ip = \"10.10.1.10\"\n",
        "10.10.1.10 is taken",
        "one interface",
    );
    one_error(
        "[\"10.20.0.0/16\"]",
        "[\"10.20.0.0/16\", \"224.1.0.0/16\"]",
        "224.1.0.0",
        "224.1.0.0/16 holds 224.0.0.0/4: multicast",
        "unicast",
    );
    one_error(
        "[\"10.20.0.0/16\"]",
        "[\"10.20.0.0/16\", \"10.10.8.0/24\"]",
        "[[vnet_peering]]",
        "10.10.0.0/16 of vnet hub overlaps 10.10.8.0/24 of vnet spoke",
        "in common",
    );
}

#[test]
fn gateways() {
    one_error("\"ExpressRoute\"", "\"Vpn\"", "\"Vpn\"", "`type` = \"Vpn\"", "does not reach");
    one_error(
        "\"ErGw3AZ\"",
        "\"ErGwScale\"",
        "gateway       =",
        "this gateway has no `units`",
        "1 to 40",
    );
    one_error(
        "\"ErGw3AZ\"",
        "\"ErGw3AZ\", units = 4",
        "gateway       =",
        "ErGw3AZ has no units",
        "ErGwScale",
    );
    one_error(
        "\"10.10.255.0/27\"",
        "\"10.10.255.0/28\"",
        "10.10.255.0/28",
        "GatewaySubnet is a /28",
        "/27 or larger",
    );
    one_error(
        "\"10.10.255.0/27\"",
        "\"10.30.255.0/27\"",
        "10.30.255.0/27",
        "10.30.255.0/27 is outside vnet hub",
        "10.10.0.0/16",
    );
    one_error(
        "\"ErGw3AZ\"",
        "\"ErGw3AZ\", nsg = \"web\"",
        "gateway       =",
        "this gateway has no key `nsg`",
        "not supported",
    );
    one_error(
        "\"ErGw3AZ\"",
        "\"ErGw2AZ\"",
        "fastpath = true",
        "the gateway of hub has no FastPath: it is ErGw2AZ",
        "ErGw3AZ",
    );
}

#[test]
fn peered_networks_and_routes() {
    one_error(
        "allow_gateway_transit = true\n",
        "",
        "use_remote_gateways",
        "hub does not lend its gateway",
        "it takes both",
    );
    one_error_with(
        "[[vnet_peering]]\na = \"spoke\" # again\nb = \"hub\"",
        "[[vnet_peering]]\na = \"spoke\" # again",
        "spoke and hub are peered twice",
        "both directions",
    );
    one_error(
        "use_remote_gateways   = true",
        "use_remote_gateways = true\nglobal = true",
        "global",
        "hub and spoke are in one region",
        "leave `global` out",
    );
    one_error(
        "\"VirtualAppliance\"",
        "\"VirtualNetworkGateway\"",
        "\"VirtualNetworkGateway\"",
        "an ExpressRoute gateway is no next hop of a user-defined route",
        "VirtualAppliance",
    );
    one_error(
        "next_hop_ip = \"10.10.1.10\"\n",
        "",
        "[[udr]]",
        "this udr has no `next_hop_ip`",
        "10.10.1.10",
    );
    one_error(
        "next_hop_ip = \"10.10.1.10\"",
        "next_hop_ip = \"10.99.1.10\"",
        "10.99.1.10",
        "10.99.1.10 is neither in vnet spoke nor in one peered with it",
        "",
    );
    one_error(
        "subnet      = \"apps\"",
        "subnet = \"app\"",
        "\"app\"",
        "vnet spoke has no subnet app",
        "did you mean `apps`?",
    );
    let udr = |prefix: &str| {
        format!(
            "[[udr]]\nvnet = \"hub\"\nsubnet = \"GatewaySubnet\"\nprefix = \"{prefix}\" # new\nnext_hop = \"None\""
        )
    };
    one_error_with(
        &udr("0.0.0.0/0"),
        "# new",
        "a default route on GatewaySubnet is not supported",
        "",
    );
    one_error_with(
        &udr("10.10.0.0/16"),
        "# new",
        "10.10.0.0/16 takes GatewaySubnet (10.10.255.0/27) away from itself",
        "",
    );
}

#[test]
fn security_groups() {
    one_error("priority    = 200", "priority    = 99", "= 99", "`priority` is 99", "100 to 4096");
    one_error(
        "priority    = 200",
        "priority    = 100",
        "priority    = 100",
        "two rules have priority 100 in one direction",
        "",
    );
    one_error(
        "\"VirtualNetwork\"",
        "\"VirtualNetworks\"",
        "VirtualNetworks",
        "`destination` = \"VirtualNetworks\" is unknown",
        "did you mean `VirtualNetwork`?",
    );
    one_error(
        "\"8000-8099\"",
        "\"8099-8000\"",
        "8099-8000",
        "`destination_ports` = \"8099-8000\"",
        "1000-2000",
    );
    one_error(
        "\"Tcp\"",
        "\"Icmp\"",
        "destination_ports",
        "this protocol has no ports",
        "leave the key out",
    );
}

#[test]
fn connections_and_routes() {
    one_error("weight   = 100", "weight   = 32001", "32001", "`weight` is 32001", "0 to 32000");
    one_error_with(
        "[[connection]]\ncircuit = \"contoso\"\nvnet = \"hub\" # again",
        "[[connection]]\ncircuit = \"contoso\"\nvnet = \"hub\" # again",
        "circuit contoso and vnet hub are connected twice",
        "",
    );
    one_error_with(
        "[[connection]]\ncircuit = \"contoso\"\nvnet = \"spoke\" # own",
        "\"spoke\" # own",
        "vnet spoke has no gateway",
        "gateway = {",
    );
    one_error(
        "primary_subnet   = \"172.16.0.0/30\"",
        "primary_subnet = \"10.10.3.0/30\"",
        "10.10.3.0/30",
        "10.10.3.0/30 overlaps 10.10.0.0/16 of vnet hub",
        "no virtual network",
    );
    one_error(
        "router = \"198.51.100.1\"",
        "router = \"198.51.101.1\"",
        "198.51.101.1",
        "198.51.101.1 is no host of 198.51.100.0/24",
        "host's address",
    );
    one_error(
        "prefix  = \"203.0.113.64/26\"",
        "prefix  = \"0.0.0.0/0\"",
        "0.0.0.0/0",
        "0.0.0.0/0 is not public: this network (RFC 1122)",
        "no default route",
    );
    one_error(
        "prefix  = \"203.0.113.64/26\"",
        "prefix  = \"203.0.113.128/26\"",
        "203.0.113.128/26",
        "203.0.113.128/26 is outside the advertised public prefixes",
        "203.0.113.64/26",
    );
    one_error_with(
        "[[route]]\ncircuit = \"contoso\"\npeering = \"private\"\nprefix = \"192.168.0.0/16\" # again",
        "\"192.168.0.0/16\" # again",
        "192.168.0.0/16 is routed twice",
        "`link`",
    );
}

#[test]
fn a_list_of_prefixes_is_checked_one_by_one() {
    let list = |prefixes: &str| {
        format!("[[route]]\ncircuit = \"contoso\"\npeering = \"private\"\n{prefixes}")
    };
    one_error_with(
        &list("prefixes = [\n\"100.1.0.0/24\",\n\"100.1.1.0/24\",\n\"100.1.0.0/24\" , # again\n]"),
        "\"100.1.0.0/24\" ,",
        "100.1.0.0/24 is routed twice",
        "`link`",
    );
    one_error_with(
        &list("prefixes = [\"100.1.0.0/24\", \"100.1.1.9/24\"]"),
        "\"100.1.1.9/24\"",
        "100.1.1.9/24 has bits beyond its length",
        "100.1.1.0/24",
    );
    one_error_with(
        &list("prefix = \"100.1.0.0/24\"\nprefixes = [\"100.2.0.0/24\"]"),
        "[\"100.2.0.0/24\"]",
        "`prefix` and `prefixes` in one route",
        "keep one",
    );
    let many: Vec<_> =
        (0..4000_u32).map(|n| format!("\"100.{}.{}.0/24\"", n >> 8, n & 255)).collect();
    // The lab has two routes of its own.
    one_error_with(
        &list(&format!("prefixes = [{}]", many.join(","))),
        "\"100.15.158.0/24\"",
        "more than 4000 routes on the private peering of contoso",
        "summarise",
    );
}

#[test]
fn a_fifth_circuit_of_one_location_is_too_many() {
    let mut more = String::new();
    for n in 2..=5 {
        let circuit = SECOND
            .replace("circuit.second", &format!("circuit.c{n}"))
            .replace("1002", &format!("10{n}0"));
        more += &circuit.replace("172.16.9.0", &format!("172.16.9.{}", n * 8));
        more += &format!("[[connection]]\ncircuit = \"c{n}\"\nvnet = \"hub\" # {n}\n");
    }
    one_error_with(
        &more,
        "[[connection]]\ncircuit = \"c5\"",
        "vnet hub has more than 4 circuits from Amsterdam",
        "other peering locations",
    );
}

#[test]
fn more_routes_than_a_session_carries_are_too_many() {
    let mut more = String::new();
    for n in 0..3999_u32 {
        more += &format!(
            "[[route]]\ncircuit = \"contoso\"\npeering = \"private\"\nprefix = \"100.{}.{}.0/24\"\n",
            n >> 8,
            n & 255
        );
    }
    // The lab has two routes of its own.
    one_error_with(
        &more,
        "\"100.15.158.0/24\"",
        "more than 4000 routes on the private peering of contoso",
        "limits = \"off\"",
    );
}

#[test]
fn ports_of_captures() {
    let tap = "tap  = \"tw-hub\"";
    one_error(tap, "pcap = {}", "pcap = ", "`pcap` names no capture", "out = \"FILE\"");
    one_error(
        tap,
        "pcap = { out = \"a\", pace = \"none\" }",
        "pcap = ",
        "there is no capture to pace",
        "goes with `in`",
    );
    one_error(
        tap,
        "pcap = { in = \"a\", pace = \"fast\" }",
        "pcap = ",
        "`pace` = \"fast\" is unknown",
        "capture, none",
    );
    one_error(tap, "pcap = { in = \"\" }", "pcap = ", "`in` is empty", "a value");
    one_error(
        tap,
        "pcap = { in = \"a\", out = \"a\" }",
        "pcap = ",
        "a is written and used twice",
        "a file of its own",
    );
    one_error(
        tap,
        "pcap = { in = \"a\" }\nnetns = \"/run/netns/x\"",
        "netns = ",
        "port hub has no interface, and so no namespace",
        "leave `netns` out",
    );
    one_error(
        tap,
        "pcap = { in = \"a\" }\nmemory = true",
        "[[port]]\nname = \"hub\"",
        "port hub has memory and pcap",
        "pcap = { in = ",
    );
}
