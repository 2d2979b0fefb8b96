//! What does control see of a port, whatever stands behind it? One [`Port`] that opens it, looks
//! at its link, passes losses on, and opens it again.
//!
//! The frames are the workers' business: each has a [`Queue`] of the port. Nothing here blocks for
//! longer than the kernel's configuration lock.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::capture::{self, CaptureSpec};
use super::error::{Context, PortError};
use super::mail::Mail;
use super::memory::Plug;
use super::packet::{self, Channel, PacketQueue, PacketSpec};
use super::sys::interface::{Interfaces, NAME_MAX};
use super::sys::{self, tun};
use super::tap::{self, Steering, TapQueue, TapSpec};
use super::xdp::{OpenXdp, XdpSpec};
use crate::wire::eth::MacAddr;

pub use super::queue::{Counts, Queue};

/// What to open.
#[derive(Clone, Debug)]
pub struct PortSpec {
    /// What stands behind the port.
    pub kind: PortKind,
    /// One queue for each worker.
    pub queues: usize,
}

/// What stands behind a port.
#[derive(Clone, Debug)]
pub enum PortKind {
    /// A TAP that this process makes.
    Tap(TapSpec),
    /// An interface that is there already.
    Packet(PacketSpec),
    /// An interface that is there already, past the kernel's stack.
    Xdp(XdpSpec),
    /// One side of a cable inside this process.
    Memory {
        /// The port's name, for messages.
        name: String,
        /// The side.
        plug: Plug,
    },
    /// Captures: one that is read, one that is written.
    Capture(CaptureSpec),
}

impl PortKind {
    /// The interface's name, or the port's own where there is no interface.
    pub fn name(&self) -> &str {
        match self {
            PortKind::Capture(spec) => &spec.name,
            PortKind::Tap(spec) => &spec.name,
            PortKind::Packet(spec) => &spec.name,
            PortKind::Xdp(spec) => &spec.name,
            PortKind::Memory { name, .. } => name,
        }
    }

    /// The kind in one word: `tap`, `packet`, `xdp`, `memory`, `pcap`.
    pub fn word(&self) -> &'static str {
        match self {
            PortKind::Tap(_) => "tap",
            PortKind::Packet(_) => "packet",
            PortKind::Xdp(_) => "xdp",
            PortKind::Memory { .. } => "memory",
            PortKind::Capture(_) => "pcap",
        }
    }
}

/// What control finds when it looks at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Frames pass.
    Up,
    /// The interface is up and its cable is unplugged, or its far end is down.
    NoCarrier,
    /// The interface is set down.
    Down,
    /// The interface does not exist any more, or not where it was; [`Port::reopen`] may bring the
    /// port back, and follows a TAP that was moved or renamed.
    Gone,
}

/// Control's handle of an open port. The interface of a TAP disappears with the port and its
/// queues.
#[derive(Debug)]
pub struct Port {
    spec: PortSpec,
    medium: Medium,
    /// Whether a carrier is wanted; shared with the TAP's queues.
    lit: Arc<AtomicBool>,
    /// What the medium dropped: of sockets, whose counters start anew when they are read, and of
    /// devices that are gone.
    dropped: u64,
    /// What was last seen of the TAP, or of the XDP sockets, that there are.
    dropped_here: u64,
}

#[derive(Debug)]
enum Medium {
    Tap {
        open: tap::OpenTap,
        mail: Vec<Mail<Arc<OwnedFd>>>,
    },
    Packet {
        interfaces: Arc<Interfaces>,
        index: u32,
        sockets: Vec<Arc<OwnedFd>>,
        mail: Vec<Mail<Channel>>,
    },
    Xdp(OpenXdp),
    Memory(Plug),
    Capture,
}

impl Port {
    /// Opens a port: its handle for control, and a queue for each worker.
    ///
    /// # Errors
    /// A sentence that names the interface, what is wrong, and the way out.
    pub fn open(spec: PortSpec) -> Result<(Port, Vec<Queue>), PortError> {
        let name = spec.kind.name().to_owned();
        if spec.queues == 0 {
            return Err(PortError::NoQueues { name });
        }
        let lit = Arc::new(AtomicBool::new(true));
        let (medium, queues) = match &spec.kind {
            PortKind::Tap(tap) => open_tap(tap, spec.queues, &lit)?,
            PortKind::Packet(packet) => open_packet(packet, spec.queues)?,
            PortKind::Xdp(xdp) => {
                check_name(&xdp.name)?;
                let (open, queues) = OpenXdp::open(xdp, spec.queues)?;
                let queues = queues.into_iter().map(|queue| Queue::Xdp(Box::new(queue))).collect();
                (Medium::Xdp(open), queues)
            }
            PortKind::Memory { plug, .. } if plug.queues() != spec.queues => {
                return Err(PortError::Queues { name, asked: spec.queues, has: plug.queues() });
            }
            PortKind::Memory { plug, .. } => {
                let queues = plug.clone().into_queues().into_iter().map(Queue::Memory).collect();
                (Medium::Memory(plug.clone()), queues)
            }
            PortKind::Capture(captures) => {
                let queues = capture::open(captures, spec.queues, &lit)?.into_iter();
                (Medium::Capture, queues.map(|queue| Queue::Capture(Box::new(queue))).collect())
            }
        };
        Ok((Port { spec, medium, lit, dropped: 0, dropped_here: 0 }, queues))
    }

