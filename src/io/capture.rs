//! A port in a running process whose frames come from a capture, and whose frames go to one.
//!
//! The first queue receives: each frame when its time has come, counted from the first frame and
//! the port's first turn, or all at once. The file is read through a buffer of megabytes. What a
//! queue sends it appends with one system call a batch, so frames of several workers do not mix
//! and the file is whole after each; nothing has to be flushed at the end.
//!
//! The end of the capture is not the loss of a link: the port stays up and goes on taking what is
//! sent. While it has no carrier, the capture's clock stands still.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::clock;
use super::cut::Cutter;
use super::error::PortError;
use super::pcap::{CaptureError, Reader, Writer};
use super::port::Counts;
use super::tap::received;
use crate::frame::{BATCH, Batch, HEADROOM, Outgoing, Pool, ROOM, Row};
use crate::ids::PortId;
use crate::time::{Now, Span};
use crate::wire::virtio::Open;

/// Which captures to take.
#[derive(Clone, Debug)]
pub struct CaptureSpec {
    /// The port's name, which the capture that is written gives its interface.
    pub name: String,
    /// The capture that is read; `None` receives nothing.
    pub input: Option<PathBuf>,
    /// The capture that is written, anew; with `None` what is sent is counted and thrown away.
    pub output: Option<PathBuf>,
    /// When frames come in.
    pub pace: Pace,
}

/// When the frames of a capture come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As far apart as they were captured.
    #[default]
    Capture,
    /// As fast as they are taken.
    Unpaced,
}

/// One worker's share of a capture port.
#[derive(Debug)]
pub struct CaptureQueue {
    feed: Option<Feed>,
    sink: Option<Sink>,
    cutter: Cutter,
    /// Whether control wants a carrier.
    lit: Arc<AtomicBool>,
}

/// Opens the captures and gives each worker its queue; the first one receives.
pub(super) fn open(
    spec: &CaptureSpec,
    queues: usize,
    lit: &Arc<AtomicBool>,
) -> Result<Vec<CaptureQueue>, PortError> {
    let feed = spec.input.as_deref().map(|path| Feed::open(spec, path)).transpose();
    let mut feed = feed.map_err(PortError::CaptureIn)?;
    if let Some(path) = &spec.output {
        File::create(path).map_err(|error| unwritable(path, error))?;
    }
    let queue = |index| {
        let sink = spec.output.as_deref().map(|path| Sink::open(spec, path, index == 0));
        let (feed, sink, lit) = (feed.take(), sink.transpose()?, Arc::clone(lit));
        Ok(CaptureQueue { feed, sink, cutter: Cutter::default(), lit })
    };
    (0..queues).map(queue).collect()
}

fn unwritable(path: &Path, error: io::Error) -> PortError {
    let name = path.display().to_string();
    PortError::CaptureOut(CaptureError { name, packet: 0, fault: error.into() })
}

impl CaptureQueue {
    /// See [`super::Queue::receive`].
    pub fn receive(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
    ) -> Counts {
        match &mut self.feed {
            Some(feed) if self.lit.load(Ordering::Relaxed) => feed.receive(port, now, pool, batch),
            Some(feed) => {
                feed.stand_still(now);
                Counts::default()
            }
            None => Counts::default(),
        }
    }

    /// See [`super::Queue::transmit`].
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        let mut counts = Counts::default();
        if out.is_empty() {
            return counts;
        }
        // A capture has what a wire would carry.
        self.cutter.cut(out, pool, &mut counts, |_| false);
        let sent = out.len();
        let bytes = out.iter().map(|out| u64::from(out.len.size())).sum();
        let taken = !self.is_down() && self.sink.as_mut().is_none_or(|sink| sink.append(out));
        out.drain(..).for_each(|out| pool.put(out.frame));
        let sent = u32::try_from(sent).expect("batches are small");
        if taken {
            (counts.frames, counts.bytes) = (sent, bytes)
        } else {
            counts.down = sent
        }
        counts
    }

    /// See [`super::Queue::fd`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        let feed = self.feed.as_ref().filter(|feed| feed.alarm_at.is_some())?;
        Some(feed.alarm.as_fd())
    }

    /// Whether a frame waits that needs no time.
    pub fn is_ready(&self) -> bool {
        self.feed.as_ref().is_some_and(Feed::is_ready) && self.lit.load(Ordering::Relaxed)
    }

    /// Whether the carrier is off, or what is sent can no longer be written.
    pub fn is_down(&self) -> bool {
        !self.lit.load(Ordering::Relaxed) || self.sink.as_ref().is_some_and(|sink| sink.broken)
    }
}

/// The capture that is read.
#[derive(Debug)]
struct Feed {
    port: String,
    reader: Reader<File>,
    pace: Pace,
    /// When the next frame was captured; its bytes are below.
    next: Option<Now>,
    bytes: Vec<u8>,
    frames: u64,
    /// When the first frame was captured, and when it came in here.
    first: Now,
    start: Option<Now>,
    /// Since when the carrier is off.
    still_since: Option<Now>,
    /// Wakes the worker for the next frame, and for when it is set.
    alarm: OwnedFd,
    alarm_at: Option<Now>,
}

