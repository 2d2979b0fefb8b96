//! The control plane's part in forwarding, without a clock or a thread of its own: it takes what
//! workers punt, answers ARP, finds neighbours, and tells the tables.
//!
//! Live, the supervisor steps it when a worker rings; in a replay it is stepped between batches,
//! so that both see the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use crate::compile::{Compiled, NeighbourSpec};
use crate::frame::{Frame, HEADROOM, Outgoing, Pool, Row};
use crate::ids::{AttachmentId, NeighbourId, PortId};
use crate::neighbour::{Arp, Interface};
use crate::stage::{Message, Punt};
use crate::sync::Published;
use crate::tables::Tables;
use crate::time::Now;
use crate::wire::arp::{self, ArpPacket};
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::worker::{Down, Rings};

/// ARP for every routed attachment, and the way from punted frames to published tables.
#[derive(Debug)]
pub struct Plane {
    published: Arc<Published<Tables>>,
    arp: Arp,
    rings: Vec<Rings>,
    pool: Pool,
    /// Addresses that workers asked for on connected prefixes and that have no adjacency yet.
    sought: BTreeMap<NeighbourId, (AttachmentId, Ipv4Addr)>,
    /// Frames that found no room on their way down; tried again at the next step.
    unsent: Vec<(usize, Down)>,
    /// Where each neighbour is, by its id.
    places: Vec<(AttachmentId, Ipv4Addr)>,
    down_ports: BTreeSet<PortId>,
}

impl Plane {
    /// The control plane of these tables, with rings to each worker and frames of its own.
    pub fn new(
        compiled: &Compiled,
        published: Arc<Published<Tables>>,
        rings: Vec<Rings>,
        pool: Pool,
        now: Now,
    ) -> Self {
        let tables = &compiled.tables;
        let mut arp = Arp::new(Arc::clone(&tables.words));
        for (index, attachment) in tables.attachments.iter().enumerate() {
            let Some((mac, address)) = attachment.own() else { continue };
            let id = AttachmentId::from_index(index);
            let on_link = compiled.on_link.iter().filter(|(at, _)| *at == id);
            arp.add_interface(Interface {
                id,
                mac,
                addresses: vec![Ipv4Addr::from(address)],
                on_link: on_link.map(|(_, net)| *net).collect(),
            });
        }
        let mut plane = Self {
            published,
            arp,
            rings,
            pool,
            sought: BTreeMap::new(),
            unsent: Vec::new(),
            places: Vec::new(),
            down_ports: BTreeSet::new(),
        };
        for (index, spec) in compiled.neighbours.iter().enumerate() {
            plane.add_neighbour(NeighbourId::from_index(index), spec, now);
        }
        plane
    }

    fn add_neighbour(&mut self, expected: NeighbourId, spec: &NeighbourSpec, now: Now) {
        let id = match spec.mac {
            Some(mac) => self.arp.add_static(now, spec.attachment, spec.address, mac),
            None if spec.watched => self.arp.add_neighbour(now, spec.attachment, spec.address),
            None => self.arp.resolve(now, spec.attachment, spec.address),
        };
        debug_assert_eq!(id, Some(expected), "ids follow the compiler's order");
        self.places.push((spec.attachment, spec.address));
    }

    /// Takes everything that waits, and does what is due at `now`; returns when it wants to be
    /// called next even if nothing comes.
    pub fn step(&mut self, now: Now) -> Option<Now> {
        for (worker, down) in std::mem::take(&mut self.unsent) {
            self.send_down(worker, down);
        }
        for worker in 0..self.rings.len() {
            let waiting = self.rings[worker].punts.len();
            for _ in 0..waiting {
                match self.rings[worker].punts.pop() {
                    Some(Punt::Frame(frame, row)) => self.frame(now, worker, frame, &row),
                    Some(Punt::Message(message)) => self.message(now, message),
                    None => break,
                }
            }
        }
        self.arp.handle_timeout(now);
        self.publish_found();
        while let Some(request) = self.arp.poll_output() {
            self.originate(now, request.interface, &request.packet, request.destination);
        }
        self.arp.poll_timeout()
    }

    /// What the neighbours are doing, for `show arp`.
    pub fn arp(&self) -> &Arp {
        &self.arp
    }

