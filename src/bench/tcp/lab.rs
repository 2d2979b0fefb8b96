//! Which hosts, wires and forwarder does a run need? Two namespaces of hosts, one for the
//! forwarder, and what joins them.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Forwarder, How, Medium, refused};
use crate::bench::error::BenchError;
use crate::bench::medium::device::{Nat, Patch, translate};
use crate::bench::medium::{Cores, Intake, take_in};
use crate::control::api::Topic;
use crate::control::client;
use crate::io::port::PortKind;
use crate::io::{Idle, Netns as PortNetns, PacketSpec, TapSpec};
use crate::lab::{LabError, Netns, Process, Route, Scratch, process, veth, wait};

/// The service's host.
pub(super) const SERVICE: &str = "198.51.100.10";
/// The host of on-premises.
const ONPREM: &str = "192.168.10.1";
/// Interfaces of the two hosts, and of the second link to on-premises, which answers may take.
const NAMES: [&str; 3] = ["onprem", "service", "second"];
/// How long one ping may take.
const PING: Duration = Duration::from_secs(3);

/// Both hosts and what is between them.
pub(super) struct Hosts {
    // The forwarder goes before what it stands on.
    between: Between,
    pub(super) onprem: Netns,
    pub(super) service: Netns,
    device: Netns,
    cores: Cores,
    forwarder: Forwarder,
}

/// What is between the hosts.
enum Between {
    Thruway { process: Process, scratch: Scratch },
    Kernel,
    Null { _patch: Box<Patch> },
}

impl Hosts {
    pub(super) fn new(how: &How, cores: &Cores) -> Result<Self, BenchError> {
        let (cores, forwarder) = (cores.clone(), how.forwarder);
        let netns = |label| {
            let netns = Netns::new(label)?;
            netns.silence_ip6()?;
            // Answers may come by the second link.
            netns.make_router()?;
            Ok::<_, LabError>(netns)
        };
        let (onprem, service, device) = (netns("onprem")?, netns("service")?, netns("device")?);
        onprem.interface("lo").add_address(net(ONPREM, 32))?;
        let mut hosts =
            Self { between: Between::Kernel, onprem, service, device, cores, forwarder };
        match how.forwarder {
            Forwarder::Thruway => hosts.start_thruway(how.medium)?,
            Forwarder::Kernel => hosts.start_kernel()?,
            Forwarder::Null => hosts.start_null(how.medium)?,
        }
        Ok(hosts)
    }

    /// The namespace that an interface's host lives in.
    fn host(&self, name: &str) -> &Netns {
        if name == NAMES[1] { &self.service } else { &self.onprem }
    }

    /// Lays veth pairs of these names; the forwarder's ends are called the same.
    fn lay(&self, names: &[&str]) -> Result<(), LabError> {
        for name in names {
            let (near, far) = veth((self.host(name), name), (&self.device, name))?;
            for end in [&near, &far] {
                end.set_mtu(1504)?;
                end.up()?;
            }
            near.set_mtu(1500)?;
        }
        Ok(())
    }

    /// Gives a host its address and its way out.
    fn address(
        &self,
        name: &str,
        address: (&str, u8),
        to: &str,
        router: &str,
    ) -> Result<(), LabError> {
        let host = self.host(name);
        let interface = host.interface(name);
        interface.up()?;
        interface.add_address(net(address.0, address.1))?;
        let route = Route::via(to.parse().expect("a prefix"), ip(router));
        let source = (name == NAMES[0]).then(|| ip(ONPREM));
        host.add_route(&source.into_iter().fold(route, Route::source))
    }

    fn start_thruway(&mut self, medium: Medium) -> Result<(), BenchError> {
        if medium == Medium::Veth {
            self.lay(&NAMES)?;
        }
        let scratch = Scratch::new("bench-tcp")?;
        let (file, socket) = (scratch.file("tcp.toml"), scratch.file("tcp.sock"));
        fs::write(&file, self.config(medium))
            .map_err(|why| BenchError::File { path: file.display().to_string(), why })?;
        let (file, socket) = (file.display().to_string(), socket.display().to_string());
        let words = ["run", &file, "--workers", "1", "--poll", "--api", &socket];
        let command = process::own_program(words)?;
        let spawned = self.cores.on_device(|| Process::spawn(&self.device, command));
        let process = spawned.map_err(|why| refused(self.forwarder, &why))?;
        let ready = |line: &str| line.starts_with("thruway is ready");
        process.wait_line("thruway to be ready", super::SOON, ready)?;
        self.between = Between::Thruway { process, scratch };
        let second = self.onprem.interface(NAMES[2]);
        second.up()?;
        second.add_address(net("203.0.113.5", 30))?;
        self.address(NAMES[0], ("203.0.113.1", 30), "198.51.100.0/24", "203.0.113.2")?;
        self.address(NAMES[1], (SERVICE, 24), "0.0.0.0/0", "198.51.100.1")?;
        Ok(())
    }

    fn config(&self, medium: Medium) -> String {
        let mut text = "[service]\nlimits = \"off\"\n".to_owned();
        for name in NAMES {
            let (kind, netns) = match medium {
                Medium::Tap => ("tap", self.host(name)),
                Medium::Veth => ("packet", &self.device),
            };
            let path = netns.path();
            writeln!(text, "[[port]]\nname = {name:?}\n{kind} = {name:?}\nnetns = {path:?}")
                .expect("a string takes everything");
        }
        text + NETWORK
    }

