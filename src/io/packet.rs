//! Packet sockets: a port on any interface, without preparing it.
//!
//! Each queue has three sockets. One receives through a ring that the kernel fills, and puts back
//! the outer tag that the kernel took out of frames (`receive`). The second sends batches through a
//! ring, too, which takes a fifth less time a frame than sendmmsg(2), and bypasses queueing. The
//! third sends super-frames, which no ring has room for: one system call each, after what the ring
//! had before it. A fanout group keeps both directions of an address pair on one queue. Frames that
//! this host sends are not received.
//!
//! Only veth gets super-frames (`long`); elsewhere they are cut here.
//!
//! The ring is TPACKET_V2, which hands over each frame at once. V3 hands over blocks: a lone frame
//! waited 0.85 ms for its block to be retired (1 ms, the shortest), against 0.06 ms with V2,
//! measured over veth; and a ping crosses several ports. Slots hold ordinary frames, and the
//! kernel gives longer ones as a copy.

mod long;
mod receive;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use self::long::{Fate, LongSender};
use self::receive::Receiver;
use super::cut::Cutter;
use super::error::{Context, PortError};
use super::guard;
use super::mail::Mail;
use super::netns::{self, Netns};
use super::port::Counts;
use super::steer;
use super::sys::interface::Interfaces;
use super::sys::packet::{self, Protocol};
use super::sys::ring::Ring;
use super::sys::tx_ring::{Flushed, TxRing};
use crate::frame::{Batch, FRAME_SIZE, Outgoing, Pool, ROOM};
use crate::ids::PortId;
use crate::time::Now;
use crate::wire::virtio::OffloadHeader;
use crate::wire::{eth, vlan};

/// Which interface to take.
#[derive(Clone, Debug)]
pub struct PacketSpec {
    /// Name of the interface.
    pub name: String,
    /// The namespace that it stands in; the calling thread's with `None`.
    pub netns: Option<Netns>,
    /// Smallest MTU in bytes that the port can work with; 1504 for two tags.
    pub needs_mtu: u32,
    /// Whether an interface that the host uses itself may be taken.
    pub allow_host_interface: bool,
}

impl PacketSpec {
    /// An interface of this namespace that is not the host's own and carries two tags.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), netns: None, needs_mtu: 1504, allow_host_interface: false }
    }
}

/// Bytes of a block of the ring: 124 slots.
const BLOCK_SIZE: usize = 256 << 10;
/// Blocks of the ring: 4 MiB and 1,984 slots for each queue.
const BLOCKS: usize = 16;
/// Bytes of a slot: a frame's size leaves 2,036 bytes behind the kernel's headers.
const SLOT_SIZE: usize = FRAME_SIZE;
/// Slots of the ring that sends: frames that the kernel or the receiver has not let go yet.
const SEND_SLOTS: usize = 1024;
/// Bytes that may wait in a socket's queues: super-frames, and frames under way.
const SOCKET_BUFFER: i32 = 8 << 20;

/// What control keeps of an open interface.
#[derive(Debug)]
pub(super) struct OpenPacket {
    pub(super) interfaces: Arc<Interfaces>,
    pub(super) index: u32,
    pub(super) channels: Vec<Channel>,
}

/// The sockets of one queue.
#[derive(Debug)]
pub(super) struct Channel {
    receiver: Receiver,
    sender: OwnedFd,
    ring: TxRing,
    /// What super-frames are sent by; none where they are cut.
    long: Option<LongSender>,
    /// MTU of the interface when it was last looked at.
    mtu: usize,
}

impl Channel {
    /// The receiving socket, to read its statistics.
    pub(super) fn socket(&self) -> Arc<OwnedFd> {
        self.receiver.socket()
    }
}

/// Takes the interface with `queues` queues; sets it up when it is down.
pub(super) fn open(spec: &PacketSpec, queues: usize) -> Result<OpenPacket, PortError> {
    let place = netns::place(spec.netns.as_ref());
    netns::inside(spec.netns.as_ref(), || open_here(spec, queues, &place)).map_err(|source| {
        PortError::Namespace { name: spec.name.clone(), place: place.clone(), source }
    })?
}

