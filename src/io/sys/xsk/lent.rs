//! Which frames does the kernel have? One XDP socket, its rings, and the frames lent through them.
//!
//! A frame that is lent lies in a slab under its number, and nobody else has it. The kernel names
//! frames by address: a number that is not lent is counted and nothing more. The frames of a socket
//! that is given up come home when its last handle is closed, since the kernel may write until then.
//! A driver that works without a copy may write even later: its frames stay where they are.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::event::{Timespec, poll};

use super::ring::{Place, Ring};
use super::slab::{Slab, Socket, split};
use super::{AllOffsets, Which};
use crate::frame::{FRAME_SIZE, Frame, Memory, Pool};
use crate::io::sys::{packet, sockopt};
use crate::mem::prefetch;

/// Bytes that the kernel leaves free before a frame beyond its own.
const EXTRA_HEADROOM: u32 = 8;
/// Where a received frame begins: behind the 256 bytes that XDP programs may use, and as many more
/// as put it onto a cache line the way [`crate::frame::HEADROOM`] does.
pub const HEADROOM: usize = 256 + EXTRA_HEADROOM as usize;
/// Longest frame that can be received, in bytes.
pub const LONGEST: usize = FRAME_SIZE - HEADROOM;
const _: () = assert!(HEADROOM % 64 == crate::frame::HEADROOM % 64);

/// Frames that may be on their way in or out.
const SLOTS: u32 = 2048;
/// Frames that wait for the kernel to fill them.
const FILL: usize = 2048;
/// Bytes that frames under way may take: their number is bounded by the ring.
const SOCKET_BUFFER: i32 = 8 << 20;
/// A descriptor that the kernel passes over: it names no memory.
const NOWHERE: Place = Place { address: u64::MAX, len: u32::MAX, options: u32::MAX };

/// How [`Xsk::kick`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// The kernel has all, or will take it by itself.
    Done,
    /// There is more, and some was taken.
    More,
    /// The kernel takes nothing now; what waits stays.
    Busy,
    /// The driver lost a frame of this size; more may wait.
    Lost {
        /// Its size in bytes.
        size: usize,
    },
}

/// One XDP socket.
#[derive(Debug)]
pub struct Xsk {
    // Before the socket: a mapped ring keeps it alive.
    fill: Ring<u64>,
    completion: Ring<u64>,
    receive: Ring<Place>,
    send: Ring<Place>,
    filling: Slab,
    sending: Slab,
    socket: Arc<Socket>,
    busy_poll: bool,
    /// Frames up to here the kernel has sent or lost.
    settled: u32,
    /// Descriptors at most that the kernel has yet to pass over.
    spoiled: u32,
    strange: u64,
}

