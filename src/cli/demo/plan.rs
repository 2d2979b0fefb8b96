//! What does the demo's lab look like? Its addresses, and the configuration of both processes.
//!
//! The customer's side lies in 10.0.0.0/16, VNets in 10.10.0.0/16 and 10.20.0.0/16; everything
//! public is taken from documentation ranges.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

/// A host of the lab: a server on-premises, a VM, or a public service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// Its name, and its namespace's.
    pub(super) name: &'static str,
    /// Its interface.
    pub(super) interface: &'static str,
    /// Its address, in a /24.
    pub(super) address: Ipv4Addr,
    /// Its router.
    pub(super) router: Ipv4Addr,
}

impl Host {
    /// Its address with its subnet.
    pub(super) fn net(&self) -> Ipv4Net {
        Ipv4Net::new_assert(self.address, 24)
    }

    const fn new(
        name: &'static str,
        interface: &'static str,
        address: Ipv4Addr,
        router: Ipv4Addr,
    ) -> Self {
        Self { name, interface, address, router }
    }
}

const fn ip(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// A server on-premises.
pub(super) const H1: Host = Host::new("h1", "h1", ip(10, 0, 1, 10), ip(10, 0, 1, 1));
/// Another one.
pub(super) const H2: Host = Host::new("h2", "h2", ip(10, 0, 2, 10), ip(10, 0, 2, 1));
/// A VM in the hub whose interface FastPath knows.
pub(super) const WEB: Host = Host::new("web", "tw-web", ip(10, 10, 1, 4), ip(10, 10, 1, 1));
/// A VM in the hub that is reached through the gateway.
pub(super) const DATA: Host = Host::new("data", "tw-data", ip(10, 10, 2, 4), ip(10, 10, 2, 1));
/// A VM in the spoke, which uses the hub's gateway.
pub(super) const APP: Host = Host::new("app", "tw-app", ip(10, 20, 1, 4), ip(10, 20, 1, 1));
/// A public service.
pub(super) const SERVICE: Host =
    Host::new("service", "tw-service", ip(198, 51, 100, 10), ip(198, 51, 100, 1));

/// The hosts behind the customer's router.
pub(super) const ON_PREMISES: [Host; 2] = [H1, H2];
/// The hosts behind Microsoft's side.
pub(super) const IN_AZURE: [Host; 4] = [WEB, DATA, APP, SERVICE];

/// An address of H2 that NAT does not know.
pub(super) const UNTRANSLATED: Ipv4Addr = ip(192, 168, 99, 10);

/// The provider's NAT pool.
pub(super) const POOL: Ipv4Net = Ipv4Net::new_assert(ip(203, 0, 113, 64), 28);

/// Outer tag on the links.
pub(super) const S_TAG: u16 = 1001;
/// Inner tag of private peering.
pub(super) const PRIVATE_TAG: u16 = 200;
/// Bandwidth of each link in each direction.
pub(super) const BANDWIDTH_BPS: u64 = 50_000_000;
/// The port that the network security group of the hub closes.
pub(super) const CLOSED_PORT: u16 = 23;
/// The port that echo servers listen on.
pub(super) const ECHO_PORT: u16 = 7;

/// One hand-over between the customer's router and the provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The interface of the customer's router.
    pub(super) interface: &'static str,
    /// The customer's address, in a /30.
    pub(super) customer: Ipv4Addr,
    /// The edge's address.
    pub(super) edge: Ipv4Addr,
    /// What it leads to.
    pub(super) prefixes: &'static [Ipv4Net],
    /// Metric of the routes over it: the primary link goes first.
    pub(super) metric: u32,
}

const VNETS: &[Ipv4Net] =
    &[Ipv4Net::new_assert(ip(10, 10, 0, 0), 16), Ipv4Net::new_assert(ip(10, 20, 0, 0), 16)];
const SERVICES: &[Ipv4Net] = &[Ipv4Net::new_assert(ip(198, 51, 100, 0), 24)];

/// Both peerings on both links.
pub(super) const ACCESSES: [Access; 4] = [
    Access {
        interface: "tw-priv-1",
        customer: ip(172, 16, 0, 1),
        edge: ip(172, 16, 0, 2),
        prefixes: VNETS,
        metric: 10,
    },
    Access {
        interface: "tw-priv-2",
        customer: ip(172, 16, 0, 5),
        edge: ip(172, 16, 0, 6),
        prefixes: VNETS,
        metric: 20,
    },
    Access {
        interface: "tw-ms-1",
        customer: ip(203, 0, 113, 1),
        edge: ip(203, 0, 113, 2),
        prefixes: SERVICES,
        metric: 10,
    },
    Access {
        interface: "tw-ms-2",
        customer: ip(203, 0, 113, 5),
        edge: ip(203, 0, 113, 6),
        prefixes: SERVICES,
        metric: 20,
    },
];

/// Provider's and Microsoft's end of each link.
pub(super) const LINKS: [(&str, &str); 2] = [("pe-pri", "msee-pri"), ("pe-sec", "msee-sec")];
/// What two tags need.
pub(super) const LINK_MTU: u32 = 1504;