fn open_here(spec: &PacketSpec, queues: usize, place: &str) -> Result<OpenPacket, PortError> {
    let name = spec.name.as_str();
    let context = Context { name, place, capability: "CAP_NET_ADMIN and CAP_NET_RAW" };
    let interfaces = Arc::new(Interfaces::open().map_err(context.to("open a control socket"))?);
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
    let mut channels =
        channels(index, queues, mtu).map_err(context.to("open its packet sockets"))?;
    for channel in &mut channels {
        channel.long = LongSender::open(Arc::clone(&interfaces), name, index)
            .map_err(context.to("open its sockets for super-frames"))?;
    }
    interfaces.set_up(name, true).map_err(context.to("set it up"))?;
    for channel in &channels {
        // A socket that is bound while the interface is down begins with that error.
        packet::take_error(&*channel.socket());
    }
    Ok(OpenPacket { interfaces, index, channels })
}

/// Sockets that receive nothing until all of them are ready, so that no frame comes twice.
fn channels(index: u32, queues: usize, mtu: u32) -> io::Result<Vec<Channel>> {
    let sockets = (0..queues).map(|_| socket(index)).collect::<io::Result<Vec<_>>>()?;
    if queues > 1 {
        let program = steer::fanout_program();
        let mut group = None;
        for (socket, _) in &sockets {
            group = Some(packet::join_fanout(socket, group, &program)?);
        }
    }
    let make = |(socket, ring)| {
        packet::set_shut(&socket, false)?;
        let sender = packet::open()?;
        packet::bypass_qdisc(&sender)?;
        packet::set_buffers(&sender, SOCKET_BUFFER)?;
        packet::skip_bad_frames(&sender)?;
        let out = TxRing::new(&sender, SEND_SLOTS, ROOM)?;
        packet::bind(&sender, index, Protocol::None)?;
        let receiver = Receiver::new(socket, ring);
        Ok(Channel { receiver, sender, ring: out, long: None, mtu: mtu as usize })
    };
    sockets.into_iter().map(make).collect()
}

fn socket(index: u32) -> io::Result<(OwnedFd, Ring)> {
    let socket = packet::open()?;
    packet::offload_header(&socket)?;
    packet::copy_long_frames(&socket)?;
    packet::set_buffers(&socket, SOCKET_BUFFER)?;
    packet::ignore_outgoing(&socket)?;
    packet::set_shut(&socket, true)?;
    let ring = Ring::new(&socket, BLOCK_SIZE, BLOCKS, SLOT_SIZE)?;
    packet::bind(&socket, index, Protocol::All)?;
    packet::set_promiscuous(&socket, index)?;
    Ok((socket, ring))
}

/// One worker's share of an interface.
#[derive(Debug)]
pub struct PacketQueue {
    channel: Channel,
    name: String,
    interfaces: Arc<Interfaces>,
    mail: Mail<Channel>,
    cutter: Cutter,
    down: bool,
}

impl PacketQueue {
    pub(super) fn new(
        channel: Channel,
        name: String,
        interfaces: Arc<Interfaces>,
        mail: Mail<Channel>,
    ) -> Self {
        Self { channel, name, interfaces, mail, cutter: Cutter::default(), down: false }
    }

    fn read_mail(&mut self) {
        if let Some(channel) = self.mail.take() {
            self.channel = channel;
            self.down = false;
        }
    }

