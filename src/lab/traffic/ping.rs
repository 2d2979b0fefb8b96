//! Does it answer, how fast, and if not, what do the routers say?

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use serde::Serialize;

use super::icmp::{Answer, IcmpSocket};
use super::latency::{Latency, Times};
use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;
use crate::lab::task::{Stop, Task};
use crate::lab::wait;
use crate::wire::icmp4::{kind, unreachable};

/// What to send.
#[derive(Clone, Debug)]
pub struct PingOptions {
    /// Who shall answer.
    pub dst: Ipv4Addr,
    /// How many requests, 1 to 100,000.
    pub count: u32,
    /// From one request to the next.
    pub interval: Duration,
    /// Payload of each request in bytes, up to 65,507; 28 more bytes make the IPv4 packet.
    pub size: usize,
    /// Whether to set don't-fragment; without, the kernel may fragment.
    pub df: bool,
    /// Time to live, or the kernel's own.
    pub ttl: Option<u8>,
    /// Source address, or the kernel's choice.
    pub source: Option<Ipv4Addr>,
    /// How long to wait after the last request.
    pub timeout: Duration,
}

impl PingOptions {
    /// Three requests of 56 bytes, 10 ms apart.
    pub fn new(dst: Ipv4Addr) -> Self {
        Self {
            dst,
            count: 3,
            interval: Duration::from_millis(10),
            size: 56,
            df: false,
            ttl: None,
            source: None,
            timeout: Duration::from_secs(1),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PingReport {
    /// Requests sent.
    pub sent: u32,
    /// Requests answered.
    pub received: u32,
    /// Further answers to a request answered already.
    pub duplicates: u32,
    /// Answers whose payload is not the request's.
    pub corrupted: u32,
    /// Most requests in a row without an answer.
    pub longest_loss: u32,
    /// Round-trip times of the answers.
    pub rtt: Option<Latency>,
    /// ICMP errors about the requests, one of each kind and sender.
    pub errors: Vec<IcmpError>,
    /// Requests that this host's own kernel refused to send.
    pub refused: u32,
    /// What the kernel said to the last of them.
    pub refusal: Option<String>,
}

impl PingReport {
    /// Whether every request was answered, once and rightly.
    pub fn is_clean(&self) -> bool {
        self.sent > 0
            && self.received == self.sent
            && (self.duplicates, self.corrupted, self.refused) == (0, 0, 0)
            && self.errors.is_empty()
    }
}

/// An ICMP error about our requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IcmpError {
    /// Who sent it.
    pub from: Ipv4Addr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The next hop's MTU in bytes, of fragmentation needed.
    pub mtu: Option<u16>,
    /// How many came.
    pub count: u32,
}

impl IcmpError {
    /// Whether it says fragmentation needed.
    pub fn is_fragmentation_needed(&self) -> bool {
        self.kind == kind::UNREACHABLE && self.code == unreachable::FRAGMENTATION_NEEDED
    }

    /// Whether it says that the time to live ran out.
    pub fn is_ttl_exceeded(&self) -> bool {
        self.kind == kind::TIME_EXCEEDED && self.code == 0
    }
}

/// Pings and waits for the report.
///
/// # Errors
/// When the namespace has no route to `dst`, or raw sockets are not permitted.
pub fn ping(netns: &Netns, options: &PingOptions) -> Result<PingReport, LabError> {
    start_ping(netns, options)?.join()
}

/// Pings in the background; [`Task::finish`] ends it early.
///
/// # Errors
/// When an option is out of its range.
pub fn start_ping(
    netns: &Netns,
    options: &PingOptions,
) -> Result<Task<Result<PingReport, LabError>>, LabError> {
    if !(1..=100_000).contains(&options.count) || options.size > 65_507 {
        let what = "a ping sends 1 to 100000 requests of 0 to 65507 bytes".to_owned();
        return Err(LabError::Invalid { what });
    }
    let options = options.clone();
    netns.start("ping", move |stop| Run::new(&options)?.run(stop))
}

struct Run<'a> {
    options: &'a PingOptions,
    socket: IcmpSocket,
    payload: Vec<u8>,
    sent: Vec<Sent>,
    times: Times,
    report: PingReport,
}

struct Sent {
    at: Instant,
    answered: bool,
}

impl<'a> Run<'a> {
    fn new(options: &'a PingOptions) -> Result<Self, LabError> {
        let socket = IcmpSocket::open(options.source)?;
        // PROBE sends at full size whatever the kernel has learnt of the path.
        let discovery =
            if options.df { Ipv4PathMtuDiscovery::PROBE } else { Ipv4PathMtuDiscovery::DONT };
        sockopt::set_ip_mtu_discover(socket.fd(), discovery).doing(|| "setting DF".into())?;
        if let Some(ttl) = options.ttl {
            sockopt::set_ip_ttl(socket.fd(), u32::from(ttl)).doing(|| "setting the TTL".into())?;
        }
        Ok(Self {
            options,
            socket,
            payload: (0..=u8::MAX).cycle().take(options.size).collect(),
            sent: Vec::new(),
            times: Times::new(),
            report: PingReport::default(),
        })
    }

