//! What crosses an interface, byte for byte, with every tag; and how to send such frames.
//!
//! The kernel takes the outer tag of a received frame out into metadata, also when both tags are
//! the same: it is put back here, so a capture shows what was on the wire.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};

use crate::io::sys::bpf::Classic;
use crate::io::sys::packet;
use crate::lab::error::{Doing, LabError};
use crate::lab::interface::Interface;
use crate::lab::sys;
use crate::lab::task::{Stop, Task};
use crate::lab::wait::{self, Deadline};

/// A frame as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFrame {
    /// When the kernel saw it: nanoseconds since 1970.
    pub at_ns: u64,
    /// Whether this namespace sent it.
    pub outgoing: bool,
    /// Whether its transport checksum is still to be completed (checksum offload).
    pub checksum_partial: bool,
    /// Bytes of the whole frame, of which `bytes` may be the first part.
    pub wire_len: usize,
    /// From the Ethernet header, with all tags.
    pub bytes: Vec<u8>,
}

/// Longest frame that is kept whole: a super-frame with two tags.
const LONGEST: usize = (1 << 16) + 64;

/// Sends and receives whole frames on one interface.
#[derive(Debug)]
pub struct FrameSocket {
    fd: OwnedFd,
    name: String,
    buffer: Vec<u8>,
}

impl FrameSocket {
    /// Opens a packet socket on `interface`; frames that cross from here on are received.
    ///
    /// # Errors
    /// When the interface does not exist or raw sockets are not permitted.
    pub fn open(interface: &Interface) -> Result<Self, LabError> {
        Self::open_for(interface, &[])
    }

    /// As [`FrameSocket::open`], for the frames alone that `program` takes; an empty one takes all.
    ///
    /// # Errors
    /// As [`FrameSocket::open`].
    pub fn open_for(interface: &Interface, program: &[Classic]) -> Result<Self, LabError> {
        let index = interface.index()?;
        let name = interface.name().to_owned();
        let what = || format!("opening a packet socket on {name}");
        let fd = interface.netns().run(|| {
            // Protocol 0 until it is bound: else it would hear every interface for a moment.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
                .doing(what)?;
            // A smaller buffer than asked for will do.
            let _ = sockopt::set_socket_recv_buffer_size_force(&fd, 16 << 20);
            if !program.is_empty() {
                packet::set_filter(&fd, program).doing(what)?;
            }
            sys::bind_packet(fd.as_fd(), index).doing(what)?;
            Ok::<_, LabError>(fd)
        })??;
        Ok(Self { fd, name, buffer: vec![0; LONGEST] })
    }

    /// Sends a frame as it stands, from its Ethernet header, tags included.
    ///
    /// # Errors
    /// When it is too long for the interface, or that is down.
    pub fn send(&self, frame: &[u8]) -> Result<(), LabError> {
        rustix::net::send(&self.fd, frame, SendFlags::empty())
            .map(drop)
            .doing(|| format!("sending a frame on {}", self.name))
    }

    /// Receives the next frame, or `None` when none comes in time.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub fn receive(&mut self, within: Duration) -> Result<Option<CapturedFrame>, LabError> {
        let deadline = Deadline::after(within);
        loop {
            if let Some(frame) = self.receive_now()? {
                return Ok(Some(frame));
            }
            let remaining = deadline.remaining();
            if remaining.is_zero() {
                return Ok(None);
            }
            wait::readable([self.fd.as_fd()], remaining).doing(|| self.what())?;
        }
    }

    fn what(&self) -> String {
        format!("receiving on {}", self.name)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn receive_now(&mut self) -> Result<Option<CapturedFrame>, LabError> {
        let meta = match sys::receive_packet(self.fd.as_fd(), &mut self.buffer) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(e) => return Err(e).doing(|| self.what()),
        };
        let (bytes, restored) = restore(&self.buffer[..meta.len], meta.stripped);
        Ok(Some(CapturedFrame {
            at_ns: meta.at_ns,
            outgoing: meta.outgoing,
            checksum_partial: meta.checksum_partial,
            wire_len: meta.wire_len + restored,
            bytes,
        }))
    }
}

