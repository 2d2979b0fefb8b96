//! Newtyped indices: which port, link, peering, VRF, next hop or worker a number means.
//!
//! Each is a plain index into the vector of the same name in [`crate::tables::Tables`], given out
//! when tables are compiled and meaningless outside that snapshot.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number as an index.
            #[inline(always)]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
            /// The id of the entry at `index`.
            ///
            /// # Panics
            /// When `index` does not fit; tables are refused before they grow that far.
            pub fn from_index(index: usize) -> Self {
                Self(<$inner>::try_from(index).expect("table index fits its id"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A port: where frames enter and leave.
    PortId(u16);
    /// What a port and a tag stack lead to: an access side, a link side, a VNet subnet, a service.
    AttachmentId(u16);
    /// A routing domain, and the FIB that holds it.
    VrfId(u16);
    /// An entry of the next-hop table; what a FIB look-up returns.
    NextHopId(u32);
    /// The layer-2 rewrite of packets that leave by an attachment.
    RewriteId(u16);
    /// A neighbour's word: its MAC address and whether it can be used.
    NeighbourId(u32);
    /// A set of equal-cost paths.
    PathGroupId(u16);
    /// A virtual network gateway.
    GatewayId(u16);
    /// A compiled network security group.
    NsgId(u16);
    /// A NAT44 binding set of one provider circuit.
    NatId(u16);
    /// A bandwidth policer of one link and direction.
    PolicerId(u16);
    /// The byte counters of one circuit, peering, link.
    MeterId(u16);
    /// A worker thread.
    WorkerId(u8);
    /// One of the 64 parts of all session state.
    ShardId(u8);
}

impl RewriteId {
    /// That of all neighbours on an attachment whose packets go past no gateway.
    #[inline(always)]
    pub const fn of(attachment: AttachmentId) -> Self {
        Self(attachment.0)
    }
}

/// How many parts all session state is cut into; fixed, so that a flow's shard never depends on
/// how many workers there are.
pub const SHARDS: usize = 64;

/// One of a circuit's two links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// The link to the first edge router.
    Primary,
    /// The link to the second edge router.
    Secondary,
}

impl Link {
    /// Both links, primary first.
    pub const BOTH: [Link; 2] = [Link::Primary, Link::Secondary];

    /// 0 for primary, 1 for secondary.
    pub const fn index(self) -> usize {
        match self {
            Link::Primary => 0,
            Link::Secondary => 1,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Link::Primary => "primary",
            Link::Secondary => "secondary",
        })
    }
}

/// A peering's kind: which routing domain of the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeeringKind {
    /// Azure private peering: virtual networks.
    Private,
    /// Microsoft peering: public services.
    Microsoft,
}

impl fmt::Display for PeeringKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeeringKind::Private => "private",
            PeeringKind::Microsoft => "microsoft",
        })
    }
}

/// Direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From on-premises towards Microsoft.
    ToAzure,
    /// From Microsoft towards on-premises.
    ToOnprem,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::ToAzure => "to_azure",
            Direction::ToOnprem => "to_onprem",
        })
    }
}

/// The number that says when a decision kept in a session must be made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);
