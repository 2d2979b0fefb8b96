//! Bytes to fields and back, a file a header.
//!
//! Headers are views over bytes in network order: they judge nothing and never panic. What a
//! packet must be like is the business of the *validate* stage.
//!
//! Beside the headers stand five tools on whole frames: [`build`] makes them, [`show()`] prints one
//! as a line, [`virtio`] says what a sender left open, [`offload`] finishes a checksum, and
//! [`segment`] cuts a super-frame.

pub mod arp;
pub mod build;
pub mod checksum;
pub mod eth;
pub mod icmp4;
pub mod icmp6;
pub mod ip4;
pub mod ip6;
pub mod offload;
pub mod segment;
pub mod show;
pub mod tcp;
pub mod udp;
pub mod virtio;
pub mod vlan;

#[cfg(test)]
mod properties;

pub use show::show;

/// IP protocol numbers (IANA).
pub mod proto {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// IPsec's encapsulating security payload, RFC 4303.
    pub const ESP: u8 = 50;
    /// IPsec's authentication header, RFC 4302.
    pub const AH: u8 = 51;
    /// ICMP for IPv6, RFC 4443.
    pub const ICMP6: u8 = 58;
}