    /// A port lost its carrier or got it back: its neighbours follow.
    pub fn port_changed(&mut self, port: PortId, up: bool, now: Now) {
        let changed = if up { self.down_ports.remove(&port) } else { self.down_ports.insert(port) };
        if !changed {
            return;
        }
        let tables = self.published.latest();
        for (index, attachment) in tables.attachments.iter().enumerate() {
            if attachment.port == port && attachment.own().is_some() {
                let id = AttachmentId::from_index(index);
                if up { self.arp.set_port_up(id, now) } else { self.arp.set_port_down(id) }
            }
        }
    }

    /// A punted frame: ARP for one of the routers.
    fn frame(&mut self, now: Now, worker: usize, mut frame: Frame, row: &Row) {
        let reply = self.learn(now, &frame, row);
        let Some(reply) = reply else {
            self.send_down(worker, Down::Return(frame));
            return;
        };
        // The reply takes the request's buffer, tags and all.
        let (off, l3) = (usize::from(row.off), usize::from(row.l3));
        let sender: [u8; 6] = frame[off + 6..off + 12].try_into().expect("six bytes");
        frame[off..off + 6].copy_from_slice(&sender);
        frame[off + 6..off + 12].copy_from_slice(&reply.sender_mac.0);
        frame[l3..l3 + arp::PACKET].copy_from_slice(reply.as_bytes());
        let out = Outgoing::plain(frame, row.off, l3 - off + arp::PACKET, now);
        self.send_down(worker, Down::Send(row.port, out));
    }

    /// Lets the ARP machine see a packet; returns its reply.
    fn learn(&mut self, now: Now, frame: &Frame, row: &Row) -> Option<ArpPacket> {
        let (start, end) = (usize::from(row.l3), usize::from(row.off) + row.len as usize);
        let (packet, _) = ArpPacket::ref_from_prefix(frame.get(start..end)?).ok()?;
        self.arp.handle_arp(now, row.attachment, packet).reply
    }

    fn message(&mut self, now: Now, message: Message) {
        match message {
            Message::Resolve(id) => {
                if let Some(&(attachment, address)) = self.places.get(id.index()) {
                    // Unless its interface went with a reload, and the neighbour with it.
                    let _ = self.arp.resolve(now, attachment, address);
                }
            }
            Message::Glean(attachment, address) => {
                let address = Ipv4Addr::from(address);
                let tables = self.published.latest();
                let key = (attachment, u32::from(address));
                if tables.gleaned.contains_key(&key) {
                    return;
                }
                if let Some(id) = self.arp.resolve(now, attachment, address) {
                    self.sought.insert(id, (attachment, address));
                    if id.index() >= self.places.len() {
                        self.places.resize(id.index() + 1, (attachment, address));
                    }
                }
            }
        }
    }

    /// Gives neighbours that were found on connected prefixes an adjacency, all in one snapshot.
    fn publish_found(&mut self) {
        let words = Arc::clone(&self.published.latest().words);
        let found: Vec<_> =
            self.sought.keys().copied().filter(|id| words.load(*id).is_reachable()).collect();
        if found.is_empty() {
            return;
        }
        let mut tables = Tables::clone(&self.published.latest());
        tables.glean(found.into_iter().filter_map(|id| {
            let (at, address) = self.sought.remove(&id)?;
            Some(((at, u32::from(address)), id))
        }));
        self.published.store(Arc::new(tables));
    }

    /// Sends an ARP packet of our own.
    fn originate(&mut self, now: Now, at: AttachmentId, packet: &ArpPacket, to: MacAddr) {
        let tables = self.published.latest();
        let attachment = tables.attachment(at);
        let (Some((mac, _)), Some(mut frame)) = (attachment.own(), self.pool.take()) else {
            return;
        };
        let l3 = HEADROOM + eth::HEADER + attachment.tags.size();
        let start = attachment
            .tags
            .write_l2(&mut frame[..], l3, to, mac, 0, ether_type::ARP)
            .expect("the headroom holds two tags");
        let end = l3 + arp::PACKET;
        frame[l3..end].copy_from_slice(packet.as_bytes());
        let off = u16::try_from(start).expect("inside the headroom");
        let out = Outgoing::plain(frame, off, end - start, now);
        self.send_down(0, Down::Send(attachment.port, out));
    }

    fn send_down(&mut self, worker: usize, down: Down) {
        if let Err(down) = self.rings[worker].down.push(down) {
            self.unsent.push((worker, down));
        }
    }
}
