//! What the state machine tells its caller: what a packet led to, what to send, what there is.

use std::net::Ipv4Addr;

use super::entry::EntryState;
use crate::ids::{AttachmentId, NeighbourId};
use crate::wire::arp::ArpPacket;
use crate::wire::eth::MacAddr;

/// What a received packet led to.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Reaction {
    /// The answer, to be sent to its `target_mac`.
    pub reply: Option<ArpPacket>,
    /// The neighbour that was heard.
    pub learned: Option<NeighbourId>,
    /// Why nothing was learned, if nothing was.
    pub ignored: Option<Ignored>,
}

/// Why an ARP packet taught nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// No ARP is spoken there, or the port is down.
    NoInterface,
    /// Not of IPv4 over Ethernet, or neither request nor reply.
    NotArp,
    /// The sender's MAC address is a group's, or zero.
    BadSenderMac,
    /// Our own packet came back.
    Echo,
    /// Somebody else uses our address.
    Conflict,
    /// The sender asks whether an address is free (RFC 5227 2.1).
    AddressProbe,
    /// The sender cannot be a neighbour there.
    NotOnLink,
    /// The sender is unknown and did not ask for us.
    NotForUs,
    /// There is no room for another neighbour.
    NoRoom,
}

impl Ignored {
    /// The reason's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoInterface => "no_interface",
            Self::NotArp => "not_arp",
            Self::BadSenderMac => "bad_sender_mac",
            Self::Echo => "echo",
            Self::Conflict => "conflict",
            Self::AddressProbe => "address_probe",
            Self::NotOnLink => "not_on_link",
            Self::NotForUs => "not_for_us",
            Self::NoRoom => "no_room",
        }
    }
}

/// A packet to send.
#[derive(Clone, Copy, Debug)]
pub struct ArpOutput {
    /// Where it goes out.
    pub interface: AttachmentId,
    /// The Ethernet destination; the source is the packet's `sender_mac`.
    pub destination: MacAddr,
    /// The packet.
    pub packet: ArpPacket,
}

/// A line of `show arp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpRow {
    /// Where the address is.
    pub interface: AttachmentId,
    /// The address.
    pub address: Ipv4Addr,
    /// Its MAC address, if it is known.
    pub mac: Option<MacAddr>,
    /// Its state.
    pub state: EntryState,
    /// Whole minutes since it was last heard; 0 for our own.
    pub age_minutes: u64,
    /// The neighbour; none for our own addresses.
    pub neighbour: Option<NeighbourId>,
}
