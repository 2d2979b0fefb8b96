//! Where did these frames come in, and what do all frames of that place have in common?

use super::retag::Retag;
use crate::flow;
use crate::frame::{Batch, FRAME_SIZE, Frame, Row};
use crate::ids::{AttachmentId, MeterId, NatId, NsgId, PolicerId, VrfId, WorkerId};
use crate::stage::{Context, classify, steer, validate};
use crate::tables::rewrite::HEADER_ROOM;
use crate::tables::{CrossConnect, Role, Tables};
use crate::wire::eth::{self, ether_type};
use crate::wire::ip4;
use crate::wire::vlan::TAG;

/// Bytes of a frame that are looked at: two tags, and the shortest IPv4 and TCP headers.
const HEAD: usize = 64;
const _: () = assert!((FRAME_SIZE - HEAD).is_power_of_two());

/// The first bytes of a frame.
pub(super) type Head = [u8; HEAD];

/// The first bytes of a frame; of one that is shorter, what its buffer held before follows.
#[inline(always)]
pub(super) fn head(frame: &[u8; FRAME_SIZE], off: u16) -> &Head {
    // No frame begins beyond this, which saves the check of the end.
    let off = usize::from(off) % (FRAME_SIZE - HEAD);
    frame[off..].first_chunk().expect("as many bytes follow")
}

/// The bytes around the beginning of the packet at `l3`: room for a header before it, and its own
/// first.
#[inline(always)]
pub(super) fn around<const N: usize>(frame: &mut Frame, l3: usize) -> &mut [u8; N] {
    const { assert!(N <= HEAD && N >= HEADER_ROOM) };
    // No frame begins beyond this, which saves the check of the end.
    let from = l3.wrapping_sub(HEADER_ROOM) % (FRAME_SIZE - HEAD);
    frame[from..].first_chunk_mut().expect("as many bytes follow")
}

/// What the first bytes of all frames of a place share: three words, and the bits of them that
/// count.
pub(super) struct Pattern {
    value: [u64; 3],
    mask: [u64; 3],
    /// Bytes of the Ethernet header with its tags.
    pub(super) size: usize,
}

impl Pattern {
    /// The pattern of a plain IPv4 frame: its tag types and VIDs, its EtherType, and those bits of
    /// its destination MAC address.
    fn of(head: &Head, row: &Row, mac: [u8; 6]) -> Option<Self> {
        let size = usize::from(row.l3 - row.off);
        if row.ether_type != ether_type::IP4 || head[size] != ip4::PLAIN_FIRST_BYTE {
            return None;
        }
        let mut mask = [0; 24];
        mask[..6].copy_from_slice(&mac);
        mask[12..=size].fill(0xff);
        for tag in (eth::HEADER..size).step_by(TAG) {
            // Priority bits.
            mask[tag] = 0x0f;
        }
        let bytes = head.first_chunk().expect("longer");
        Some(Self { value: words(bytes), mask: words(&mask), size })
    }

    /// Whether a frame is of this place.
    #[inline(always)]
    pub(super) fn has(&self, head: &Head) -> bool {
        let word = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight"));
        let differ = |at: usize| (word(8 * at) ^ self.value[at]) & self.mask[at];
        differ(0) | differ(1) | differ(2) == 0
    }
}

/// A place where frames come in.
pub(super) enum Place<'a> {
    /// Where packets are looked up.
    Routed(Routed<'a>),
    /// Where packets are translated.
    Translated(Translated<'a>),
    /// Where frames cross the provider's edge.
    Crossed(Crossed<'a>),
}

/// A routed attachment.
pub(super) struct Routed<'a> {
    tables: &'a Tables,
    worker: WorkerId,
    pub(super) pattern: Pattern,
    pub(super) vrf: VrfId,
    pub(super) meter: Option<MeterId>,
    pub(super) police: Option<PolicerId>,
    /// On an edge's side of a peering.
    pub(super) from_onprem: bool,
    /// The security group of a subnet.
    pub(super) group: Option<NsgId>,
    /// Whether packets need their hash at once: to find the one of several paths, or the worker
    /// that owns their flow.
    pub(super) hashed: bool,
    /// Whether another worker may own some of the flows.
    shared: bool,
}

/// A provider's side of a Microsoft peering.
pub(super) struct Translated<'a> {
    pub(super) nat: NatId,
    pub(super) crossed: Crossed<'a>,
}

/// A provider's side of a peering.
pub(super) struct Crossed<'a> {
    pub(super) pattern: Pattern,
    pub(super) cross: &'a CrossConnect,
    pub(super) meter: Option<MeterId>,
    pub(super) retag: Retag,
}

impl<'a> Place<'a> {
    /// The place of frame `i`; none where its frames ask for more than this way does, or the
    /// frame itself is no good example.
    #[inline]
    pub(super) fn of(
        cx: &Context<'a>,
        batch: &mut Batch,
        i: usize,
    ) -> Option<(AttachmentId, Self)> {
        let tables = cx.tables;
        batch.settle_one(i);
        let (frame, row) = batch.both(i);
        // What is found out of this one frame stays here: the stages do it again if they must.
        let mut row = *row;
        let port = &tables.ports[row.port.index()];
        validate::layer2(frame, &mut row, port.accept_88a8).ok()?;
        let id = classify::find(&port.classifier, &row).ok()?;
        let attachment = tables.attachment(id);
        let head = head(frame, row.off);
        if let Role::CrossConnect(cross) = &attachment.role {
            let crossed = Crossed {
                pattern: Pattern::of(head, &row, [GROUP, 0, 0, 0, 0, 0])
                    .filter(|_| head[0] & GROUP == 0)?,
                cross,
                meter: attachment.meter,
                retag: Retag::to(tables.attachment(cross.out).tags),
            };
            return Some(match cross.nat {
                Some(nat) => (id, Self::Translated(Translated { nat, crossed })),
                None => (id, Self::Crossed(crossed)),
            });
        }
        attachment.own().filter(|(own, _)| head[..6] == own.0)?;
        let found = Routed {
            tables,
            worker: cx.worker,
            pattern: Pattern::of(head, &row, [0xff; 6])?,
            vrf: VrfId(0),
            meter: attachment.meter,
            police: None,
            from_onprem: false,
            group: None,
            hashed: true,
            shared: steer::keeps_flows(tables, &attachment.role)
                && tables.owners.iter().any(|own| *own != cx.worker),
        };
        let routed = match &attachment.role {
            Role::Peering(side) if side.sources.is_none() => Routed {
                vrf: side.vrf,
                police: side.police_in,
                from_onprem: true,
                hashed: found.shared,
                ..found
            },
            Role::Subnet(side) => Routed { vrf: side.vrf, group: side.nsg, ..found },
            Role::Service(side) => Routed { vrf: side.vrf, ..found },
            _ => return None,
        };
        Some((id, Self::Routed(routed)))
    }

    /// Bytes of the Ethernet header with its tags.
    pub(super) fn size(&self) -> usize {
        match self {
            Place::Routed(place) => place.pattern.size,
            Place::Translated(place) => place.crossed.pattern.size,
            Place::Crossed(place) => place.pattern.size,
        }
    }
}

/// The group bit of a MAC address's first byte.
const GROUP: u8 = 1;

impl Routed<'_> {
    /// Whether a packet's state, if it has any, is this worker's.
    #[inline(always)]
    pub(super) fn takes(&self, hash: u32) -> bool {
        !self.shared || self.tables.owner(flow::shard_of(hash)) == self.worker
    }
}

fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let (words, []) = bytes.as_chunks::<8>() else { unreachable!("three words") };
    std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
}
