//! Does everything add up? Checksums at the ends, and the fate of every packet.

use std::time::Duration;

use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::plan;
use super::proof::Outcome;
use super::site::{Counts, Side, Site};
use crate::lab::traffic::kernel_counters;
use crate::lab::wait;

/// How long the lab may take to come to rest.
const REST: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// Frames that entered a link at either end, and how many of them never came out at the other.
pub(super) fn crossing(counts: &[Counts; 2], link: usize) -> (u64, u64) {
    let (near, far) = plan::LINKS[link];
    let (near_in, near_out) = counts[0].port(near);
    let (far_in, far_out) = counts[1].port(far);
    let sent = near_out + far_out;
    (sent, sent.saturating_sub(near_in + far_in))
}

fn both(site: &Site) -> Result<[Counts; 2]> {
    Ok([site.counts(Side::Provider)?, site.counts(Side::Microsoft)?])
}

/// What both count as soon as `holds`, or when the lab should long be at rest.
fn at_rest(site: &Site, holds: impl Fn(&[Counts; 2]) -> bool) -> Result<[Counts; 2]> {
    let mut last = both(site);
    wait::until(REST, LOOK, || {
        if last.as_ref().map_or(true, &holds) {
            return true;
        }
        last = both(site);
        false
    });
    last
}

/// No end of the lab saw a broken checksum.
pub(super) fn checksums(site: &Site) -> Result<Outcome> {
    let mut received = 0;
    let mut broken = Vec::new();
    for host in plan::ON_PREMISES.into_iter().chain(plan::IN_AZURE) {
        let counters = kernel_counters(&site.netns(host)?).into_diagnostic()?;
        received += counters.ip_received;
        if counters.checksum_errors() > 0 {
            broken.push(format!("{}: {}", host.name, counters.checksum_errors()));
        }
    }
    let figure = format!("{} of {received} packets at the six hosts", broken.len());
    let figures = json!({ "received": received, "hosts_with_broken": broken });
    Ok(Outcome::new(figure, figures)
        .check(broken.is_empty(), || format!("broken checksums at {}", broken.join(", "))))
}

/// In both processes what came in is what went out, was dropped by name, or was answered; and
/// what one sent on a link the other received.
pub(super) fn links_agree(site: &Site) -> Result<Outcome> {
    let agree =
        |counts: &[Counts; 2]| (0..plan::LINKS.len()).all(|link| crossing(counts, link).1 == 0);
    let counts = at_rest(site, agree)?;
    let [primary, secondary] = [0, 1].map(|link| crossing(&counts, link));
    let figure = format!(
        "primary {} frames, {} lost; secondary {} frames, {} lost",
        primary.0, primary.1, secondary.0, secondary.1
    );
    let figures = json!({
        "primary": { "sent": primary.0, "lost": primary.1 },
        "secondary": { "sent": secondary.0, "lost": secondary.1 },
    });
    Ok(Outcome::new(figure, figures)
        .check(agree(&counts), || "a frame that was sent was not received".to_owned()))
}

/// In both processes the fate of every packet is known.
pub(super) fn balanced(site: &Site) -> Result<Outcome> {
    let balanced = |counts: &[Counts; 2]| counts.iter().all(|own| own.status.accounts.balanced);
    let counts = at_rest(site, balanced)?;
    let [provider, microsoft] = counts.map(|own| own.status.accounts);
    let figure = format!(
        "provider {} in = {} out + {} dropped + {} others; Microsoft {} = {} + {} + {}",
        provider.received + provider.originated + provider.split,
        provider.sent,
        provider.dropped,
        provider.punted + provider.answered + provider.held,
        microsoft.received + microsoft.originated + microsoft.split,
        microsoft.sent,
        microsoft.dropped,
        microsoft.punted + microsoft.answered + microsoft.held,
    );
    let figures = json!({ "provider": provider, "microsoft": microsoft });
    Ok(Outcome::new(figure, figures)
        .check(provider.balanced, || format!("the provider's do not balance: {provider:?}"))
        .check(microsoft.balanced, || format!("Microsoft's do not balance: {microsoft:?}")))
}
