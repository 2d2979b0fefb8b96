//! What does the configuration file say? The same scenario for ports of any kind.
//!
//! The tester's two ports are called `onprem` and `azure`. A circuit has two links; traffic takes
//! the primary one, and the secondary one is cabled up inside the process.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use super::places::{
    AZURE_MAC, AZURE_PORT_MAC, EDGE_MAC, FIRST_VM, GATEWAY_SUBNET, INSIDE, MICROSOFT_SUBNETS,
    ONPREM_HOSTS, ONPREM_PORT_MAC, PRIVATE_SUBNETS, S_TAG, SECONDARY_PORT_MAC, SERVICE_ROUTER,
    SERVICES, VMS, VNET,
};
use super::{HandOver, Limits, Scenario, ScenarioError, Way};
use crate::bench::traffic::flows::PORTS_PER_HOST;
use crate::ids::{PeeringKind, SHARDS};
use crate::model::GatewaySku;
use crate::nat::shard_of_inside;
use crate::wire::vlan::TagStack;

/// What stands behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A memory port; the tester plugs into it.
    Memory,
    /// A TAP that the forwarder makes, of this name, in this namespace or its own.
    Tap(String, Option<PathBuf>),
    /// An interface that is there, of this name, in this namespace or its own.
    Packet(String, Option<PathBuf>),
    /// The same, by XDP sockets.
    Xdp(String, Option<PathBuf>),
}

/// The tester's two ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Towards on-premises.
    pub onprem: PortKind,
    /// Towards Azure.
    pub azure: PortKind,
    /// The circuit's secondary link, where both carry traffic: flows of routed ways leave by
    /// either.
    pub secondary: Option<PortKind>,
}

impl Ports {
    /// Two memory ports.
    pub const MEMORY: Self =
        Self { onprem: PortKind::Memory, azure: PortKind::Memory, secondary: None };
}

/// UDP sessions outlive every measurement.
const UDP_TIMEOUT_SECONDS: u32 = 86_400;

impl Scenario {
    /// The configuration file for these ports.
    ///
    /// # Errors
    /// When another process would have to have what no file can say, rates beyond the service's.
    /// For memory ports those are set when the file is compiled, and routes that are prefixes are
    /// loaded then; a file has them as routes of on-premises.
    pub fn config(&self, ports: &Ports) -> Result<String, ScenarioError> {
        if *ports != Ports::MEMORY && self.spec.limits == Limits::Ample {
            let (way, what) = (self.spec.way, "ample limits");
            return Err(ScenarioError::MemoryOnly { way, what });
        }
        let mut text = String::new();
        self.write(&mut text, ports).expect("a string takes everything");
        Ok(text)
    }

    /// Whether routes are loaded that are no VMs.
    pub(super) fn has_prefixes(&self) -> bool {
        self.spec.way.routes() && !self.spec.routes.prefixes().is_empty()
    }

    fn write(&self, out: &mut String, ports: &Ports) -> std::fmt::Result {
        let (way, limits) = (self.spec.way, self.spec.limits);
        writeln!(out, "# thruway bench: way {way}, hand-over {}.", self.spec.hand_over)?;
        match limits {
            Limits::Off => {
                writeln!(out, "# The service's limits are off: tables and rates go beyond them.")?;
                writeln!(out, "[service]\nlimits = \"off\"")?;
            }
            Limits::Enforced | Limits::Ample => {
                writeln!(out, "[service]\nlimits = \"enforce\"")?;
            }
        }
        port(out, "onprem", &ports.onprem, Some(ONPREM_PORT_MAC))?;
        port(out, "azure", &ports.azure, Some(AZURE_PORT_MAC))?;
        match way {
            Way::FastPath | Way::Gateway => {
                match &ports.secondary {
                    Some(kind) => port(out, "spare", kind, Some(SECONDARY_PORT_MAC))?,
                    None => self.inner_ports(out, ["spare", "idle"])?,
                }
                let pin = ports.secondary.is_none();
                self.circuit(out, ["onprem", "spare"], pin)?;
                if *ports != Ports::MEMORY && self.has_prefixes() {
                    let prefixes = self.spec.routes.prefixes();
                    let list: Vec<_> = prefixes.iter().map(|own| format!("\"{own}\"")).collect();
                    let list = format!("prefixes = [\n{},\n]", list.join(",\n"));
                    route(out, "private", &list, pin)?;
                }
                self.vnet(out)?;
            }
            Way::Nat | Way::Provider => {
                // Access and link of the secondary side lead to each other: nothing enters there.
                self.inner_ports(out, ["spare", "spare-link"])?;
                self.inner_ports(out, ["edge-1", "edge-2"])?;
                self.circuit(out, ["edge-1", "edge-2"], true)?;
                self.provider(out, ["azure", "spare-link"], Some("spare"))?;
            }
            Way::Microsoft => {
                self.inner_ports(out, ["link-1", "edge-1"])?;
                self.inner_ports(out, ["link-2", "edge-2"])?;
                self.circuit(out, ["edge-1", "edge-2"], true)?;
                self.provider(out, ["link-1", "link-2"], None)?;
                service(out, "azure")?;
            }
        }
        Ok(())
    }

