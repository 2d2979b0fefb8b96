//! What must a tester say to ARP? Where a forwarder asks for the tester's stations, the tester has
//! to answer, before and during a trial; static neighbours are in the configuration where it can
//! give them.

use std::net::Ipv4Addr;

use zerocopy::{FromBytes, IntoBytes};

use super::places::{AZURE_MAC, ONPREM_MAC, SERVICE_ROUTER, SERVICES, VNET};
use super::{Scenario, TO_AZURE, Way};
use crate::wire::arp::{self, ArpPacket};
use crate::wire::eth::{HEADER, MacAddr, ether_type};
use crate::wire::vlan::{self, TAG};

impl Scenario {
    /// The tester's MAC address on the port that a lane enters.
    pub const fn station(lane: usize) -> MacAddr {
        if lane == TO_AZURE { ONPREM_MAC } else { AZURE_MAC }
    }

    /// The answer to a frame that came out of the port which `lane` enters, with the frame's own
    /// tags: the reply to an ARP request for one of the tester's addresses there; else nothing.
    pub fn answer(&self, lane: usize, frame: &[u8]) -> Option<Vec<u8>> {
        let tags = vlan::read_tags(frame)?;
        if tags.ether_type != ether_type::ARP {
            return None;
        }
        let at = HEADER + TAG * tags.len();
        let (asked, _) = ArpPacket::ref_from_prefix(frame.get(at..)?).ok()?;
        let target = Ipv4Addr::from(asked.target.get());
        if asked.operation.get() != arp::REQUEST || !self.is_mine(lane, target) {
            return None;
        }
        let mac = Self::station(lane);
        let reply = ArpPacket::new(
            arp::REPLY,
            mac,
            asked.target.get(),
            asked.sender_mac,
            asked.sender.get(),
        );
        let mut answer = frame[..at].to_vec();
        answer[..6].copy_from_slice(&asked.sender_mac.0);
        answer[6..12].copy_from_slice(&mac.0);
        answer.extend_from_slice(reply.as_bytes());
        answer.resize(answer.len().max(60), 0);
        Some(answer)
    }

    /// Whether the tester has this address on the port that `lane` enters.
    fn is_mine(&self, lane: usize, address: Ipv4Addr) -> bool {
        match (lane == TO_AZURE, self.spec.way) {
            // Between customer and edge, a provider edge asks nobody.
            (_, Way::Nat | Way::Provider) => false,
            (true, _) => address == self.customer(),
            (false, Way::Microsoft) => SERVICES.contains(&address) && address != SERVICE_ROUTER,
            (false, _) => VNET.contains(&address),
        }
    }
}