/// Puts a stripped tag back behind the MAC addresses; returns how many bytes that added.
fn restore(frame: &[u8], stripped: Option<(u16, u16)>) -> (Vec<u8>, usize) {
    const ADDRESSES: usize = 12;
    match (stripped, frame.split_at_checked(ADDRESSES)) {
        (Some((tpid, tci)), Some((addresses, rest))) => {
            (([addresses, &tpid.to_be_bytes(), &tci.to_be_bytes(), rest]).concat(), 4)
        }
        _ => (frame.to_vec(), 0),
    }
}

/// What bounds a capture.
#[derive(Clone, Copy, Debug)]
pub struct CaptureLimits {
    /// Frames that are kept at most; it ends with the last.
    pub frames: usize,
    /// How long it runs at most.
    pub time: Duration,
    /// Bytes that are kept of each frame.
    pub snap: usize,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self { frames: 10_000, time: Duration::from_secs(60), snap: LONGEST }
    }
}

/// A capture that runs in the background; dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    frames: Arc<Mutex<Vec<CapturedFrame>>>,
    task: Task<Result<(), LabError>>,
}

impl Capture {
    /// Starts to keep what crosses `interface`, both ways, and passes `filter`; every frame that
    /// crosses after this returns is seen.
    ///
    /// # Errors
    /// When the interface does not exist or raw sockets are not permitted.
    pub fn start(
        interface: &Interface,
        limits: CaptureLimits,
        filter: impl Fn(&CapturedFrame) -> bool + Send + 'static,
    ) -> Result<Self, LabError> {
        let mut socket = FrameSocket::open(interface)?;
        let frames = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&frames);
        let task =
            Task::start("capture", move |stop| collect(&mut socket, limits, &filter, &kept, stop))?;
        Ok(Self { frames, task })
    }

    /// How many frames it has.
    pub fn len(&self) -> usize {
        lock(&self.frames).len()
    }

    /// Whether it has none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until it has `frames` frames; says whether it has.
    pub fn wait_for(&self, frames: usize, within: Duration) -> bool {
        wait::until(within, Duration::from_millis(2), || self.len() >= frames)
    }

    /// Ends it and gives what it has, what has crossed until now included.
    ///
    /// # Errors
    /// When the interface went down or away meanwhile.
    pub fn finish(self) -> Result<Vec<CapturedFrame>, LabError> {
        self.task.finish()?;
        Ok(std::mem::take(&mut *lock(&self.frames)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn collect(
    socket: &mut FrameSocket,
    limits: CaptureLimits,
    filter: &impl Fn(&CapturedFrame) -> bool,
    kept: &Mutex<Vec<CapturedFrame>>,
    stop: &Stop,
) -> Result<(), LabError> {
    let deadline = Deadline::after(limits.time);
    loop {
        let last_round = stop.asked() || deadline.passed();
        while let Some(mut frame) = socket.receive_now()? {
            if !filter(&frame) {
                continue;
            }
            frame.bytes.truncate(limits.snap);
            let mut kept = lock(kept);
            if kept.len() < limits.frames {
                kept.push(frame);
            }
            if kept.len() >= limits.frames {
                return Ok(());
            }
            if deadline.passed() {
                return Ok(());
            }
        }
        if last_round {
            return Ok(());
        }
        stop.or_readable(socket.fd(), deadline.remaining()).doing(|| socket.what())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_tag_goes_back_behind_the_addresses() {
        let frame: Vec<u8> = (0..14).collect();
        let (bytes, added) = restore(&frame, Some((0x8100, 0x60c8)));
        assert_eq!(added, 4);
        assert_eq!(bytes[..12], frame[..12]);
        assert_eq!(bytes[12..], [0x81, 0x00, 0x60, 0xc8, 12, 13]);
        assert_eq!(restore(&frame, None), (frame.clone(), 0));
        assert_eq!(restore(&frame[..5], Some((1, 1))), (frame[..5].to_vec(), 0));
    }
}
