//! How long after an overload is all well again (RFC 2544 section 26.5)? Until the last frame is
//! lost, and until latency is what it was.

use super::Run;
use super::tally::Slice;
use super::tally::spread::float;
use crate::time::Span;

/// Frames whose mean latency is compared with the usual one.
pub const FRAMES: u64 = 10_000;
/// How far the mean may be from the usual one.
pub const WITHIN: f64 = 0.1;

/// From `at` to the due time of the last lost frame of all lanes; zero when nothing was lost
/// after it.
pub fn to_last_loss(run: &Run, at: Span) -> Span {
    let last = run.lanes.iter().filter_map(|lane| lane.last_lost_ns).max();
    Span(last.unwrap_or(0).saturating_sub(at.0))
}

/// From `at` until the mean latency of [`FRAMES`] frames is at most [`WITHIN`] over `usual_ns`:
/// the begin of the first row of slices with so many frames for which that holds. `None` when
/// that does not happen, or the trial has no timeline.
pub fn to_usual_latency(run: &Run, at: Span, usual_ns: f64) -> Option<Span> {
    let (width_ns, slices) = sum(run)?;
    let first = usize::try_from(at.0.div_ceil(width_ns)).ok()?;
    for begin in first..slices.len() {
        let (mut frames, mut latency) = (0, 0);
        for slice in &slices[begin..] {
            frames += slice.received;
            latency += slice.latency_sum_ns;
            if frames >= FRAMES {
                break;
            }
        }
        if frames < FRAMES {
            return None;
        }
        if float(latency) / float(frames) <= usual_ns * (1.0 + WITHIN) {
            return Some(Span((begin as u64 * width_ns).saturating_sub(at.0)));
        }
    }
    None
}

/// Mean latency of the frames that were due between two times; `None` when none arrived, or the
/// trial has no timeline.
pub fn mean_latency_ns(run: &Run, from: Span, to: Span) -> Option<f64> {
    let (width_ns, slices) = sum(run)?;
    let place = |span: Span| usize::try_from(span.0 / width_ns).unwrap_or(usize::MAX);
    let within = slices.get(place(from)..place(to).min(slices.len()))?;
    let frames: u64 = within.iter().map(|slice| slice.received).sum();
    let latency: u64 = within.iter().map(|slice| slice.latency_sum_ns).sum();
    (frames > 0).then(|| float(latency) / float(frames))
}

/// All lanes' slices and their width.
fn sum(run: &Run) -> Option<(u64, Vec<Slice>)> {
    let first = run.lanes.first()?;
    let width_ns = Some(first.timeline.width_ns()).filter(|width| *width > 0)?;
    let mut all = vec![Slice::default(); first.timeline.slices().len()];
    for lane in &run.lanes {
        for (sum, one) in all.iter_mut().zip(lane.timeline.slices()) {
            sum.received += one.received;
            sum.latency_sum_ns += one.latency_sum_ns;
        }
    }
    Some((width_ns, all))
}
