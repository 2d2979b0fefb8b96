//! What does the interface take whole? The socket of a packet queue for super-frames.
//!
//! The kernel cuts a super-frame before an interface that does not take it, and then drops what it
//! has cut, since a cut frame cannot go past queueing. Whoever turns segmentation off while the
//! port runs (`ethtool -K NAME tso off`) would stop all but single segments. So a refusal is a
//! reason to look again, and what is not taken whole is cut in software from then on, until the
//! port is opened anew.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::SendFlags;

use super::super::port::Counts;
use super::super::sys::features::{FeatureNumbers, Segmentation};
use super::super::sys::interface::Interfaces;
use super::super::sys::packet::{self, Protocol};
use super::longest;
use crate::frame::Outgoing;
use crate::wire::virtio::Kind;

/// From this length in bytes on the kernel cuts frames before any interface (`gso_max_size`).
const TOO_LONG: u32 = 65_536;

/// Refusals between two looks at an interface that takes what it took.
const PATIENCE: u32 = 16;

/// The socket, and what it is good for.
#[derive(Debug)]
pub(super) struct LongSender {
    socket: OwnedFd,
    interfaces: Arc<Interfaces>,
    name: String,
    numbers: FeatureNumbers,
    takes: Segmentation,
    /// Refusals that are taken for those of a full driver before the interface is looked at again.
    patience: u32,
}

impl LongSender {
    /// None before an interface that takes no super-frame whole.
    ///
    /// Only veth does: it hands them on behind any tags. Before another driver the kernel cuts what
    /// has two tags.
    pub(super) fn open(
        interfaces: Arc<Interfaces>,
        name: &str,
        index: u32,
    ) -> io::Result<Option<Self>> {
        if interfaces.driver(name).map_or(true, |driver| driver != "veth") {
            return Ok(None);
        }
        let Ok(numbers) = FeatureNumbers::read(&interfaces, name) else { return Ok(None) };
        let takes = numbers.segmentation(&interfaces, name).unwrap_or_default();
        if takes == Segmentation::default() {
            return Ok(None);
        }
        let socket = packet::open()?;
        packet::offload_header(&socket)?;
        packet::bypass_qdisc(&socket)?;
        packet::set_buffers(&socket, super::SOCKET_BUFFER)?;
        packet::bind(&socket, index, Protocol::None)?;
        let name = name.to_owned();
        Ok(Some(Self { socket, interfaces, name, numbers, takes, patience: 0 }))
    }

    /// Whether this super-frame goes out whole.
    pub(super) fn takes(&self, own: &Outgoing) -> bool {
        let header = own.header();
        let kind = match header.kind() {
            Some(Kind::Tcp4) => self.takes.tcp4,
            Some(Kind::Tcp6) => self.takes.tcp6,
            Some(Kind::Udp) => self.takes.udp,
            None => true,
        };
        kind && (self.takes.ecn || !header.is_ecn()) && own.len.size() < TOO_LONG
    }

    /// Sends a super-frame; its segments are what the MTU counts for.
    pub(super) fn send(&mut self, own: &mut Outgoing, mtu: usize, counts: &mut Counts) -> Fate {
        if !self.takes(own) {
            return Fate::NotTaken;
        }
        let header = own.header();
        let segment = usize::from(header.header_size()) + usize::from(header.gso_size());
        if segment > longest(own.bytes(), mtu) {
            counts.too_long += 1;
            return Fate::Settled;
        }
        match rustix::net::send(&self.socket, own.with_header(), SendFlags::DONTWAIT) {
            Ok(_) => {
                self.patience = 0;
                counts.frames += 1;
                counts.bytes += u64::from(own.len.size());
            }
            Err(Errno::AGAIN | Errno::NOMEM) => counts.full += 1,
            Err(Errno::NOBUFS) if self.interfaces.is_running(&self.name).unwrap_or(false) => {
                self.look_again();
                if !self.takes(own) {
                    return Fate::NotTaken;
                }
                counts.full += 1;
            }
            Err(Errno::INVAL | Errno::MSGSIZE) => counts.too_long += 1,
            Err(_) => {
                counts.down += 1;
                return Fate::Down;
            }
        }
        Fate::Settled
    }

    /// Looks what the interface takes, not at each refusal: that waits for the kernel's configuration
    /// lock.
    #[cold]
    fn look_again(&mut self) {
        if self.patience > 0 {
            self.patience -= 1;
            return;
        }
        let Ok(takes) = self.numbers.segmentation(&self.interfaces, &self.name) else { return };
        let is_news = std::mem::replace(&mut self.takes, takes) != takes;
        self.patience = if is_news { 0 } else { PATIENCE };
    }
}

/// What became of a super-frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was sent, or lost and counted.
    Settled,
    /// The interface does not take it whole.
    NotTaken,
    /// It was lost and counted: there is no link.
    Down,
}
