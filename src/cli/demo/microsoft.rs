//! Microsoft peering: NAT, what goes around it, and the loss of a link under a translated flow.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::plan;
use super::private::ANY;
use super::proof::Outcome;
use super::site::{Counts, Side, Site};
use crate::lab::traffic::echo::tcp_request;
use crate::lab::traffic::{
    Amount, PingOptions, TcpOptions, TcpReport, Way, ping, start_tcp, udp_probe,
};
use crate::lab::wait;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a carrier may take to follow.
const CARRIER: Duration = Duration::from_secs(3);

/// The public service sees an address of the pool.
pub(super) fn nat(site: &Site) -> Result<Outcome> {
    let h1 = site.netns(plan::H1)?;
    let to = SocketAddrV4::new(plan::SERVICE.address, plan::ECHO_PORT);
    let udp = udp_probe(&h1, ANY, to, b"who am I?", ANSWER).into_diagnostic()?;
    let tcp = tcp_request(&h1, ANY, to, b"who am I?", ANSWER).into_diagnostic()?;
    let seen: Vec<SocketAddrV4> =
        udp.iter().map(|reply| reply.seen_as).chain([tcp.seen_as]).collect();
    let strangers: Vec<SocketAddrV4> = site.service_peers();
    let intact = tcp.intact && udp.as_ref().is_some_and(|reply| reply.intact);
    let shown: Vec<String> = seen.iter().map(ToString::to_string).collect();
    let figure = format!(
        "{} -> {to}: the service saw {}",
        plan::H1.address,
        shown.join(" (UDP), ") + " (TCP)"
    );
    let figures = json!({ "seen_as": shown, "pool": plan::POOL.to_string(), "tcp_us": tcp.micros });
    Ok(Outcome::new(figure, figures)
        .check(intact, || "a request was not answered rightly".to_owned())
        .check(strangers.iter().all(|peer| plan::POOL.contains(peer.ip())), || {
            format!("the service saw addresses outside {}: {strangers:?}", plan::POOL)
        }))
}

/// A private source that NAT does not know is dropped by its name at the edge.
pub(super) fn untranslated(site: &Site) -> Result<Outcome> {
    const SENT: u32 = 5;
    const REASON: &str = "source_not_public";
    let before = site.counts(Side::Microsoft)?.dropped(REASON);
    let options = PingOptions {
        count: SENT,
        source: Some(plan::UNTRANSLATED),
        timeout: Duration::from_millis(150),
        ..PingOptions::new(plan::SERVICE.address)
    };
    let report = ping(&site.netns(plan::H2)?, &options).into_diagnostic()?;
    let dropped = |own: &Counts| own.dropped(REASON) - before;
    let after = site.counts_when(Side::Microsoft, |own| dropped(own) >= u64::from(SENT))?;
    let dropped = dropped(&after);
    let figure = format!(
        "{} -> {}: {dropped} of {SENT} dropped as {REASON}, {} answered",
        plan::UNTRANSLATED,
        plan::SERVICE.address,
        report.received
    );
    let figures = json!({ "sent": SENT, REASON: dropped, "answered": report.received });
    Ok(Outcome::new(figure, figures)
        .check(dropped == u64::from(SENT) && report.received == 0, || {
            format!("{dropped} of {SENT} were dropped as {REASON}")
        }))
}

/// Connections each way under which the primary link is cut: those towards Azure are on it by the
/// customer's metric, those towards on-premises on either link.
const CONNECTIONS: u16 = 4;
/// Payload rate of each: together below the bandwidth.
const PACE_BPS: u64 = 4_000_000;
/// Payload each way: 3 seconds at the pace.
const BYTES: u64 = CONNECTIONS as u64 * PACE_BPS / 8 * 3;

