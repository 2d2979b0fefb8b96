//! Who has this address? Stations that answer ARP on one interface, without a kernel behind them;
//! and the question itself.
//!
//! A request is answered under the tags that it came with, so that one station serves tagged
//! hand-overs too. Nothing else that crosses the interface is looked at.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::Ipv4Net;
use zerocopy::FromBytes;

use super::capture::FrameSocket;
use crate::io::sys::bpf::Classic;
use crate::lab::error::{Doing, LabError};
use crate::lab::interface::Interface;
use crate::lab::task::{Stop, Task};
use crate::lab::wait::Deadline;
use crate::wire::arp::{self, ArpPacket};
use crate::wire::build;
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::{self, TagStack};

/// How often the question is repeated.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Hosts of one subnet that share a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Every address of this prefix but the router's is answered for, under any tags.
    pub prefix: Ipv4Net,
    /// The MAC address that they have.
    pub mac: MacAddr,
    /// The tags under which they speak.
    pub tags: TagStack,
    /// Their router, to whom they make themselves known; nobody, if there is none.
    pub router: Option<Ipv4Addr>,
}

impl Station {
    /// Hosts that speak untagged, and only when they are asked.
    pub fn new(prefix: Ipv4Net, mac: MacAddr) -> Self {
        Self { prefix, mac, tags: TagStack::UNTAGGED, router: None }
    }

    /// With tags.
    #[must_use]
    pub fn tags(self, tags: TagStack) -> Self {
        Self { tags, ..self }
    }

    /// With a router.
    #[must_use]
    pub fn router(self, router: Ipv4Addr) -> Self {
        Self { router: Some(router), ..self }
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        self.prefix.contains(&address) && self.router != Some(address)
    }

    /// Asks for the router as each of the hosts, so that it knows all of them afterwards (RFC 826
    /// has it note who asks); returns the router's MAC address. More than [`MOST_HOSTS`] hosts
    /// wait until they are asked.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when the router does not answer one of them within `within`.
    pub fn make_known(
        &self,
        interface: &Interface,
        within: Duration,
    ) -> Result<Option<MacAddr>, LabError> {
        let Some(router) = self.router else { return Ok(None) };
        let mut asker = Asker::new(interface, self.mac, self.tags)?;
        let mut found = None;
        for host in self.prefix.hosts().filter(|host| *host != router).take(MOST_HOSTS) {
            found = Some(asker.ask(host, router, within)?);
        }
        Ok(found)
    }
}

/// Hosts of a station that make themselves known.
pub const MOST_HOSTS: usize = 4096;

/// Answers ARP in the background; dropping it ends it.
#[derive(Debug)]
pub struct ArpServer {
    answered: Arc<AtomicU64>,
    task: Task<Result<(), LabError>>,
}

impl ArpServer {
    /// Answers for `stations` on `interface`; a request that comes after this returns is heard.
    ///
    /// # Errors
    /// When the interface does not exist or raw sockets are not permitted.
    pub fn start(interface: &Interface, stations: Vec<Station>) -> Result<Self, LabError> {
        let mut socket = FrameSocket::open_for(interface, &only_arp(true))?;
        let answered = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&answered);
        let task = Task::start("arp", move |stop| serve(&mut socket, &stations, &count, stop))?;
        Ok(Self { answered, task })
    }

    /// Requests that were answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the interface went down or away meanwhile.
    pub fn finish(self) -> Result<(), LabError> {
        self.task.finish()
    }
}

