//! For how long did traffic stop? Three answers from one lane at a constant rate, and whether they
//! agree (RFC 6201 sections 3 and 4, for 1 and 2).
//!
//! 1. *by loss*: frames lost, over the rate.
//! 2. *by time*: from the arrival of the last frame before the longest silence to that of the
//!    first after it.
//! 3. *by gap*: the longest run of lost numbers, in due time.
//!
//! Duplicates never offset losses. The resolution of all three is one frame's interval.

use super::LaneRun;
use super::tally::spread::float;
use crate::bench::record::Quantity;

/// How long traffic stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    /// Lost frames over rate.
    pub by_loss: Quantity,
    /// From the last frame before to the first after, by arrival.
    pub by_time: Quantity,
    /// The longest run of lost numbers, in due time.
    pub by_gap: Quantity,
    /// Whether the three agree, in a sentence.
    pub agreement: String,
    /// Longest gap of each flow: least, median, 95th percentile, most; those of flows that lost
    /// nothing are 0. The whole lane is one flow when flows were not kept apart.
    pub by_flow: [Quantity; 4],
}

impl Outage {
    /// Of a lane at `rate` frames a second that loses `baseline` frames without any outage.
    pub fn of(lane: &LaneRun, rate: f64, baseline: u64) -> Self {
        let by_loss = (lane.frames.lost.max(0) as f64 - float(baseline)).max(0.0) / rate;
        let by_time = lane.silence.map_or(0.0, |s| float(s.to_ns - s.from_ns) / 1e9);
        let by_gap = lane.gaps.iter().map(|gap| gap.length.value).fold(0.0, f64::max);
        let mut flows: Vec<f64> =
            lane.flow_gaps.iter().map(|gap| float(gap.length_ns) / 1e9).collect();
        if flows.is_empty() {
            flows.push(by_gap);
        }
        flows.sort_unstable_by(f64::total_cmp);
        let [by_loss_, by_time, by_gap_] = [by_loss, by_time, by_gap].map(Quantity::seconds);
        Self {
            by_loss: by_loss_,
            by_time,
            by_gap: by_gap_,
            agreement: agreement(lane, by_loss, by_gap, rate),
            by_flow: [0, 50, 95, 100].map(|percent| Quantity::seconds(rank(&flows, percent))),
        }
    }
}

/// The least value that so many percent of a sorted list do not exceed.
fn rank(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

fn agreement(lane: &LaneRun, by_loss: f64, by_gap: f64, rate: f64) -> String {
    let apart = by_loss - by_gap;
    if lane.frames.lost <= 0 {
        "no frame was lost".to_owned()
    } else if apart.abs() <= 2.0 / rate {
        "a clean cut: the frames lost and the longest gap agree".to_owned()
    } else if apart > 0.0 {
        format!(
            "more was lost than the longest gap holds: {} gaps, or some flows alone",
            lane.gap_count
        )
    } else {
        format!(
            "less was lost than the longest gap holds: frames were held back, the longest for {}",
            Quantity::nanos(float(lane.intended.max()))
        )
    }
}
