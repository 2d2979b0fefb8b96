//! Where a prefix leads.

use super::attachment::{Attachment, Role};
use super::exit::{Asked, Counted, Exit};
use crate::frame::DropReason;
use crate::ids::{
    AdjacencyId, AttachmentId, GatewayId, NeighbourId, NsgId, PathGroupId, PolicerId,
};
use crate::neighbour::{NeighbourState, Words};
use crate::wire::eth::{self, MacAddr};

/// What a look-up leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Nowhere, under this name.
    Blackhole(DropReason),
    /// An address of thruway's own.
    Local,
    /// A neighbour on this attachment, found by the destination address.
    Connected(AttachmentId),
    /// A neighbour, with its rewrite.
    Adjacency(AdjacencyId),
    /// A virtual network gateway.
    Gateway(GatewayId),
    /// One of several equal paths, by flow.
    Paths(PathGroupId),
}

impl NextHop {
    /// The answer of a FIB that has no route.
    pub const NO_ROUTE: NextHop = NextHop::Blackhole(DropReason::NoRoute);
}

/// Room for an Ethernet header with two tags.
pub const MAX_L2: usize = eth::HEADER + 8;
/// Bytes that a rewrite copies, whatever is in use of them.
pub const HEADER_ROOM: usize = MAX_L2;

/// A next hop with its layer-2 rewrite: all but the neighbour's MAC address, which stands in its
/// word. One cache line holds all that the way out asks of a packet.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Adjacency {
    /// Ethernet header with tags at the end of the room, destination left zero.
    pub header: [u8; HEADER_ROOM],
    /// Port to send by, bytes of `header` in use, who counts and who is asked.
    pub exit: Exit,
    /// Attachment that the neighbour is on.
    pub attachment: AttachmentId,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// The neighbour's word.
    pub neighbour: NeighbourId,
    /// The neighbour's address.
    pub address: u32,
    /// The group that decides what the neighbour gets: that of its subnet.
    pub nsg: Option<NsgId>,
    /// The bandwidth of the link that leads to the neighbour.
    pub police: Option<PolicerId>,
}

const _: () = assert!(size_of::<Adjacency>() == 64);

impl Adjacency {
    /// An adjacency for IPv4 on an attachment; none on one that has no address of thruway's.
    pub fn ip4(
        (id, attachment): (AttachmentId, &Attachment),
        neighbour: NeighbourId,
        address: u32,
    ) -> Option<Self> {
        let (own_mac, _) = attachment.own()?;
        let mut header = [0; HEADER_ROOM];
        let size = u8::try_from(eth::HEADER + attachment.tags.size()).expect("22 bytes at most");
        let kind = eth::ether_type::IP4;
        attachment
            .tags
            .write_l2(&mut header, HEADER_ROOM, MacAddr::ZERO, own_mac, 0, kind)
            .expect("two tags fit");
        let mut adjacency = Self {
            header,
            exit: Exit::new(attachment.port, size, Counted::NOBODY, Asked::default()),
            attachment: id,
            mtu: attachment.mtu,
            neighbour,
            address,
            nsg: None,
            police: None,
        };
        adjacency.follow(attachment);
        Some(adjacency)
    }

    /// Takes over what its attachment asks of packets on the way out.
    pub fn follow(&mut self, attachment: &Attachment) {
        (self.nsg, self.police) = match &attachment.role {
            Role::Peering(side) => (None, side.police_out),
            Role::Subnet(side) => (side.nsg, None),
            Role::CrossConnect(_) | Role::Service(_) | Role::Closed => (None, None),
        };
        let counted = match (&attachment.role, attachment.meter) {
            (Role::Peering(_), Some(meter)) => Counted::out(meter),
            _ => self.exit.counted(),
        };
        let asked = Asked { group: self.nsg.is_some(), police: self.police.is_some() };
        self.exit = Exit::new(self.exit.port(), self.exit.header_size(), counted, asked);
    }

    /// Packets to this neighbour would have taken `gateway` without FastPath.
    pub fn bypass(&mut self, gateway: GatewayId) {
        self.exit = self.exit.counted_by(Counted::past(gateway));
    }
}

/// Ways to one prefix, best first: equal paths share the flows of the first tier that has a usable
/// one, as if routes over dead links had been withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathGroup {
    /// Each tier's paths: adjacency, and the word of its neighbour.
    pub tiers: Vec<Vec<(AdjacencyId, NeighbourId)>>,
}

impl PathGroup {
    /// The path of a flow with this hash, or none when all are down.
    #[inline]
    pub fn choose(&self, hash: u32, words: &Words) -> Option<AdjacencyId> {
        self.tiers.iter().find_map(|tier| choose(tier, hash, words))
    }
}

/// The path of a flow among equal ones. A flow keeps its path as long as that lives: only flows
/// whose path died move, and they spread over what is left.
#[inline]
fn choose(paths: &[(AdjacencyId, NeighbourId)], hash: u32, words: &Words) -> Option<AdjacencyId> {
    let (adjacency, neighbour) = *paths.get(spread(hash, paths.len()))?;
    if usable(words, neighbour) {
        return Some(adjacency);
    }
    let alive = || paths.iter().filter(|(_, neighbour)| usable(words, *neighbour));
    let left = alive().count();
    let again = spread(hash.wrapping_mul(0x9e37_79b1).rotate_left(16), left);
    alive().nth(again).map(|(adjacency, _)| *adjacency)
}

/// Whether a path's neighbour has answered, or may yet: false once its link is down or it failed.
#[inline(always)]
pub fn usable(words: &Words, neighbour: NeighbourId) -> bool {
    matches!(words.load(neighbour).state(), NeighbourState::Reachable | NeighbourState::Incomplete)
}

/// Maps a hash onto `0..count` without a division.
#[inline(always)]
pub fn spread(hash: u32, count: usize) -> usize {
    ((u64::from(hash) * count as u64) >> 32) as usize
}
