//! The configuration of a lab: one circuit with both peerings, a VNet behind a gateway with
//! FastPath, and a service. This kernel has no 802.1Q devices, so each peering and link is handed
//! over untagged on an access port of its own.

use std::fmt::Write;

use thruway::lab::Netns;

/// What stands behind the ports towards the customer, the VMs and the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// TAPs in the ends' namespaces.
    Tap,
    /// veth pairs, each with a packet port at thruway's end.
    Veth {
        /// Whether the ends' kernels leave checksums partial and send super-frames.
        offloads: bool,
    },
    /// veth pairs, each with an xdp port at thruway's end.
    Xdp {
        /// Its mode.
        mode: &'static str,
    },
    /// TAPs towards the customer, packet ports with offloads towards the VMs and the service, whose
    /// port takes no more than [`NARROW`] bytes; the circuit has [`SLOW`].
    Mixed,
}

/// The MTU of a narrow way out.
pub(crate) const NARROW: u32 = 1300;
/// A circuit that one TCP connection fills.
pub(crate) const SLOW: &str = "500 Mbps";

impl Medium {
    /// Whether a port is a TAP in the end's namespace.
    pub(crate) fn is_tap(self, end: End) -> bool {
        self == Medium::Tap || self == Medium::Mixed && end == End::Onprem
    }
}

/// How thruway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processes {
    /// Both roles in one process, the links are cables inside it.
    One,
    /// A process for each role, the links are veth pairs with tagged frames.
    Two,
}

/// The ports that have an end outside, and the end's namespace.
pub(crate) const OUTSIDE: [(&str, End); 6] = [
    ("cp1", End::Onprem),
    ("cp2", End::Onprem),
    ("cm1", End::Onprem),
    ("cm2", End::Onprem),
    ("hub", End::Vm),
    ("m365", End::Service),
];

/// Who uses thruway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The customer.
    Onprem,
    /// A VM.
    Vm,
    /// A Microsoft service.
    Service,
}

/// The links' ends.
pub(crate) const LINKS: [(&str, &str); 2] = [("pe-pri", "msee-pri"), ("pe-sec", "msee-sec")];

/// The namespaces that ports stand in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) provider: &'a Netns,
    pub(crate) edge: &'a Netns,
    pub(crate) end: fn(End, &'a [Netns; 3]) -> &'a Netns,
    pub(crate) ends: &'a [Netns; 3],
}

/// thruway's own end of the veth pair of a port.
pub(crate) fn inner(port: &str) -> String {
    format!("t-{port}")
}

/// The file.
pub(crate) fn text(
    medium: Medium,
    workers: u8,
    processes: Processes,
    places: &Places<'_>,
) -> String {
    let mut text = format!("[workers]\ncount = {workers}\n");
    for (name, end) in OUTSIDE {
        let own = if end == End::Onprem { places.provider } else { places.edge };
        let (kind, ifname, netns) = match medium {
            medium if medium.is_tap(end) => {
                ("tap", name.to_owned(), (places.end)(end, places.ends))
            }
            Medium::Xdp { .. } => ("xdp", inner(name), own),
            _ => ("packet", inner(name), own),
        };
        port(&mut text, name, kind, &ifname, netns);
        if let Medium::Xdp { mode } = medium {
            writeln!(text, "xdp_mode = {mode:?}").unwrap();
        }
        if medium == Medium::Mixed && end == End::Service {
            writeln!(text, "mtu = {NARROW}").unwrap();
        }
    }
    for (provider, edge) in LINKS {
        match processes {
            Processes::One => {
                let ports =
                    [provider, edge].map(|n| format!("[[port]]\nname = {n:?}\nmemory = true\n"));
                let [a, b] = ports;
                writeln!(text, "{a}{b}[[cable]]\nends = [{provider:?}, {edge:?}]").unwrap();
            }
            Processes::Two => {
                let kind = if matches!(medium, Medium::Xdp { .. }) { "xdp" } else { "packet" };
                port(&mut text, provider, kind, provider, places.provider);
                port(&mut text, edge, kind, edge, places.edge);
            }
        }
    }
    let bandwidth = if medium == Medium::Mixed { SLOW } else { "10 Gbps" };
    text + &NETWORK.replace("10 Gbps", bandwidth)
}

fn port(text: &mut String, name: &str, kind: &str, ifname: &str, netns: &Netns) {
    let path = netns.path();
    writeln!(text, "[[port]]\nname = {name:?}\n{kind} = {ifname:?}\nnetns = {path:?}").unwrap();
}

const NETWORK: &str = r#"
[circuit.contoso]
provider = "Lab Exchange"
peering_location = "Amsterdam"
bandwidth = "10 Gbps"
encapsulation = "QinQ"
s_tag = 1001
links = { primary = "msee-pri", secondary = "msee-sec" }

[circuit.contoso.private]
vlan = 200
peer_asn = 65010
subnet = "172.16.0.0/29"

[circuit.contoso.microsoft]
vlan = 300
peer_asn = 65010
subnet = "203.0.113.0/29"
advertised_public_prefixes = ["203.0.113.64/26"]

[provider.lab]
circuit = "contoso"
links = { primary = "pe-pri", secondary = "pe-sec" }
private = { primary = { port = "cp1", untagged = true }, secondary = { port = "cp2", untagged = true } }
microsoft = { primary = { port = "cm1", untagged = true }, secondary = { port = "cm2", untagged = true } }
nat = { inside = ["192.168.0.0/16"], pool = ["203.0.113.64/28"] }

[vnet.hub]
region = "West Europe"
address_space = ["10.10.0.0/16"]
subnets = { workload = { prefix = "10.10.1.0/24", port = "hub" } }
gateway = { type = "ExpressRoute", sku = "ErGw3AZ", subnet = "10.10.255.0/27" }

# The VM's other address, 10.10.1.5, has no entry here and so takes the gateway.
[vnet.hub.nic.fast]
ip = "10.10.1.4"

[[connection]]
circuit = "contoso"
vnet = "hub"
fastpath = true

[service_endpoint.m365]
prefix = "198.51.100.0/24"
router = "198.51.100.1"
port = "m365"

[[route]]
circuit = "contoso"
peering = "private"
prefix = "192.168.0.0/16"

[[route]]
circuit = "contoso"
peering = "microsoft"
prefix = "203.0.113.64/26"
"#;
