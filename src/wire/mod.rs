//! Bytes to fields and back, a file a header.
//!
//! Headers are views over bytes in network order: they judge nothing and never panic. What a
//! packet must be like is the business of the *validate* stage.

pub mod arp;
pub mod checksum;
pub mod eth;
pub mod icmp4;
pub mod ip4;
pub mod tcp;
pub mod udp;
pub mod vlan;

/// IP protocol numbers (IANA).
pub mod proto {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
}
