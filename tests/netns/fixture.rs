//! A running lab, and what must hold when a scenario ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use thruway::cli::client;
use thruway::control::api::Topic;
use thruway::lab::traffic::{KernelCounters, kernel_counters};
use thruway::lab::{Interface, LabError, Netns, Process, Route, veth, wait};

use crate::config::{self, End, LINKS, Medium, OUTSIDE, Places, Processes};
use crate::programs::{self, output};

/// The VM's address that FastPath leads to.
pub(crate) const FAST: &str = "10.10.1.4";
/// The VM's address behind the gateway.
pub(crate) const GATEWAY: &str = "10.10.1.5";
/// The service's address.
pub(crate) const SERVICE: &str = "198.51.100.10";
/// The customer's host.
pub(crate) const HOST: &str = "192.168.10.1";
/// Long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What runs, and on what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) medium: Medium,
    pub(crate) workers: u8,
    pub(crate) processes: Processes,
}

/// A running lab.
pub(crate) struct Net {
    pub(crate) provider: Netns,
    pub(crate) edge: Netns,
    pub(crate) ends: [Netns; 3],
    pub(crate) running: Vec<(Process, PathBuf)>,
    pub(crate) folder: TempDir,
    setup: Setup,
    before: [KernelCounters; 3],
    _turn: MutexGuard<'static, ()>,
}

/// The namespace of an end.
fn place(end: End, ends: &[Netns; 3]) -> &Netns {
    match end {
        End::Onprem => &ends[0],
        End::Vm => &ends[1],
        End::Service => &ends[2],
    }
}

/// Runs `scenario` in a lab, then checks what must always hold; skipped, with the reason, where
/// a program or a permission is missing (a missing program is a failure in CI).
pub(crate) fn with(setup: Setup, needed: &[&str], scenario: impl FnOnce(&mut Net)) {
    if !programs::are_there(needed) {
        return;
    }
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut net) = Net::start(setup, turn) else { return };
    scenario(&mut net);
    net.check();
    net.end(Signal::TERM);
}

/// When a scenario fails, what thruway said and saw is half of the answer.
impl Drop for Net {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (process, socket) in &self.running {
            println!("{}: {:#?}", socket.display(), process.lines());
            for topic in [Topic::Drops, Topic::Arp, Topic::Ports] {
                if let Ok(answer) = client::ask(socket, topic) {
                    println!("{}: {answer:#}", topic.name());
                }
            }
        }
    }
}

