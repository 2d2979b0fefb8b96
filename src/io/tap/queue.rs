//! How does a frame come out of a TAP, and into it? A worker's share of the device.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::super::cut::Cutter;
use super::super::mail::Mail;
use super::super::port::Counts;
use super::super::sys::tun::Offloads;
use crate::frame::{BATCH, Batch, Flags, Frame, HEADROOM, LONG_ROOM, Outgoing, Pool, ROOM, Row};
use crate::ids::PortId;
use crate::time::Now;
use crate::wire::virtio::{self, Kind, OffloadHeader, Open};

/// One worker's share of a TAP.
#[derive(Debug)]
pub struct TapQueue {
    fd: Arc<OwnedFd>,
    receives: bool,
    gone: bool,
    /// The kernel says that nothing is there: once.
    skips: bool,
    offloads: Offloads,
    cutter: Cutter,
    /// Whether control wants a carrier.
    lit: Arc<AtomicBool>,
    mail: Mail<Arc<OwnedFd>>,
}

impl TapQueue {
    pub(in crate::io) fn new(
        (fd, receives): (Arc<OwnedFd>, bool),
        offloads: Offloads,
        lit: Arc<AtomicBool>,
        mail: Mail<Arc<OwnedFd>>,
    ) -> Self {
        Self {
            fd,
            receives,
            gone: false,
            skips: false,
            offloads,
            cutter: Cutter::default(),
            lit,
            mail,
        }
    }

    /// Whether this queue receives at all.
    pub fn receives(&self) -> bool {
        self.receives
    }

    /// Whether the next [`TapQueue::receive`] takes nothing.
    pub(in crate::io) fn skip(&mut self, skips: bool) {
        self.skips = skips;
    }

    fn read_mail(&mut self) {
        if let Some(fd) = self.mail.take() {
            self.fd = fd;
            self.gone = false;
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
        let mut counts = Counts::default();
        if std::mem::take(&mut self.skips) || !self.receives || self.gone {
            return counts;
        }
        // Frames without a buffer count as well, so that an empty pool cannot hold the turn.
        let most = BATCH - batch.len();
        let mut spare = pool.take_long();
        while (counts.frames as usize) < most && counts.bytes < ENOUGH {
            let Some(mut frame) = pool.take() else {
                let mut discarded = [0; 64];
                let Some(size) = self.read(&mut discarded, &mut [0]) else { break };
                counts.frames += 1;
                counts.bytes += size.saturating_sub(virtio::HEADER) as u64;
                counts.no_frame += 1;
                continue;
            };
            let mut beyond = [0];
            let rest = spare.as_mut().map_or(&mut beyond[..], |long| &mut long.all_mut()[REST..]);
            let Some(size) = self.read(&mut frame[HEADROOM - virtio::HEADER..], rest) else {
                pool.put(frame);
                break;
            };
            let size = size.saturating_sub(virtio::HEADER);
            counts.frames += 1;
            counts.bytes += size as u64;
            let header = OffloadHeader::read(&frame[HEADROOM - virtio::HEADER..]);
            if size > ROOM {
                match whole(&frame, spare.take(), size, &header) {
                    Ok(long) => {
                        pool.put(std::mem::replace(&mut frame, long));
                        spare = pool.take_long();
                    }
                    Err((lost, unused)) => {
                        lost.note(&mut counts);
                        pool.put(frame);
                        spare = unused;
                        continue;
                    }
                }
            }
            match header.settle(&mut frame.all_mut()[HEADROOM..HEADROOM + size]) {
                Ok(open) => {
                    let row = Row { port, arrival: now, ..received(size, open) };
                    batch.push(frame, row).expect("the batch is not full");
                }
                Err(_) => {
                    counts.super_frame += 1;
                    pool.put(frame);
                }
            }
        }
        if let Some(long) = spare {
            pool.put(long);
        }
        counts
    }

    /// Reads a frame and its header, and returns their size, which is past the buffers' when they
    /// do not fit.
    #[inline]
    fn read(&mut self, buffer: &mut [u8], rest: &mut [u8]) -> Option<usize> {
        let mut places = [IoSliceMut::new(buffer), IoSliceMut::new(rest)];
        match rustix::io::readv(&self.fd, &mut places) {
            Ok(size) => Some(size),
            Err(Errno::BADFD) => {
                self.gone = true;
                None
            }
            // Nothing there, or the interface is down.
            Err(_) => None,
        }
    }

    /// See [`crate::io::Queue::transmit`].
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        self.read_mail();
        let mut counts = Counts::default();
        let lit = self.lit.load(Ordering::Relaxed);
        let takes = |out: &Outgoing| {
            self.offloads == Offloads::TcpAndUdp || out.header().kind() != Some(Kind::Udp)
        };
        self.cutter.cut(out, pool, &mut counts, takes);
        for mut out in out.drain(..) {
            let sent = if lit && !self.gone {
                rustix::io::write(&self.fd, out.with_header())
            } else {
                Err(Errno::NETDOWN)
            };
            match sent {
                Ok(_) => {
                    counts.frames += 1;
                    counts.bytes += u64::from(out.len.size());
                }
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => counts.full += 1,
                // The kernel takes no frame without an Ethernet header.
                Err(Errno::INVAL | Errno::MSGSIZE) => counts.too_long += 1,
                Err(error) => {
                    counts.down += 1;
                    self.gone |= error == Errno::BADFD;
                }
            }
            pool.put(out.frame);
        }
        counts
    }

    /// See [`crate::io::Queue::fd`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        (self.receives && !self.gone).then(|| self.fd.as_fd())
    }

    /// Whether the interface is gone, or its carrier off.
    pub fn is_down(&self) -> bool {
        self.gone || !self.lit.load(Ordering::Relaxed)
    }
}

/// Bytes after which a batch of super-frames is long enough: they shall still be in the core's cache
/// when they are sent. Ordinary frames do not come near it.
pub(in crate::io) const ENOUGH: u64 = 256 << 10;

/// Where the part of a super-frame stands that an ordinary frame has no room for.
const REST: usize = HEADROOM + ROOM;

/// Why a frame that is longer than an ordinary buffer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Lost {
    TooLong,
    NoFrame,
    SuperFrame,
}

impl Lost {
    pub(in crate::io) fn note(self, counts: &mut Counts) {
        match self {
            Lost::TooLong => counts.too_long += 1,
            Lost::NoFrame => counts.no_frame += 1,
            Lost::SuperFrame => counts.super_frame += 1,
        }
    }
}

/// Puts the first part of a super-frame of `size` bytes in front of the rest, which is in `long`
/// already.
fn whole(
    first: &Frame,
    long: Option<Frame>,
    size: usize,
    header: &OffloadHeader,
) -> Result<Frame, (Lost, Option<Frame>)> {
    if !header.is_super_frame() {
        return Err((Lost::TooLong, long));
    }
    let Some(mut long) = long else { return Err((Lost::NoFrame, None)) };
    if size > LONG_ROOM {
        return Err((Lost::SuperFrame, Some(long)));
    }
    long.all_mut()[HEADROOM..REST].copy_from_slice(&first[HEADROOM..REST]);
    Ok(long)
}

/// The row of a frame of `size` bytes behind the headroom.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "headroom and room are smaller than 4 GiB")]
pub(in crate::io) fn received(size: usize, open: Open) -> Row {
    let flags = if open.is_partial { Flags::PARTIAL_CHECKSUM } else { Flags::default() };
    let gso_size = open.gso_size;
    Row { off: HEADROOM as u16, len: size as u32, flags, gso_size, ..Row::default() }
}
