//! Which bed do the words of a command line ask for?

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::bench::bed::{CableWish, DeviceKind, Medium, Wish};
use crate::bench::scenario::{Direction, HandOver, Limits, Mix, Routes, Spec, Way};
use crate::bench::suite::whole;
use crate::bench::traffic::Genome;
use crate::model::{Bandwidth, GatewaySku};

/// What to measure; the defaults are the usual ones for the way.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Wanted {
    /// Between tester and forwarder: memory, ring, veth or tap
    #[arg(long, default_value = "ring")]
    pub medium: Medium,
    /// What is measured: thruway, thruway-xdp, kernel, null, testpmd or testpmd-xdp
    #[arg(long, default_value = "thruway")]
    pub device: DeviceKind,
    /// The way through it: fastpath, gateway, nat, provider or microsoft
    #[arg(long, default_value = "fastpath")]
    pub way: Way,
    /// How frames are tagged on links: Untagged, Dot1Q or QinQ
    #[arg(long, default_value = "QinQ")]
    pub hand_over: HandOver,
    /// Bytes of each frame, check sequence included, tags left out
    #[arg(long, default_value_t = 64, conflicts_with = "imix")]
    pub size: u32,
    /// Sizes in turn instead: letters of RFC 6985, or `simple` for 7:4:1
    #[arg(long, value_name = "GENOME")]
    pub imix: Option<String>,
    /// Destinations: how many VMs, how many routes of the Internet's mix (10k+), or a file of CIDRs
    #[arg(long, value_name = "COUNT|FILE")]
    pub routes: Option<String>,
    /// Flows that are cycled through; with NAT, sessions
    #[arg(long)]
    pub flows: Option<u64>,
    /// Sessions that are not open yet, for new flows through NAT
    #[arg(long, default_value_t = 0)]
    pub new_flows: u64,
    /// Frames that begin a session: none, all, or one in so many
    #[arg(long, default_value = "none", value_name = "none|all|N")]
    pub new: String,
    /// Rules of a security group in front of the VMs
    #[arg(long, default_value_t = 0)]
    pub rules: u32,
    /// The service's limits: off, enforced, or ample (in this process: they work and never bind)
    #[arg(long, default_value = "off")]
    pub limits: Limits,
    /// The circuit's bandwidth, such as "200 Mbps"; it binds with --limits enforced
    #[arg(long, default_value = "10 Gbps", value_name = "BANDWIDTH")]
    pub bandwidth: Bandwidth,
    /// Milliseconds of the bandwidth that pass at once after a rest: the policer's bucket
    #[arg(long, default_value_t = 10, value_name = "MS")]
    pub burst_ms: u32,
    /// The gateway: Standard, HighPerformance, UltraPerformance, ErGw1AZ, ErGw2AZ, ErGw3AZ, or
    /// ErGwScale:UNITS
    #[arg(long, default_value = "ErGwScale:40", value_name = "SKU")]
    pub gateway: GatewaySku,
    /// to_azure, to_onprem or both
    #[arg(long, default_value = "to_azure")]
    pub direction: Direction,
    /// The forwarder's workers
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The line that rates are held against, in Gbit/s
    #[arg(long, default_value_t = 10.0, value_name = "GBIT/S")]
    pub line: f64,
    /// Another build of thruway to measure, on veth and tap
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// Two interfaces of your lab instead, and whatever is cabled between them
    #[command(flatten)]
    pub cable: Cable,
}

