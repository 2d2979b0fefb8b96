//! Whose addresses mean something on a port? Lanes, one a stack of tags, each with pairs of
//! addresses that talk to each other there; told by the user or learned from captured frames.
//!
//! Bounded: what a capture holds beyond the most of each is not learned.

use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::FromBytes;

use crate::wire::arp::ArpPacket;
use crate::wire::eth::{self, MacAddr, ether_type};
use crate::wire::ip4::Ip4Header;
use crate::wire::ip6::Ip6Header;
use crate::wire::vlan::{self, Tag};

/// Most lanes.
const LANES: usize = 64;
/// Most pairs of a kind in a lane.
const PAIRS: usize = 256;

/// What one stack of tags leads to; pairs are of a source and a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// The tags, outer first.
    pub tags: Vec<Tag>,
    /// Who sends to whom.
    pub macs: Vec<(MacAddr, MacAddr)>,
    /// IPv4 addresses that talk.
    pub ip4: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// IPv6 addresses that talk.
    pub ip6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

/// Everybody worth talking to on a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    lanes: Vec<Lane>,
}

impl Hosts {
    /// The given lanes; of none, addresses for documentation are used (RFC 5737, RFC 3849).
    pub const fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes }
    }

    /// All lanes.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Whether nobody is known.
    pub const fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Learns who talks to whom from a frame that was captured where hostile frames will go.
    pub fn learn(&mut self, frame: &[u8]) {
        let Some(tags) = vlan::read_tags(frame) else { return };
        let Ok((header, _)) = eth::EthHeader::ref_from_prefix(frame) else { return };
        let Some(lane) = self.lane(tags.tags()) else { return };
        add(&mut lane.macs, (header.src, header.dst));
        let packet = frame.get(tags.payload()..).unwrap_or_default();
        match tags.ether_type {
            ether_type::IP4 => {
                if let Ok((ip, _)) = Ip4Header::ref_from_prefix(packet) {
                    add(&mut lane.ip4, (ip.src.get().into(), ip.dst.get().into()));
                }
            }
            ether_type::ARP => {
                if let Ok((arp, _)) = ArpPacket::ref_from_prefix(packet) {
                    add(&mut lane.ip4, (arp.sender.get().into(), arp.target.get().into()));
                }
            }
            ether_type::IP6 => {
                if let Ok((ip, _)) = Ip6Header::ref_from_prefix(packet) {
                    add(&mut lane.ip6, (ip.source(), ip.destination()));
                }
            }
            _ => {}
        }
    }

    /// The lane of these tags, whatever their priority; a new one while there is room.
    fn lane(&mut self, tags: &[Tag]) -> Option<&mut Lane> {
        let key = |tag: &Tag| (tag.tpid, tag.vid());
        let own = |lane: &Lane| lane.tags.iter().map(key).eq(tags.iter().map(key));
        let at = match self.lanes.iter().position(own) {
            Some(at) => at,
            None if self.lanes.len() < LANES => {
                self.lanes.push(Lane { tags: tags.to_vec(), ..Lane::default() });
                self.lanes.len() - 1
            }
            None => return None,
        };
        self.lanes.get_mut(at)
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if list.len() < PAIRS && !list.contains(&value) {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build::{self, Packet};

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn who_talks_to_whom_is_learned_by_tags() {
        let (near, far) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 7));
        let plain = Packet::ip4(near, far).udp(1, 2, b"x").eth(A, B);
        let arp = build::arp(1, B, far, MacAddr::ZERO, near).tag(0x8100, 200).build();
        let mut hosts = Hosts::default();
        for frame in [plain.clone().build(), plain.build(), arp] {
            hosts.learn(&frame);
        }
        let untagged = Lane { macs: vec![(A, B)], ip4: vec![(near, far)], ..Lane::default() };
        let tagged = Lane {
            tags: vec![Tag { tpid: 0x8100, tci: 200 }],
            macs: vec![(B, MacAddr::BROADCAST)],
            ip4: vec![(far, near)],
            ..Lane::default()
        };
        assert_eq!(hosts.lanes(), [untagged, tagged]);
    }

    #[test]
    fn a_capture_of_very_many_hosts_is_learned_in_part() {
        let mut hosts = Hosts::default();
        for i in 0..1000_u16 {
            let address = Ipv4Addr::from(u32::from(i));
            let frame = Packet::ip4(address, address).udp(1, 2, b"").eth(A, B);
            hosts.learn(&frame.clone().build());
            hosts.learn(&frame.tag(0x8100, i).build());
        }
        assert_eq!((hosts.lanes().len(), hosts.lanes()[0].ip4.len()), (LANES, PAIRS));
    }

    #[test]
    fn bytes_that_are_no_frame_teach_nothing_and_harm_nothing() {
        let mut hosts = Hosts::default();
        let frame = Packet::ip4([1, 2, 3, 4], [5, 6, 7, 8]).udp(1, 2, b"").eth(A, B).build();
        for size in 0..30 {
            hosts.learn(&frame[..size]);
        }
        assert!(hosts.lanes().iter().all(|lane| lane.ip4.is_empty()));
    }
}