    /// See [`super::Queue::receive`].
    pub fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        self.read_mail();
        let counts = self.channel.receiver.receive(port, now, pool, batch);
        self.down &= counts.frames == 0;
        counts
    }

    /// See [`super::Queue::transmit`].
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        self.read_mail();
        let mut counts = Counts::default();
        if self.down {
            // What was given up meanwhile still takes room.
            self.flush(&mut counts);
        }
        let long = self.channel.long.as_ref();
        self.cutter.cut(out, pool, &mut counts, |own| match long {
            Some(long) => long.takes(own),
            None => !own.header().is_super_frame(),
        });
        for mut own in out.drain(..) {
            let header = own.header();
            if !header.is_super_frame() {
                self.fill(&own, header, &mut counts);
                pool.put(own.frame);
                continue;
            }
            // It must not overtake what is in the ring.
            self.flush(&mut counts);
            let Channel { long, mtu, .. } = &mut self.channel;
            let fate = long.as_mut().map(|long| long.send(&mut own, *mtu, &mut counts));
            self.down |= matches!(fate, Some(Fate::Down));
            match fate {
                None | Some(Fate::NotTaken) => self.send_cut(own, pool, &mut counts),
                Some(Fate::Settled | Fate::Down) => pool.put(own.frame),
            }
        }
        self.flush(&mut counts);
        self.down &= counts.frames == 0;
        counts
    }

    /// Puts an ordinary frame into the ring.
    #[inline]
    fn fill(&mut self, own: &Outgoing, header: OffloadHeader, counts: &mut Counts) {
        let Channel { ring, mtu, .. } = &mut self.channel;
        let bytes = own.bytes();
        let open = own.is_open().then(|| zerocopy::transmute!(header));
        if bytes.len() > longest(bytes, *mtu) {
            counts.too_long += 1;
        } else if ring.fill(open, |room| copy(bytes, room)) {
            counts.frames += 1;
            counts.bytes += bytes.len() as u64;
        } else if self.down {
            counts.down += 1;
        } else {
            counts.full += 1;
        }
    }

    /// Sends a super-frame in its segments, since the interface takes it whole no longer.
    #[cold]
    fn send_cut(&mut self, own: Outgoing, pool: &mut Pool, counts: &mut Counts) {
        let mut segments = vec![own];
        self.cutter.cut(&mut segments, pool, counts, |_| false);
        for own in segments {
            self.fill(&own, own.header(), counts);
            pool.put(own.frame);
        }
    }

    /// Sends what is in the ring, and takes back out of `counts` what was not sent.
    fn flush(&mut self, counts: &mut Counts) {
        while self.channel.ring.is_waiting() {
            match self.channel.ring.flush(&self.channel.sender) {
                Ok(Flushed::All) => return,
                // The driver took none: it is full, or has no carrier.
                Ok(Flushed::Refused { size }) if self.is_running() => {
                    self.note_refused(size, counts);
                }
                Ok(Flushed::Refused { size }) => {
                    self.lose((1, size), counts);
                    return;
                }
                Ok(Flushed::NoMemory) => {
                    let (frames, bytes) = self.channel.ring.discard();
                    take_back(frames, bytes, counts);
                    counts.full += count(frames);
                    return;
                }
                Err(_) => {
                    self.lose((0, 0), counts);
                    return;
                }
            }
        }
    }

    /// The driver had no room for a frame, or its MTU is another one by now.
    #[cold]
    fn note_refused(&mut self, size: usize, counts: &mut Counts) {
        take_back(1, size, counts);
        let mtu = &mut self.channel.mtu;
        if let Ok(now) = self.interfaces.mtu(&self.name) {
            *mtu = now as usize;
        }
        if size > *mtu + eth::HEADER + vlan::TAG {
            counts.too_long += 1;
        } else {
            counts.full += 1;
        }
    }

    /// There is no link: a frame was lost, and all that wait are.
    #[cold]
    fn lose(&mut self, (frames, bytes): (usize, usize), counts: &mut Counts) {
        let (more, more_bytes) = self.channel.ring.discard();
        take_back(frames + more, bytes + more_bytes, counts);
        counts.down += count(frames + more);
        self.down = true;
    }

    fn is_running(&self) -> bool {
        self.interfaces.is_running(&self.name).unwrap_or(false)
    }

    /// See [`super::Queue::fd`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.channel.receiver.as_fd()
    }

    /// Whether a frame waits.
    pub fn is_ready(&self) -> bool {
        self.channel.receiver.is_ready()
    }

    /// Whether the last attempt to send found the interface down or gone.
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Takes an error away that would keep the descriptor ready.
    pub(super) fn clear_error(&self) {
        packet::take_error(self.fd());
    }
}

/// Bytes that a frame may have: the MTU is without the Ethernet header, and without a tag.
pub(super) fn longest(frame: &[u8], mtu: usize) -> usize {
    let tagged = frame.get(12..14) == Some(&eth::ether_type::VLAN.to_be_bytes());
    mtu + eth::HEADER + if tagged { vlan::TAG } else { 0 }
}

fn copy(frame: &[u8], room: &mut [u8]) -> usize {
    room[..frame.len()].copy_from_slice(frame);
    frame.len()
}

/// Frames that were counted as sent were not.
fn take_back(frames: usize, bytes: usize, counts: &mut Counts) {
    counts.frames -= count(frames);
    counts.bytes -= bytes as u64;
}

/// Frames of one call, which are few.
fn count(frames: usize) -> u32 {
    u32::try_from(frames).unwrap_or(u32::MAX)
}
