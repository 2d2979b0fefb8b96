//! Ethernet frames in the making.

use std::net::Ipv4Addr;

use zerocopy::IntoBytes;

use super::super::arp::{self, ArpPacket};
use super::super::eth::{self, MacAddr, ether_type};
use super::super::vlan::{TAG, Tag, TagStack};

/// An Ethernet frame in the making.
#[derive(Clone, Debug)]
pub struct Framed {
    src: MacAddr,
    dst: MacAddr,
    tags: Vec<Tag>,
    ether_type: u16,
    payload: Vec<u8>,
    least: usize,
    most: usize,
}

impl Framed {
    /// A frame with any payload.
    pub fn new(src: MacAddr, dst: MacAddr, ether_type: u16, payload: &[u8]) -> Self {
        let (payload, tags) = (payload.to_vec(), Vec::new());
        Self { src, dst, tags, ether_type, payload, least: 0, most: usize::MAX }
    }

    /// Tags the frame with these tags, all 0x8100, inside those it has.
    pub fn tags(mut self, tags: TagStack) -> Self {
        let tag = |&vid: &u16| Tag { tpid: ether_type::VLAN, tci: vid };
        self.tags.extend(tags.vids().iter().map(tag));
        self
    }

    /// Adds one tag inside those the frame has, with any tag protocol, priority and identifier.
    pub fn tag(mut self, tpid: u16, tci: u16) -> Self {
        self.tags.push(Tag { tpid, tci });
        self
    }

    /// Pads the frame with zeros to at least `size` bytes; Ethernet needs 60.
    pub fn pad(mut self, size: usize) -> Self {
        self.least = size;
        self
    }

    /// Cuts the frame off after `size` bytes.
    pub fn truncate(mut self, size: usize) -> Self {
        self.most = size;
        self
    }

    /// The bytes of the frame.
    pub fn build(&self) -> Vec<u8> {
        let mut frame =
            Vec::with_capacity(eth::HEADER + self.payload.len() + TAG * self.tags.len());
        frame.extend_from_slice(&self.dst.0);
        frame.extend_from_slice(&self.src.0);
        for tag in &self.tags {
            frame.extend_from_slice(&tag.tpid.to_be_bytes());
            frame.extend_from_slice(&tag.tci.to_be_bytes());
        }
        frame.extend_from_slice(&self.ether_type.to_be_bytes());
        frame.extend_from_slice(&self.payload);
        if frame.len() < self.least {
            frame.resize(self.least, 0);
        }
        frame.truncate(self.most);
        frame
    }
}

/// An ARP frame from `sender_mac`: a request goes to all, anything else to `target_mac`.
pub fn arp(
    operation: u16,
    sender_mac: MacAddr,
    sender: impl Into<Ipv4Addr>,
    target_mac: MacAddr,
    target: impl Into<Ipv4Addr>,
) -> Framed {
    let (sender, target) = (sender.into().to_bits(), target.into().to_bits());
    let packet = ArpPacket::new(operation, sender_mac, sender, target_mac, target);
    let dst = if operation == arp::REQUEST { MacAddr::BROADCAST } else { target_mac };
    Framed::new(sender_mac, dst, ether_type::ARP, packet.as_bytes())
}
