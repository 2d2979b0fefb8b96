//! ARP over many interfaces: packets and time in, packets, words and changes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::entry::{Ask, Entry, EntryState};
use super::interface::Interface;
use super::report::{ArpOutput, ArpRow, Ignored, Reaction};
use super::word::{NeighbourState, Word, Words};
use crate::ids::{AttachmentId, NeighbourId};
use crate::time::{Now, Span};
use crate::wire::arp::{ArpPacket, REPLY, REQUEST};
use crate::wire::eth::MacAddr;

/// Shortest time between two defences of one interface's addresses (DEFEND_INTERVAL, RFC 5227
/// 1.1).
const DEFEND: Span = Span::secs(10);

#[derive(Debug)]
struct Place {
    interface: Interface,
    up: bool,
    defended: Option<Now>,
}

/// All neighbours of all interfaces.
#[derive(Debug)]
pub struct Arp {
    words: Arc<Words>,
    places: BTreeMap<AttachmentId, Place>,
    entries: Vec<Option<Entry>>,
    free: Vec<NeighbourId>,
    ids: BTreeMap<(AttachmentId, Ipv4Addr), NeighbourId>,
    deadlines: BTreeSet<(Now, NeighbourId)>,
    outputs: VecDeque<ArpOutput>,
    changes: VecDeque<(NeighbourId, NeighbourState)>,
}

