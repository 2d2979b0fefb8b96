//! Which routers does a packet pass?

use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::net::sockopt;

use super::icmp::{Answer, IcmpSocket};
use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;
use crate::lab::wait::{self, Deadline};
use crate::wire::icmp4::kind;

/// How often each hop is asked.
const ROUNDS: u16 = 2;

/// Asks each of up to `max_hops` routers on the way to `dst`, all at once, and gives each round
/// up to `timeout`. The last entry is `dst` when it answered; `None` is a hop that stayed silent.
///
/// # Errors
/// When the namespace has no route to `dst`, or raw sockets are not permitted.
pub fn traceroute(
    netns: &Netns,
    dst: Ipv4Addr,
    max_hops: u8,
    timeout: Duration,
) -> Result<Vec<Option<Ipv4Addr>>, LabError> {
    netns.run(|| {
        let socket = IcmpSocket::open(None)?;
        let mut path = Path::new(max_hops);
        for round in 0..ROUNDS {
            path.ask(&socket, dst, round)?;
            path.listen(&socket, timeout)?;
            if path.is_complete() {
                break;
            }
        }
        Ok(path.finish())
    })?
}

struct Path {
    /// By time to live, from 1.
    hops: Vec<Option<Ipv4Addr>>,
    /// How many hops there are, once an end has been seen.
    len: Option<usize>,
}

impl Path {
    fn new(max_hops: u8) -> Self {
        Self { hops: vec![None; usize::from(max_hops.max(1))], len: None }
    }

    fn known(&self) -> &[Option<Ipv4Addr>] {
        &self.hops[..self.len.unwrap_or(self.hops.len())]
    }

    /// Whether the end and every router before it have answered.
    fn is_complete(&self) -> bool {
        self.len.is_some() && self.known().iter().all(Option::is_some)
    }

    fn ask(&self, socket: &IcmpSocket, dst: Ipv4Addr, round: u16) -> Result<(), LabError> {
        for (ttl, _) in (1_u16..).zip(self.known()).filter(|(_, hop)| hop.is_none()) {
            sockopt::set_ip_ttl(socket.fd(), u32::from(ttl)).doing(|| "setting the TTL".into())?;
            socket.send(dst, ttl | round << 8, &[0; 32]).doing(|| format!("asking {dst}"))?;
        }
        Ok(())
    }

    fn listen(&mut self, socket: &IcmpSocket, timeout: Duration) -> Result<(), LabError> {
        let deadline = Deadline::after(timeout);
        let mut buffer = [0; 2048];
        while !self.is_complete() && !deadline.passed() {
            let what = || "waiting for ICMP".to_owned();
            let [ready] = wait::readable([socket.fd()], deadline.remaining()).doing(what)?;
            if ready {
                socket.receive_all(&mut buffer, |answer| self.take(&answer)).doing(what)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, answer: &Answer<'_>) {
        let (seq, from, end) = match *answer {
            Answer::Echo { seq, from, .. } => (seq, from, true),
            Answer::Error { seq, from, kind, .. } => (seq, from, kind != kind::TIME_EXCEEDED),
        };
        let index = usize::from(seq & 0xff).wrapping_sub(1);
        let Some(hop) = self.hops.get_mut(index) else { return };
        hop.get_or_insert(from);
        if end {
            self.len = Some(self.len.map_or(index + 1, |len| len.min(index + 1)));
        }
    }

    fn finish(mut self) -> Vec<Option<Ipv4Addr>> {
        match self.len {
            Some(len) => self.hops.truncate(len),
            None => {
                let last = self.hops.iter().rposition(Option::is_some);
                self.hops.truncate(last.map_or(0, |last| last + 1));
            }
        }
        self.hops
    }
}