impl Net {
    fn start(setup: Setup, turn: MutexGuard<'static, ()>) -> Option<Self> {
        let netns = |label: &str| match Netns::new(label) {
            Ok(netns) => {
                netns.silence_ip6().unwrap();
                // For interfaces that come later as for those that are there.
                netns.make_router().unwrap();
                Some(netns)
            }
            Err(error @ LabError::NotPermitted { .. }) => {
                println!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        };
        let ends = [netns("onprem")?, netns("vm")?, netns("service")?];
        let (provider, edge) = (netns("provider")?, netns("edge")?);
        let folder = TempDir::new().unwrap();
        let before = [KernelCounters::default(); 3];
        let running = Vec::new();
        let mut net = Self { provider, edge, ends, running, folder, setup, before, _turn: turn };
        net.lay_wires();
        net.run();
        net.address();
        net.before = net.kernel();
        Some(net)
    }

    pub(crate) fn medium(&self) -> Medium {
        self.setup.medium
    }

    pub(crate) fn end_of(&self, end: End) -> &Netns {
        place(end, &self.ends)
    }

    pub(crate) fn onprem(&self) -> &Netns {
        self.end_of(End::Onprem)
    }

    /// The end that has an address.
    pub(crate) fn at(&self, address: &str) -> &Netns {
        match address {
            FAST | GATEWAY => self.end_of(End::Vm),
            SERVICE => self.end_of(End::Service),
            _ => self.onprem(),
        }
    }

    /// The interface of an end that leads to a port.
    pub(crate) fn outer(&self, port: &str) -> Interface {
        let (_, end) = OUTSIDE.into_iter().find(|(name, _)| *name == port).unwrap();
        self.end_of(end).interface(port)
    }

    /// thruway's namespace of a port.
    pub(crate) fn own(&self, end: End) -> &Netns {
        if end == End::Onprem { &self.provider } else { &self.edge }
    }

    fn lay_wires(&self) {
        let wired = OUTSIDE.iter().filter(|(_, end)| !self.setup.medium.is_tap(*end));
        wired.for_each(|(port, _)| self.lay_wire(port));
        if self.setup.processes == Processes::Two {
            for (provider, edge) in LINKS {
                let (a, b) = veth((&self.provider, provider), (&self.edge, edge)).unwrap();
                for end in [&a, &b] {
                    end.set_mtu(1504).unwrap();
                    end.up().unwrap();
                    keep_order(end);
                }
            }
        }
    }

    /// The veth pair of a packet port towards an end.
    pub(crate) fn lay_wire(&self, port: &str) {
        let (_, end) = OUTSIDE.into_iter().find(|(name, _)| *name == port).unwrap();
        let inner = config::inner(port);
        let (ours, theirs) = veth((self.own(end), &inner), (self.end_of(end), port)).unwrap();
        match self.setup.medium {
            Medium::Veth { offloads: false } => theirs.offloads_off().unwrap(),
            // In native mode the kernel turns super-frames off itself.
            Medium::Xdp { mode: "generic" } => {
                let words = ["ethtool", "-K", port, "tso", "off", "gso", "off"];
                output(self.end_of(end), &words);
            }
            _ => {}
        }
        for end in [&ours, &theirs] {
            end.up().unwrap();
            keep_order(end);
        }
    }

    /// Starts thruway.
    pub(crate) fn run(&mut self) {
        let places =
            Places { provider: &self.provider, edge: &self.edge, end: place, ends: &self.ends };
        let Setup { medium, workers, processes } = self.setup;
        let file = self.folder.path().join("lab.toml");
        std::fs::write(&file, config::text(medium, workers, processes, &places)).unwrap();
        let roles: &[(&str, &Netns)] = match processes {
            Processes::One => &[("all", &self.edge)],
            Processes::Two => &[("provider", &self.provider), ("microsoft", &self.edge)],
        };
        for (role, netns) in roles {
            let socket = self.folder.path().join(format!("{role}.sock"));
            let mut command = Command::new(program());
            command.arg("run").arg(&file).args(["--role", role, "--api"]).arg(&socket);
            // More words, for measurements: `--poll`.
            let more = std::env::var("THRUWAY_RUN").unwrap_or_default();
            command.args(more.split_whitespace());
            let process = Process::spawn(netns, command).unwrap();
            process.wait_line("being ready", SOON, |line| line.contains("is ready")).unwrap();
            self.running.push((process, socket));
        }
    }

    fn address(&self) {
        let onprem = self.onprem();
        let address = |port: &str, address: &str| {
            let interface = self.outer(port);
            interface.up().unwrap();
            interface.add_address(address.parse().unwrap()).unwrap();
        };
        address("cp1", "172.16.0.1/30");
        address("cp2", "172.16.0.5/30");
        address("cm1", "203.0.113.1/30");
        address("cm2", "203.0.113.5/30");
        onprem.interface("lo").add_address(format!("{HOST}/32").parse().unwrap()).unwrap();
        for (prefix, routers) in [
            ("10.10.0.0/16", ["172.16.0.2", "172.16.0.6"]),
            ("198.51.100.0/24", ["203.0.113.2", "203.0.113.6"]),
        ] {
            for (metric, router) in (10..).zip(routers) {
                let route = Route::via(prefix.parse().unwrap(), router.parse().unwrap());
                onprem.add_route(&route.metric(metric).source(HOST.parse().unwrap())).unwrap();
            }
        }
        address("hub", &format!("{FAST}/24"));
        self.address_vm();
        address("m365", &format!("{SERVICE}/24"));
        let default = "0.0.0.0/0".parse().unwrap();
        let route = Route::via(default, "198.51.100.1".parse().unwrap());
        self.end_of(End::Service).add_route(&route).unwrap();
    }

    /// What a VM needs beyond its first address.
    pub(crate) fn address_vm(&self) {
        let hub = self.outer("hub");
        hub.add_address(format!("{GATEWAY}/24").parse().unwrap()).unwrap();
        let route = Route::via("0.0.0.0/0".parse().unwrap(), "10.10.1.1".parse().unwrap());
        self.end_of(End::Vm).add_route(&route).unwrap();
    }

    fn kernel(&self) -> [KernelCounters; 3] {
        self.ends.each_ref().map(|end| kernel_counters(end).unwrap())
    }

    /// What the ends' kernels have seen so far was meant to be wrong.
    pub(crate) fn forget(&mut self) {
        self.before = self.kernel();
    }

    /// Asks each process.
    pub(crate) fn ask(&self, topic: Topic) -> Vec<Value> {
        self.running.iter().map(|(_, socket)| client::ask(socket, topic).unwrap()).collect()
    }

    /// Packets that thruway dropped by this name.
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        let all = self.ask(Topic::Drops);
        let rows = all.iter().flat_map(|rows| rows.as_array().unwrap());
        rows.filter(|row| row["reason"] == reason).map(|row| row["packets"].as_u64().unwrap()).sum()
    }