    fn start_kernel(&mut self) -> Result<(), BenchError> {
        self.lay(&NAMES[..2])?;
        for name in &NAMES[..2] {
            let end = self.device.interface(name);
            take_in(&end, Intake::Thread, self.cores.device[0])
                .map_err(|why| refused(self.forwarder, &why))?;
        }
        self.device.interface(NAMES[0]).add_address(net("203.0.113.2", 30))?;
        self.device.interface(NAMES[1]).add_address(net("198.51.100.1", 24))?;
        let inside = net(ONPREM, 32);
        self.device.add_route(&Route::via(inside, ip("203.0.113.1")))?;
        self.address(NAMES[0], ("203.0.113.1", 30), "198.51.100.0/24", "203.0.113.2")?;
        self.address(NAMES[1], (SERVICE, 24), "0.0.0.0/0", "198.51.100.1")?;
        let nat = Nat { inside, pool: None, out: 1, sessions: 1 };
        translate(&self.device, &nat, NAMES[1]).map_err(|why| refused(self.forwarder, &why))
    }

    fn start_null(&mut self, medium: Medium) -> Result<(), BenchError> {
        if medium == Medium::Veth {
            self.lay(&NAMES[..2])?;
        }
        let kinds = [NAMES[0], NAMES[1]].map(|name| match medium {
            Medium::Tap => {
                let netns = Some(PortNetns::Path(self.host(name).path()));
                PortKind::Tap(TapSpec { netns, mtu: 1500, ..TapSpec::new(name) })
            }
            Medium::Veth => {
                let netns = Some(PortNetns::Path(self.device.path()));
                PortKind::Packet(PacketSpec { netns, ..PacketSpec::new(name) })
            }
        });
        let patch = Patch::start(kinds, self.cores.device[0], Idle::Poll);
        let patch = patch.map_err(|why| refused(self.forwarder, &why))?;
        self.between = Between::Null { _patch: Box::new(patch) };
        // One subnet, which both hosts are on.
        for (name, address) in [(NAMES[0], "198.51.100.1"), (NAMES[1], SERVICE)] {
            let interface = self.host(name).interface(name);
            interface.up()?;
            interface.add_address(net(address, 24))?;
        }
        Ok(())
    }

    /// Waits until a ping crosses: neighbours are known then, and the session can be opened.
    pub(super) fn wait_until_known(&self, within: Duration) -> Result<(), BenchError> {
        let mut said = String::new();
        let crosses = wait::until(within, Duration::from_millis(100), || match self.ping() {
            Ok(crossed) => crossed,
            Err(why) => {
                said = why.to_string();
                false
            }
        });
        if crosses {
            return Ok(());
        }
        Err(refused(self.forwarder, &format!("no ping crosses it within {within:?} {said}")))
    }

    fn ping(&self) -> Result<bool, LabError> {
        let mut command = Command::new("ping");
        command.args(["-n", "-c", "1", "-W", "1", SERVICE]);
        let process = Process::spawn(&self.onprem, command)?;
        Ok(process.wait(PING)?.success())
    }

    /// Whether the forwarder still runs, and accounts for every frame.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        let Between::Thruway { process, scratch } = &self.between else { return Ok(()) };
        if process.exit_status().is_some() {
            return Err(refused(self.forwarder, &process.lines().join(" ")));
        }
        let socket = scratch.file("tcp.sock");
        let balanced = || {
            let status: Option<Value> = client::ask(&socket, Topic::Status).ok();
            status.is_some_and(|status| status["accounts"]["balanced"] == true)
        };
        if wait::until(super::SOON, Duration::from_millis(50), balanced) {
            return Ok(());
        }
        Err(refused(self.forwarder, &"it does not account for every frame"))
    }
}

fn ip(text: &str) -> std::net::Ipv4Addr {
    text.parse().expect("an address")
}

fn net(address: &str, len: u8) -> ipnet::Ipv4Net {
    ipnet::Ipv4Net::new_assert(ip(address), len)
}

/// Both sides of a Microsoft peering; links are cables inside the process.
const NETWORK: &str = r#"
[[port]]
name = "pe-pri"
memory = true
[[port]]
name = "msee-pri"
memory = true
[[cable]]
ends = ["pe-pri", "msee-pri"]
[[port]]
name = "pe-sec"
memory = true
[[port]]
name = "msee-sec"
memory = true
[[cable]]
ends = ["pe-sec", "msee-sec"]

[circuit.contoso]
provider = "Lab Exchange"
peering_location = "Amsterdam"
bandwidth = "10 Gbps"
encapsulation = "QinQ"
s_tag = 1001
links = { primary = "msee-pri", secondary = "msee-sec" }

[circuit.contoso.microsoft]
vlan = 300
peer_asn = 65010
subnet = "203.0.113.0/29"
advertised_public_prefixes = ["203.0.113.64/26"]

[provider.lab]
circuit = "contoso"
links = { primary = "pe-pri", secondary = "pe-sec" }
microsoft = { primary = { port = "onprem", untagged = true }, secondary = { port = "second", untagged = true } }
nat = { inside = ["192.168.0.0/16"], pool = ["203.0.113.64/28"] }

[service_endpoint.m365]
prefix = "198.51.100.0/24"
router = "198.51.100.1"
port = "service"

[[route]]
circuit = "contoso"
peering = "microsoft"
prefix = "203.0.113.64/26"
"#;
