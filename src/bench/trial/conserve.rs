//! Is every frame accounted for? What went in must have come out or stand in a counter.
//!
//! ```text
//!  offered + originated + split = arrived + dropped + punted + answered + held + medium's drops
//! ```
//!
//! Everything that arrived counts, duplicates and foreign frames too: a forwarder that makes
//! frames says so. Frames of the ramp count as all others.

use std::collections::BTreeMap;

use crate::bench::record::trial::DeviceFrames;

/// What a forwarder counted between two readings. Its share of idle turns is as read last.
pub fn since(before: &DeviceFrames, after: &DeviceFrames) -> DeviceFrames {
    let dropped = after.dropped.iter().map(|(reason, now)| {
        let then = before.dropped.get(reason).copied().unwrap_or(0);
        (reason.clone(), now.saturating_sub(then))
    });
    DeviceFrames {
        received: after.received.saturating_sub(before.received),
        originated: after.originated.saturating_sub(before.originated),
        split: after.split.saturating_sub(before.split),
        sent: after.sent.saturating_sub(before.sent),
        punted: after.punted.saturating_sub(before.punted),
        answered: after.answered.saturating_sub(before.answered),
        held: after.held - before.held,
        dropped: dropped.filter(|(_, frames)| *frames > 0).collect(),
        idle_turns: after.idle_turns,
    }
}

/// Frames offered that stand in no counter; negative when the counters know of more.
pub fn unaccounted(
    offered: u64,
    arrived: u64,
    device: &DeviceFrames,
    medium_drops: &BTreeMap<String, u64>,
) -> i64 {
    let went_in = i128::from(offered) + i128::from(device.originated) + i128::from(device.split);
    let sum = |counters: &BTreeMap<String, u64>| -> i128 {
        counters.values().map(|frames| i128::from(*frames)).sum()
    };
    let came_out = i128::from(arrived)
        + sum(&device.dropped)
        + i128::from(device.punted)
        + i128::from(device.answered)
        + i128::from(device.held)
        + sum(medium_drops);
    let missing = went_in - came_out;
    i64::try_from(missing).unwrap_or(if missing < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceFrames {
        DeviceFrames {
            received: 1000,
            originated: 3,
            split: 10,
            sent: 900,
            punted: 20,
            answered: 30,
            held: 2,
            dropped: BTreeMap::from([("no_route".to_owned(), 61)]),
            idle_turns: None,
        }
    }

    #[test]
    fn frames_that_are_all_in_some_counter_balance() {
        let drops = BTreeMap::from([("ring_full".to_owned(), 7)]);
        // 1000 got in, 7 more did not; 900 came out.
        assert_eq!(unaccounted(1007, 900, &device(), &drops), 0);
        assert_eq!(unaccounted(1008, 900, &device(), &drops), 1);
        assert_eq!(unaccounted(1007, 902, &device(), &drops), -2);
        assert_eq!(unaccounted(1007, 900, &device(), &BTreeMap::new()), 7);
    }

    #[test]
    fn a_difference_is_taken_field_by_field_and_reason_by_reason() {
        let mut after = device();
        after.received += 5;
        after.held = -1;
        after.dropped.insert("ttl".to_owned(), 4);
        let difference = since(&device(), &after);
        let expected = DeviceFrames {
            received: 5,
            held: -3,
            dropped: BTreeMap::from([("ttl".to_owned(), 4)]),
            ..DeviceFrames::default()
        };
        assert_eq!(difference, expected);
    }
}