    /// A sum of all processes' accounts.
    pub(crate) fn account(&self, name: &str) -> u64 {
        let all = self.ask(Topic::Status);
        all.iter().map(|s| s["accounts"][name].as_u64().unwrap()).sum()
    }

    /// Bytes of the average frame that came in at a port.
    pub(crate) fn bytes_a_frame(&self, port: &str) -> u64 {
        let all = self.ask(Topic::Ports);
        let ports = all.iter().flat_map(|ports| ports.as_array().unwrap());
        let own = ports.filter(|own| own["name"] == port);
        let number = |own: &Value, key: &str| own[key].as_u64().unwrap();
        let (frames, bytes) = own.fold((0, 0), |(frames, bytes), own| {
            (frames + number(own, "rx_frames"), bytes + number(own, "rx_bytes"))
        });
        bytes / frames.max(1)
    }

    /// Everything that thruway, the ends' interfaces and their sockets have dropped so far.
    pub(crate) fn lost(&self) -> u64 {
        let own = self.ask(Topic::Status);
        let own: u64 = own.iter().map(|s| s["accounts"]["dropped"].as_u64().unwrap()).sum();
        let interface = |port: &str| {
            let counters = self.outer(port).counters().unwrap();
            counters.tx_dropped + counters.rx_dropped
        };
        let wires: u64 = OUTSIDE.iter().map(|(port, _)| interface(port)).sum();
        own + wires + self.kernel().iter().map(|end| end.udp_buffer_errors).sum::<u64>()
    }

    /// The sums balance at rest, and no end saw a broken checksum or reordering.
    pub(crate) fn check(&self) {
        let balanced = || self.ask(Topic::Status).iter().all(|s| s["accounts"]["balanced"] == true);
        let at_rest = wait::until(Duration::from_secs(2), LOOK, balanced);
        assert!(at_rest, "unaccounted packets: {:#?}", self.ask(Topic::Status));
        for ((end, now), before) in self.ends.iter().zip(self.kernel()).zip(&self.before) {
            let since = now.since(before);
            assert_eq!(since.checksum_errors(), 0, "{}: {since:?}", end.label());
            assert_eq!(since.ip_header_errors, 0, "{}: {since:?}", end.label());
            // Where a policer drops thousands of segments there are more holes than an option for
            // selective acknowledgments names; what is named late looks as if it came late.
            let unsure = since.tcp_retransmits / 1000;
            assert!(since.tcp_reordering() <= unsure, "{}: {since:?}", end.label());
        }
    }

    /// Ends thruway with a signal: it says nothing wrong and leaves nothing.
    pub(crate) fn end(&mut self, signal: Signal) {
        for (process, socket) in self.running.drain(..) {
            process.signal(signal).unwrap();
            let status = process.wait(SOON).unwrap();
            assert!(status.success(), "{status}: {:?}", process.lines());
            assert!(!process.lines().iter().any(|line| line.contains("panicked")));
            assert!(!socket.exists(), "{} is left", socket.display());
        }
        let taps = OUTSIDE.iter().filter(|(_, end)| self.setup.medium.is_tap(*end));
        taps.for_each(|(port, _)| self.outer(port).wait_gone(SOON).unwrap());
    }
}

/// The program under test; `THRUWAY_BIN` names another build of it.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("THRUWAY_BIN")
        .map_or_else(|| Path::new(env!("CARGO_BIN_EXE_thruway")).to_owned(), PathBuf::from)
}

/// Lets one CPU take a flow's packets off a veth end. Without it the kernel queues them at the CPU
/// that sent them, and a sender that moves between CPUs overtakes itself.
fn keep_order(end: &Interface) {
    let script = format!(
        "mount -t sysfs none /sys && echo 3 > /sys/class/net/{}/queues/rx-0/rps_cpus",
        end.name()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let process = Process::spawn(end.netns(), command).unwrap();
    let status = process.wait(SOON).unwrap();
    assert!(status.success(), "{:?}", process.lines());
}
