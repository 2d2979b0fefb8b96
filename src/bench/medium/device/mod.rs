//! What is measured: forwarders, each started, counted and ended by us.
//!
//! | device | what it is |
//! |---|---|
//! | [`Thruway`] | a child process of this very program, or two with links between them |
//! | [`Kernel`] | the kernel as a router, with nft for NAT |
//! | [`Testpmd`] | DPDK's own forwarder, on packet sockets or XDP sockets |
//! | [`Null`] | a thread that moves frames from port to port and does nothing else |
//!
//! Every device stands on a [`Site`](super::Site) and counts as its own what its inputs had no room
//! for. Dropping it ends what it started; what is left in the site's namespaces goes with them.

mod conntrack;
pub mod kernel;
mod nft;
pub mod null;
pub mod testpmd;
pub mod thruway;

pub use kernel::{Beyond, Kernel, Nat, Router};
pub(in crate::bench) use nft::translate;
pub use null::{Null, Patch, Switch};
pub use testpmd::Testpmd;
pub use thruway::{Hand, Thruway, ThruwaySpec};

use std::collections::BTreeMap;
use std::fs;

use crate::bench::record::Quantity;

/// Adds to the count of a reason, unless there is nothing to add.
fn note(dropped: &mut BTreeMap<String, u64>, reason: &str, frames: u64) {
    if frames > 0 {
        *dropped.entry(reason.to_owned()).or_default() += frames;
    }
}

/// What frames are dropped for when a device's input has no room.
const INPUT_FULL: &str = "input_full";

/// The threads of a process whose names `wanted` takes: name and id.
fn threads_of(process: u32, wanted: impl Fn(&str) -> bool) -> Vec<(String, u32)> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut threads: Vec<(String, u32)> = ids
        .filter_map(|id| {
            let name = fs::read_to_string(format!("/proc/{process}/task/{id}/comm")).ok()?;
            let name = name.trim_end().to_owned();
            wanted(&name).then_some((name, id))
        })
        .collect();
    threads.sort();
    threads
}

/// The share of turns that found no work between two readings.
#[expect(clippy::cast_precision_loss, reason = "a share of many turns")]
fn idle_share(before: (u64, u64), now: (u64, u64)) -> Option<Quantity> {
    let (busy, idle) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
    (busy + idle > 0).then(|| Quantity::ratio(idle as f64 / (busy + idle) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_share_is_of_the_turns_between_two_readings() {
        assert_eq!(idle_share((10, 90), (13, 91)), Some(Quantity::ratio(0.25)));
        assert_eq!(idle_share((10, 90), (10, 90)), None);
    }
}
