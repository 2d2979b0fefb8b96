//! ARP for IPv4 over Ethernet (RFC 826).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::eth::{MacAddr, ether_type};

/// Length of an ARP packet for IPv4 over Ethernet in bytes.
pub const PACKET: usize = 28;

/// Operation: who has this address?
pub const REQUEST: u16 = 1;
/// Operation: I have.
pub const REPLY: u16 = 2;

/// An ARP packet.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ArpPacket {
    /// Hardware type; 1 is Ethernet.
    pub hardware: U16,
    /// Protocol type; 0x0800 is IPv4.
    pub protocol: U16,
    /// Length of a hardware address; 6.
    pub hardware_len: u8,
    /// Length of a protocol address; 4.
    pub protocol_len: u8,
    /// Operation.
    pub operation: U16,
    /// Sender's MAC address.
    pub sender_mac: MacAddr,
    /// Sender's IPv4 address.
    pub sender: U32,
    /// Target's MAC address; zero in a request.
    pub target_mac: MacAddr,
    /// Target's IPv4 address.
    pub target: U32,
}

const _: () = assert!(size_of::<ArpPacket>() == PACKET);

impl ArpPacket {
    /// An ARP packet for IPv4 over Ethernet.
    pub fn new(
        operation: u16,
        sender_mac: MacAddr,
        sender: u32,
        target_mac: MacAddr,
        target: u32,
    ) -> Self {
        Self {
            hardware: U16::new(1),
            protocol: U16::new(ether_type::IP4),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_mac,
            sender: U32::new(sender),
            target_mac,
            target: U32::new(target),
        }
    }

    /// Whether the packet speaks of IPv4 over Ethernet.
    pub fn is_ip4_over_ethernet(&self) -> bool {
        self.hardware.get() == 1
            && self.protocol.get() == ether_type::IP4
            && self.hardware_len == 6
            && self.protocol_len == 4
    }
}