impl Xsk {
    /// Opens a socket for one queue of an interface of the calling thread's namespace. It receives
    /// once it stands in the map of the interface's program.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW, `EBUSY` when another socket has the queue, `ENOBUFS` or `ENOMEM`
    /// beyond the limit of locked memory, `EOPNOTSUPP` when the driver cannot.
    pub fn open(memory: &Memory, index: u32, queue: u32, copy: bool) -> io::Result<Self> {
        let fd = super::open()?;
        super::register(&fd, memory, EXTRA_HEADROOM)?;
        // Until a ring is made, its offsets are known already.
        let all: AllOffsets = sockopt::value(&fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
        let (fill, completion) = (
            Ring::new(fd.as_fd(), Which::Fill, SLOTS, &all.fill)?,
            Ring::new(fd.as_fd(), Which::Completion, SLOTS, &all.completion)?,
        );
        let receive = Ring::new(fd.as_fd(), Which::Receive, SLOTS, &all.receive)?;
        let send = Ring::new(fd.as_fd(), Which::Send, SLOTS, &all.send)?;
        packet::set_buffers(&fd, SOCKET_BUFFER)?;
        bind(&fd, index, queue, copy)?;
        // An older kernel sends 32 at a time.
        let _ = super::set_send_budget(&fd, SLOTS);
        let zero_copy = super::is_zero_copy(&fd)?;
        let left = OnceLock::new();
        let socket = Socket { fd: Some(fd), zero_copy, memory: memory.clone(), left };
        let slab = || Slab::new(memory.frames());
        Ok(Self {
            fill,
            completion,
            receive,
            send,
            filling: slab(),
            sending: slab(),
            socket: Arc::new(socket),
            busy_poll: false,
            settled: 0,
            spoiled: 0,
            strange: 0,
        })
    }

    /// The socket, to put it into a map and to read its statistics.
    pub fn socket(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }

    /// Whether driver and process share the frames without a copy.
    pub fn is_zero_copy(&self) -> bool {
        self.socket.zero_copy
    }

    /// Frames that the kernel named and did not have.
    pub fn strange(&self) -> u64 {
        self.strange
    }

    /// Lets [`Xsk::poll`] drive the interface's receive queue, up to `budget` frames a call.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN for a budget above the system's.
    pub fn set_busy_poll(&mut self, micros: i32, budget: i32) -> io::Result<()> {
        super::set_busy_poll(&*self.socket, micros, budget)?;
        self.busy_poll = true;
        Ok(())
    }

    /// Lends frames of `pool` until the kernel has enough to receive into.
    #[inline]
    pub fn lend(&mut self, pool: &mut Pool) {
        let want = FILL - self.filling.len.min(FILL);
        if want == 0 {
            return;
        }
        let room = self.fill.room(SLOTS.min(to_u32(want))) as usize;
        let mut lent = 0;
        while lent < want.min(room) {
            let Some(frame) = pool.take() else { break };
            let Some(number) = self.socket.memory.number(&frame) else {
                pool.put(frame);
                break;
            };
            self.filling.put(number, frame);
            self.fill.push((number * FRAME_SIZE) as u64);
            lent += 1;
        }
        if lent > 0 {
            self.fill.publish();
        }
    }

    /// Lets the kernel work on the receive queue, where that is this process's to do.
    #[inline]
    pub fn poll(&self) {
        if self.busy_poll || self.fill.needs_wakeup() {
            // An interface that is down says so at the next attempt to send, and to control.
            let _ = super::kick_receive(&*self.socket);
        }
    }

    /// Up to `most` received frames, each with the offset of its first byte and its length; they are
    /// the kernel's no more once the iterator is dropped.
    #[inline]
    pub fn receive(&mut self, most: usize) -> Received<'_> {
        let waiting = self.receive.available(to_u32(most));
        for i in 0..waiting {
            let (number, offset) = split(self.receive.peek(i).address);
            if let Some(frame) = self.filling.peek(number) {
                prefetch(frame.as_ptr().wrapping_add(offset));
            }
        }
        Received { xsk: self, waiting, next: 0 }
    }

    /// Puts a frame into the send ring; [`Xsk::kick`] sends it.
    ///
    /// # Errors
    /// Gives the frame back when the ring is full, or the frame is of other memory.
    #[inline]
    pub fn send(&mut self, frame: Frame, off: u16, len: u16) -> Result<(), Frame> {
        let Some(number) = self.socket.memory.number(&frame) else { return Err(frame) };
        // A completion has its place in the other ring, so that none is ever held up.
        if self.sending.len >= SLOTS as usize || self.send.room(1) == 0 {
            return Err(frame);
        }
        let address = (number * FRAME_SIZE) as u64 + u64::from(off);
        self.sending.put(number, frame);
        self.send.push(Place { address, len: u32::from(len), options: 0 });
        Ok(())
    }

    /// Whether frames wait in the send ring.
    #[inline]
    pub fn waits_to_send(&mut self) -> bool {
        let (kernel, own) = self.send.waiting();
        kernel != own
    }