/// The lab, drawn.
pub(super) const PICTURE: &str = r"
  on-premises                    provider edge              edges             Azure
                                +------------+   primary   +------+        +- web     10.10.1.4      hub, FastPath
  h1 10.0.1.10 -+      private  | push tags  |=============|edge 1|-+-gw---+- data    10.10.2.4      hub
                +- CE ----------| police     | S 1001      +------+ |      +- app     10.20.1.4      spoke
  h2 10.0.2.10 -+      Microsoft| NAT44      |=============|edge 2|-+
                                +------------+  secondary  +------+ +--------- service 198.51.100.10
";

/// The configuration file of both processes. `namespace` says where a namespace is found.
pub(super) fn config<'a>(namespace: impl Fn(&str) -> &'a Path) -> String {
    let tap = |interface: &str, netns: &str| {
        let path = namespace(netns).display().to_string();
        format!("[[port]]\nname = \"{interface}\"\ntap = \"{interface}\"\nnetns = \"{path}\"\n\n")
    };
    let link = |name: &str| format!("[[port]]\nname = \"{name}\"\npacket = \"{name}\"\n\n");
    let mut text = String::from("# The lab of `thruway demo`.\n\n[workers]\ncount = 1\n\n");
    ACCESSES.iter().for_each(|own| text += &tap(own.interface, "ce"));
    LINKS.iter().for_each(|(provider, edge)| text += &(link(provider) + &link(edge)));
    IN_AZURE.iter().for_each(|host| text += &tap(host.interface, host.name));
    text + REST
}

const REST: &str = r#"
[circuit.contoso]
provider         = "Lab Exchange"
peering_location = "Amsterdam"
bandwidth        = "50 Mbps"
sku              = "Premium"
encapsulation    = "QinQ"
s_tag            = 1001
links            = { primary = "msee-pri", secondary = "msee-sec" }
policing         = { burst_ms = 50, accounting = "l3" }

[circuit.contoso.private]
vlan     = 200
peer_asn = 65010
subnet   = "172.16.0.0/29"

[circuit.contoso.microsoft]
vlan     = 300
peer_asn = 65010
subnet   = "203.0.113.0/29"
advertised_public_prefixes = ["203.0.113.64/26"]

[provider.lab-exchange]
circuit = "contoso"
links   = { primary = "pe-pri", secondary = "pe-sec" }
nat     = { inside = ["10.0.0.0/8"], pool = ["203.0.113.64/28"] }

[provider.lab-exchange.private]
primary   = { port = "tw-priv-1", untagged = true }
secondary = { port = "tw-priv-2", untagged = true }

[provider.lab-exchange.microsoft]
primary   = { port = "tw-ms-1", untagged = true }
secondary = { port = "tw-ms-2", untagged = true }

[vnet.hub]
region        = "West Europe"
address_space = ["10.10.0.0/16"]
gateway       = { type = "ExpressRoute", sku = "ErGw3AZ", subnet = "10.10.255.0/27" }

[vnet.hub.subnets]
web  = { prefix = "10.10.1.0/24", port = "tw-web", nsg = "web" }
data = { prefix = "10.10.2.0/24", port = "tw-data" }

# FastPath knows this interface; `data` has no entry and is reached through the gateway.
[vnet.hub.nic.web]
ip = "10.10.1.4"

[vnet.spoke]
region        = "West Europe"
address_space = ["10.20.0.0/16"]
subnets       = { app = { prefix = "10.20.1.0/24", port = "tw-app" } }

[[vnet_peering]]
a = "hub"
b = "spoke"
allow_gateway_transit = true
use_remote_gateways   = true

[[nsg]]
name = "web"
[[nsg.rules]]
name              = "no-telnet"
priority          = 100
direction         = "Inbound"
access            = "Deny"
destination_ports = 23

[[connection]]
circuit  = "contoso"
vnet     = "hub"
fastpath = true

[service_endpoint.service]
prefix = "198.51.100.0/24"
router = "198.51.100.1"
port   = "tw-service"

# Both links are equal towards on-premises: a flow keeps to one as long as that lives.
[[route]]
circuit = "contoso"
peering = "private"
prefix  = "10.0.0.0/16"

[[route]]
circuit = "contoso"
peering = "microsoft"
prefix  = "203.0.113.64/26"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::Role;

    #[test]
    fn the_file_is_right_for_both_roles() {
        let path = Path::new("/proc/1/fd/3");
        let text = config(|_| path);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = config::load(&file).map_err(|e| panic!("{e:?}")).unwrap();
        for role in [Role::Provider, Role::Microsoft] {
            let own = loaded.model.for_role(role).unwrap();
            crate::compile::compile(&own, 1).unwrap();
        }
        let circuit = &loaded.model.circuits[0];
        assert_eq!(circuit.s_tag.map(|tag| tag.value()), Some(S_TAG));
        assert_eq!(circuit.peerings().next().map(|own| own.vlan.value()), Some(PRIVATE_TAG));
        assert_eq!(circuit.bandwidth.to_string(), "50 Mbps");
    }

    #[test]
    fn the_picture_shows_every_host() {
        for host in ON_PREMISES.iter().chain(&IN_AZURE) {
            assert!(PICTURE.contains(&host.address.to_string()), "{}", host.name);
        }
    }
}
