//! How fast do bytes cross over TCP, and do they arrive as they were sent?
//!
//! The receiver compares every byte with the pattern that the sender sends. A transfer that
//! stalls or breaks is not an error but a report that says so.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use serde::Serialize;

use super::pattern::Pattern;
use super::tcp_ends::{Received, Sent, receive, send};
use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;
use crate::lab::task::{Stop, Task};
use crate::lab::wait::{self, Deadline};

/// How much to send over each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// As much as goes in so long.
    Time(Duration),
}

/// Which side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The client, who connects.
    Upload,
    /// The server.
    Download,
}

/// What to transfer.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// Where the client connects to; port 0 takes a free one of the server's.
    pub to: SocketAddrV4,
    /// Where it connects from; 0.0.0.0 leaves the choice to the kernel.
    pub source: Ipv4Addr,
    /// How much, over each connection.
    pub amount: Amount,
    /// Which side sends.
    pub way: Way,
    /// Connections side by side, 1 to 64.
    pub parallel: u16,
    /// Payload rate of each connection in bit/s, or as fast as it goes.
    pub pace_bps: Option<u64>,
    /// A connection on which nothing moves for so long is given up.
    pub stall_limit: Duration,
}

impl TcpOptions {
    /// One connection that uploads 10 MB.
    pub fn new(to: SocketAddrV4) -> Self {
        Self {
            to,
            source: Ipv4Addr::UNSPECIFIED,
            amount: Amount::Bytes(10_000_000),
            way: Way::Upload,
            parallel: 1,
            pace_bps: None,
            stall_limit: Duration::from_secs(10),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TcpReport {
    /// Payload that arrived, in bytes.
    pub bytes: u64,
    /// From the first byte sent to the last received.
    pub seconds: f64,
    /// Payload rate.
    pub mbit_s: f64,
    /// Segments sent again.
    pub retransmits: u64,
    /// The largest smoothed round-trip time of a connection at its end, in microseconds.
    pub rtt_us: u32,
    /// The smallest segment size of a connection in bytes.
    pub mss: u32,
    /// The clients' addresses as the server saw them.
    pub peers: BTreeSet<SocketAddrV4>,
    /// The longest time in which nothing arrived on a connection, in milliseconds.
    pub longest_stall_ms: f64,
    /// Whether every byte that arrived was the right one.
    pub intact: bool,
    /// Whether every connection ended in good order with all its bytes.
    pub complete: bool,
    /// Why not.
    pub failure: Option<String>,
}

/// A transfer in the background; dropping it ends it.
#[derive(Debug)]
pub struct Transfer {
    received: Arc<AtomicU64>,
    task: Task<Result<TcpReport, LabError>>,
}

impl Transfer {
    /// Bytes that have arrived so far.
    pub fn bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`tcp_transfer`].
    pub fn join(self) -> Result<TcpReport, LabError> {
        self.task.join()
    }

    /// Stops sending, lets what is under way arrive, and reports.
    ///
    /// # Errors
    /// As [`tcp_transfer`].
    pub fn finish(self) -> Result<TcpReport, LabError> {
        self.task.finish()
    }
}

/// Transfers and waits for the report.
///
/// # Errors
/// When the server cannot listen or the client cannot connect.
pub fn tcp_transfer(
    client: &Netns,
    server: &Netns,
    options: &TcpOptions,
) -> Result<TcpReport, LabError> {
    start_tcp(client, server, options)?.join()
}

/// Connects, and transfers in the background.
///
/// # Errors
/// When the server cannot listen or the client cannot connect.
pub fn start_tcp(
    client: &Netns,
    server: &Netns,
    options: &TcpOptions,
) -> Result<Transfer, LabError> {
    if !(1..=64).contains(&options.parallel) || options.pace_bps == Some(0) {
        let what = "a transfer has 1 to 64 connections and a pace over 0".to_owned();
        return Err(LabError::Invalid { what });
    }
    let pairs = open(client, server, options)?;
    let received = Arc::new(AtomicU64::new(0));
    let (options, count) = (options.clone(), Arc::clone(&received));
    let task = Task::start("tcp", move |stop| Ok(transfer(&pairs, &options, &count, stop)))?;
    Ok(Transfer { received, task })
}

/// Both ends of a connection.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    peer: SocketAddrV4,
}

/// Connects `parallel` times. Sockets stay in the namespace they were made in, whichever thread
/// uses them.
fn open(client: &Netns, server: &Netns, options: &TcpOptions) -> Result<Vec<Pair>, LabError> {
    let to = options.to;
    let what = || format!("listening on port {}", to.port());
    let listener =
        server.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, to.port())))?.doing(what)?;
    let to = SocketAddrV4::new(*to.ip(), listener.local_addr().doing(what)?.port());
    listener.set_nonblocking(true).doing(what)?;
    let mut pairs = Vec::new();
    for _ in 0..options.parallel {
        let source = SocketAddrV4::new(options.source, 0);
        let client = client.run(|| connect(source, to, options.stall_limit))??;
        let (server, peer) =
            accept(&listener, options.stall_limit).doing(|| format!("accepting on {to}"))?;
        let SocketAddr::V4(peer) = peer else { continue };
        for end in [&client, &server] {
            end.set_nodelay(true).doing(what)?;
            end.set_read_timeout(Some(LOOK)).doing(what)?;
            end.set_write_timeout(Some(LOOK)).doing(what)?;
        }
        pairs.push(Pair { client, server, peer });
    }
    Ok(pairs)
}