impl Arp {
    /// Nobody yet; there is room for as many neighbours as there are words.
    pub fn new(words: Arc<Words>) -> Self {
        Self {
            words,
            places: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            ids: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// Speaks ARP on an interface, whose port is taken to be up. One with the same id is replaced
    /// and keeps the neighbours that can still be there.
    pub fn add_interface(&mut self, interface: Interface) {
        let id = interface.id;
        let lost: Vec<_> = self
            .on(id)
            .filter(|(_, entry)| !interface.can_be_neighbour(entry.ip))
            .map(|(id, _)| id)
            .collect();
        for neighbour in lost {
            self.remove_neighbour(neighbour);
        }
        let up = self.places.get(&id).is_none_or(|place| place.up);
        self.places.insert(id, Place { interface, up, defended: None });
    }

    /// Forgets an interface and its neighbours.
    pub fn remove_interface(&mut self, interface: AttachmentId) {
        let neighbours: Vec<_> = self.on(interface).map(|(id, _)| id).collect();
        for neighbour in neighbours {
            self.remove_neighbour(neighbour);
        }
        self.places.remove(&interface);
    }

    /// A neighbour that routes depend on: it is asked for now, and again for as long as it is
    /// there. None when it cannot be on the interface, or there is no room.
    pub fn add_neighbour(
        &mut self,
        now: Now,
        interface: AttachmentId,
        ip: Ipv4Addr,
    ) -> Option<NeighbourId> {
        let id = self.find_or_add(now, interface, ip, true)?;
        self.change(id, |entry| {
            entry.want(now);
            None
        });
        Some(id)
    }

    /// A neighbour whose MAC address is configured: it is used as it is and never asked for. None
    /// when it cannot be on the interface, or there is no room.
    pub fn add_static(
        &mut self,
        now: Now,
        interface: AttachmentId,
        ip: Ipv4Addr,
        mac: MacAddr,
    ) -> Option<NeighbourId> {
        let place = self.places.get(&interface)?;
        let (up, fits) = (place.up, place.interface.can_be_neighbour(ip));
        let id = match self.neighbour(interface, ip) {
            Some(id) => id,
            None if fits => self.add(interface, ip, false)?,
            None => return None,
        };
        self.change(id, |entry| {
            entry.fix(now, mac);
            if up { entry.start(now) } else { None }
        });
        Some(id)
    }

    /// The neighbour `ip`, for which there are frames: it is asked for if its MAC address is not
    /// known. None when it cannot be on the interface, or there is no room.
    pub fn resolve(
        &mut self,
        now: Now,
        interface: AttachmentId,
        ip: Ipv4Addr,
    ) -> Option<NeighbourId> {
        let id = self.find_or_add(now, interface, ip, false)?;
        self.change(id, |entry| entry.need(now));
        Some(id)
    }

    /// Forgets a neighbour. Its id is given out again: no published table may name it any more.
    pub fn remove_neighbour(&mut self, id: NeighbourId) {
        let Some(entry) = self.entries.get_mut(id.index()).and_then(Option::take) else { return };
        self.ids.remove(&(entry.interface, entry.ip));
        self.deadlines.retain(|&(_, other)| other != id);
        self.changes.retain(|&(other, _)| other != id);
        self.words.store(id, Word::new(MacAddr::ZERO, NeighbourState::Down));
        self.free.push(id);
    }

    /// The neighbour was heard, by other means than ARP or before this [`Arp`] was made.
    pub fn confirm(&mut self, now: Now, id: NeighbourId, mac: MacAddr) {
        let is_up = |arp: &Self| arp.place_of(id).is_some_and(|place| place.up);
        if is_up(self) && !mac.is_group() && mac != MacAddr::ZERO {
            self.change(id, |entry| {
                entry.confirm(now, mac);
                None
            });
        }
    }

    /// Takes a received packet (RFC 826, "Packet Reception").
    pub fn handle_arp(
        &mut self,
        now: Now,
        interface: AttachmentId,
        packet: &ArpPacket,
    ) -> Reaction {
        let nothing = |ignored| Reaction { reply: None, learned: None, ignored: Some(ignored) };
        let Some(place) = self.places.get_mut(&interface).filter(|place| place.up) else {
            return nothing(Ignored::NoInterface);
        };
        let operation = packet.operation.get();
        if !packet.is_ip4_over_ethernet() || !matches!(operation, REQUEST | REPLY) {
            return nothing(Ignored::NotArp);
        }
        let (mac, here) = (packet.sender_mac, &place.interface);
        let sender = Ipv4Addr::from_bits(packet.sender.get());
        let target = Ipv4Addr::from_bits(packet.target.get());
        if mac == here.mac {
            return nothing(Ignored::Echo);
        }
        if mac.is_group() || mac == MacAddr::ZERO {
            return nothing(Ignored::BadSenderMac);
        }
        if here.is_ours(sender) {
            let defence = place.defend(now, sender);
            self.outputs.extend(defence);
            return nothing(Ignored::Conflict);
        }
        let for_us = operation == REQUEST && here.is_ours(target);
        let reply = for_us
            .then(|| ArpPacket::new(REPLY, here.mac, target.to_bits(), mac, sender.to_bits()));
        if sender.is_unspecified() {
            return Reaction { reply, ..nothing(Ignored::AddressProbe) };
        }
        if !here.can_be_neighbour(sender) {
            return nothing(Ignored::NotOnLink);
        }
        match self.learn(now, interface, sender, mac, for_us) {
            Ok(id) => Reaction { reply, learned: Some(id), ignored: None },
            Err(ignored) => Reaction { reply, ..nothing(ignored) },
        }
    }

    /// Asks again, probes and gives up where it is time to.
    pub fn handle_timeout(&mut self, now: Now) {
        // Each due entry once, so that this ends at any `now`.
        let due: Vec<_> =
            self.deadlines.range(..=(now, NeighbourId(u32::MAX))).map(|&(_, id)| id).collect();
        for id in due {
            self.change(id, |entry| entry.on_timeout(now));
        }
    }

    /// When [`Arp::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Now> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// The next packet to send.
    pub fn poll_output(&mut self) -> Option<ArpOutput> {
        self.outputs.pop_front()
    }

    /// The next neighbour whose word changed, with its state since then.
    pub fn poll_change(&mut self) -> Option<(NeighbourId, NeighbourState)> {
        self.changes.pop_front()
    }

    /// The port behind an interface went down: its neighbours are down at once.
    pub fn set_port_down(&mut self, interface: AttachmentId) {
        self.set_port(interface, false, |entry| {
            entry.stop();
            None
        });
    }

    /// The port behind an interface is up again: its neighbours are asked for anew.
    pub fn set_port_up(&mut self, interface: AttachmentId, now: Now) {
        self.set_port(interface, true, |entry| entry.start(now));
    }

    /// The neighbour `ip` on an interface, if it is known.
    pub fn neighbour(&self, interface: AttachmentId, ip: Ipv4Addr) -> Option<NeighbourId> {
        self.ids.get(&(interface, ip)).copied()
    }

    /// All addresses by interface, our own first.
    pub fn entries(&self, now: Now) -> impl Iterator<Item = ArpRow> {
        self.places.values().flat_map(move |place| {
            let Interface { id: interface, mac, ref addresses, .. } = place.interface;
            let own = addresses.iter().map(move |&address| ArpRow {
                interface,
                address,
                mac: Some(mac),
                state: EntryState::Own,
                age_minutes: 0,
                neighbour: None,
            });
            own.chain(self.on(interface).map(move |(id, entry)| ArpRow {
                interface,
                address: entry.ip,
                mac: Some(entry.word().mac()).filter(|&mac| mac != MacAddr::ZERO),
                state: entry.state(),
                age_minutes: entry.age(now).0 / Span::secs(60).0,
                neighbour: Some(id),
            }))
        })
    }

    fn on(&self, interface: AttachmentId) -> impl Iterator<Item = (NeighbourId, &Entry)> {
        let all = (interface, Ipv4Addr::UNSPECIFIED)..=(interface, Ipv4Addr::BROADCAST);
        self.ids.range(all).filter_map(|(_, &id)| Some((id, self.entry(id)?)))
    }

    fn entry(&self, id: NeighbourId) -> Option<&Entry> {
        self.entries.get(id.index())?.as_ref()
    }

    fn place_of(&self, id: NeighbourId) -> Option<&Place> {
        self.places.get(&self.entry(id)?.interface)
    }

    fn learn(
        &mut self,
        now: Now,
        interface: AttachmentId,
        ip: Ipv4Addr,
        mac: MacAddr,
        for_us: bool,
    ) -> Result<NeighbourId, Ignored> {
        let id = match self.neighbour(interface, ip) {
            Some(id) => id,
            None if for_us => self.add(interface, ip, false).ok_or(Ignored::NoRoom)?,
            None => return Err(Ignored::NotForUs),
        };
        self.change(id, |entry| {
            entry.confirm(now, mac);
            None
        });
        Ok(id)
    }

    fn find_or_add(
        &mut self,
        now: Now,
        interface: AttachmentId,
        ip: Ipv4Addr,
        wanted: bool,
    ) -> Option<NeighbourId> {
        if let Some(id) = self.neighbour(interface, ip) {
            return Some(id);
        }
        let place = self.places.get(&interface)?;
        let up = place.up;
        if !place.interface.can_be_neighbour(ip) {
            return None;
        }
        let id = self.add(interface, ip, wanted)?;
        if up {
            self.change(id, |entry| entry.start(now));
        }
        Some(id)
    }

    /// A new entry, on a port that is down as yet.
    fn add(&mut self, interface: AttachmentId, ip: Ipv4Addr, wanted: bool) -> Option<NeighbourId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.entries.len() < self.words.len() => {
                self.entries.push(None);
                NeighbourId::from_index(self.entries.len() - 1)
            }
            None => return None,
        };
        self.entries[id.index()] = Some(Entry::new(interface, ip, wanted));
        self.ids.insert((interface, ip), id);
        Some(id)
    }

