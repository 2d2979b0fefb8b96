//! What do frames look like that leave by an attachment, and who is asked about them? All that the
//! neighbours of an attachment share.

use super::attachment::{Attachment, Role};
use super::exit::{Asked, Counted, Exit};
use crate::ids::{AttachmentId, GatewayId, NsgId, PolicerId};
use crate::wire::eth::{self, MacAddr};

/// Room for an Ethernet header with two tags.
pub const MAX_L2: usize = eth::HEADER + 8;
/// Bytes that a rewrite copies, whatever is in use of them.
pub const HEADER_ROOM: usize = MAX_L2;

/// The layer-2 rewrite of packets that leave by an attachment: all but the neighbour's MAC address,
/// which stands in its word. One cache line holds all that the way out asks of a packet.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Rewrite {
    /// Ethernet header with tags at the end of the room, destination left zero.
    pub header: [u8; HEADER_ROOM],
    /// Port to send by, bytes of `header` in use, who counts and who is asked.
    pub exit: Exit,
    /// The attachment.
    pub attachment: AttachmentId,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// The group that decides what neighbours get: that of their subnet.
    pub nsg: Option<NsgId>,
    /// The bandwidth of the link that leads to them.
    pub police: Option<PolicerId>,
}

const _: () = assert!(size_of::<Rewrite>() == 64);

impl Rewrite {
    /// That of IPv4 on an attachment. Nothing leads to one that has no address of thruway's.
    pub fn ip4((id, attachment): (AttachmentId, &Attachment)) -> Self {
        let own_mac = attachment.own().map_or(MacAddr::ZERO, |(mac, _)| mac);
        let mut header = [0; HEADER_ROOM];
        let size = u8::try_from(eth::HEADER + attachment.tags.size()).expect("22 bytes at most");
        let kind = eth::ether_type::IP4;
        attachment
            .tags
            .write_l2(&mut header, HEADER_ROOM, MacAddr::ZERO, own_mac, 0, kind)
            .expect("two tags fit");
        let (nsg, police) = match &attachment.role {
            Role::Peering(side) => (None, side.police_out),
            Role::Subnet(side) => (side.nsg, None),
            Role::CrossConnect(_) | Role::Service(_) | Role::Closed => (None, None),
        };
        let counted = match (&attachment.role, attachment.meter) {
            (Role::Peering(_), Some(meter)) => Counted::out(meter),
            _ => Counted::NOBODY,
        };
        let asked = Asked { group: nsg.is_some(), police: police.is_some() };
        Self {
            header,
            exit: Exit::new(attachment.port, size, counted, asked),
            attachment: id,
            mtu: attachment.mtu,
            nsg,
            police,
        }
    }

    /// The same for neighbours whose packets would have taken `gateway` without FastPath.
    #[must_use]
    pub fn past(&self, gateway: GatewayId) -> Self {
        Self { exit: self.exit.counted_by(Counted::past(gateway)), ..self.clone() }
    }
}
