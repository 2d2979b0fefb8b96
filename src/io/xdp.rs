//! XDP sockets: frames pass between the driver and the workers' own memory, past the kernel's stack.
//!
//! Each receive queue of the interface has a socket, and queue `q` belongs to worker `q % workers`.
//! A worker for which none is left only sends, as a packet port does. Received frames lie where the
//! kernel wrote them: the memory of the pools is registered with every socket, so that a frame is
//! never copied here, and one that came in by one port goes out by another.
//!
//! The program at the interface sees no metadata. A checksum that the sender left to its hardware is
//! known by its value and completed ([`crate::wire::offload::is_partial`]); tags are left in frames
//! by the interface (`attach`). What the driver drops for want of frames is counted by the socket.

mod attach;
mod queue;

use std::sync::{Arc, Weak};

use self::attach::Attached;
use self::queue::{Channel, Lane, Letter};
use super::error::{Context, PortError};
use super::guard;
use super::mail::Mail;
use super::netns::{self, Netns};
use super::packet::{self, PacketQueue, PacketSpec};
use super::sys::bpf::Hook;
use super::sys::interface::Interfaces;
use super::sys::xsk::{self, Socket, Xsk};
use crate::frame::Memory;

pub use self::queue::XdpQueue;

/// Where the program that redirects frames may run.
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

/// Which interface to take, and how.
#[derive(Clone, Debug)]
pub struct XdpSpec {
    /// Name of the interface.
    pub name: String,
    /// The namespace that it stands in; the calling thread's with `None`.
    pub netns: Option<Netns>,
    /// Smallest MTU in bytes that the port can work with; 1504 for two tags.
    pub needs_mtu: u32,
    /// Whether an interface that the host uses itself may be taken.
    pub allow_host_interface: bool,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Whether the worker drives the interface's queues itself instead of an interrupt.
    pub busy_poll: bool,
    /// The memory of the workers' pools.
    pub memory: Memory,
}

impl XdpSpec {
    /// An interface of this namespace that is not the host's own and carries two tags.
    pub fn new(name: impl Into<String>, memory: Memory) -> Self {
        Self {
            name: name.into(),
            netns: None,
            needs_mtu: 1504,
            allow_host_interface: false,
            mode: XdpMode::Auto,
            busy_poll: false,
            memory,
        }
    }
}

/// Frames that the kernel holds for each receive queue: those it may fill, and those it has filled
/// or not yet sent. A worker's pool should have as many more for each queue that it serves.
pub const FRAMES: usize = 4096;

/// How many queues an interface receives on; 1 when it cannot be asked now.
pub fn receive_queues(name: &str, netns: Option<&Netns>) -> usize {
    let ask = || Interfaces::open().and_then(|interfaces| interfaces.receive_queues(name));
    let queues = netns::inside(netns, ask).and_then(|answer| answer);
    queues.map_or(1, |queues| queues as usize)
}

/// What control keeps of an open interface.
#[derive(Debug)]
pub(super) struct OpenXdp {
    pub(super) interfaces: Arc<Interfaces>,
    pub(super) index: u32,
    /// `None` once the interface was given up.
    attached: Option<Attached>,
    zero_copy: bool,
    /// Weak, so that a worker that gives a socket up closes it.
    sockets: Vec<Weak<Socket>>,
    /// What was last read of each socket.
    dropped: Vec<u64>,
    /// How many workers receive.
    pub(super) receivers: usize,
    /// To each worker.
    mail: Vec<Mail<Letter>>,
}

impl OpenXdp {
    /// Takes the interface for `workers` workers, and sets it up when it is down; returns the
    /// workers' queues.
    pub(super) fn open(spec: &XdpSpec, workers: usize) -> Result<(Self, Vec<XdpQueue>), PortError> {
        let (mut open, lanes) = open(spec, workers)?;
        open.mail = (0..workers).map(|_| Mail::new()).collect();
        let queue = |(lane, mail): (Lane, &Mail<Letter>)| {
            XdpQueue::new(lane, spec.name.clone(), Arc::clone(&open.interfaces), mail.clone())
        };
        let queues = lanes.into_iter().zip(&open.mail).map(queue).collect();
        Ok((open, queues))
    }

    /// Opens an interface that is gone again, and lets the workers know; returns what the sockets
    /// before had dropped.
    pub(super) fn reopen(&mut self, spec: &XdpSpec) -> Result<u64, PortError> {
        // What is left of the old interface would bar the way to it, if it was only moved.
        self.attached = None;
        let letter = |lane, interfaces: &Arc<Interfaces>| (lane, Arc::clone(interfaces));
        self.mail.iter().for_each(|mail| mail.send(letter(Lane::Gone, &self.interfaces)));
        let (mut new, lanes) = open(spec, self.mail.len())?;
        let dropped = self.dropped();
        new.mail = std::mem::take(&mut self.mail);
        *self = new;
        for (mail, lane) in self.mail.iter().zip(lanes) {
            mail.send(letter(lane, &self.interfaces));
        }
        Ok(dropped)
    }

