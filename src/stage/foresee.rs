//! Which packets may share a batch, so that the batch's size changes nothing? Asked by a replay,
//! before the packet enters; no stage of the pipeline.
//!
//! Stages take their turns batch by batch. What one stage does for a packet must not wait for what
//! a later stage does for the packet before: packets where that may be so go alone, or not
//! together with another one of their shard.

use super::steer::{self, Owner};
use super::{classify, nat44, validate};
use crate::frame::{DropReason, FRAME_SIZE, Flags, Row};
use crate::ids::{Direction, ShardId, WorkerId};
use crate::nat::Side;
use crate::tables::{Role, Tables};
use crate::wire::eth::ether_type;

/// Largest IPv4 packet that no way out has to cut, in bytes.
const UNCUT: u16 = 1500;

/// What is foreseen of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// The worker that decides about it.
    pub owner: WorkerId,
    /// Whether it needs a batch of its own.
    pub alone: bool,
    /// The shard whose flows it meets at two stages.
    pub shard: Option<ShardId>,
}

/// Looks at a packet that enters at worker `here`; the row names `off`, `len` and `port`.
pub fn packet(
    tables: &Tables,
    frame: &[u8; FRAME_SIZE],
    row: &mut Row,
    here: WorkerId,
) -> Foreseen {
    let nobody = Foreseen { owner: here, alone: false, shard: None };
    attempt(tables, frame, row, nobody).unwrap_or(nobody)
}

fn attempt(
    tables: &Tables,
    frame: &[u8; FRAME_SIZE],
    row: &mut Row,
    nobody: Foreseen,
) -> Result<Foreseen, DropReason> {
    let port = &tables.ports[row.port.index()];
    validate::layer2(frame, row, port.accept_88a8)?;
    row.attachment = classify::find(&port.classifier, row)?;
    if row.ether_type != ether_type::IP4 {
        return Ok(nobody);
    }
    let role = &tables.attachment(row.attachment).role;
    validate::header(frame, row)?;
    // What *express* leaves to the stages comes later than what it takes of the same flow.
    let odd = row.flags.any(Flags::FRAGMENT.with(Flags::OPTIONS)) || row.ttl <= 1;
    if odd || row.ip_len > UNCUT {
        return Ok(Foreseen { alone: true, ..nobody });
    }
    if let Role::CrossConnect(cross) = role
        && cross.direction == Direction::ToAzure
        && let Some(nat) = cross.nat
        && nat44::side(tables.nat(nat), cross, row) == Some(Side::In2Out)
        && tables.nat(nat).bindings.is_outside(row.dst)
    {
        // A hairpin: two owners.
        return Ok(Foreseen { alone: true, ..nobody });
    }
    row.hash = steer::hash(tables.hash_seed, frame, row);
    let Owner::Shard(shard) = steer::owner(tables, frame, row)? else { return Ok(nobody) };
    // What VMs send meets their own group's flows and those of the VMs that get it.
    let shared = matches!(role, Role::Subnet(_)).then_some(shard);
    Ok(Foreseen { owner: tables.owner(shard), alone: false, shard: shared })
}