    /// Two memory ports and the cable between them.
    fn inner_ports(&self, out: &mut String, [a, b]: [&str; 2]) -> std::fmt::Result {
        for name in [a, b] {
            port(out, name, &PortKind::Memory, (name == "edge-1").then_some(EDGE_MAC))?;
        }
        writeln!(out, "\n[[cable]]\nends = [\"{a}\", \"{b}\"]")
    }

    fn circuit(
        &self,
        out: &mut String,
        [primary, secondary]: [&str; 2],
        pin: bool,
    ) -> std::fmt::Result {
        let (hand_over, bandwidth) = (self.spec.hand_over, self.spec.bandwidth);
        writeln!(
            out,
            "\n[circuit.bench]\n\
             provider         = \"Lab Exchange\"\n\
             peering_location = \"Amsterdam\"\n\
             bandwidth        = \"{bandwidth}\"\n\
             sku              = \"Premium\"\n\
             encapsulation    = \"{hand_over}\"\n\
             links            = {{ primary = \"{primary}\", secondary = \"{secondary}\" }}"
        )?;
        writeln!(out, "policing         = {{ burst_ms = {} }}", self.spec.burst_millis)?;
        if hand_over == HandOver::QinQ {
            writeln!(out, "s_tag            = {S_TAG}")?;
        }
        let (kind, [primary, secondary]) = match self.peering() {
            PeeringKind::Private => ("private", PRIVATE_SUBNETS),
            PeeringKind::Microsoft => ("microsoft", MICROSOFT_SUBNETS),
        };
        writeln!(
            out,
            "\n[circuit.bench.{kind}]\n\
             vlan             = {}\n\
             peer_asn         = 65010\n\
             primary_subnet   = \"{primary}\"\n\
             secondary_subnet = \"{secondary}\"",
            self.c_tag(),
        )?;
        if self.peering() == PeeringKind::Microsoft {
            let pool = self.pool();
            writeln!(out, "advertised_public_prefixes = [\"{pool}\"]")?;
            writeln!(out, "routing_registry = \"ARIN\"")?;
            route(out, "microsoft", &one(pool), pin)
        } else if self.spec.way.routes() {
            route(out, "private", &one(ONPREM_HOSTS), pin)
        } else {
            Ok(())
        }
    }

    fn provider(
        &self,
        out: &mut String,
        [primary, secondary]: [&str; 2],
        spare_access: Option<&str>,
    ) -> std::fmt::Result {
        let kind = if self.spec.way.translates() { "microsoft" } else { "private" };
        let tags = match self.access_tags() {
            TagStack::UNTAGGED => "untagged = true".to_owned(),
            tags => format!("c_tag = {}", tags.vids()[0]),
        };
        let access = |port: &str| format!("{{ port = \"{port}\", {tags} }}");
        let second = spare_access.map(|port| format!(", secondary = {}", access(port)));
        writeln!(
            out,
            "\n[provider.bench]\n\
             circuit = \"bench\"\n\
             links   = {{ primary = \"{primary}\", secondary = \"{secondary}\" }}\n\
             {kind} = {{ primary = {}{} }}",
            access("onprem"),
            second.unwrap_or_default(),
        )?;
        if !self.spec.way.translates() {
            return Ok(());
        }
        writeln!(
            out,
            "\n[provider.bench.nat]\n\
             inside   = [\"{INSIDE}\"]\n\
             pool     = [\"{}\"]\n\
             sessions = {}\n\
             timeouts = {{ udp = {UDP_TIMEOUT_SECONDS} }}",
            self.pool(),
            self.session_room(),
        )
    }

