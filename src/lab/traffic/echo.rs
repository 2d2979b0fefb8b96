//! Small questions and answers: a server that says whom it sees, and clients that ask it.
//!
//! An answer is the asker's address as the server saw it, a line feed, and the request.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::tcp::connect;
use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;
use crate::lab::task::{Stop, Task};
use crate::lab::wait;

/// Askers that are remembered.
const KEPT_PEERS: usize = 4096;
/// Longest request over TCP in bytes.
const LONGEST: u64 = 1 << 20;
/// How long a TCP asker may take over its request.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers on one port, over TCP and UDP, until it is dropped.
#[derive(Debug)]
pub struct EchoServer {
    port: u16,
    peers: Arc<Mutex<BTreeSet<SocketAddrV4>>>,
    _tasks: [Task<Result<(), LabError>>; 2],
}

impl EchoServer {
    /// Listens on `port` of every address of `netns`; 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(netns: &Netns, port: u16) -> Result<Self, LabError> {
        let what = || format!("listening on port {port}");
        let (tcp, udp, port) = netns.run(|| {
            let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).doing(what)?;
            let port = tcp.local_addr().doing(what)?.port();
            let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).doing(what)?;
            tcp.set_nonblocking(true).doing(what)?;
            udp.set_nonblocking(true).doing(what)?;
            Ok::<_, LabError>((tcp, udp, port))
        })??;
        let peers = Arc::new(Mutex::new(BTreeSet::new()));
        let (seen_tcp, seen_udp) = (Arc::clone(&peers), Arc::clone(&peers));
        let tasks = [
            Task::start("echo tcp", move |stop| serve_tcp(&tcp, &seen_tcp, stop))?,
            Task::start("echo udp", move |stop| serve_udp(&udp, &seen_udp, stop))?,
        ];
        Ok(Self { port, peers, _tasks: tasks })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everyone who asked so far, as this side saw them.
    pub fn peers(&self) -> BTreeSet<SocketAddrV4> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn note(peers: &Mutex<BTreeSet<SocketAddrV4>>, peer: SocketAddr) {
    let SocketAddr::V4(peer) = peer else { return };
    let mut peers = peers.lock().unwrap_or_else(PoisonError::into_inner);
    if peers.len() < KEPT_PEERS {
        peers.insert(peer);
    }
}

/// Waits for `socket`; `false` ends the service.
fn next(socket: &impl AsFd, stop: &Stop) -> Result<bool, LabError> {
    // Only bounds how long one wait is; the next follows.
    const LONG: Duration = Duration::from_secs(3600);
    stop.or_readable(socket.as_fd(), LONG).doing(|| "waiting for a request".into())?;
    Ok(!stop.asked())
}

fn serve_udp(
    socket: &UdpSocket,
    peers: &Mutex<BTreeSet<SocketAddrV4>>,
    stop: &Stop,
) -> Result<(), LabError> {
    let mut buffer = vec![0; 1 << 16];
    while next(socket, stop)? {
        // An error here is about one asker (unreachable, say): the next one may do better.
        while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
            note(peers, peer);
            let _ = socket.send_to(&answer(peer, &buffer[..len]), peer);
        }
    }
    Ok(())
}

fn serve_tcp(
    listener: &TcpListener,
    peers: &Mutex<BTreeSet<SocketAddrV4>>,
    stop: &Stop,
) -> Result<(), LabError> {
    while next(listener, stop)? {
        while let Ok((stream, peer)) = listener.accept() {
            note(peers, peer);
            // One asker at a time, each with bounded patience; its failure is its own to report.
            let _ = answer_tcp(stream, peer);
        }
    }
    Ok(())
}

fn answer_tcp(mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    (&stream).take(LONGEST).read_to_end(&mut request)?;
    stream.write_all(&answer(peer, &request))
}

fn answer(peer: SocketAddr, request: &[u8]) -> Vec<u8> {
    [format!("{peer}\n").as_bytes(), request].concat()
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EchoReply {
    /// Our address and port as the server saw them: after NAT, if there is any.
    pub seen_as: SocketAddrV4,
    /// Whether the request came back unchanged.
    pub intact: bool,
    /// From the start of the request to the end of the answer, in microseconds.
    pub micros: f64,
}

fn read_answer(bytes: &[u8], request: &[u8], took: Duration) -> Option<EchoReply> {
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let seen_as = std::str::from_utf8(&bytes[..line]).ok()?.parse().ok()?;
    let intact = bytes[line + 1..] == *request;
    Some(EchoReply { seen_as, intact, micros: took.as_secs_f64() * 1e6 })
}

/// Sends one datagram to an [`EchoServer`] from `source` (address and port; 0.0.0.0:0 leaves the
/// choice to the kernel) and waits for its answer; `None` when there is none.
///
/// # Errors
/// When there is no route, or `source` is not the namespace's or taken.
pub fn udp_probe(
    netns: &Netns,
    source: SocketAddrV4,
    dst: SocketAddrV4,
    payload: &[u8],
    within: Duration,
) -> Result<Option<EchoReply>, LabError> {
    let what = || format!("asking {dst} over UDP");
    netns.run(|| {
        let socket = UdpSocket::bind(source).doing(|| format!("binding to {source}"))?;
        socket.set_nonblocking(true).doing(what)?;
        let begin = wait::now();
        socket.send_to(payload, dst).doing(what)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let remaining = within.saturating_sub(begin.elapsed());
            let [ready] = wait::readable([socket.as_fd()], remaining).doing(what)?;
            if !ready {
                return Ok(None);
            }
            // What is no answer of that server is not for us; an ICMP error is no answer.
            if let Ok((len, from)) = socket.recv_from(&mut buffer)
                && from == SocketAddr::V4(dst)
                && let Some(reply) = read_answer(&buffer[..len], payload, begin.elapsed())
            {
                return Ok(Some(reply));
            }
        }
    })?
}

/// Connects to an [`EchoServer`], sends `request` (up to 1 MiB) and reads the answer to its end.
///
/// # Errors
/// When the connection is refused, breaks or takes longer than `within` in one step.
pub fn tcp_request(
    netns: &Netns,
    source: SocketAddrV4,
    dst: SocketAddrV4,
    request: &[u8],
    within: Duration,
) -> Result<EchoReply, LabError> {
    let what = || format!("asking {dst} over TCP");
    netns.run(|| {
        let begin = wait::now();
        let mut stream = connect(source, dst, within)?;
        stream.set_read_timeout(Some(within)).doing(what)?;
        stream.write_all(request).doing(what)?;
        stream.shutdown(Shutdown::Write).doing(what)?;
        let mut bytes = Vec::new();
        (&stream).take(2 * LONGEST).read_to_end(&mut bytes).doing(what)?;
        read_answer(&bytes, request, begin.elapsed()).ok_or_else(|| LabError::Invalid {
            what: format!("{dst} is no echo server: its answer has no address"),
        })
    })?
}
