//! How many datagrams of a steady stream arrive, in which order, how late?
//!
//! The sender is open-loop: a datagram is due when it is due, whatever became of those before.
//! Rates count IPv4 packets (layer 3), or those with their untagged Ethernet header (layer 2).

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use serde::Serialize;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::counters::kernel_counters;
use super::latency::{Latency, Times};
use super::pace::Pacer;
use super::sequence::{Mark, Seen};
use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;
use crate::lab::task::{Stop, Task};
use crate::lab::wait;
use crate::wire::{eth, ip4, udp};

/// What to send.
#[derive(Clone, Debug)]
pub struct UdpOptions {
    /// Where to; port 0 takes a free one of the server's.
    pub to: SocketAddrV4,
    /// Where from; 0.0.0.0:0 leaves the choice to the kernel.
    pub source: SocketAddrV4,
    /// Rate in bit/s of IPv4 packets: payload and 28 bytes each.
    pub rate_bps: u64,
    /// Payload in bytes, 24 to 65,507.
    pub payload: usize,
    /// How long, up to an hour.
    pub duration: Duration,
    /// Whether to set don't-fragment.
    pub df: bool,
    /// How long to listen after the last datagram was sent.
    pub linger: Duration,
}

impl UdpOptions {
    /// One second of 100 Mbit/s in packets of 1,428 bytes.
    pub fn new(to: SocketAddrV4) -> Self {
        Self {
            to,
            source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            rate_bps: 100_000_000,
            payload: 1400,
            duration: Duration::from_secs(1),
            df: true,
            linger: Duration::from_millis(300),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UdpReport {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that arrived, each counted once.
    pub received: u64,
    /// Those that arrived after a later one.
    pub reordered: u64,
    /// Further copies.
    pub duplicates: u64,
    /// Datagrams that this host's own kernel refused to send.
    pub refused: u64,
    /// Datagrams that reached the server's namespace and did not fit its socket: the lab's loss,
    /// not the path's.
    pub receiver_drops: u64,
    /// From the first datagram sent until the one after the last was due, or the last arrived.
    pub seconds: f64,
    /// Rate sent, in bit/s with Ethernet headers.
    pub offered_l2_bps: f64,
    /// Rate sent, in bit/s of IPv4 packets.
    pub offered_l3_bps: f64,
    /// Rate that arrived, in bit/s with Ethernet headers.
    pub received_l2_bps: f64,
    /// Rate that arrived, in bit/s of IPv4 packets.
    pub received_l3_bps: f64,
    /// One-way times.
    pub latency: Option<Latency>,
    /// The most that the sender was late, in microseconds: how far to trust the pace.
    pub max_lag_us: f64,
    /// The senders' addresses as the server saw them.
    pub peers: BTreeSet<SocketAddrV4>,
}

impl UdpReport {
    /// Datagrams that never arrived.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// Sends, receives and waits for the report.
///
/// # Errors
/// When the server cannot listen, the client cannot bind, or there is no route.
pub fn udp_paced(
    client: &Netns,
    server: &Netns,
    options: &UdpOptions,
) -> Result<UdpReport, LabError> {
    start_udp(client, server, options)?.join()
}

/// Sends and receives in the background; [`Task::finish`] ends it early.
///
/// # Errors
/// When the server cannot listen or the client cannot bind, or an option is out of its range.
pub fn start_udp(
    client: &Netns,
    server: &Netns,
    options: &UdpOptions,
) -> Result<Task<Result<UdpReport, LabError>>, LabError> {
    check(options)?;
    let (receiver, port) = server.run(|| open_receiver(options.to.port()))??;
    let mut options = options.clone();
    options.to.set_port(port);
    let sender = client.run(|| open_sender(&options))??;
    let server = server.clone();
    Task::start("udp", move |stop| {
        let before = kernel_counters(&server)?;
        let mut report = stream(&sender, &receiver, &options, stop)?;
        let after = kernel_counters(&server)?.since(&before);
        report.receiver_drops = after.udp_buffer_errors;
        Ok(report)
    })
}

fn check(options: &UdpOptions) -> Result<(), LabError> {
    let sizes = HEADER..=65_507;
    let fine = sizes.contains(&options.payload)
        && options.rate_bps > 0
        && options.duration <= Duration::from_secs(3600);
    if fine {
        return Ok(());
    }
    let what = format!("a stream has {HEADER} to 65507 bytes each, over 0 bit/s, up to an hour");
    Err(LabError::Invalid { what })
}

/// What stands at the start of each payload.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Probe {
    magic: U64,
    seq: U64,
    /// Nanoseconds since the stream's start.
    sent_ns: U64,
}

const HEADER: usize = size_of::<Probe>();
const MAGIC: u64 = 0x7468_7275_7761_7921;
/// Receive buffer in bytes: a quarter of a second at 1 Gbit/s, with the kernel's own overhead.
const BUFFER: usize = 64 << 20;
/// How long a receive waits before it looks at the clock.
const LOOK: Duration = Duration::from_millis(20);
/// Senders that a report lists.
const KEPT_PEERS: usize = 4096;

fn open_receiver(port: u16) -> Result<(UdpSocket, u16), LabError> {
    let what = || format!("listening on UDP port {port}");
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).doing(what)?;
    // Outside its own user namespace root may exceed the system's limit; else the limit holds.
    if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, BUFFER).doing(what)?;
    }
    socket.set_read_timeout(Some(LOOK)).doing(what)?;
    let port = socket.local_addr().doing(what)?.port();
    Ok((socket, port))
}

