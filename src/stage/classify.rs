//! Whose packet is this? Port and tags lead to an attachment; the attachment's role sorts the
//! batch.
//!
//! - **Reads** `port`, `tags`, `outer`, `inner`, `ether_type`, the destination MAC address.
//! - **Writes** `attachment`, `vrf`.
//! - **Ends** `peering_down`, `unknown_tag`, `missing_tag`, `link_local_group`, `not_our_mac`,
//!   `ip6_not_forwarded`, `unknown_ether_type`.

use super::{Context, Sorted};
use crate::frame::{Batch, Bits, DropReason, Row};
use crate::ids::{AttachmentId, VrfId};
use crate::tables::{Classifier, Role, Tables};
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::VID;

/// Finds each frame's attachment and sorts the batch by role.
pub fn run(cx: &mut Context<'_>, batch: &mut Batch) -> Sorted {
    let mut sorted = Sorted::default();
    let mut last: Option<(u64, Place)> = None;
    for i in Bits(batch.live()) {
        let (frame, row) = batch.both(i);
        let at = usize::from(row.off);
        let mac = MacAddr(frame[at..at + 6].try_into().expect("six bytes"));
        let key = key(row);
        let place = match last {
            Some((known, place)) if known == key => Ok(place),
            _ => Place::of(cx.tables, row).inspect(|place| last = Some((key, *place))),
        };
        match place.and_then(|place| one(place, row, mac)) {
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

/// What port and tags lead to: the same for all frames that have the same ones, so that a batch
/// asks once.
#[derive(Clone, Copy)]
struct Place {
    attachment: AttachmentId,
    kind: PlaceKind,
}

#[derive(Clone, Copy)]
enum PlaceKind {
    Crossed { translated: bool },
    Routed { vrf: VrfId, own: MacAddr },
}

/// What two frames must have in common to have come in at one place.
#[inline(always)]
fn key(row: &Row) -> u64 {
    let (outer, inner) = match row.tags {
        2 => (row.outer, row.inner),
        1 => (row.outer, 0),
        _ => (0, 0),
    };
    u64::from(row.port.0) << 48
        | u64::from(row.tags) << 32
        | u64::from(outer & VID) << 16
        | u64::from(inner & VID)
}

impl Place {
    fn of(tables: &Tables, row: &Row) -> Result<Self, DropReason> {
        let attachment = find(&tables.ports[row.port.index()].classifier, row)?;
        let kind = match &tables.attachment(attachment).role {
            Role::CrossConnect(cross) => PlaceKind::Crossed { translated: cross.nat.is_some() },
            Role::Peering(side) => PlaceKind::Routed { vrf: side.vrf, own: side.mac },
            Role::Subnet(side) => PlaceKind::Routed { vrf: side.vrf, own: side.mac },
            Role::Service(side) => PlaceKind::Routed { vrf: side.vrf, own: side.mac },
            Role::Closed => return Err(DropReason::PeeringDown),
        };
        Ok(Self { attachment, kind })
    }
}

#[inline(always)]
fn one(place: Place, row: &mut Row, mac: MacAddr) -> Result<Kind, DropReason> {
    row.attachment = place.attachment;
    match place.kind {
        PlaceKind::Crossed { .. } if mac.is_link_local_group() => Err(DropReason::LinkLocalGroup),
        PlaceKind::Crossed { translated } => {
            let translate = translated && row.ether_type == ether_type::IP4;
            Ok(if translate { Kind::Nat } else { Kind::Cross })
        }
        PlaceKind::Routed { vrf, own } => {
            row.vrf = vrf;
            routed(own == mac, row, mac)
        }
    }
}

/// A routed attachment takes IPv4 to its own MAC address, and ARP to that or to all.
#[inline(always)]
fn routed(ours: bool, row: &Row, mac: MacAddr) -> Result<Kind, DropReason> {
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
