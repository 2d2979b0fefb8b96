//! Which wires does a device have, and what runs over them? The plan that a medium lays.

use crate::lab::traffic::Station;
use crate::wire::eth::{self, MacAddr};
use crate::wire::vlan;

/// One wire: a port of the device at one end, the tester at the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The interface's name, the same at both ends; at most 15 bytes.
    pub name: String,
    /// The MAC address that frames to the device carry. A kernel's interface gets it; for any other
    /// device the interface keeps its own, so that the kernel passes over the frames.
    pub device_mac: Option<MacAddr>,
    /// Who the tester is on this wire: the hosts that it answers ARP for.
    pub stations: Vec<Station>,
}

impl Wire {
    /// A wire with nobody on it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), device_mac: None, stations: Vec::new() }
    }

    /// With a station.
    #[must_use]
    pub fn station(mut self, station: Station) -> Self {
        self.stations.push(station);
        self
    }

    /// With the MAC address of a kernel's interface.
    #[must_use]
    pub fn device_mac(mut self, mac: MacAddr) -> Self {
        self.device_mac = Some(mac);
        self
    }
}

/// One direction of traffic: the wires that it enters and leaves the device by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Where the tester sends.
    pub from: usize,
    /// Where it receives.
    pub to: usize,
    /// Where it receives too: the second of two links.
    pub also: Option<usize>,
}

/// All wires and lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The wires.
    pub wires: Vec<Wire>,
    /// The lanes, by number.
    pub lanes: Vec<Lane>,
    /// Bytes of the largest frame, tags included, check sequence not.
    pub largest: usize,
}

impl Plan {
    /// Traffic between two wires: lane 0 from the first to the second, lane 1 back.
    pub fn pair(a: Wire, b: Wire, largest: usize) -> Self {
        let lanes = vec![Lane { from: 0, to: 1, also: None }, Lane { from: 1, to: 0, also: None }];
        Self { wires: vec![a, b], lanes, largest }
    }

    /// As [`Plan::pair`], with a second link beside the first: what lane 1 carries may leave by
    /// either.
    #[must_use]
    pub fn with_second_link(mut self, link: Wire) -> Self {
        self.lanes[1].also = Some(self.wires.len());
        self.wires.push(link);
        self
    }

    /// The MTU that every interface needs: 1,504 bytes, a full packet and a tag beside the one that
    /// an interface allows for, or what the largest frame needs.
    pub fn mtu(&self) -> u32 {
        const LEAST: usize = 1500 + vlan::TAG;
        let needed = self.largest.saturating_sub(eth::HEADER + vlan::TAG);
        u32::try_from(needed.max(LEAST)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_carries_two_tags_and_jumbo_frames() {
        let plan = |largest| Plan::pair(Wire::new("a"), Wire::new("b"), largest);
        // 1500 bytes of IP behind 14 bytes and two tags.
        assert_eq!(plan(60).mtu(), 1504);
        assert_eq!(plan(1522).mtu(), 1504);
        assert_eq!(plan(9000 + 14 + 8).mtu(), 9004);
    }
}
