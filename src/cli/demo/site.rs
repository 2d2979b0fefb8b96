//! How is the lab built, and what do its two processes count?
//!
//! Everything hangs on this process: namespaces by descriptors, processes by the parent-death
//! signal, devices by the processes. Nothing is left when it is killed.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::Ipv4Net;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::de::DeserializeOwned;

use super::plan::{self, Host};
use crate::cli::client;
use crate::control::api::Topic;
use crate::control::view::{Circuit, Gateway, Meter, Port, Status};
use crate::lab::traffic::{EchoServer, PingOptions, ping};
use crate::lab::{Interface, Lab, Netns, Process, Route, Scratch, process, veth, wait};

/// How long a process may take until packets flow.
const START: Duration = Duration::from_secs(10);
/// How often a wait looks at counters.
const LOOK: Duration = Duration::from_millis(20);

/// The running lab.
#[derive(Debug)]
pub(super) struct Site {
    // Servers and processes go before the namespaces and files that they use.
    servers: Vec<EchoServer>,
    lab: RefCell<Lab>,
    scratch: Scratch,
}

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The provider.
    Provider,
    /// Microsoft.
    Microsoft,
}

impl Side {
    /// Both.
    pub(super) const BOTH: [Side; 2] = [Side::Provider, Side::Microsoft];

    /// Its role, process and namespace.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Side::Provider => "provider",
            Side::Microsoft => "microsoft",
        }
    }
}

impl Site {
    /// Builds the lab; `say` hears of each step.
    pub(super) fn build(scratch: Scratch, mut say: impl FnMut(&str) -> Result<()>) -> Result<Self> {
        let mut site =
            Self { servers: Vec::new(), lab: RefCell::new(Lab::new().into_diagnostic()?), scratch };
        site.on_premises()?;
        site.links()?;
        say("8 network namespaces, the customer's router, two links")?;
        site.processes()?;
        say("two thruway processes: the provider's, and Microsoft's")?;
        site.attach()?;
        site.converge()?;
        say("h1 reaches every host in Azure")?;
        site.servers = vec![
            EchoServer::start(&site.netns(plan::WEB)?, plan::ECHO_PORT).into_diagnostic()?,
            EchoServer::start(&site.netns(plan::WEB)?, plan::CLOSED_PORT).into_diagnostic()?,
            EchoServer::start(&site.netns(plan::SERVICE)?, plan::ECHO_PORT).into_diagnostic()?,
        ];
        Ok(site)
    }

    /// The namespace of a host.
    pub(super) fn netns(&self, host: Host) -> Result<Netns> {
        self.space(host.name)
    }

    /// A namespace by its name.
    pub(super) fn space(&self, name: &str) -> Result<Netns> {
        self.lab.borrow_mut().netns(name).into_diagnostic()
    }

    /// A host's interface.
    pub(super) fn interface(&self, host: Host) -> Result<Interface> {
        Ok(self.netns(host)?.interface(host.interface))
    }

    /// One side's ends of both links, the primary one first.
    pub(super) fn link_ends(&self, side: Side) -> Result<[Interface; 2]> {
        let netns = self.space(side.name())?;
        Ok(plan::LINKS.map(|(provider, edge)| match side {
            Side::Provider => netns.interface(provider),
            Side::Microsoft => netns.interface(edge),
        }))
    }

    /// Where a process' API listens.
    pub(super) fn socket(&self, side: Side) -> PathBuf {
        self.scratch.file(&format!("{}.sock", side.name()))
    }

    /// Where the configuration is.
    pub(super) fn config(&self) -> PathBuf {
        self.scratch.file("demo.toml")
    }

    /// A process' id.
    pub(super) fn pid(&self, side: Side) -> Option<u32> {
        self.lab.borrow().process(side.name()).map(Process::id)
    }

    /// Everyone who asked the public service so far, as it saw them.
    pub(super) fn service_peers(&self) -> Vec<SocketAddrV4> {
        self.servers.last().map(EchoServer::peers).into_iter().flatten().collect()
    }