fn open_sender(options: &UdpOptions) -> Result<UdpSocket, LabError> {
    let what = || format!("binding to {}", options.source);
    let socket = UdpSocket::bind(options.source).doing(what)?;
    if sockopt::set_socket_send_buffer_size_force(&socket, 4 << 20).is_err() {
        sockopt::set_socket_send_buffer_size(&socket, 4 << 20).doing(what)?;
    }
    // PROBE: DF at full size, whatever the kernel has learnt of the path.
    let discovery =
        if options.df { Ipv4PathMtuDiscovery::PROBE } else { Ipv4PathMtuDiscovery::DONT };
    sockopt::set_ip_mtu_discover(&socket, discovery).doing(what)?;
    Ok(socket)
}

fn stream(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    options: &UdpOptions,
    stop: &Stop,
) -> Result<UdpReport, LabError> {
    let packet = options.payload + udp::HEADER + ip4::HEADER;
    let start = wait::now();
    let progress = Progress::default();
    let (sent, received) = std::thread::scope(|scope| {
        let thread = scope.spawn(|| receive(receiver, start, options.linger, &progress));
        let sent = send(sender, options, packet, start, stop);
        progress.sent.store(sent.as_ref().map_or(0, |s| s.sent), Ordering::Release);
        progress.done.store(true, Ordering::Release);
        (sent, thread.join().expect("the receiver panics nowhere"))
    });
    let sent = sent.doing(|| format!("sending to {}", options.to))?;
    let received = received.doing(|| "receiving".into())?;
    let last =
        received.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(sent.start));
    let seconds = sent.span.max(last).as_secs_f64();
    let offered = rate(sent.sent, packet, sent.span.as_secs_f64());
    let arrived = rate(received.unique, packet, seconds);
    let frames = rate(1, packet + eth::HEADER, 1.0) / rate(1, packet, 1.0);
    Ok(UdpReport {
        sent: sent.sent,
        received: received.unique,
        reordered: received.reordered,
        duplicates: received.duplicates,
        refused: sent.refused,
        receiver_drops: 0,
        seconds,
        offered_l2_bps: offered * frames,
        offered_l3_bps: offered,
        received_l2_bps: arrived * frames,
        received_l3_bps: arrived,
        latency: received.times.summary(),
        max_lag_us: sent.max_lag.as_secs_f64() * 1e6,
        peers: received.peers.into_iter().collect(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(packets: u64, size: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { packets as f64 * size as f64 * 8.0 / seconds } else { 0.0 }
}

struct Sent {
    sent: u64,
    refused: u64,
    start: Instant,
    span: Duration,
    max_lag: Duration,
}

fn send(
    socket: &UdpSocket,
    options: &UdpOptions,
    packet: usize,
    epoch: Instant,
    stop: &Stop,
) -> io::Result<Sent> {
    let mut payload = vec![0; options.payload];
    let bits = u128::from(options.rate_bps) * options.duration.as_nanos() / 1_000_000_000;
    let count = u64::try_from(bits / (packet as u128 * 8)).unwrap_or(u64::MAX).max(1);
    let mut pacer = Pacer::new(options.rate_bps);
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..count {
        if stop.asked() {
            break;
        }
        pacer.wait_for(packet);
        let probe = Probe {
            magic: U64::new(MAGIC),
            seq: U64::new(sent),
            sent_ns: U64::new(nanos(epoch.elapsed())),
        };
        probe.write_to_prefix(&mut payload).expect("a payload has room for its header");
        match socket.send_to(&payload, options.to) {
            Ok(_) => sent += 1,
            Err(e) if is_passing(&e) => refused += 1,
            Err(e) => return Err(e),
        }
    }
    let bits = (sent + refused) * packet as u64 * 8;
    let span = u128::from(bits) * 1_000_000_000 / u128::from(options.rate_bps);
    let span = Duration::from_nanos(u64::try_from(span).unwrap_or(u64::MAX));
    // A sender that fell behind took longer than the rate says.
    let span = span.max(pacer.start().elapsed());
    Ok(Sent { sent, refused, start: pacer.start(), span, max_lag: pacer.max_lag })
}

/// Refusals that tell of the path's state, which may pass, and not of a mistake in the lab.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [
        Errno::CONNREFUSED,
        Errno::NOBUFS,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::NETDOWN,
        Errno::MSGSIZE,
        Errno::AGAIN,
    ];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What the sender tells the receiver.
#[derive(Default)]
struct Progress {
    done: AtomicBool,
    sent: AtomicU64,
}

struct Received {
    seen: Seen,
    unique: u64,
    reordered: u64,
    duplicates: u64,
    last: Option<Instant>,
    times: Times,
    peers: HashSet<SocketAddrV4>,
}

fn receive(
    socket: &UdpSocket,
    epoch: Instant,
    linger: Duration,
    progress: &Progress,
) -> io::Result<Received> {
    let mut received = Received {
        seen: Seen::default(),
        unique: 0,
        reordered: 0,
        duplicates: 0,
        last: None,
        times: Times::new(),
        peers: HashSet::new(),
    };
    let mut buffer = vec![0; 1 << 16];
    let mut quiet_since = None;
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, peer)) => {
                received.take(&buffer[..len], peer, epoch);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is_passing(&e) => {}
            Err(e) => return Err(e),
        }
        if !progress.done.load(Ordering::Acquire) {
            continue;
        }
        // All there: copies may still come, but one look's time is enough for them.
        let all = received.unique >= progress.sent.load(Ordering::Acquire);
        let quiet = *quiet_since.get_or_insert_with(wait::now);
        if quiet.elapsed() >= if all { LOOK.min(linger) } else { linger } {
            return Ok(received);
        }
    }
}

impl Received {
    fn take(&mut self, payload: &[u8], peer: SocketAddr, epoch: Instant) {
        let Ok((probe, _)) = Probe::ref_from_prefix(payload) else { return };
        if probe.magic.get() != MAGIC {
            return;
        }
        let now = wait::now();
        match self.seen.mark(probe.seq.get()) {
            Mark::New => {}
            Mark::Late => self.reordered += 1,
            Mark::Again => {
                self.duplicates += 1;
                return;
            }
            Mark::Absurd => return,
        }
        self.unique += 1;
        self.last = Some(now);
        let sent = epoch + Duration::from_nanos(probe.sent_ns.get());
        self.times.add(now.saturating_duration_since(sent));
        if let SocketAddr::V4(peer) = peer
            && self.peers.len() < KEPT_PEERS
        {
            self.peers.insert(peer);
        }
    }
}