    /// Sessions that the NAT has room for, so that the fullest of its shards has: hosts are not
    /// spread evenly over them.
    pub fn session_room(&self) -> u32 {
        let mut hosts = [0_u64; SHARDS];
        for host in 0..u32::try_from(self.inside_hosts()).unwrap_or(u32::MAX) {
            hosts[shard_of_inside(super::places::FIRST_INSIDE + host).index()] += 1;
        }
        let fullest = hosts.iter().max().copied().unwrap_or(1);
        let room = fullest * u64::from(PORTS_PER_HOST) * SHARDS as u64;
        u32::try_from(room).unwrap_or(u32::MAX)
    }

    fn vnet(&self, out: &mut String) -> std::fmt::Result {
        let nsg = if self.spec.rules > 0 { ", nsg = \"bench\"" } else { "" };
        let sku = match self.spec.gateway {
            GatewaySku::ErGwScale(units) => format!("sku = \"ErGwScale\", units = {units}"),
            sku => format!("sku = \"{sku}\""),
        };
        writeln!(
            out,
            "\n[vnet.bench]\n\
             region        = \"West Europe\"\n\
             address_space = [\"{VNET}\"]\n\
             subnets       = {{ vms = {{ prefix = \"{VMS}\", port = \"azure\"{nsg} }} }}\n\
             gateway       = {{ type = \"ExpressRoute\", {sku}, \
             subnet = \"{GATEWAY_SUBNET}\" }}\n\
             \n\
             [vnet.bench.nic]"
        )?;
        for vm in 0..self.spec.routes.vms() {
            let ip = Ipv4Addr::from(FIRST_VM + vm);
            writeln!(out, "vm{vm} = {{ ip = \"{ip}\", mac = \"{AZURE_MAC}\" }}")?;
        }
        let fastpath = self.spec.way == Way::FastPath;
        writeln!(
            out,
            "\n[[connection]]\ncircuit  = \"bench\"\nvnet     = \"bench\"\nfastpath = {fastpath}"
        )?;
        if self.spec.rules > 0 { self.rules(out) } else { Ok(()) }
    }

    /// Rules of which the last one allows; the others are for sources that send nothing.
    fn rules(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[[nsg]]\nname = \"bench\"")?;
        for rule in 1..=self.spec.rules {
            let (access, source) = if rule == self.spec.rules {
                ("Allow", ONPREM_HOSTS.to_string())
            } else {
                ("Deny", format!("192.168.{}.{}/32", rule >> 8, rule & 0xff))
            };
            writeln!(
                out,
                "\n[[nsg.rules]]\n\
                 name      = \"rule-{rule}\"\n\
                 priority  = {}\n\
                 direction = \"Inbound\"\n\
                 access    = \"{access}\"\n\
                 source    = \"{source}\"",
                100 + rule,
            )?;
        }
        Ok(())
    }
}

fn port(
    out: &mut String,
    name: &str,
    kind: &PortKind,
    mac: Option<crate::wire::eth::MacAddr>,
) -> std::fmt::Result {
    writeln!(out, "\n[[port]]\nname = \"{name}\"")?;
    let netns = match kind {
        PortKind::Memory => {
            writeln!(out, "memory = true")?;
            None
        }
        PortKind::Tap(device, netns) => {
            writeln!(out, "tap = \"{device}\"")?;
            netns.as_ref()
        }
        PortKind::Packet(interface, netns) => {
            writeln!(out, "packet = \"{interface}\"")?;
            netns.as_ref()
        }
        PortKind::Xdp(interface, netns) => {
            writeln!(out, "xdp = \"{interface}\"")?;
            netns.as_ref()
        }
    };
    if let Some(netns) = netns {
        writeln!(out, "netns = '{}'", netns.display())?;
    }
    match mac {
        Some(mac) => writeln!(out, "mac = \"{mac}\""),
        None => Ok(()),
    }
}

fn one(prefix: Ipv4Net) -> String {
    format!("prefix  = \"{prefix}\"")
}

fn route(out: &mut String, peering: &str, prefixes: &str, pin: bool) -> std::fmt::Result {
    writeln!(
        out,
        "\n[[route]]\n\
         circuit = \"bench\"\n\
         peering = \"{peering}\"\n\
         {prefixes}"
    )?;
    if pin { writeln!(out, "link    = \"primary\"") } else { Ok(()) }
}

fn service(out: &mut String, port: &str) -> std::fmt::Result {
    writeln!(
        out,
        "\n[service_endpoint.bench]\n\
         prefix = \"{SERVICES}\"\n\
         router = \"{SERVICE_ROUTER}\"\n\
         port   = \"{port}\""
    )
}
