//! One worker's share of an interface: receives from its sockets, sends by the first of them, and
//! says what became of each frame.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll;

use super::super::cut::Cutter;
use super::super::mail::Mail;
use super::super::packet::{PacketQueue, longest};
use super::super::port::Counts;
use super::super::sys::interface::Interfaces;
use super::super::sys::packet::take_error;
use super::super::sys::xsk::{Kick, Xsk};
use crate::frame::{Batch, Length, Outgoing, Pool};
use crate::ids::PortId;
use crate::time::Now;
use crate::wire::offload::{complete_l4, is_partial};
use crate::wire::{eth, vlan};

/// What a worker has of the interface.
#[derive(Debug)]
pub(super) enum Lane {
    /// The sockets of its queues.
    Sockets(Channel),
    /// Nothing comes in here.
    Sends(Box<PacketQueue>),
    /// The interface is gone.
    Gone,
}

/// What control sends a worker when the interface was opened again, or given up.
pub(super) type Letter = (Lane, Arc<Interfaces>);

/// The sockets of one worker; it sends by the first.
#[derive(Debug)]
pub(super) struct Channel {
    sockets: Vec<Xsk>,
    /// What waits for all of them, where there are several.
    any: Option<OwnedFd>,
    /// The socket to ask first.
    next: usize,
    /// MTU of the interface when it was last looked at.
    mtu: usize,
}

impl Channel {
    pub(super) fn new(sockets: Vec<Xsk>, mtu: usize) -> std::io::Result<Self> {
        let any = match sockets.len() {
            1 => None,
            _ => Some(epoll::create(epoll::CreateFlags::CLOEXEC)?),
        };
        for (i, socket) in (0..).zip(&sockets) {
            if let Some(any) = &any {
                epoll::add(any, socket, epoll::EventData::new_u64(i), epoll::EventFlags::IN)?;
            }
        }
        Ok(Self { sockets, any, next: 0, mtu })
    }
}

/// One worker's share of an interface.
#[derive(Debug)]
pub struct XdpQueue {
    lane: Lane,
    name: String,
    interfaces: Arc<Interfaces>,
    mail: Mail<Letter>,
    down: bool,
    cutter: Cutter,
}

/// How often the kernel may take nothing before what waits is left for later.
const TRIES: usize = 4;

impl XdpQueue {
    pub(super) fn new(
        lane: Lane,
        name: String,
        interfaces: Arc<Interfaces>,
        mail: Mail<Letter>,
    ) -> Self {
        Self { lane, name, interfaces, mail, down: false, cutter: Cutter::default() }
    }

    fn read_mail(&mut self) {
        if let Some((lane, interfaces)) = self.mail.take() {
            (self.lane, self.interfaces) = (lane, interfaces);
            self.down = false;
        }
    }