    /// Ends the processes in order; says which did not end well.
    pub(super) fn close(self) -> Result<()> {
        for (name, end) in self.lab.into_inner().close() {
            let status = end.into_diagnostic().wrap_err_with(|| format!("ending {name}"))?;
            if !status.success() {
                return Err(miette!("the {name}'s process ended with {status}"));
            }
        }
        Ok(())
    }

    fn on_premises(&self) -> Result<()> {
        let ce = self.quiet_space("ce")?;
        for host in plan::ON_PREMISES {
            let own = self.quiet_space(host.name)?;
            let port = format!("to-{}", host.name);
            let (near, far) =
                veth((&own, host.interface), (&ce, port.as_str())).into_diagnostic()?;
            let router = Ipv4Net::new_assert(host.router, host.net().prefix_len());
            for (end, address) in [(&near, host.net()), (&far, router)] {
                end.add_address(address).into_diagnostic()?;
                end.up().into_diagnostic()?;
            }
            own.add_route(&default_route(host)).into_diagnostic()?;
        }
        let h2 = self.interface(plan::H2)?;
        let untranslated = Ipv4Net::from(plan::UNTRANSLATED);
        h2.add_address(untranslated).into_diagnostic()?;
        ce.add_route(&Route::via(untranslated, plan::H2.address)).into_diagnostic()?;
        ce.make_router().into_diagnostic()
    }

    fn links(&self) -> Result<()> {
        let provider = self.quiet_space(Side::Provider.name())?;
        let microsoft = self.quiet_space(Side::Microsoft.name())?;
        for (near, far) in plan::LINKS {
            let (near, far) = veth((&provider, near), (&microsoft, far)).into_diagnostic()?;
            for end in [&near, &far] {
                end.set_mtu(plan::LINK_MTU).into_diagnostic()?;
                end.offloads_off().into_diagnostic()?;
                end.up().into_diagnostic()?;
            }
        }
        plan::IN_AZURE.iter().try_for_each(|host| self.quiet_space(host.name).map(drop))
    }

    /// A namespace in which the kernel says nothing by itself.
    fn quiet_space(&self, name: &str) -> Result<Netns> {
        let netns = self.space(name)?;
        netns.silence_ip6().into_diagnostic()?;
        Ok(netns)
    }

    fn processes(&self) -> Result<()> {
        let names = plan::IN_AZURE.iter().map(|host| host.name).chain(["ce"]);
        let paths: Result<Vec<_>> =
            names.map(|name| Ok((name, self.space(name)?.path()))).collect();
        let paths = paths?;
        let text = plan::config(|wanted| {
            let found = paths.iter().find(|(name, _)| *name == wanted);
            found.map_or(Path::new(""), |(_, path)| path)
        });
        let (file, shown) = (self.config(), self.config().display().to_string());
        fs::write(&file, text).into_diagnostic().wrap_err_with(|| format!("writing {shown}"))?;
        for side in Side::BOTH {
            let api = self.socket(side).display().to_string();
            let words = ["run", &shown, "--role", side.name(), "--api", &api];
            let command = process::own_program(words).into_diagnostic()?;
            let netns = self.space(side.name())?;
            self.lab.borrow_mut().spawn(side.name(), &netns, command).into_diagnostic()?;
        }
        let lab = self.lab.borrow();
        for side in Side::BOTH {
            let process = lab.process(side.name()).expect("spawned above");
            let what = format!("the {}'s process to be ready", side.name());
            let ready = |line: &str| line.starts_with("thruway is ready");
            process.wait_line(&what, START, ready).into_diagnostic()?;
        }
        Ok(())
    }

