//! The two ends of one TCP connection of a transfer: one sends the pattern, one compares it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::pace::Pacer;
use super::pattern::Pattern;
use super::tcp::{Amount, TcpOptions};
use crate::lab::sys;
use crate::lab::task::Stop;
use crate::lab::wait::{self, Deadline};

/// Most bytes of one write when nothing paces.
const CHUNK: usize = 128 << 10;

/// What became of the sending end.
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) figures: Option<sys::TcpFigures>,
    pub(super) failure: Option<String>,
}

/// Sends what `options` ask for, and takes the kernel's figures when all has arrived.
pub(super) fn send(
    stream: &TcpStream,
    pattern: &Pattern,
    options: &TcpOptions,
    stop: &Stop,
) -> Sent {
    let mut sent = Sent { bytes: 0, figures: None, failure: None };
    let result = send_all(stream, pattern, options, stop, &mut sent.bytes);
    sent.figures = sys::tcp_figures(stream).ok();
    if let Err(error) = result {
        sent.failure = Some(format!("sending: {error}"));
        // The other end shall not wait for what does not come.
        let _ = stream.shutdown(Shutdown::Both);
    }
    sent
}

/// Sends, ends the stream, and waits until the other end has read all.
fn send_all(
    mut stream: &TcpStream,
    pattern: &Pattern,
    options: &TcpOptions,
    stop: &Stop,
    bytes: &mut u64,
) -> io::Result<()> {
    let mut pacer = options.pace_bps.map(Pacer::new);
    // Paced, a piece is a millisecond's worth, within reason.
    let chunk = options
        .pace_bps
        .map_or(CHUNK, |bps| usize::try_from(bps / 8000).unwrap_or(CHUNK).clamp(1448, CHUNK));
    let deadline = match options.amount {
        Amount::Time(time) => Deadline::after(time),
        Amount::Bytes(_) => Deadline::at(wait::now() + Duration::from_secs(1 << 30)),
    };
    let mut moved = wait::now();
    while !stop.asked() && !deadline.passed() {
        let left = match options.amount {
            Amount::Bytes(all) => usize::try_from(all - *bytes).unwrap_or(usize::MAX),
            Amount::Time(_) => usize::MAX,
        };
        if left == 0 {
            break;
        }
        let piece = pattern.at(*bytes, chunk.min(left));
        if let Some(pacer) = &mut pacer {
            pacer.wait_for(piece.len());
        }
        let mut rest = piece;
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(len) => {
                    rest = &rest[len..];
                    *bytes += len as u64;
                    moved = wait::now();
                }
                Err(e) if is_pause(&e) => give_up(moved, options.stall_limit)?,
                Err(e) => return Err(e),
            }
            if stop.asked() {
                break;
            }
        }
    }
    stream.shutdown(Shutdown::Write)?;
    let moved = wait::now();
    loop {
        match stream.read(&mut [0; 16]) {
            Ok(_) => return Ok(()),
            // What is in the buffers may take its time; the receiver judges stalls now.
            Err(e) if is_pause(&e) => give_up(moved, options.stall_limit.saturating_mul(4))?,
            Err(e) => return Err(e),
        }
    }
}

/// What became of the receiving end.
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) last: Instant,
    pub(super) longest_gap: Duration,
    pub(super) intact: bool,
    pub(super) failure: Option<String>,
}

/// Receives to the stream's end and compares every byte; adds to `total` as they come.
pub(super) fn receive(
    mut stream: &TcpStream,
    pattern: &Pattern,
    options: &TcpOptions,
    total: &AtomicU64,
    start: Instant,
) -> Received {
    let mut received = Received {
        bytes: 0,
        last: start,
        longest_gap: Duration::ZERO,
        intact: true,
        failure: None,
    };
    let mut buffer = vec![0; 256 << 10];
    loop {
        let result = stream.read(&mut buffer);
        let now = wait::now();
        match result {
            Ok(0) => break,
            Ok(len) => {
                received.intact &= pattern.matches(received.bytes, &buffer[..len]);
                received.bytes += len as u64;
                total.fetch_add(len as u64, Ordering::Relaxed);
                received.longest_gap = received.longest_gap.max(now - received.last);
                received.last = now;
            }
            Err(e) if is_pause(&e) => {
                if let Err(error) = give_up(received.last, options.stall_limit) {
                    received.failure = Some(format!("receiving: {error}"));
                    break;
                }
            }
            Err(e) => {
                received.failure = Some(format!("receiving: {e}"));
                break;
            }
        }
    }
    if received.failure.is_some() {
        received.longest_gap = received.longest_gap.max(wait::now() - received.last);
    }
    // Tells the sender that all was read, or that nothing more will be.
    let _ = stream.shutdown(Shutdown::Both);
    received
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

fn give_up(moved: Instant, limit: Duration) -> io::Result<()> {
    if moved.elapsed() < limit {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing moved for {limit:?}")))
}
