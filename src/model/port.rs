//! Ports: where frames enter and leave, and the cables that join two of them.

use std::path::PathBuf;

use super::PortName;
use crate::wire::eth::MacAddr;

/// The smallest MTU of a port, in bytes (RFC 791: every host takes 576).
pub const MIN_MTU: u16 = 576;
/// The largest MTU of a port: a jumbo frame.
pub const MAX_MTU: u16 = 9216;
/// The MTU of a port without one of its own where at most one tag crosses; the medium allows for
/// that tag.
pub const ONE_TAG_MTU: u16 = 1500;
/// The MTU of a port without one of its own where two tags cross, and the least that carries a
/// packet of 1500 bytes with both.
pub const TWO_TAG_MTU: u16 = 1504;
/// The longest name of a network interface (Linux IFNAMSIZ less the final zero).
pub const MAX_IFNAME: usize = 15;

/// What stands behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A TAP device that thruway makes.
    Tap {
        /// Name of the device.
        ifname: String,
        /// Path of the network namespace it is moved into; `None` leaves it where thruway runs.
        netns: Option<PathBuf>,
    },
    /// A packet socket on an interface that exists.
    Packet {
        /// Name of the interface.
        ifname: String,
        /// Path of the network namespace of the interface.
        netns: Option<PathBuf>,
    },
    /// XDP sockets on an interface that exists.
    Xdp {
        /// Name of the interface.
        ifname: String,
        /// Path of the network namespace of the interface.
        netns: Option<PathBuf>,
        /// Where the program that feeds the sockets runs.
        mode: XdpMode,
        /// Whether the workers drive the interface's queues instead of interrupts.
        busy_poll: bool,
    },
    /// Frames in memory: one end of a cable, or a port of a replay or a test.
    Memory,
    /// Frames from a capture, and to one; it has one of the two at least.
    Pcap {
        /// The capture that is read.
        input: Option<PathBuf>,
        /// The capture that is written.
        output: Option<PathBuf>,
        /// When frames come in.
        pace: CapturePace,
    },
}

/// Where the program that feeds XDP sockets runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver; behind it where the driver cannot.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the kernel's own receive path, with any driver.
    Generic,
}

/// When the frames of a capture come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapturePace {
    /// As far apart as they were captured.
    #[default]
    Capture,
    /// As fast as they are taken.
    Unpaced,
}

impl PortKind {
    /// The kind's key in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            PortKind::Tap { .. } => "tap",
            PortKind::Packet { .. } => "packet",
            PortKind::Xdp { .. } => "xdp",
            PortKind::Memory => "memory",
            PortKind::Pcap { .. } => "pcap",
        }
    }

    /// The name of the interface, and the namespace it is in; `None` for a port without one.
    pub fn interface(&self) -> Option<(&str, Option<&PathBuf>)> {
        match self {
            PortKind::Tap { ifname, netns }
            | PortKind::Packet { ifname, netns }
            | PortKind::Xdp { ifname, netns, .. } => Some((ifname, netns.as_ref())),
            PortKind::Memory | PortKind::Pcap { .. } => None,
        }
    }
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: PortName,
    /// What stands behind it.
    pub kind: PortKind,
    /// Bytes of layer 3, and of a tag beyond the first, that a frame may have, [`MIN_MTU`] to [`MAX_MTU`].
    pub mtu: u16,
    /// The MAC address that thruway uses on it instead of the derived one.
    pub mac: Option<MacAddr>,
    /// Whether an interface with an address or the default route may be taken all the same.
    pub allow_host_interface: bool,
    /// Whether an outer tag with EtherType 0x88A8 is taken as 0x8100.
    pub accept_88a8: bool,
}

/// Two ports in memory that are joined: what one sends, the other receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cable {
    /// The two ports.
    pub ends: [PortName; 2],
}