    /// Gives the TAP devices their addresses, and everyone routes.
    fn attach(&self) -> Result<()> {
        let ce = self.space("ce")?;
        for access in plan::ACCESSES {
            let tap = ce.interface(access.interface);
            tap.wait_exists(START).into_diagnostic()?;
            tap.add_address(Ipv4Net::new_assert(access.customer, 30)).into_diagnostic()?;
            tap.up().into_diagnostic()?;
        }
        // Again: the devices are new.
        ce.make_router().into_diagnostic()?;
        for access in plan::ACCESSES {
            for prefix in access.prefixes {
                let route = Route::via(*prefix, access.edge).on(access.interface);
                ce.add_route(&route.metric(access.metric)).into_diagnostic()?;
            }
        }
        for host in plan::IN_AZURE {
            let tap = self.interface(host)?;
            tap.wait_exists(START).into_diagnostic()?;
            tap.add_address(host.net()).into_diagnostic()?;
            tap.up().into_diagnostic()?;
            tap.netns().add_route(&default_route(host)).into_diagnostic()?;
        }
        Ok(())
    }

    /// Waits until h1 reaches everyone: neighbours are found then, and counters of proofs exact.
    fn converge(&self) -> Result<()> {
        let h1 = self.netns(plan::H1)?;
        for host in plan::IN_AZURE {
            let mut last = Ok(Default::default());
            let reached = wait::until(START, LOOK, || {
                let timeout = Duration::from_millis(300);
                last =
                    ping(&h1, &PingOptions { count: 1, timeout, ..PingOptions::new(host.address) });
                last.as_ref().map_or(true, |report| report.received == 1)
            });
            let report = last.into_diagnostic()?;
            if !reached {
                return Err(miette!(
                    "h1 does not reach {} ({}): {report:?}",
                    host.name,
                    host.address
                ));
            }
        }
        Ok(())
    }

    /// What a process counts now.
    pub(super) fn counts(&self, side: Side) -> Result<Counts> {
        let socket = self.socket(side);
        Ok(Counts {
            status: ask(&socket, Topic::Status)?,
            circuits: ask(&socket, Topic::Circuits)?,
            gateways: ask(&socket, Topic::Gateways)?,
            ports: ask(&socket, Topic::Ports)?,
        })
    }

    /// What a process counts as soon as `holds`, or after a second: workers tell what they did
    /// shortly after they did it.
    pub(super) fn counts_when(
        &self,
        side: Side,
        mut holds: impl FnMut(&Counts) -> bool,
    ) -> Result<Counts> {
        let mut last = self.counts(side);
        wait::until(Duration::from_secs(1), LOOK, || {
            if last.as_ref().map_or(true, &mut holds) {
                return true;
            }
            last = self.counts(side);
            false
        });
        last
    }
}

fn default_route(host: Host) -> Route {
    Route::via(Ipv4Net::default(), host.router)
}

fn ask<T: DeserializeOwned>(socket: &Path, topic: Topic) -> Result<T> {
    let answer = client::ask(socket, topic)?;
    serde_json::from_value(answer)
        .into_diagnostic()
        .wrap_err_with(|| format!("the answer about {} is not what it should be", topic.name()))
}

/// What one process counted.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) status: Status,
    pub(super) circuits: Vec<Circuit>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) ports: Vec<Port>,
}

impl Counts {
    /// Packets dropped for that reason.
    pub(super) fn dropped(&self, reason: &str) -> u64 {
        let found = self.status.drops.iter().find(|own| own.reason == reason);
        found.map_or(0, |own| own.packets)
    }

    /// Packets and FastPath's packets of the gateway.
    pub(super) fn gateway(&self) -> (u64, u64) {
        let found = self.gateways.iter().find(|own| own.vnet == "hub");
        found.map_or((0, 0), |own| (own.packets, own.fastpath_packets))
    }

    /// Frames received and sent by a port.
    pub(super) fn port(&self, name: &str) -> (u64, u64) {
        let found = self.ports.iter().find(|own| own.name == name);
        found.map_or((0, 0), |own| (own.rx_frames, own.tx_frames))
    }

    /// A sum over all meters.
    pub(super) fn meters(&self, of: impl Fn(&Meter) -> u64) -> u64 {
        self.circuits.iter().flat_map(|own| &own.meters).map(of).sum()
    }
}
