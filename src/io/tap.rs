//! TAP: an interface of the kernel whose far end is this process.
//!
//! A TAP has one queue for each worker. The kernel would move a flow from queue to queue after
//! the worker that last answered it, which reorders; so a steering program keeps both directions
//! of an address pair on one queue. Where the kernel does not let us load it, one queue receives
//! and the others only send. One system call a frame; no batching here.
//!
//! Checksums and segments are left open both ways: TCP and UDP of the kernel's own senders come as
//! super-frames of up to 64 KiB, and go to its receivers so. A frame is read into an ordinary
//! buffer, and what does not fit there into a long one, behind the room for what did: so an
//! ordinary frame costs no copy, and a super-frame one of 2 KB.

mod queue;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::device::Statistics;
use super::error::{Context, PortError};
use super::netns::{self, Netns};
use super::steer;
use super::sys::tun::Offloads;
use super::sys::{bpf, interface::Interfaces, netlink, tun};
use crate::frame::ROOM;
use crate::wire::eth::{self, MacAddr};
use crate::wire::{virtio, vlan};

pub use queue::TapQueue;
pub(super) use queue::{ENOUGH, Lost, received};

/// Largest MTU whose frames, two tags in front, fit a buffer.
#[expect(clippy::cast_possible_truncation, reason = "a frame is short")]
pub const MTU_MAX: u32 = (ROOM - eth::HEADER - 2 * vlan::TAG) as u32;

/// Frames that wait in each queue for the worker. The kernel's 500 or 1,000 overflow while another
/// program has the worker's core: TCP through a busy two-core machine then lost thousands of
/// segments in three seconds, and one with this length.
const QUEUE_LEN: u32 = 4096;

/// Which TAP to make.
#[derive(Clone, Debug)]
pub struct TapSpec {
    /// Name of the interface.
    pub name: String,
    /// Its MTU in bytes, up to [`MTU_MAX`]; 1504 for frames with two tags of full size.
    pub mtu: u32,
    /// MAC address of the kernel's side; the kernel picks one with `None`.
    pub mac: Option<MacAddr>,
    /// The namespace that it shall stand in; the calling thread's with `None`.
    pub netns: Option<Netns>,
    /// Whether to set it up.
    pub up: bool,
}

impl TapSpec {
    /// A TAP in this namespace, up, with an MTU of 1,500 bytes.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), mtu: 1500, mac: None, netns: None, up: true }
    }
}

/// How frames are spread over a port's queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steering {
    /// One queue, or one for each lane of a cable: nothing to spread.
    None,
    /// By a hash of the IP addresses, the same in both directions.
    Addresses,
    /// The first queue receives everything and the others only send, for want of the
    /// permission to load a program.
    OneReceiver {
        /// The kernel's answer.
        why: String,
    },
    /// By the interface, over so many queues; the others only send.
    Interface {
        /// How many of the port's queues receive.
        receivers: usize,
    },
}

/// What control keeps of an open TAP.
#[derive(Debug)]
pub(super) struct OpenTap {
    /// What it is called; whoever moves or renames it keeps it attached.
    pub(super) name: String,
    /// A socket in the namespace that it stands in.
    pub(super) interfaces: Interfaces,
    pub(super) index: u32,
    pub(super) fds: Vec<Arc<OwnedFd>>,
    pub(super) steering: Steering,
    /// What its kernel takes from us.
    pub(super) offloads: Offloads,
    statistics: Option<Statistics>,
    /// What the device had dropped before it was ours.
    dropped_before: u64,
}

/// Makes the TAP, or attaches to the one that stands there already, with `queues` queues.
pub(super) fn open(spec: &TapSpec, queues: usize) -> Result<OpenTap, PortError> {
    let name = spec.name.clone();
    if spec.mtu > MTU_MAX {
        return Err(PortError::MtuTooLarge { name, mtu: spec.mtu, most: MTU_MAX });
    }
    let place = netns::place(spec.netns.as_ref());
    netns::inside(spec.netns.as_ref(), || open_here(spec, queues, &place))
        .map_err(|source| PortError::Namespace { name, place: place.clone(), source })?
}

