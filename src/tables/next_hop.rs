//! Where a prefix leads.

use crate::frame::DropReason;
use crate::ids::{AdjacencyId, AttachmentId, GatewayId, NeighbourId, PathGroupId, PortId};
use crate::neighbour::{NeighbourState, Words};
use crate::wire::eth::{self, MacAddr};
use crate::wire::vlan::TagStack;

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

/// A next hop with its layer-2 rewrite: all but the neighbour's MAC address, which stands in its
/// word.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Adjacency {
    /// Ethernet header with tags, destination left zero.
    pub header: [u8; MAX_L2],
    /// Bytes of `header` in use.
    pub header_len: u8,
    /// The gateway that packets from on-premises to this neighbour would have taken.
    pub fastpath: Option<GatewayId>,
    /// Whether packets to this neighbour leave a link towards on-premises.
    pub to_onprem: bool,
    /// Port to send by.
    pub port: PortId,
    /// Attachment that the neighbour is on.
    pub attachment: AttachmentId,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// The neighbour's word.
    pub neighbour: NeighbourId,
    /// The neighbour's address.
    pub address: u32,
}

impl Adjacency {
    /// An adjacency for IPv4 on `attachment`, whose port, tags, MTU and own MAC address are given.
    pub fn ip4(
        (attachment, port, tags, mtu): (AttachmentId, PortId, TagStack, u16),
        own_mac: MacAddr,
        to_onprem: bool,
        neighbour: NeighbourId,
        address: u32,
    ) -> Self {
        let mut header = [0; MAX_L2];
        let size = eth::HEADER + tags.size();
        tags.write_l2(&mut header, size, MacAddr::ZERO, own_mac, 0, eth::ether_type::IP4)
            .expect("two tags fit");
        Self {
            header,
            header_len: u8::try_from(size).expect("22 bytes at most"),
            fastpath: None,
            to_onprem,
            port,
            attachment,
            mtu,
            neighbour,
            address,
        }
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