    /// Lets the kernel send what [`Xsk::send`] put into the ring.
    ///
    /// # Errors
    /// `ENETDOWN` and `ENXIO` for want of a link or the interface; the frames stay.
    pub fn kick(&mut self) -> io::Result<Kick> {
        self.send.publish();
        if !self.send.needs_wakeup() {
            return Ok(Kick::Done);
        }
        let (before, _) = self.send.waiting();
        let result = super::kick_send(&*self.socket);
        let (after, _) = self.send.waiting();
        let told = after.wrapping_sub(self.settled);
        let told = told > 0 && told <= SLOTS;
        if told {
            self.settled = after;
        }
        let Err(error) = result else {
            // Each call ends at a descriptor that names nothing, and passes over that one.
            let skipped = self.spoiled > 0;
            self.spoiled = self.spoiled.saturating_sub(1);
            return Ok(if skipped { Kick::More } else { Kick::Done });
        };
        match error.raw_os_error() {
            Some(libc::EAGAIN) if after != before => Ok(Kick::More),
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Ok(Kick::Busy),
            Some(libc::EBUSY) => {
                // It is the last one that the kernel took; when it was the first as well, the kernel
                // has not told its position.
                if !told {
                    self.settled = self.settled.wrapping_add(1);
                }
                let lost = self.send.at(self.settled.wrapping_sub(1));
                Ok(Kick::Lost { size: if lost == NOWHERE { 0 } else { lost.len as usize } })
            }
            _ => Err(error),
        }
    }

    /// Takes the frames home that the kernel is done with.
    #[inline]
    pub fn reap(&mut self, pool: &mut Pool) {
        let done = self.completion.available(SLOTS);
        for i in 0..done {
            let (number, _) = split(self.completion.peek(i));
            match self.sending.take(number) {
                Some(frame) => pool.put(frame),
                None => self.strange += 1,
            }
        }
        if done > 0 {
            self.completion.release(done);
        }
    }

    /// Takes back what waits in the send ring: how many frames, and their bytes. With zero-copy the
    /// driver may be reading the ring, and nothing is taken back.
    #[cold]
    pub fn withdraw(&mut self, pool: &mut Pool) -> (usize, usize) {
        let (mut frames, mut bytes) = (0, 0);
        let (kernel, own) = self.send.waiting();
        if self.socket.zero_copy {
            return (frames, bytes);
        }
        // What was lost since the kernel told its position comes home by itself.
        let ahead = self.settled.wrapping_sub(kernel);
        let mut position = if ahead <= own.wrapping_sub(kernel) { self.settled } else { kernel };
        while position != own {
            let place = self.send.at(position);
            self.send.replace(position, NOWHERE);
            self.spoiled += u32::from(place != NOWHERE);
            position = position.wrapping_add(1);
            if place != NOWHERE
                && let Some(frame) = self.sending.take(split(place.address).0)
            {
                frames += 1;
                bytes += place.len as usize;
                pool.put(frame);
            }
        }
        (frames, bytes)
    }

    /// Whether a received frame waits.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.receive.is_ready()
    }

    /// How many frames the kernel has: to receive into, and to send.
    pub fn lent(&self) -> (usize, usize) {
        (self.filling.len, self.sending.len)
    }
}

/// Frames that came in by a socket.
#[derive(Debug)]
pub struct Received<'a> {
    xsk: &'a mut Xsk,
    waiting: u32,
    next: u32,
}

impl Iterator for Received<'_> {
    type Item = (Frame, u16, u16);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.waiting {
            let place = self.xsk.receive.peek(self.next);
            self.next += 1;
            let (number, offset) = split(place.address);
            let frame = self.xsk.filling.take(number);
            let fits = offset.saturating_add(place.len as usize) <= FRAME_SIZE;
            match (frame, u16::try_from(offset), u16::try_from(place.len)) {
                (Some(frame), Ok(offset), Ok(len)) if fits => return Some((frame, offset, len)),
                (frame, ..) => {
                    self.xsk.strange += 1;
                    frame.into_iter().for_each(|frame| self.xsk.socket.memory.put(frame));
                }
            }
        }
        None
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        if self.next > 0 {
            self.xsk.receive.release(self.next);
        }
    }
}

impl AsFd for Xsk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Xsk {
    fn drop(&mut self) {
        let left = [std::mem::take(&mut self.filling), std::mem::take(&mut self.sending)];
        self.socket.left.set(left).expect("a socket has one set of rings");
    }
}

/// Binds the socket, with some patience: the kernel frees a queue only a while after the socket that
/// had it was closed.
fn bind(fd: &OwnedFd, index: u32, queue: u32, copy: bool) -> io::Result<()> {
    const TRIES: usize = 300;
    const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    for _ in 1..TRIES {
        match super::bind(fd, index, queue, copy) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                let _ = poll(&mut [], Some(&NAP));
            }
            other => return other,
        }
    }
    super::bind(fd, index, queue, copy)
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