    /// The port's kind and its mode.
    pub(super) fn word(&self) -> &'static str {
        match (self.attached.as_ref().map(|own| own.hook), self.zero_copy) {
            (None, _) => "xdp",
            (Some(Hook::Generic), _) => "xdp generic",
            (Some(_), false) => "xdp native",
            (Some(_), true) => "xdp zero-copy",
        }
    }

    /// What the user should know about how it was opened.
    pub(super) fn notes(&self) -> &[String] {
        self.attached.as_ref().map_or(&[], |own| &own.notes)
    }

    /// Frames that the kernel had no room for.
    pub(super) fn dropped(&mut self) -> u64 {
        for (socket, dropped) in self.sockets.iter().zip(&mut self.dropped) {
            let Some(socket) = socket.upgrade() else { continue };
            if let Ok(read) = xsk::statistics(&*socket) {
                *dropped = read.dropped + read.ring_full;
            }
        }
        self.dropped.iter().sum()
    }
}

fn open(spec: &XdpSpec, workers: usize) -> Result<(OpenXdp, Vec<Lane>), PortError> {
    let place = netns::place(spec.netns.as_ref());
    let opened = netns::inside(spec.netns.as_ref(), || open_here(spec, &place));
    let (open, sockets, mtu) = opened.map_err(|source| PortError::Namespace {
        name: spec.name.clone(),
        place: place.clone(),
        source,
    })??;
    let mut shares: Vec<Vec<Xsk>> = (0..workers).map(|_| Vec::new()).collect();
    for (queue, socket) in sockets.into_iter().enumerate() {
        shares[queue % workers].push(socket);
    }
    let context = Context { name: &spec.name, place: &place, capability: "CAP_NET_RAW" };
    let mut senders = senders(spec, shares.iter().filter(|share| share.is_empty()).count())?;
    let lane = |share: Vec<Xsk>| match share.len() {
        0 => {
            let sender = senders.pop().expect("one for each worker without a queue");
            Ok(Lane::Sends(Box::new(sender)))
        }
        _ => Channel::new(share, mtu).map(Lane::Sockets),
    };
    let lanes = shares.into_iter().map(lane).collect::<Result<Vec<_>, _>>();
    let lanes = lanes.map_err(|error| context.failed("wait for its sockets", error))?;
    let receivers = lanes.iter().filter(|lane| matches!(lane, Lane::Sockets(_))).count();
    Ok((OpenXdp { receivers, ..open }, lanes))
}

fn open_here(spec: &XdpSpec, place: &str) -> Result<(OpenXdp, Vec<Xsk>, usize), PortError> {
    let name = spec.name.as_str();
    let context = Context { name, place, capability: "CAP_NET_ADMIN and CAP_NET_RAW" };
    let interfaces = Interfaces::open().map_err(context.to("open a control socket"))?;
    let index = interfaces.index(name).map_err(context.to("find it"))?;
    if !spec.allow_host_interface
        && let Some(why) = guard::host_use(name)
    {
        return Err(PortError::HostInterface { name: name.to_owned(), why });
    }
    let mtu = interfaces.mtu(name).map_err(context.to("read its MTU"))?;
    if mtu < spec.needs_mtu {
        let needs = spec.needs_mtu;
        return Err(PortError::MtuTooSmall { name: name.to_owned(), mtu, needs });
    }
    interfaces.set_up(name, true).map_err(context.to("set it up"))?;
    let (attached, sockets) = attach::attach(spec, &interfaces, index, &context)?;
    let open = OpenXdp {
        interfaces: Arc::new(interfaces),
        index,
        attached: Some(attached),
        zero_copy: sockets.iter().all(Xsk::is_zero_copy),
        dropped: vec![0; sockets.len()],
        sockets: sockets.iter().map(|xsk| Arc::downgrade(&xsk.socket())).collect(),
        receivers: 0,
        mail: Vec::new(),
    };
    Ok((open, sockets, mtu as usize))
}

/// Packet queues for workers that only send: all frames go to the sockets, and none comes here.
fn senders(spec: &XdpSpec, len: usize) -> Result<Vec<PacketQueue>, PortError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let sends = PacketSpec {
        name: spec.name.clone(),
        netns: spec.netns.clone(),
        needs_mtu: spec.needs_mtu,
        allow_host_interface: spec.allow_host_interface,
    };
    let open = packet::open(&sends, len)?;
    let queue = |channel| {
        let interfaces = Arc::clone(&open.interfaces);
        PacketQueue::new(channel, spec.name.clone(), interfaces, Mail::new())
    };
    Ok(open.channels.into_iter().map(queue).collect())
}