    /// See [`crate::io::Queue::receive`].
    pub fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        self.read_mail();
        let channel = match &mut self.lane {
            Lane::Sockets(channel) => channel,
            Lane::Sends(queue) => return queue.receive(port, now, pool, batch),
            Lane::Gone => return Counts::default(),
        };
        let mut counts = Counts::default();
        let len = channel.sockets.len();
        for i in 0..len {
            let socket = &mut channel.sockets[(channel.next + i) % len];
            let room = batch.room();
            let before = socket.strange();
            let frames = &mut counts.frames;
            let came = socket.receive(room).map(|(mut frame, off, size)| {
                *frames += 1;
                let bytes = &mut frame[usize::from(off)..usize::from(off) + usize::from(size)];
                if is_partial(bytes) {
                    // A frame without a whole header is not partial.
                    let _ = complete_l4(bytes);
                }
                (frame, (off, Length::of(u32::from(size))), now)
            });
            counts.bytes += batch.extend(port, came);
            let strange = usize::try_from(socket.strange() - before).unwrap_or(usize::MAX);
            counts.frames += count(strange);
            counts.no_frame += count(strange);
            if batch.room() == room {
                socket.poll();
            }
            socket.lend(pool);
            if socket.lent().1 > 0 {
                socket.reap(pool);
            }
        }
        channel.next = (channel.next + 1) % len;
        if channel.sockets[0].lent().1 > 0 && self.waits_to_send() {
            // It was counted as sent.
            self.flush(pool, &mut Counts::default());
        }
        self.down &= counts.frames == 0;
        counts
    }

    /// See [`crate::io::Queue::transmit`].
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        self.read_mail();
        let mut counts = Counts::default();
        let gone = match &mut self.lane {
            Lane::Sends(queue) => return queue.transmit(out, pool),
            Lane::Sockets(_) => self.down && !self.is_running(),
            Lane::Gone => true,
        };
        if gone {
            counts.down = count(out.len());
            out.drain(..).for_each(|own| pool.put(own.frame));
            return counts;
        }
        if self.waits_to_send() {
            // What the kernel did not take before, or was given up and still takes room.
            self.flush(pool, &mut counts);
        }
        let Lane::Sockets(Channel { sockets, mtu, .. }) = &mut self.lane else { return counts };
        let socket = &mut sockets[0];
        // The kernel takes no descriptor with an open checksum, nor one of a super-frame.
        self.cutter.cut(out, pool, &mut counts, |_| false);
        for own in out.drain(..) {
            let Some(size) = frame_size(&own, *mtu) else {
                counts.too_long += 1;
                pool.put(own.frame);
                continue;
            };
            match socket.send(own.frame, own.off, size) {
                Ok(()) => {
                    counts.frames += 1;
                    counts.bytes += u64::from(size);
                }
                Err(frame) => {
                    counts.full += 1;
                    pool.put(frame);
                }
            }
        }
        self.flush(pool, &mut counts);
        self.down &= counts.frames == 0;
        counts
    }

    fn waits_to_send(&mut self) -> bool {
        match &mut self.lane {
            Lane::Sockets(channel) => channel.sockets[0].waits_to_send(),
            _ => false,
        }
    }

    /// Sends what is in the ring, and takes back out of `counts` what was not sent.
    fn flush(&mut self, pool: &mut Pool, counts: &mut Counts) {
        let mut idle = 0;
        loop {
            let Lane::Sockets(channel) = &mut self.lane else { return };
            let socket = &mut channel.sockets[0];
            socket.reap(pool);
            if idle == TRIES || !socket.waits_to_send() {
                return;
            }
            match socket.kick() {
                Ok(Kick::Done) => {
                    socket.reap(pool);
                    return;
                }
                Ok(Kick::More) => idle = 0,
                Ok(Kick::Busy) => idle += 1,
                // The driver took it and lost it: it is full, or has no carrier.
                Ok(Kick::Lost { size }) if self.is_running() => self.note_lost(size, counts),
                Ok(Kick::Lost { size }) => return self.lose((1, size), pool, counts),
                Err(_) => return self.lose((0, 0), pool, counts),
            }
        }
    }

    /// The driver had no room for a frame, or its MTU is another one by now.
    #[cold]
    fn note_lost(&mut self, size: usize, counts: &mut Counts) {
        let Lane::Sockets(channel) = &mut self.lane else { return };
        if let Ok(now) = self.interfaces.mtu(&self.name) {
            channel.mtu = now as usize;
        }
        let lost = take_back(1, size, counts);
        if size > channel.mtu + eth::HEADER + vlan::TAG {
            counts.too_long += lost;
        } else {
            counts.full += lost;
        }
    }

    /// There is no link: some frames were lost, and all that wait are.
    #[cold]
    fn lose(&mut self, (frames, bytes): (usize, usize), pool: &mut Pool, counts: &mut Counts) {
        let Lane::Sockets(channel) = &mut self.lane else { return };
        let (more, more_bytes) = channel.sockets[0].withdraw(pool);
        counts.down += take_back(frames + more, bytes + more_bytes, counts);
        self.down = true;
    }

    fn is_running(&self) -> bool {
        self.interfaces.is_running(&self.name).unwrap_or(false)
    }

    /// See [`crate::io::Queue::fd`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.lane {
            Lane::Sockets(Channel { any: Some(any), .. }) => Some(any.as_fd()),
            Lane::Sockets(channel) => Some(channel.sockets[0].as_fd()),
            Lane::Sends(queue) => Some(queue.fd()),
            Lane::Gone => None,
        }
    }

    /// Whether a frame waits.
    pub fn is_ready(&self) -> bool {
        match &self.lane {
            Lane::Sockets(channel) => channel.sockets.iter().any(Xsk::is_ready),
            Lane::Sends(queue) => queue.is_ready(),
            Lane::Gone => false,
        }
    }

    /// Whether the last attempt to send found the interface down or gone.
    pub fn is_down(&self) -> bool {
        match &self.lane {
            Lane::Sockets(_) => self.down,
            Lane::Sends(queue) => queue.is_down(),
            Lane::Gone => true,
        }
    }

    /// Takes an error away that would keep the descriptor ready.
    pub(in crate::io) fn clear_error(&self) {
        match &self.lane {
            Lane::Sockets(channel) => channel.sockets.iter().for_each(|socket| {
                take_error(socket);
            }),
            Lane::Sends(queue) => queue.clear_error(),
            Lane::Gone => {}
        }
    }

    /// Frames that the kernel has: to receive into, and to send.
    pub fn lent(&self) -> (usize, usize) {
        let Lane::Sockets(channel) = &self.lane else { return (0, 0) };
        let sum = |sum: (usize, usize), (a, b)| (sum.0 + a, sum.1 + b);
        channel.sockets.iter().map(Xsk::lent).fold((0, 0), sum)
    }
}

/// Frames that were counted as sent were not; those of an earlier call stay counted. Returns how
/// many it took back.
fn take_back(frames: usize, bytes: usize, counts: &mut Counts) -> u32 {
    let frames = count(frames).min(counts.frames);
    counts.frames -= frames;
    counts.bytes = counts.bytes.saturating_sub(bytes as u64);
    frames
}

/// Frames of one call, which are few.
fn count(frames: usize) -> u32 {
    u32::try_from(frames).unwrap_or(u32::MAX)
}

/// The size of a frame that the way out takes.
fn frame_size(own: &Outgoing, mtu: usize) -> Option<u16> {
    let size = own.bytes().len();
    u16::try_from(size).ok().filter(|_| size <= longest(own.bytes(), mtu))
}