fn accept(listener: &TcpListener, within: Duration) -> io::Result<(TcpStream, SocketAddr)> {
    let deadline = Deadline::after(within);
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(false)?;
                return Ok((stream, peer));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && !deadline.passed() => {
                wait::readable([listener.as_fd()], deadline.remaining())?;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Connects from `source` (0.0.0.0:0 leaves the choice to the kernel) in the calling thread's
/// namespace.
pub(crate) fn connect(
    source: SocketAddrV4,
    to: SocketAddrV4,
    within: Duration,
) -> Result<TcpStream, LabError> {
    let what = || format!("connecting to {to}");
    let fd = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        Some(ipproto::TCP),
    )
    .doing(what)?;
    // socket(7): the send timeout bounds connect too.
    sockopt::set_socket_timeout(&fd, Timeout::Send, Some(within)).doing(what)?;
    if source != SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0) {
        sockopt::set_socket_reuseaddr(&fd, true).doing(what)?;
        rustix::net::bind(&fd, &source).doing(|| format!("binding to {source}"))?;
    }
    match rustix::net::connect(&fd, &to) {
        Ok(()) => Ok(TcpStream::from(fd)),
        Err(rustix::io::Errno::INPROGRESS) => Err(LabError::Timeout { what: what(), within }),
        Err(error) => Err(error).doing(what),
    }
}

/// How long a read or write waits before it looks at the stop wish and the stall limit.
const LOOK: Duration = Duration::from_millis(100);

fn transfer(pairs: &[Pair], options: &TcpOptions, received: &AtomicU64, stop: &Stop) -> TcpReport {
    let start = wait::now();
    let ends: Vec<(Sent, Received)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1_u64..)
            .zip(pairs)
            .map(|(seed, pair)| {
                let (from, to) = match options.way {
                    Way::Upload => (&pair.client, &pair.server),
                    Way::Download => (&pair.server, &pair.client),
                };
                let pattern = Arc::new(Pattern::new(seed));
                let theirs = Arc::clone(&pattern);
                let receiver = scope.spawn(move || receive(to, &pattern, options, received, start));
                let sender = scope.spawn(move || send(from, &theirs, options, stop));
                (sender, receiver)
            })
            .collect();
        let join = "a transfer's threads panic nowhere";
        threads.into_iter().map(|(s, r)| (s.join().expect(join), r.join().expect(join))).collect()
    });
    report(pairs, start, &ends)
}

fn report(pairs: &[Pair], start: Instant, ends: &[(Sent, Received)]) -> TcpReport {
    let bytes = ends.iter().map(|(_, received)| received.bytes).sum::<u64>();
    let last = ends.iter().map(|(_, received)| received.last).max().unwrap_or(start);
    let seconds = last.saturating_duration_since(start).as_secs_f64();
    let failures = ends.iter().flat_map(|(s, r)| [&s.failure, &r.failure]).flatten();
    let failure = failures.map(ToString::to_string).next();
    let stall = ends.iter().map(|(_, received)| received.longest_gap).max().unwrap_or_default();
    let figures = || ends.iter().filter_map(|(sent, _)| sent.figures);
    TcpReport {
        bytes,
        seconds,
        mbit_s: if seconds > 0.0 { megabits(bytes) / seconds } else { 0.0 },
        retransmits: figures().map(|f| u64::from(f.retransmits)).sum(),
        rtt_us: figures().map(|f| f.rtt_us).max().unwrap_or_default(),
        mss: figures().map(|f| f.mss).min().unwrap_or_default(),
        peers: pairs.iter().map(|pair| pair.peer).collect(),
        longest_stall_ms: stall.as_secs_f64() * 1e3,
        intact: ends.iter().all(|(_, received)| received.intact),
        complete: failure.is_none() && ends.iter().all(|(s, r)| s.bytes == r.bytes),
        failure,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabits(bytes: u64) -> f64 {
    bytes as f64 * 8.0 / 1e6
}