    fn set_port(
        &mut self,
        interface: AttachmentId,
        up: bool,
        change: impl Fn(&mut Entry) -> Option<Ask>,
    ) {
        let Some(place) = self.places.get_mut(&interface) else { return };
        if place.up == up {
            return;
        }
        place.up = up;
        let neighbours: Vec<_> = self.on(interface).map(|(id, _)| id).collect();
        for id in neighbours {
            self.change(id, &change);
        }
    }

    /// Lets an entry change, and does what follows: its timer, its word, its request.
    fn change(&mut self, id: NeighbourId, change: impl FnOnce(&mut Entry) -> Option<Ask>) {
        let Some(entry) = self.entries.get_mut(id.index()).and_then(Option::as_mut) else { return };
        let (deadline, word) = (entry.deadline(), entry.word());
        let ask = change(entry);
        if entry.deadline() != deadline {
            self.deadlines.extend(entry.deadline().map(|deadline| (deadline, id)));
            if let Some(deadline) = deadline {
                self.deadlines.remove(&(deadline, id));
            }
        }
        if entry.word() != word {
            self.words.store(id, entry.word());
            self.changes.push_back((id, entry.word().state()));
        }
        let Some(place) = self.places.get(&entry.interface) else { return };
        self.outputs.extend(ask.map(|ask| place.request(entry.ip, ask)));
    }
}

impl Place {
    fn request(&self, ip: Ipv4Addr, ask: Ask) -> ArpOutput {
        let Interface { id, mac, .. } = self.interface;
        let sender = self.interface.asks_as(ip).to_bits();
        let destination = match ask {
            Ask::Broadcast => MacAddr::BROADCAST,
            Ask::Unicast(mac) => mac,
        };
        let packet = ArpPacket::new(REQUEST, mac, sender, MacAddr::ZERO, ip.to_bits());
        ArpOutput { interface: id, destination, packet }
    }

    /// An announcement of our address, if the last is long enough ago (RFC 5227 2.4 (c)).
    fn defend(&mut self, now: Now, ours: Ipv4Addr) -> Option<ArpOutput> {
        if self.defended.is_some_and(|last| now.since(last) < DEFEND) {
            return None;
        }
        self.defended = Some(now);
        let Interface { id, mac, .. } = self.interface;
        let packet = ArpPacket::new(REQUEST, mac, ours.to_bits(), MacAddr::ZERO, ours.to_bits());
        Some(ArpOutput { interface: id, destination: MacAddr::BROADCAST, packet })
    }
}