/// The primary link is cut under NATed transfers: they complete over the secondary.
pub(super) fn link_cut(site: &Site) -> Result<Outcome> {
    let (h1, service) = (site.netns(plan::H1)?, site.netns(plan::SERVICE)?);
    let options = |way| TcpOptions {
        way,
        amount: Amount::Bytes(BYTES / u64::from(CONNECTIONS)),
        parallel: CONNECTIONS,
        pace_bps: Some(PACE_BPS),
        ..TcpOptions::new(SocketAddrV4::new(plan::SERVICE.address, 0))
    };
    let before = Wire::read(site)?;
    let up = start_tcp(&h1, &service, &options(Way::Upload)).into_diagnostic()?;
    let down = start_tcp(&h1, &service, &options(Way::Download)).into_diagnostic()?;
    let third = || up.bytes() > BYTES / 3 && down.bytes() > BYTES / 3;
    wait::until(Duration::from_secs(10), Duration::from_millis(5), third);
    let at_cut = up.bytes().min(down.bytes());
    let edge_end = site.link_ends(Side::Microsoft)?[0].clone();
    edge_end.down().into_diagnostic()?;
    let transfers = [up.join(), down.join()].map(IntoDiagnostic::into_diagnostic);
    let after = Wire::read(site)?;
    edge_end.up().into_diagnostic()?;
    edge_end.wait_carrier(true, CARRIER).into_diagnostic()?;
    let access = site.space("ce")?.interface(plan::ACCESSES[2].interface);
    access.wait_carrier(true, CARRIER).into_diagnostic()?;

    let [up, down] = transfers;
    Ok(judge(at_cut, [up?, down?], &before, &after))
}

fn judge(at_cut: u64, transfers: [TcpReport; 2], before: &Wire, after: &Wire) -> Outcome {
    let lost = after.lost.saturating_sub(before.lost);
    let secondary = after.secondary - before.secondary;
    let dropped = after.dropped_since(before);
    let named: u64 = dropped.values().sum();
    let stall = transfers.iter().map(|own| own.longest_stall_ms).fold(0.0, f64::max);
    let resent: u64 = transfers.iter().map(|own| own.retransmits).sum();
    let bytes: u64 = transfers.iter().map(|own| own.bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let megabytes = bytes as f64 / 1e6;
    let figure = format!(
        "{megabytes:.0} MB up and down complete; {} packets lost, {resent} sent again, \
         {stall:.0} ms stall",
        lost + named
    );
    let figures = json!({
        "bytes": bytes, "bytes_at_cut": at_cut, "lost_on_the_link": lost, "dropped": dropped,
        "retransmits": resent, "longest_stall_ms": stall, "frames_on_secondary": secondary,
        "transfers": transfers,
    });
    let whole = transfers.iter().all(|own| own.complete && own.intact && own.bytes == BYTES);
    let pool = |own: &TcpReport| own.peers.iter().all(|peer| plan::POOL.contains(peer.ip()));
    Outcome::new(figure, figures)
        .check(whole, || format!("a transfer did not complete: {transfers:?}"))
        .check(transfers.iter().all(pool), || "the service saw no address of the pool".to_owned())
        .check(at_cut < BYTES, || "the transfers were over before the cut".to_owned())
        .check(secondary > 0, || "nothing crossed the secondary link".to_owned())
}

/// What crossed the links, and what did not.
struct Wire {
    /// Frames sent on the primary link that never came out of it.
    lost: u64,
    /// Frames that left on the secondary link, either way.
    secondary: u64,
    dropped: BTreeMap<String, u64>,
}

impl Wire {
    fn read(site: &Site) -> Result<Self> {
        let counts = [site.counts(Side::Provider)?, site.counts(Side::Microsoft)?];
        let (_, lost) = super::accounting::crossing(&counts, 0);
        let (secondary, _) = super::accounting::crossing(&counts, 1);
        let drops = counts.iter().flat_map(|own| &own.status.drops);
        let mut dropped = BTreeMap::new();
        for own in drops {
            *dropped.entry(own.reason.clone()).or_default() += own.packets;
        }
        Ok(Self { lost, secondary, dropped })
    }

    /// Packets dropped since `earlier`, by reason.
    fn dropped_since(&self, earlier: &Self) -> BTreeMap<String, u64> {
        let since = |(reason, now): (&String, &u64)| {
            let new = now - earlier.dropped.get(reason).copied().unwrap_or(0);
            (new > 0).then(|| (reason.clone(), new))
        };
        self.dropped.iter().filter_map(since).collect()
    }
}