fn open_here(spec: &TapSpec, queues: usize, place: &str) -> Result<OpenTap, PortError> {
    let name = spec.name.as_str();
    let context = Context { name, place, capability: "CAP_NET_ADMIN" };
    let first = attach(&context)?;
    tun::set_header_size(&first, virtio::HEADER)
        .map_err(context.to("set the size of its offload header"))?;
    let offloads = offload(&first).map_err(context.to("turn its offloads on"))?;
    let steering = if queues > 1 { steer(&first) } else { Steering::None };
    let mut fds = vec![Arc::new(first)];
    for _ in 1..queues {
        match steering {
            Steering::OneReceiver { .. } => fds.push(Arc::clone(&fds[0])),
            _ => fds.push(Arc::new(attach(&context)?)),
        }
    }
    let interfaces = Interfaces::open().map_err(context.to("open a control socket"))?;
    interfaces.set_mtu(name, spec.mtu).map_err(context.to("set its MTU"))?;
    let index = interfaces.index(name).map_err(context.to("find it"))?;
    let queue = netlink::set_queue_len(index, QUEUE_LEN);
    queue.map_err(context.to("set the length of its queue"))?;
    if let Some(mac) = spec.mac {
        interfaces.set_mac(name, mac).map_err(context.to("set its MAC address"))?;
    }
    if spec.up {
        interfaces.set_up(name, true).map_err(context.to("set it up"))?;
    }
    let name = name.to_owned();
    let statistics = Statistics::open();
    let mut tap =
        OpenTap { name, interfaces, index, fds, steering, offloads, statistics, dropped_before: 0 };
    tap.dropped_before = tap.dropped().unwrap_or(0);
    Ok(tap)
}

impl OpenTap {
    /// Whether the device is there, under the name and in the namespace that are known here.
    pub(super) fn is_in_place(&self) -> bool {
        tun::name(&self.fds[0]).is_ok_and(|now| now == self.name)
            && self.interfaces.index(&self.name).ok() == Some(self.index)
    }

    /// Finds a device that was moved to another namespace or renamed; our queues went along.
    /// `false` when it does not exist any more.
    pub(super) fn follow(&mut self) -> io::Result<bool> {
        let name = match tun::name(&self.fds[0]) {
            Ok(name) => name,
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Ok(false),
            Err(error) => return Err(error),
        };
        let there = Netns::Fd(Arc::new(tun::netns(&self.fds[0])?));
        let (interfaces, statistics) =
            netns::inside(Some(&there), || (Interfaces::open(), Statistics::open()))?;
        let interfaces = interfaces?;
        let index = interfaces.index(&name)?;
        (self.name, self.interfaces, self.index) = (name, interfaces, index);
        self.statistics = statistics;
        Ok(true)
    }

    /// Frames that the kernel dropped since the device is ours, because our queues were full or
    /// had no carrier; `None` when it cannot tell.
    pub(super) fn dropped(&self) -> Option<u64> {
        let dropped = self.statistics.as_ref()?.dropped(&self.name)?;
        Some(dropped.saturating_sub(self.dropped_before))
    }
}

impl Drop for OpenTap {
    /// A device that stays is whole for whoever attaches to it next.
    fn drop(&mut self) {
        let _ = tun::set_offloads(&*self.fds[0], Offloads::None);
    }
}

/// Takes checksums and segments upon us, those of UDP where the kernel knows them (from 6.2 on).
fn offload(fd: &OwnedFd) -> io::Result<Offloads> {
    match tun::set_offloads(fd, Offloads::TcpAndUdp) {
        Ok(()) => Ok(Offloads::TcpAndUdp),
        Err(_) => tun::set_offloads(fd, Offloads::Tcp).map(|()| Offloads::Tcp),
    }
}

fn attach(context: &Context<'_>) -> Result<OwnedFd, PortError> {
    let name = || context.name.to_owned();
    let fd = tun::open().map_err(|source| match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => PortError::NoTunDevice { name: name() },
        _ => context.failed("open /dev/net/tun", source),
    })?;
    tun::attach(&fd, context.name).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => PortError::InUse { name: name() },
        Some(libc::EINVAL) => PortError::NotATap { name: name(), place: context.place.to_owned() },
        _ => context.failed("attach a queue", source),
    })?;
    Ok(fd)
}

fn steer(fd: &OwnedFd) -> Steering {
    let installed = bpf::load(bpf::Kind::SocketFilter, &steer::tap_program())
        .and_then(|program| tun::set_steering(fd, program));
    match installed {
        Ok(()) => Steering::Addresses,
        Err(error) => Steering::OneReceiver { why: error.to_string() },
    }
}
