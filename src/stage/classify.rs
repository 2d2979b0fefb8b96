//! Whose packet is this? Port and tags lead to an attachment; the attachment's role sorts the
//! batch.
//!
//! - **Reads** `port`, `tags`, `outer`, `inner`, `ether_type`, the destination MAC address.
//! - **Writes** `attachment`, `vrf`.
//! - **Ends** `peering_down`, `unknown_tag`, `missing_tag`, `link_local_group`, `not_our_mac`,
//!   `ip6_not_forwarded`, `unknown_ether_type`.

use super::{Context, Sorted};
use crate::frame::{Batch, Bits, DropReason, Row};
use crate::ids::AttachmentId;
use crate::tables::{Attachment, Classifier, Role, Tables};
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::VID;

/// Finds each frame's attachment and sorts the batch by role.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch) -> Sorted {
    let mut sorted = Sorted::default();
    for i in Bits(batch.live()) {
        let (frame, row) = batch.both(i);
        let at = usize::from(row.off);
        let mac = MacAddr(frame[at..at + 6].try_into().expect("six bytes"));
        match one(cx.tables, row, mac) {
            Ok(Kind::Cross) => sorted.cross |= 1 << i,
            Ok(Kind::Nat) => sorted.nat |= 1 << i,
            Ok(Kind::Ip) => sorted.ip |= 1 << i,
            Ok(Kind::Arp) => sorted.arp |= 1 << i,
            Err(reason) => batch.drop(i, reason),
        }
    }
    sorted
}

enum Kind {
    Cross,
    Nat,
    Ip,
    Arp,
}

#[inline(always)]
fn one(tables: &Tables, row: &mut Row, mac: MacAddr) -> Result<Kind, DropReason> {
    let id = find(&tables.ports[row.port.index()].classifier, row)?;
    row.attachment = id;
    let attachment = tables.attachment(id);
    match &attachment.role {
        Role::CrossConnect(cross) => {
            if mac.is_link_local_group() {
                return Err(DropReason::LinkLocalGroup);
            }
            let translate = cross.nat.is_some() && row.ether_type == ether_type::IP4;
            return Ok(if translate { Kind::Nat } else { Kind::Cross });
        }
        Role::Peering(side) => row.vrf = side.vrf,
        Role::Subnet(side) => row.vrf = side.vrf,
        Role::Service(side) => row.vrf = side.vrf,
        Role::Closed => return Err(DropReason::PeeringDown),
    }
    routed(attachment, row, mac)
}

/// A routed attachment takes IPv4 to its own MAC address, and ARP to that or to all.
#[inline(always)]
fn routed(attachment: &Attachment, row: &Row, mac: MacAddr) -> Result<Kind, DropReason> {
    let ours = attachment.own().is_some_and(|(own, _)| own == mac);
    match row.ether_type {
        ether_type::IP4 if ours => Ok(Kind::Ip),
        ether_type::ARP if ours || mac == MacAddr::BROADCAST => Ok(Kind::Arp),
        ether_type::IP6 => Err(DropReason::Ip6NotForwarded),
        ether_type::IP4 | ether_type::ARP => Err(DropReason::NotOurMac),
        _ => Err(DropReason::UnknownEtherType),
    }
}

/// Looks a frame's tags up. A priority tag (VID 0) is no VLAN: the frame counts as untagged.
#[inline(always)]
pub(crate) fn find(classifier: &Classifier, row: &Row) -> Result<AttachmentId, DropReason> {
    match row.tags {
        2 => classifier.double(row.outer, row.inner).ok_or(DropReason::UnknownTag),
        1 if row.outer & VID != 0 => classifier.single(row.outer).ok_or(DropReason::UnknownTag),
        _ => classifier.untagged().ok_or(DropReason::MissingTag),
    }
}