    fn run(mut self, stop: &Stop) -> Result<PingReport, LabError> {
        let mut buffer = vec![0; 1 << 16];
        let mut due = wait::now();
        let mut attempts = 0;
        let mut end = due + self.options.timeout;
        loop {
            let now = wait::now();
            let done = attempts == self.options.count || stop.asked();
            if !done && now >= due {
                self.send();
                attempts += 1;
                due += self.options.interval;
                end = now + self.options.timeout;
                continue;
            }
            if done && (now >= end || self.settled()) {
                break;
            }
            let until = if done { end } else { due };
            let within = until.saturating_duration_since(now);
            let fd = self.socket.fd();
            let ready = if stop.asked() {
                wait::readable([fd], within).map(|[ready]| ready)
            } else {
                stop.or_readable(fd, within)
            };
            if ready.doing(|| "waiting for ICMP".into())? {
                self.receive(&mut buffer)?;
            }
        }
        Ok(self.finish())
    }

    fn send(&mut self) {
        let seq = sequence(self.sent.len());
        let at = wait::now();
        match self.socket.send(self.options.dst, seq, &self.payload) {
            Ok(()) => self.sent.push(Sent { at, answered: false }),
            Err(error) => {
                self.report.refused += 1;
                self.report.refusal = Some(error.to_string());
            }
        }
    }

    /// Whether nothing more is to come.
    fn settled(&self) -> bool {
        self.report.received as usize == self.sent.len()
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<(), LabError> {
        let Self { socket, payload, sent, times, report, .. } = self;
        let now = wait::now();
        socket
            .receive_all(buffer, |answer| match answer {
                Answer::Echo { seq, payload: echoed, .. } => {
                    let Some(request) = latest(sent.len(), seq).map(|i| &mut sent[i]) else {
                        return;
                    };
                    if request.answered {
                        report.duplicates += 1;
                        return;
                    }
                    request.answered = true;
                    report.received += 1;
                    report.corrupted += u32::from(echoed != &payload[..]);
                    times.add(now.saturating_duration_since(request.at));
                }
                Answer::Error { from, kind, code, mtu, .. } => note(report, from, kind, code, mtu),
            })
            .doing(|| "reading ICMP".into())
    }

    fn finish(mut self) -> PingReport {
        self.report.sent = u32::try_from(self.sent.len()).expect("a ping's count is a u32");
        self.report.rtt = self.times.summary();
        let mut run = 0;
        for request in &self.sent {
            run = if request.answered { 0 } else { run + 1 };
            self.report.longest_loss = self.report.longest_loss.max(run);
        }
        self.report
    }
}

/// The sequence number of request `index`; they wrap.
fn sequence(index: usize) -> u16 {
    u16::try_from(index & 0xffff).expect("masked to 16 bits")
}

/// The latest of `len` requests with sequence number `seq`.
fn latest(len: usize, seq: u16) -> Option<usize> {
    let last = len.checked_sub(1)?;
    last.checked_sub(usize::from(sequence(last).wrapping_sub(seq)))
}

/// Kinds of errors that a report keeps.
const KEPT_ERRORS: usize = 64;

fn note(report: &mut PingReport, from: Ipv4Addr, kind: u8, code: u8, mtu: u16) {
    let mut error = IcmpError { from, kind, code, mtu: None, count: 1 };
    error.mtu = error.is_fragmentation_needed().then_some(mtu);
    let like = |known: &IcmpError| IcmpError { count: 1, ..known.clone() } == error;
    match report.errors.iter().position(like) {
        Some(known) => report.errors[known].count += 1,
        None if report.errors.len() < KEPT_ERRORS => report.errors.push(error),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(latest(3, 2), Some(2));
        assert_eq!(latest(3, 3), None);
        assert_eq!(latest(0, 0), None);
        assert_eq!(latest(70_000, sequence(69_999)), Some(69_999));
        assert_eq!(latest(70_000, sequence(60_000)), Some(60_000));
    }

    #[test]
    fn errors_are_counted_by_kind_and_sender() {
        let mut report = PingReport::default();
        let router = Ipv4Addr::new(10, 0, 0, 1);
        note(&mut report, router, kind::TIME_EXCEEDED, 0, 0);
        note(&mut report, router, kind::TIME_EXCEEDED, 0, 0);
        note(&mut report, router, kind::UNREACHABLE, 4, 1400);
        assert_eq!(report.errors[0].count, 2);
        assert_eq!(report.errors[1].mtu, Some(1400));
    }
}