/// Two interfaces of the user's lab.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Cable {
    /// Interface that frames are sent on
    #[arg(long, value_name = "IF", requires = "rx")]
    pub tx: Option<String>,
    /// Interface that they come back on
    #[arg(long, value_name = "IF", requires = "tx")]
    pub rx: Option<String>,
    /// The tester's address on the first
    #[arg(long, value_name = "CIDR", default_value = "198.18.0.2/24")]
    pub tx_ip: Ipv4Net,
    /// The tester's address on the second
    #[arg(long, value_name = "CIDR", default_value = "198.19.0.2/24")]
    pub rx_ip: Ipv4Net,
    /// The forwarder's address on the first; none for a forwarder of layer 2
    #[arg(long, value_name = "IP")]
    pub tx_gateway: Option<Ipv4Addr>,
    /// The forwarder's address on the second
    #[arg(long, value_name = "IP")]
    pub rx_gateway: Option<Ipv4Addr>,
    /// Destinations; the second interface's subnet without it
    #[arg(long, value_name = "CIDR")]
    pub to: Option<Ipv4Net>,
    /// The interfaces are cabled to each other: measure the tester alone
    #[arg(long = "loop")]
    pub is_loop: bool,
    /// Use interfaces that have addresses or the default route
    #[arg(long)]
    pub allow_host_interface: bool,
    /// What to call the forwarder
    #[arg(long, default_value = "forwarder")]
    pub name: String,
}

/// From this many routes on a table has the Internet's length mix instead of hosts.
const INTERNET_FROM: u32 = 20_000;

impl Wanted {
    /// As values, checked.
    ///
    /// # Errors
    /// When a word names nothing or a file cannot be read.
    pub(super) fn wish(&self) -> Result<Wish> {
        let mut spec = Spec::new(self.way);
        spec.hand_over = self.hand_over;
        (spec.rules, spec.limits, spec.seed) = (self.rules, self.limits, self.seed);
        (spec.bandwidth, spec.gateway) = (self.bandwidth, self.gateway);
        spec.burst_millis = self.burst_ms;
        spec.new_flows = self.new_flows;
        if let Some(routes) = &self.routes {
            spec.routes = self.table(routes)?;
        }
        if let Some(flows) = self.flows {
            spec.flows = flows;
        } else if !self.way.translates() {
            spec.flows = u64::try_from(spec.routes.len()).expect("a count").clamp(1, 100_000);
        }
        let cable = self.cable_wish();
        Ok(Wish {
            medium: if cable.is_some() { Medium::Cable } else { self.medium },
            device: self.device,
            spec,
            genome: self.genome()?,
            direction: self.direction,
            mix: self.mix()?,
            workers: self.workers,
            two_links: false,
            nominal_bps: whole(self.line * 1e9),
            program: self.program.clone(),
            cable,
        })
    }

    fn genome(&self) -> Result<Genome> {
        match self.imix.as_deref() {
            None => Genome::one(self.size).into_diagnostic(),
            Some("simple") => Ok(Genome::simple_imix()),
            Some(text) => text.parse().into_diagnostic(),
        }
    }

    fn mix(&self) -> Result<Mix> {
        match self.new.as_str() {
            "none" => Ok(Mix::Known),
            "all" => Ok(Mix::New),
            every => {
                let every = every.parse().map_err(|_| {
                    miette!("--new takes none, all, or a number (4 is one frame in four)")
                })?;
                Ok(Mix::Mixed { every })
            }
        }
    }

    fn table(&self, routes: &str) -> Result<Routes> {
        match routes.parse::<u32>() {
            Ok(len) if len < INTERNET_FROM => Ok(Routes::hosts(len)),
            Ok(len) => Ok(Routes::internet(self.seed, len)),
            Err(_) => {
                let text = fs::read_to_string(routes)
                    .into_diagnostic()
                    .wrap_err_with(|| format!("--routes {routes}: neither a number nor a file"))?;
                Routes::read(routes, &text).into_diagnostic()
            }
        }
    }

    fn cable_wish(&self) -> Option<CableWish> {
        let cable = &self.cable;
        let interfaces = [cable.tx.clone()?, cable.rx.clone()?];
        Some(CableWish {
            interfaces,
            addresses: [cable.tx_ip, cable.rx_ip],
            gateways: [cable.tx_gateway, cable.rx_gateway],
            to: cable.to.unwrap_or(cable.rx_ip.trunc()),
            is_loop: cable.is_loop,
            allow_host_interface: cable.allow_host_interface,
            name: cable.name.clone(),
        })
    }
}
