//! Why a port cannot be opened: what is wrong, with which interface, and what to do.

use std::io;

use super::pcap::CaptureError;
use super::sys::interface::NAME_MAX;

/// Why a port cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The interface's name is too long.
    #[error(
        "interface name `{name}` has {} bytes and the kernel takes {NAME_MAX} at most; choose a \
         shorter one",
        name.len()
    )]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// The interface's name is none.
    #[error(
        "`{name}` is no interface name: it must not be empty, `.` or `..`, nor contain `/`, `:`, \
         `%` or white space"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A port without queues.
    #[error("port `{name}` has no queues; give it one for each worker")]
    NoQueues {
        /// The port's interface.
        name: String,
    },
    /// A memory port opened with another number of queues than its cable has.
    #[error("memory port `{name}` asks for {asked} queues and its cable has {has}")]
    Queues {
        /// The port.
        name: String,
        /// What its spec asks for.
        asked: usize,
        /// What the cable has.
        has: usize,
    },
    /// There is no TUN driver.
    #[error(
        "TAP `{name}` cannot be made because /dev/net/tun is missing; load the driver with \
         `modprobe tun`, or in a container pass the device in (`--device /dev/net/tun`)"
    )]
    NoTunDevice {
        /// The interface.
        name: String,
    },
    /// A capability is missing.
    #[error(
        "opening `{name}` needs {capability} in its network namespace; run as root, or give the \
         program the capability with `setcap`"
    )]
    NotPermitted {
        /// The interface.
        name: String,
        /// The capability.
        capability: &'static str,
    },
    /// There is no such interface.
    #[error("there is no interface `{name}` in {place}; `ip link` lists those that are there")]
    NoSuchInterface {
        /// The interface.
        name: String,
        /// The namespace, in words.
        place: String,
    },
    /// Another process has the TAP.
    #[error("TAP `{name}` is in use by another process; stop that one or choose another name")]
    InUse {
        /// The interface.
        name: String,
    },
    /// An interface of that name exists and is something else.
    #[error(
        "interface `{name}` exists in {place} and is no multi-queue TAP; choose another name, or \
         delete it with `ip link del {name}`"
    )]
    NotATap {
        /// The interface.
        name: String,
        /// The namespace, in words.
        place: String,
    },
    /// The interface's MTU is too small.
    #[error(
        "interface `{name}` has an MTU of {mtu} and this port needs {needs}; set it with \
         `ip link set dev {name} mtu {needs}`"
    )]
    MtuTooSmall {
        /// The interface.
        name: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// What the port needs, in bytes.
        needs: u32,
    },
    /// Frames of that MTU do not fit a buffer.
    #[error("an MTU of {mtu} for TAP `{name}` is too large; frames fit up to {most}")]
    MtuTooLarge {
        /// The interface.
        name: String,
        /// The MTU asked for, in bytes.
        mtu: u32,
        /// The largest that fits, in bytes.
        most: u32,
    },
    /// The interface is one that the host itself uses.
    #[error(
        "interface `{name}` {why}: taking it over may cut this host off; choose another one, or \
         say `allow = \"host-interface\"` on the port"
    )]
    HostInterface {
        /// The interface.
        name: String,
        /// What the host uses it for.
        why: String,
    },
    /// Programs for interfaces may not be loaded.
    #[error(
        "an xdp port on `{name}` needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW of the host itself, \
         which a user namespace does not give; run as root, or use `packet = \"{name}\"`"
    )]
    XdpNotPermitted {
        /// The interface.
        name: String,
    },
    /// This kernel has no such sockets.
    #[error(
        "`{name}`: this kernel has no XDP sockets (CONFIG_XDP_SOCKETS); use `packet = \"{name}\"`"
    )]
    NoXdp {
        /// The interface.
        name: String,
    },
    /// Another program decides about the interface's frames.
    #[error(
        "interface `{name}` has another XDP program already: `ip link show dev {name}` names it; \
         stop what runs it, or take it away with `ip link set dev {name} xdp off`"
    )]
    XdpOccupied {
        /// The interface.
        name: String,
    },
    /// Another socket has one of the interface's queues.
    #[error(
        "queue {queue} of interface `{name}` has an XDP socket of another program already; stop \
         that one, or choose another interface"
    )]
    XdpQueueTaken {
        /// The interface.
        name: String,
        /// The queue.
        queue: u32,
    },
    /// The driver takes no program.
    #[error(
        "the driver of `{name}` takes no XDP program in native mode: {source}; \
         `xdp_mode = \"generic\"` works with every driver"
    )]
    NoNativeXdp {
        /// The interface.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The frames cannot be locked in memory.
    #[error(
        "the frames for `{name}` cannot be locked in memory: {source}; raise the limit with \
         `ulimit -l unlimited` (LimitMEMLOCK=infinity in a unit of systemd), or give the program \
         CAP_IPC_LOCK"
    )]
    XdpMemory {
        /// The interface.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The capture that a port reads.
    #[error("cannot read {0}; `in` takes a pcap or pcapng file")]
    CaptureIn(CaptureError),
    /// The capture that a port writes.
    #[error("cannot write {0}; `out` takes a file in a folder that is there")]
    CaptureOut(CaptureError),
    /// The network namespace cannot be entered.
    #[error("the network namespace {place} of `{name}` cannot be entered: {source}")]
    Namespace {
        /// The interface.
        name: String,
        /// The namespace, in words.
        place: String,
        /// The reason.
        source: io::Error,
    },
    /// Anything else that the kernel refuses.
    #[error("`{name}`: cannot {step}: {source}")]
    System {
        /// The interface.
        name: String,
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Turns the kernel's answers about one interface into sentences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) name: &'a str,
    pub(super) place: &'a str,
    pub(super) capability: &'static str,
}

impl Context<'_> {
    /// What went wrong when the kernel answered `source` to `step`.
    pub(super) fn failed(&self, step: &'static str, source: io::Error) -> PortError {
        let name = self.name.to_owned();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                PortError::NotPermitted { name, capability: self.capability }
            }
            Some(libc::ENODEV | libc::ENXIO) => {
                PortError::NoSuchInterface { name, place: self.place.to_owned() }
            }
            _ => PortError::System { name, step, source },
        }
    }

    /// [`Context::failed`] as a closure for `map_err`.
    pub(super) fn to(self, step: &'static str) -> impl FnOnce(io::Error) -> PortError {
        move |source| self.failed(step, source)
    }
}
