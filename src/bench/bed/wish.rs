//! What is to be measured? The words of the command line as values, before anything is made.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::Ipv4Net;

use crate::bench::error::BenchError;
use crate::bench::scenario::{self, Direction, Mix};
use crate::bench::traffic::Genome;

/// Between tester and forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Rings in this process, all in one thread: our code alone.
    Memory,
    /// Rings in this process, the forwarder on a core of its own.
    Ring,
    /// veth pairs.
    Veth,
    /// TAP devices.
    Tap,
    /// Two interfaces of the user's, with whatever is cabled between them.
    Cable,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// This program; on veth its ports are packet ports.
    Thruway,
    /// This program with xdp ports.
    ThruwayXdp,
    /// The kernel's own forwarding, with nft where addresses are translated.
    Kernel,
    /// A forwarder that copies frames and does nothing else.
    Null,
    /// DPDK's testpmd over packet sockets.
    Testpmd,
    /// The same over XDP sockets.
    TestpmdXdp,
}

macro_rules! words {
    ($name:ident: $($variant:ident = $word:literal),*) => {
        impl $name {
            /// In a word.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = BenchError;
            fn from_str(text: &str) -> Result<Self, BenchError> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err(BenchError::Asked(format!(
                        "{text:?} is none of: {}", [$($word),*].join(", ")
                    ))),
                }
            }
        }
    };
}

words!(Medium: Memory = "memory", Ring = "ring", Veth = "veth", Tap = "tap", Cable = "cable");
words!(
    DeviceKind: Thruway = "thruway", ThruwayXdp = "thruway-xdp", Kernel = "kernel", Null = "null", Testpmd = "testpmd",
    TestpmdXdp = "testpmd-xdp"
);

/// Two interfaces of the user's lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CableWish {
    /// Where frames are sent, and received.
    pub interfaces: [String; 2],
    /// The tester's addresses there.
    pub addresses: [Ipv4Net; 2],
    /// The forwarder's addresses there; without them frames go to the station of the other side.
    pub gateways: [Option<Ipv4Addr>; 2],
    /// Destinations of what is sent on the first.
    pub to: Ipv4Net,
    /// The two are cabled to each other: only the medium is measured.
    pub is_loop: bool,
    /// Whether interfaces with addresses or routes may be used.
    pub allow_host_interface: bool,
    /// What the record calls the forwarder.
    pub name: String,
}

/// Everything that makes a bed.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Between tester and forwarder.
    pub medium: Medium,
    /// What is measured.
    pub device: DeviceKind,
    /// Way, tags, tables and flows.
    pub spec: scenario::Spec,
    /// Frame sizes.
    pub genome: Genome,
    /// Which lanes carry traffic.
    pub direction: Direction,
    /// Known or new flows.
    pub mix: Mix,
    /// The forwarder's workers.
    pub workers: usize,
    /// Whether the circuit's second link is there, and the first one can be cut.
    pub two_links: bool,
    /// Bits a second of the nominal line.
    pub nominal_bps: u64,
    /// Another build of thruway than this one.
    pub program: Option<PathBuf>,
    /// The user's interfaces, for [`Medium::Cable`].
    pub cable: Option<CableWish>,
}

impl Wish {
    /// Why a process of its own cannot be asked this, where routes are prefixes: it has them as
    /// routes of on-premises, so that traffic has to go there.
    pub fn wrong_side(&self) -> Option<String> {
        let spec = &self.spec;
        let of_its_own = matches!(self.medium, Medium::Veth | Medium::Tap) && spec.way.routes();
        if !of_its_own || spec.routes.prefixes().is_empty() {
            return None;
        }
        let len = spec.routes.len();
        let only = "a process of its own has them as routes of on-premises";
        match (self.direction, spec.rules) {
            (Direction::ToOnprem, 0) => None,
            (Direction::ToOnprem, _) => {
                Some(format!("{len} routes and a security group: {only}, without a group"))
            }
            _ => Some(format!("{len} routes: {only}; measure --direction to_onprem, or in memory")),
        }
    }
}