    /// The interface's name, or the port's own where there is no interface.
    pub fn name(&self) -> &str {
        self.spec.kind.name()
    }

    /// The kind in one word: `tap`, `packet`, `memory`, `pcap`; behind `xdp` its mode: `native`,
    /// `generic` or `zero-copy`.
    pub fn kind(&self) -> &'static str {
        match &self.medium {
            Medium::Xdp(open) => open.word(),
            _ => self.spec.kind.word(),
        }
    }

    /// What the user should know about how the port was opened.
    pub fn notes(&self) -> &[String] {
        match &self.medium {
            Medium::Xdp(open) => open.notes(),
            _ => &[],
        }
    }

    /// How frames are spread over the queues.
    pub fn steering(&self) -> Steering {
        match &self.medium {
            Medium::Tap { open, .. } => open.steering.clone(),
            Medium::Packet { sockets, .. } if sockets.len() > 1 => Steering::Addresses,
            Medium::Xdp(open) if self.spec.queues > 1 => {
                Steering::Interface { receivers: open.receivers }
            }
            _ => Steering::None,
        }
    }

    /// The interface's MTU in bytes; `None` where there is none or when it is gone.
    pub fn mtu(&self) -> Option<u32> {
        self.interface().and_then(|(name, i)| i.mtu(name).ok())
    }

    /// The MAC address of the kernel's side; `None` where there is none or when it is gone.
    pub fn mac(&self) -> Option<MacAddr> {
        self.interface().and_then(|(name, i)| i.mac(name).ok())
    }

    /// What the interface is called, and where it can be asked.
    fn interface(&self) -> Option<(&str, &Interfaces)> {
        match &self.medium {
            Medium::Tap { open, .. } => Some((&open.name, &open.interfaces)),
            Medium::Packet { interfaces, .. } => Some((self.name(), interfaces)),
            Medium::Xdp(open) => Some((self.name(), &open.interfaces)),
            Medium::Memory(_) | Medium::Capture => None,
        }
    }

    /// How the link is now; three cheap system calls, from any thread and namespace. While
    /// [`Port::is_held`], what is seen is this side's own doing.
    pub fn link_state(&self) -> LinkState {
        match &self.medium {
            Medium::Memory(plug) => plug.link_state(),
            Medium::Capture if self.is_held() => LinkState::NoCarrier,
            Medium::Capture => LinkState::Up,
            // A new device may have taken the name: then ours is gone all the same.
            Medium::Tap { open, .. } if !open.is_in_place() => LinkState::Gone,
            Medium::Tap { open, .. } => interface_state(&open.interfaces, &open.name, open.index),
            Medium::Packet { interfaces, index, .. } => {
                interface_state(interfaces, self.name(), *index)
            }
            Medium::Xdp(open) => interface_state(&open.interfaces, self.name(), open.index),
        }
    }

    /// Whether [`Port::set_carrier`] turned the carrier off.
    pub fn is_held(&self) -> bool {
        !self.lit.load(Ordering::Relaxed)
    }

    /// Passes a loss of link on to whoever is connected to the port, or takes it back: a TAP's or
    /// memory port's carrier, a packet or xdp port's interface down (its veth peer loses carrier); a
    /// capture pauses.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn set_carrier(&self, on: bool) -> Result<(), PortError> {
        let context = self.context();
        self.lit.store(on, Ordering::Relaxed);
        match &self.medium {
            Medium::Tap { open, .. } => {
                tun::set_carrier(&*open.fds[0], on).map_err(context.to("set its carrier"))
            }
            Medium::Packet { interfaces, .. } | Medium::Xdp(OpenXdp { interfaces, .. }) => {
                interfaces.set_up(self.name(), on).map_err(context.to("set it up or down"))
            }
            Medium::Memory(plug) => {
                plug.set_carrier(on);
                Ok(())
            }
            Medium::Capture => Ok(()),
        }
    }

    fn context(&self) -> Context<'_> {
        Context { name: self.name(), place: "its network namespace", capability: "CAP_NET_ADMIN" }
    }

    /// Opens a port that is [`LinkState::Gone`] again; its queues take the new descriptors over at
    /// their next turn, for which the workers should be woken. Does nothing while it is not gone.
    ///
    /// # Errors
    /// As [`Port::open`]; the port stays gone then, and can be tried again.
    pub fn reopen(&mut self) -> Result<(), PortError> {
        if self.link_state() != LinkState::Gone {
            return Ok(());
        }
        let queues = self.spec.queues;
        match (&self.spec.kind, &mut self.medium) {
            (PortKind::Tap(spec), Medium::Tap { open, mail }) => {
                let context = Context {
                    name: &spec.name,
                    place: "its network namespace",
                    capability: "CAP_NET_ADMIN",
                };
                if open.follow().map_err(context.to("find where it was moved to"))? {
                    return Ok(());
                }
                *open = new_tap(spec, queues)?;
                self.dropped += std::mem::take(&mut self.dropped_here);
                mail.iter().zip(&open.fds).for_each(|(mail, fd)| mail.send(Arc::clone(fd)));
            }
            (PortKind::Packet(spec), Medium::Packet { interfaces, index, sockets, mail }) => {
                let (new, new_index) = new_packet(spec, queues)?;
                self.dropped += drops(sockets);
                *sockets = new.channels.iter().map(Channel::socket).collect();
                mail.iter().zip(new.channels).for_each(|(mail, channel)| mail.send(channel));
                (*interfaces, *index) = (new.interfaces, new_index);
            }
            (PortKind::Xdp(spec), Medium::Xdp(open)) => {
                self.dropped += open.reopen(spec)?;
                self.dropped_here = 0;
            }
            _ => {}
        }
        if self.is_held() { self.set_carrier(false) } else { Ok(()) }
    }

    /// Frames for this port that the kernel dropped before a queue could receive them, since the
    /// port was opened: no [`Counts`] have them. Those of a TAP had a full queue or no carrier,
    /// those of a packet port a full ring, those of an xdp port that too, or were too long.
    pub fn medium_drops(&mut self) -> u64 {
        match &mut self.medium {
            Medium::Tap { open, .. } => {
                self.dropped_here = open.dropped().unwrap_or(self.dropped_here);
            }
            Medium::Packet { sockets, .. } => self.dropped += drops(sockets),
            Medium::Xdp(open) => self.dropped_here = open.dropped(),
            Medium::Memory(_) | Medium::Capture => {}
        }
        self.dropped + self.dropped_here
    }
}

