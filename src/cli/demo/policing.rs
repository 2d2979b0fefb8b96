//! Policing: more than the bandwidth comes in, the bandwidth comes out, and the rest is counted.

use std::net::SocketAddrV4;
use std::time::Duration;

use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::plan::{self, Host};
use super::private::ANY;
use super::proof::Outcome;
use super::site::{Counts, Side, Site};
use crate::control::view::Meter;
use crate::lab::traffic::{Capture, CaptureLimits, CapturedFrame, UdpOptions, udp_paced};
use crate::wire::{eth, ip4, udp};

/// What is offered: 1.5 times the bandwidth.
const OFFERED_BPS: u64 = plan::BANDWIDTH_BPS / 2 * 3;
/// How long.
const TIME: Duration = Duration::from_millis(3600);
/// When the burst is used up for sure: 50 ms of tokens last 100 ms at 1.5 times the bandwidth.
const AFTER_NS: u64 = 400_000_000;
/// What is measured from there on.
const WINDOW_NS: u64 = 3_000_000_000;
/// How far off the delivered rate may be, in percent.
const TOLERANCE: f64 = 2.0;
const PAYLOAD: usize = 1400;

/// Towards Azure.
pub(super) fn to_azure(site: &Site) -> Result<Outcome> {
    measure(site, plan::H1, plan::WEB, |own| own.in_policed)
}

/// Towards on-premises.
pub(super) fn to_onprem(site: &Site) -> Result<Outcome> {
    measure(site, plan::WEB, plan::H1, |own| own.out_policed)
}

fn policed(site: &Site, of: fn(&Meter) -> u64, least: u64) -> Result<u64> {
    let sum = |sides: [Counts; 2]| sides.iter().map(|own| own.meters(of)).sum::<u64>();
    let edge = site.counts(Side::Microsoft)?.meters(of);
    let enough = |own: &Counts| own.meters(of) + edge >= least;
    Ok(sum([site.counts_when(Side::Provider, enough)?, site.counts(Side::Microsoft)?]))
}

fn measure(site: &Site, from: Host, to: Host, of: fn(&Meter) -> u64) -> Result<Outcome> {
    let before = policed(site, of, 0)?;
    let limits = CaptureLimits { frames: 200_000, time: Duration::from_secs(20), snap: 64 };
    let size = eth::HEADER + ip4::HEADER + udp::HEADER + PAYLOAD;
    let ours = move |frame: &CapturedFrame| !frame.outgoing && frame.wire_len == size;
    let capture = Capture::start(&site.interface(to)?, limits, ours).into_diagnostic()?;
    let options = UdpOptions {
        source: ANY,
        rate_bps: OFFERED_BPS,
        payload: PAYLOAD,
        duration: TIME,
        ..UdpOptions::new(SocketAddrV4::new(to.address, 0))
    };
    let report = udp_paced(&site.netns(from)?, &site.netns(to)?, &options).into_diagnostic()?;
    let frames = capture.finish().into_diagnostic()?;
    let lost = report.lost().saturating_sub(report.receiver_drops);
    let policed = policed(site, of, before + lost)? - before;
    let delivered = rate_mbit(&frames);
    let configured = mega(plan::BANDWIDTH_BPS);
    let offered = report.offered_l3_bps / 1e6;
    let off = (delivered / configured - 1.0) * 100.0;
    let figure = format!(
        "{} -> {}: {offered:.1} Mbit/s in, {delivered:.2} out of {configured:.0} ({off:+.2} %), \
         {lost} lost, {policed} policed",
        from.name, to.name
    );
    let figures = json!({
        "offered_mbit_s": offered, "delivered_mbit_s": delivered,
        "configured_mbit_s": configured, "off_percent": off,
        "lost": lost, "policed": policed, "udp": report,
    });
    Ok(Outcome::new(figure, figures)
        .check(offered > configured * 1.2, || {
            format!("this machine offered {offered:.1} Mbit/s only: it is too busy to measure")
        })
        .check(off.abs() <= TOLERANCE, || {
            format!("{delivered:.2} Mbit/s are {off:+.2} % off, more than {TOLERANCE} %")
        })
        .check(lost == policed, || format!("{lost} packets were lost and {policed} policed")))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mega(value: u64) -> f64 {
    value as f64 / 1e6
}

/// Rate of IPv4 packets in Mbit/s over the window, by the kernel's receive times.
fn rate_mbit(frames: &[CapturedFrame]) -> f64 {
    let Some(start) = frames.first().map(|frame| frame.at_ns + AFTER_NS) else { return 0.0 };
    let window = start..start + WINDOW_NS;
    let inside = frames.iter().filter(|frame| window.contains(&frame.at_ns));
    let bytes: usize = inside.map(|frame| frame.wire_len - eth::HEADER).sum();
    // Megabits over seconds are bits over microseconds.
    mega(bytes as u64 * 8) / (mega(WINDOW_NS) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_window_and_of_layer_3() {
        // 1,000-byte packets every 200 us: 40 Mbit/s; and a burst before the window.
        let frame = |at_ns| CapturedFrame {
            at_ns,
            outgoing: false,
            checksum_partial: false,
            wire_len: 1014,
            bytes: Vec::new(),
        };
        let burst = (0..500).map(|_| frame(7));
        let steady = (1..20_000).map(|n| frame(7 + n * 200_000));
        let frames: Vec<_> = burst.chain(steady).collect();
        assert!((rate_mbit(&frames) - 40.0).abs() < 0.01, "{}", rate_mbit(&frames));
        assert!(rate_mbit(&[]).abs() < f64::EPSILON);
    }
}
