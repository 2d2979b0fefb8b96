//! What is known about one packet: 64 bytes, filled by *validate*, used by every later stage.

use crate::ids::{AttachmentId, NextHopId, PortId, VrfId};
use crate::time::Now;

/// Facts about a packet, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// The payload is IPv4 and its header is valid; `l3`, `src`, `dst`, `proto` hold.
    pub const IP4: Flags = Flags(1);
    /// The packet carries a layer-4 header that this row describes; `l4`, `sport`, `dport` hold.
    pub const L4: Flags = Flags(1 << 1);
    /// A fragment (first or later).
    pub const FRAGMENT: Flags = Flags(1 << 2);
    /// A fragment that is not the first: no layer-4 header here.
    pub const LATER_FRAGMENT: Flags = Flags(1 << 3);
    /// The IPv4 header has options.
    pub const OPTIONS: Flags = Flags(1 << 4);
    /// An ICMP error: it quotes a packet that ran the other way.
    pub const ICMP_ERROR: Flags = Flags(1 << 5);
    /// The frame was received by the kernel's broadcast or multicast address.
    pub const L2_GROUP: Flags = Flags(1 << 6);
    /// The don't-fragment bit is set.
    pub const DF: Flags = Flags(1 << 7);
    /// The packet already went through the gateway.
    pub const VIA_GATEWAY: Flags = Flags(1 << 8);
    /// thruway made this packet.
    pub const ORIGINATED: Flags = Flags(1 << 9);
    /// The time to live was decremented already.
    pub const TTL_PAID: Flags = Flags(1 << 10);
    /// A fragment that is at the worker which knows its datagram's ports.
    pub const FRAGMENT_KNOWN: Flags = Flags(1 << 11);
    /// From inside to inside: translated once, to be translated again and sent back.
    pub const HAIRPIN: Flags = Flags(1 << 12);
    /// The sender left the TCP or UDP checksum to its hardware: the field holds the sum of the
    /// pseudo-header, not complemented.
    pub const PARTIAL_CHECKSUM: Flags = Flags(1 << 13);
    /// The link's bandwidth towards on-premises was asked already: the packet waited behind that.
    pub const POLICED: Flags = Flags(1 << 14);

    /// Whether all bits of `other` are set.
    #[inline(always)]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[inline(always)]
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    #[inline(always)]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Sets the bits of `other`.
    #[inline(always)]
    pub const fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    #[inline(always)]
    pub const fn clear(&mut self, other: Flags) {
        self.0 &= !other.0;
    }
}

/// One packet's facts. Offsets count from the start of the frame's buffer; addresses and ports are
/// in host order.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Row {
    /// When the packet came in.
    pub arrival: Now,
    /// IPv4 source; valid with [`Flags::IP4`].
    pub src: u32,
    /// IPv4 destination; valid with [`Flags::IP4`].
    pub dst: u32,
    /// Source port, or the identifier of an ICMP query; valid with [`Flags::L4`].
    pub sport: u16,
    /// Destination port, or the identifier of an ICMP query; valid with [`Flags::L4`].
    pub dport: u16,
    /// Where the Ethernet header begins.
    pub off: u16,
    /// Where the network header begins (after all tags).
    pub l3: u16,
    /// Where the transport header begins; valid with [`Flags::L4`].
    pub l4: u16,
    /// EtherType of the payload, after all tags.
    pub ether_type: u16,
    /// Bytes of the frame, from the Ethernet header.
    pub len: u32,
    /// Port the frame came in by.
    pub port: PortId,
    /// What port and tags lead to; set by *classify*.
    pub attachment: AttachmentId,
    /// Routing domain of the next look-up.
    pub vrf: VrfId,
    /// IPv4 total length in bytes; valid with [`Flags::IP4`].
    pub ip_len: u16,
    /// What the look-up found, then the adjacency that it came to.
    pub next_hop: NextHopId,
    /// Hash of the 5-tuple, the same in both directions.
    pub hash: u32,
    /// Shard that keeps the packet's flow or session; set by *steer* where there is one.
    pub shard: u8,
    /// Outer tag's TCI; valid when `tags` ≥ 1.
    pub outer: u16,
    /// Inner tag's TCI; valid when `tags` ≥ 2.
    pub inner: u16,
    /// IP protocol number.
    pub proto: u8,
    /// TCP flags byte; valid with [`Flags::L4`] and TCP.
    pub tcp_flags: u8,
    /// See [`Flags`].
    pub flags: Flags,
    /// How many VLAN tags the frame has: 0, 1, 2; more is refused.
    pub tags: u8,
    /// Time to live as received.
    pub ttl: u8,
    /// Bytes of payload in each segment of a super-frame, whose checksum is partial; 0 for an
    /// ordinary frame.
    pub gso_size: u16,
    /// ICMP type; valid with [`Flags::L4`] and ICMP.
    pub icmp_type: u8,
    /// Place in the batch; set by [`super::Batch::push`].
    pub order: u8,
}

impl Row {
    /// Whether something is left open in the frame: it is a super-frame, or its checksum is partial.
    #[inline(always)]
    pub const fn is_open(&self) -> bool {
        self.gso_size != 0 || self.flags.has(Flags::PARTIAL_CHECKSUM)
    }
}

const _: () = assert!(size_of::<Row>() == 64);