fn drops(sockets: &[Arc<OwnedFd>]) -> u64 {
    let read = |socket: &Arc<OwnedFd>| sys::packet::statistics(socket.as_fd()).ok();
    sockets.iter().filter_map(read).map(|statistics| u64::from(statistics.drops)).sum()
}

fn interface_state(interfaces: &Interfaces, name: &str, index: u32) -> LinkState {
    if interfaces.index(name).ok() != Some(index) {
        return LinkState::Gone;
    }
    match (interfaces.is_up(name), interfaces.has_carrier(name)) {
        (Ok(true), Ok(true)) => LinkState::Up,
        (Ok(true), Ok(false)) => LinkState::NoCarrier,
        (Ok(false), _) => LinkState::Down,
        (Err(_), _) | (_, Err(_)) => LinkState::Gone,
    }
}

/// What the kernel takes as an interface's name.
fn check_name(name: &str) -> Result<(), PortError> {
    if name.len() > NAME_MAX {
        return Err(PortError::NameTooLong { name: name.to_owned() });
    }
    let bad = |c: char| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace();
    if matches!(name, "" | "." | "..") || name.contains(bad) {
        return Err(PortError::BadName { name: name.to_owned() });
    }
    Ok(())
}

fn new_tap(spec: &TapSpec, queues: usize) -> Result<tap::OpenTap, PortError> {
    check_name(&spec.name)?;
    tap::open(spec, queues)
}

fn open_tap(
    spec: &TapSpec,
    queues: usize,
    lit: &Arc<AtomicBool>,
) -> Result<(Medium, Vec<Queue>), PortError> {
    let open = new_tap(spec, queues)?;
    let mail: Vec<_> = (0..queues).map(|_| Mail::new()).collect();
    let one = matches!(open.steering, Steering::OneReceiver { .. });
    let queue = |(i, (fd, mail)): (usize, (&Arc<OwnedFd>, &Mail<_>))| {
        let own = (Arc::clone(fd), i == 0 || !one);
        Queue::Tap(TapQueue::new(own, open.offloads, Arc::clone(lit), mail.clone()))
    };
    let queues = open.fds.iter().zip(&mail).enumerate().map(queue).collect();
    Ok((Medium::Tap { open, mail }, queues))
}

fn new_packet(spec: &PacketSpec, queues: usize) -> Result<(packet::OpenPacket, u32), PortError> {
    check_name(&spec.name)?;
    let open = packet::open(spec, queues)?;
    let index = open.index;
    Ok((open, index))
}

fn open_packet(spec: &PacketSpec, queues: usize) -> Result<(Medium, Vec<Queue>), PortError> {
    let (open, index) = new_packet(spec, queues)?;
    let interfaces = open.interfaces;
    let mail: Vec<Mail<Channel>> = (0..queues).map(|_| Mail::new()).collect();
    let sockets = open.channels.iter().map(Channel::socket).collect();
    let queue = |(channel, mail): (Channel, &Mail<Channel>)| {
        let interfaces = Arc::clone(&interfaces);
        let queue = PacketQueue::new(channel, spec.name.clone(), interfaces, mail.clone());
        Queue::Packet(Box::new(queue))
    };
    let queues = open.channels.into_iter().zip(&mail).map(queue).collect();
    Ok((Medium::Packet { interfaces, index, sockets, mail }, queues))
}
