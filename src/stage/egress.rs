//! What does the way out ask of each packet? One look at every packet's rewrite, so that the
//! stages behind this one see only the packets that are theirs.
//!
//! - **Reads** `next_hop`, `attachment`, `ip_len`, `flags`.
//! - **Writes** the counters of FastPath.
//! - **Ends** nothing.

use super::Context;
use super::pieces::{self, Pieces};
use super::rewrite::rewrite_of;
use crate::frame::{Batch, Bits, Flags, Row};
use crate::ids::GatewayId;
use crate::tables::{Role, Tables};

/// Sets of packets, by what is asked of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// A security group decides.
    pub nsg: u64,
    /// A link's bandwidth is used, or the packet waited behind that already.
    pub police: u64,
    /// Over the way out's MTU.
    pub big: u64,
}

/// Asks for the packets of `set`, which all have an adjacency, and counts those that went past a
/// gateway.
pub fn run(cx: &Context<'_>, batch: &Batch, set: u64) -> Asked {
    let mut asked = Asked::default();
    let mut past = 0;
    for i in Bits(set) {
        let row = batch.row(i);
        let rewrite = rewrite_of(cx.tables, row);
        asked.nsg |= u64::from(rewrite.nsg.is_some()) << i;
        asked.police |= u64::from(rewrite.police.is_some()) << i;
        asked.big |= u64::from(row.ip_len > rewrite.mtu) << i;
        past |= u64::from(rewrite.exit.counted().gateway().is_some()) << i;
    }
    // A super-frame is as big as its longest segment.
    for i in Bits(set & batch.open()) {
        if let Some(pieces) = Pieces::of(batch, i) {
            let mtu = rewrite_of(cx.tables, batch.row(i)).mtu;
            asked.big &= !(1 << i);
            asked.big |= u64::from(pieces.longest() > u32::from(mtu)) << i;
        }
    }
    count_fastpath(cx, batch, past);
    asked
}

/// Counts packets from a private peering that went past the gateway; runs of one gateway at once.
fn count_fastpath(cx: &Context<'_>, batch: &Batch, set: u64) {
    let (mut gateway, mut packets, mut bytes) = (None, 0, 0);
    for i in Bits(set) {
        let row = batch.row(i);
        let own = bypassed(cx.tables, row);
        if own != gateway {
            note(cx, gateway, packets, bytes);
            (gateway, packets, bytes) = (own, 0, 0);
        }
        packets += 1;
        bytes += u64::from(row.ip_len);
    }
    note(cx, gateway, packets, bytes);
    for i in Bits(set & batch.open()) {
        let (packets, bytes) = pieces::extra(batch, 1 << i);
        note(cx, bypassed(cx.tables, batch.row(i)), packets, bytes);
    }
}

/// The gateway that a packet would have taken without FastPath; one that waited for its neighbour
/// was counted before it did.
#[inline(always)]
fn bypassed(tables: &Tables, row: &Row) -> Option<GatewayId> {
    let from_onprem = matches!(tables.attachment(row.attachment).role, Role::Peering(_));
    if !from_onprem || row.flags.any(Flags::VIA_GATEWAY.with(Flags::POLICED)) {
        return None;
    }
    rewrite_of(tables, row).exit.counted().gateway()
}

#[inline(always)]
fn note(cx: &Context<'_>, gateway: Option<GatewayId>, packets: u64, bytes: u64) {
    if let Some(gateway) = gateway {
        let counters = cx.counters.gateway(gateway);
        counters.fastpath_packets.add(packets);
        counters.fastpath_bytes.add(bytes);
    }
}