fn serve(
    socket: &mut FrameSocket,
    stations: &[Station],
    answered: &AtomicU64,
    stop: &Stop,
) -> Result<(), LabError> {
    while !stop.asked() {
        while let Some(frame) = socket.receive_now()? {
            if frame.outgoing {
                continue;
            }
            if let Some(answer) = answer(&frame.bytes, stations) {
                socket.send(&answer)?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        stop.or_readable(socket.fd(), Duration::from_secs(1))
            .doing(|| "waiting for ARP requests".into())?;
    }
    Ok(())
}

/// The reply to a frame that asks for the address of a station.
fn answer(frame: &[u8], stations: &[Station]) -> Option<Vec<u8>> {
    let (tags, packet) = read(frame)?;
    if packet.operation.get() != arp::REQUEST {
        return None;
    }
    let target = Ipv4Addr::from_bits(packet.target.get());
    let sender = Ipv4Addr::from_bits(packet.sender.get());
    // A station that announces itself (RFC 5227) asks nobody.
    let found = stations.iter().find(|own| own.has(target)).filter(|_| sender != target)?;
    let reply = build::arp(arp::REPLY, found.mac, target, packet.sender_mac, sender);
    Some(reply.tags(tags).pad(SMALLEST).build())
}

/// Bytes of the smallest frame, without check sequence.
const SMALLEST: usize = 60;

fn read(frame: &[u8]) -> Option<(TagStack, ArpPacket)> {
    let tags = vlan::read_tags(frame)?;
    if tags.ether_type != ether_type::ARP {
        return None;
    }
    let (packet, _) = ArpPacket::read_from_prefix(frame.get(tags.payload()..)?).ok()?;
    packet.is_ip4_over_ethernet().then_some((tags.stack()?, packet))
}

/// Asks who has an address.
#[derive(Debug)]
pub struct Asker {
    socket: FrameSocket,
    name: String,
    mac: MacAddr,
    tags: TagStack,
}

impl Asker {
    /// Somebody on `interface` with this MAC address, who speaks under these tags.
    ///
    /// # Errors
    /// When the interface does not exist or raw sockets are not permitted.
    pub fn new(interface: &Interface, mac: MacAddr, tags: TagStack) -> Result<Self, LabError> {
        let socket = FrameSocket::open_for(interface, &only_arp(true))?;
        Ok(Self { socket, name: interface.name().to_owned(), mac, tags })
    }

    /// Asks who has `target`, as `own`, again and again until somebody answers.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when nobody does within `within`.
    pub fn ask(
        &mut self,
        own: Ipv4Addr,
        target: Ipv4Addr,
        within: Duration,
    ) -> Result<MacAddr, LabError> {
        let request = build::arp(arp::REQUEST, self.mac, own, MacAddr::ZERO, target);
        let request = request.tags(self.tags).pad(SMALLEST).build();
        let deadline = Deadline::after(within);
        while !deadline.passed() {
            self.socket.send(&request)?;
            let round = Deadline::after(ASK_EVERY.min(deadline.remaining()));
            while let Some(frame) = self.socket.receive(round.remaining())? {
                let answer = read(&frame.bytes).filter(|_| !frame.outgoing);
                let Some((tags, packet)) = answer else { continue };
                let ours = tags == self.tags && packet.target.get() == own.to_bits();
                if ours && packet.sender.get() == target.to_bits() {
                    return Ok(packet.sender_mac);
                }
            }
        }
        let what =
            format!("waiting for the answer to \"who has {target}, tell {own}\" on {}", self.name);
        Err(LabError::Timeout { what, within })
    }
}

/// Takes ARP behind up to two tags and refuses everything else, or the other way round. The kernel
/// runs it after it has moved the outer tag into metadata.
pub fn only_arp(only: bool) -> [Classic; 8] {
    const LOAD_HALF: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const WHOLE: u32 = 0x0004_0000;
    let step = |code, k, jump_true, jump_false| Classic { code, jump_true, jump_false, k };
    let is = |what: u16, jump_true, jump_false| {
        step(JUMP_IF_EQUAL, u32::from(what), jump_true, jump_false)
    };
    let (arp, other) = if only { (WHOLE, 0) } else { (0, WHOLE) };
    [
        step(LOAD_HALF, 12, 0, 0),
        is(ether_type::ARP, 4, 0),
        is(ether_type::VLAN, 1, 0),
        is(ether_type::SERVICE_VLAN, 0, 3),
        step(LOAD_HALF, 16, 0, 0),
        is(ether_type::ARP, 0, 1),
        step(RETURN, arp, 0, 0),
        step(RETURN, other, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const FAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn station() -> [Station; 1] {
        [Station::new("10.1.0.0/30".parse().unwrap(), FAR)]
    }

    #[test]
    fn a_request_is_answered_under_its_own_tags() {
        for tags in [TagStack::UNTAGGED, TagStack::single(7), TagStack::double(1001, 200)] {
            let ask = build::arp(arp::REQUEST, NEAR, [10, 1, 0, 1], MacAddr::ZERO, [10, 1, 0, 2]);
            let reply = answer(&ask.tags(tags).build(), &station()).unwrap();
            let (same, packet) = read(&reply).unwrap();
            assert_eq!(same, tags);
            assert_eq!((packet.operation.get(), packet.sender_mac), (arp::REPLY, FAR));
            assert_eq!(packet.sender.get(), u32::from_be_bytes([10, 1, 0, 2]));
            assert_eq!(packet.target_mac, NEAR);
            assert_eq!(&reply[..6], &NEAR.0);
        }
    }

    #[test]
    fn the_router_keeps_its_own_address() {
        let own = [station()[0].router([10, 1, 0, 1].into())];
        let ask =
            |target: [u8; 4]| build::arp(arp::REQUEST, NEAR, [0; 4], MacAddr::ZERO, target).build();
        assert_eq!(answer(&ask([10, 1, 0, 1]), &own), None);
        assert!(answer(&ask([10, 1, 0, 2]), &own).is_some());
    }

    #[test]
    fn others_addresses_announcements_and_replies_are_not_answered() {
        let frame = |operation, from: [u8; 4], to: [u8; 4]| {
            build::arp(operation, NEAR, from, MacAddr::ZERO, to).build()
        };
        let own = [10, 1, 0, 2];
        assert_eq!(answer(&frame(arp::REQUEST, [10, 1, 0, 1], [10, 1, 0, 4]), &station()), None);
        assert_eq!(answer(&frame(arp::REQUEST, own, own), &station()), None);
        assert_eq!(answer(&frame(arp::REPLY, [10, 1, 0, 1], own), &station()), None);
        assert_eq!(answer(&[0; 20], &station()), None);
    }
}