impl Feed {
    fn open(spec: &CaptureSpec, path: &Path) -> Result<Self, CaptureError> {
        let reader = Reader::open(path)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(|error| {
            let name = path.display().to_string();
            CaptureError { name, packet: 0, fault: io::Error::from(error).into() }
        })?;
        let mut feed = Self {
            port: spec.name.clone(),
            reader,
            pace: spec.pace,
            next: None,
            bytes: Vec::new(),
            frames: 0,
            first: Now(0),
            start: None,
            still_since: None,
            alarm,
            alarm_at: None,
        };
        // A file that is broken from the beginning shows it here at the latest.
        feed.advance()?;
        feed.first = feed.next.unwrap_or_default();
        Ok(feed)
    }

    /// The first frame needs no time either.
    fn is_ready(&self) -> bool {
        self.next.is_some() && (self.pace == Pace::Unpaced || self.start.is_none())
    }

    /// Reads the next frame.
    fn advance(&mut self) -> Result<(), CaptureError> {
        self.next = None;
        if let Some(packet) = self.reader.next()? {
            self.next = Some(packet.at);
            self.bytes.clear();
            self.bytes.extend_from_slice(packet.bytes);
        }
        Ok(())
    }

    fn receive(&mut self, port: PortId, now: Now, pool: &mut Pool, batch: &mut Batch) -> Counts {
        let mut counts = Counts::default();
        let still = self.still_since.take().map_or(Span::ZERO, |since| now.since(since));
        let start = self.start.unwrap_or(now) + still;
        self.start = Some(start);
        // Frames without a buffer count as well, so that an empty pool cannot hold the turn.
        while (counts.frames as usize) < BATCH && !batch.is_full() {
            let Some(captured) = self.next else { break };
            let due = start + captured.since(self.first);
            if self.pace == Pace::Capture && due > now {
                self.set_alarm(Some(due));
                return counts;
            }
            self.take(port, now, pool, batch, &mut counts);
        }
        if self.next.is_none() {
            self.set_alarm(None);
        }
        counts
    }

    fn take(
        &mut self,
        port: PortId,
        now: Now,
        pool: &mut Pool,
        batch: &mut Batch,
        counts: &mut Counts,
    ) {
        let size = self.bytes.len();
        counts.frames += 1;
        counts.bytes += size as u64;
        self.frames += 1;
        if size > ROOM {
            counts.too_long += 1;
        } else if let Some(mut frame) = pool.take() {
            frame[HEADROOM..HEADROOM + size].copy_from_slice(&self.bytes);
            let row = Row { port, arrival: now, ..received(size, Open::default()) };
            batch.push(frame, row).expect("the batch is not full");
        } else {
            counts.no_frame += 1;
        }
        match self.advance() {
            Ok(()) if self.next.is_some() => {}
            Ok(()) => {
                for skipped in self.reader.skipped() {
                    tracing::warn!(port = self.port, "{skipped}");
                }
                tracing::info!(port = self.port, frames = self.frames, "capture is through");
            }
            Err(error) => tracing::error!(port = self.port, %error, "capture ends early"),
        }
    }

    /// Nothing comes in without a carrier, and nothing becomes due.
    fn stand_still(&mut self, now: Now) {
        self.still_since.get_or_insert(now);
        self.set_alarm(None);
    }

    fn set_alarm(&mut self, at: Option<Now>) {
        if self.alarm_at == at {
            return;
        }
        self.alarm_at = at;
        let nanoseconds = at.map_or(0, |at| at.0);
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec {
            tv_sec: (nanoseconds / 1_000_000_000).cast_signed(),
            tv_nsec: (nanoseconds % 1_000_000_000).cast_signed(),
        };
        let timer = Itimerspec { it_interval: zero, it_value };
        // It can fail for a bad descriptor or time alone; a worker looks again soon in any case.
        let _ = timerfd_settime(&self.alarm, TimerfdTimerFlags::ABSTIME, &timer);
    }
}

/// The capture that is written, for one queue.
#[derive(Debug)]
struct Sink {
    port: String,
    writer: Writer<Append>,
    /// What the wall's clock is ahead of the monotonic one.
    ahead: Span,
    broken: bool,
}

impl Sink {
    /// The first one of a file writes what stands before packets.
    fn open(spec: &CaptureSpec, path: &Path, first: bool) -> Result<Self, PortError> {
        let file = File::options().append(true).open(path);
        let file = file.map_err(|error| unwritable(path, error))?;
        let append = Append { pending: Vec::new(), file };
        let writer = Writer::new(path.display().to_string(), append);
        let mut writer = writer.map_err(PortError::CaptureOut)?;
        writer.interface(&spec.name).map_err(PortError::CaptureOut)?;
        if first {
            writer.flush().map_err(PortError::CaptureOut)?;
        } else {
            writer.target().pending.clear();
        }
        Ok(Self { port: spec.name.clone(), writer, ahead: clock::wall_ahead(), broken: false })
    }

    /// Writes a batch; whether it could.
    fn append(&mut self, batch: &[Outgoing]) -> bool {
        let mut write = || {
            for out in batch {
                self.writer.write(0, out.at + self.ahead, out.bytes())?;
            }
            self.writer.flush()
        };
        if let Err(error) = write() {
            tracing::error!(port = self.port, %error, "capture cannot be written any more");
            self.broken = true;
        }
        !self.broken
    }
}

/// Collects what is written, and appends it to the file in one piece when it is flushed.
#[derive(Debug)]
struct Append {
    pending: Vec<u8>,
    file: File,
}

impl Write for Append {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.file.write_all(&self.pending);
        self.pending.clear();
        done
    }
}
