//! Private peering: through the gateway, past it, what is on the wire, and security groups.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::plan::{self, Host};
use super::proof::Outcome;
use super::site::{Side, Site};
use crate::lab::LabError;
use crate::lab::traffic::echo::tcp_request;
use crate::lab::traffic::{
    Capture, CaptureLimits, CapturedFrame, Latency, PingOptions, PingReport, ping, traceroute,
    udp_probe,
};
use crate::wire::{eth, ip4, show, vlan};

/// Requests of a measured ping.
const PINGS: u32 = 50;
/// How long an answer may take that should not come.
const NO_ANSWER: Duration = Duration::from_millis(150);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Requests that a security group is to drop.
const DENIED: u64 = 5;

/// From anywhere, any port.
pub(super) const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

fn ping_from_h1(site: &Site, host: Host) -> Result<PingReport> {
    let options = PingOptions {
        count: PINGS,
        interval: Duration::from_millis(5),
        ..PingOptions::new(host.address)
    };
    ping(&site.netns(plan::H1)?, &options).into_diagnostic()
}

fn p50(report: &PingReport) -> f64 {
    report.rtt.map_or(f64::NAN, |rtt: Latency| rtt.p50_us)
}

fn answered(report: &PingReport) -> String {
    format!("{} of {} answered", report.received, report.sent)
}

/// Packets that the gateway and FastPath counted while `host` was pinged.
fn through(site: &Site, host: Host) -> Result<(PingReport, u64, u64)> {
    let (gateway, fastpath) = site.counts(Side::Microsoft)?.gateway();
    let report = ping_from_h1(site, host)?;
    let expected = gateway + fastpath + u64::from(report.received);
    let after = site.counts_when(Side::Microsoft, |counts| {
        let (gateway, fastpath) = counts.gateway();
        gateway + fastpath >= expected
    })?;
    let (gateway_now, fastpath_now) = after.gateway();
    Ok((report, gateway_now - gateway, fastpath_now - fastpath))
}

/// A VM of the spoke is reached through the hub's gateway, which counts each packet.
pub(super) fn gateway(site: &Site) -> Result<Outcome> {
    let (report, gateway, fastpath) = through(site, plan::APP)?;
    let figure = format!(
        "h1 -> {}: {}, gateway +{gateway} packets, {:.0} us round trip",
        plan::APP.address,
        answered(&report),
        p50(&report)
    );
    let figures =
        json!({ "ping": report, "gateway_packets": gateway, "fastpath_packets": fastpath });
    Ok(Outcome::new(figure, figures)
        .check(report.is_clean(), || format!("not every request was answered once: {report:?}"))
        .check((gateway, fastpath) == (u64::from(PINGS), 0), || {
            format!("of {PINGS} packets {gateway} took the gateway and {fastpath} FastPath")
        }))
}

/// The gateway is a hop that decrements the time to live and says nothing.
pub(super) fn silent_gateway(site: &Site) -> Result<Outcome> {
    let path = traceroute(&site.netns(plan::H1)?, plan::APP.address, 8, NO_ANSWER * 2);
    let path = path.into_diagnostic()?;
    let words: Vec<String> =
        path.iter().map(|hop| hop.map_or("*".to_owned(), |own| own.to_string())).collect();
    let edge = plan::ACCESSES[0].edge;
    let expected = [Some(plan::H1.router), Some(edge), None, Some(plan::APP.address)];
    let figure = format!("traceroute: {}", words.join("  "));
    Ok(Outcome::new(figure, json!({ "hops": path })).check(path == expected, || {
        format!("expected the router, the edge {edge}, silence, and the VM")
    }))
}

/// FastPath goes past the gateway, whose counters stand still.
pub(super) fn fastpath(site: &Site) -> Result<Outcome> {
    let (beside, _, _) = through(site, plan::DATA)?;
    let (report, gateway, fastpath) = through(site, plan::WEB)?;
    let figure = format!(
        "h1 -> {}: {}, gateway +{gateway}, FastPath +{fastpath}, {:.0} us (gateway {:.0} us)",
        plan::WEB.address,
        answered(&report),
        p50(&report),
        p50(&beside)
    );
    let figures = json!({
        "ping": report, "gateway_packets": gateway, "fastpath_packets": fastpath,
        "beside_through_gateway": beside,
    });
    Ok(Outcome::new(figure, figures)
        .check(report.is_clean(), || format!("not every request was answered once: {report:?}"))
        .check((gateway, fastpath) == (0, u64::from(PINGS)), || {
            format!("of {PINGS} packets {gateway} took the gateway and {fastpath} FastPath")
        }))
}

/// A full-size packet passes FastPath; the gateway asks for 1,400 bytes.
pub(super) fn mtu(site: &Site) -> Result<Outcome> {
    const FULL: usize = 1500;
    let h1 = site.netns(plan::H1)?;
    let full = |host: Host| {
        let size = FULL - ip4::HEADER - 8;
        let options = PingOptions {
            size,
            df: true,
            timeout: NO_ANSWER * 2,
            ..PingOptions::new(host.address)
        };
        ping(&h1, &options).into_diagnostic()
    };
    let (fast, slow) = (full(plan::WEB)?, full(plan::DATA)?);
    let told = slow.errors.iter().find(|error| error.is_fragmentation_needed());
    let mtu = told.and_then(|error| error.mtu);
    let from = told.map(|error| error.from);
    let figure = format!(
        "{FULL} bytes: FastPath {}; gateway 0 answered, told {} by {}",
        answered(&fast),
        mtu.map_or("nothing".to_owned(), |mtu| mtu.to_string()),
        from.map_or("nobody".to_owned(), |from| from.to_string()),
    );
    let figures = json!({ "fastpath": fast, "gateway": slow, "told_mtu": mtu });
    Ok(Outcome::new(figure, figures)
        .check(fast.is_clean(), || format!("FastPath does not carry {FULL} bytes: {fast:?}"))
        .check(slow.received == 0 && mtu == Some(1400), || {
            format!("the gateway did not ask for 1400 bytes: {slow:?}")
        })
        .check(from == Some(plan::ACCESSES[0].edge), || "the edge did not say so".to_owned()))
}

/// A real ping carries both tags on the link, both of type 0x8100.
///
/// Frames are captured where they arrive: thruway's own transmissions pass no capture.
pub(super) fn tags(site: &Site) -> Result<Outcome> {
    const ASKED: u32 = 3;
    let [to_azure, to_onprem] = [Side::Microsoft, Side::Provider].map(|side| capture(site, side));
    let (to_azure, to_onprem) = (to_azure?, to_onprem?);
    let options = PingOptions { count: ASKED, ..PingOptions::new(plan::WEB.address) };
    let report = ping(&site.netns(plan::H1)?, &options).into_diagnostic()?;
    let (requests, replies) = (arrived(to_azure)?, arrived(to_onprem)?);
    let right = |frames: &[CapturedFrame]| frames.iter().filter(|frame| is_tagged(frame)).count();
    let (out, back) = (right(&requests), right(&replies));
    let figure = format!(
        "{out} requests and {back} replies on the links, S-tag {}, C-tag {}, both 0x8100",
        plan::S_TAG,
        plan::PRIVATE_TAG
    );
    let all = requests.len() + replies.len();
    let first = requests.first().into_iter().chain(replies.first());
    let lines: Vec<String> = first.map(|frame| show::show(&frame.bytes)).collect();
    let figures = json!({
        "requests": out, "replies": back, "frames": lines,
        "s_tag": plan::S_TAG, "c_tag": plan::PRIVATE_TAG,
    });
    let asked = ASKED as usize;
    Ok(Outcome::new(figure, figures)
        .check(report.is_clean(), || format!("the ping was not answered: {report:?}"))
        .check((out, back, all) == (asked, asked, 2 * asked), || {
            format!("{all} frames crossed: {lines:?}")
        }))
}

/// What arrives at one side's ends of both links.
fn capture(site: &Site, side: Side) -> Result<Vec<Capture>> {
    let limits = CaptureLimits { frames: 100, time: Duration::from_secs(5), ..Default::default() };
    let arrives = |frame: &CapturedFrame| !frame.outgoing && about_web(frame);
    let ends = site.link_ends(side)?;
    ends.iter().map(|end| Capture::start(end, limits, arrives).into_diagnostic()).collect()
}

fn arrived(captures: Vec<Capture>) -> Result<Vec<CapturedFrame>> {
    let frames: Result<Vec<_>> =
        captures.into_iter().map(|own| own.finish().into_diagnostic()).collect();
    Ok(frames?.concat())
}

/// Whether a frame has both tags of the private peering, and IPv4 in them.
fn is_tagged(frame: &CapturedFrame) -> bool {
    let types = [12, 16, 20].map(|at| word(&frame.bytes, at));
    let tags = [14, 18].map(|at| word(&frame.bytes, at) & vlan::VID);
    types == [eth::ether_type::VLAN, eth::ether_type::VLAN, eth::ether_type::IP4]
        && tags == [plan::S_TAG, plan::PRIVATE_TAG]
}

/// Whether a frame is between h1 and the web VM, in whatever tags.
fn about_web(frame: &CapturedFrame) -> bool {
    let has = |address: Ipv4Addr| frame.bytes.windows(4).any(|bytes| bytes == address.octets());
    has(plan::H1.address) && has(plan::WEB.address)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))
}

/// A security group's rule drops what it names, and nothing else.
pub(super) fn nsg(site: &Site) -> Result<Outcome> {
    let h1 = site.netns(plan::H1)?;
    let open = SocketAddrV4::new(plan::WEB.address, plan::ECHO_PORT);
    let closed = SocketAddrV4::new(plan::WEB.address, plan::CLOSED_PORT);
    let before = site.counts(Side::Microsoft)?.dropped("nsg_denied");
    let mut came_through = 0;
    for _ in 0..DENIED {
        let reply = udp_probe(&h1, ANY, closed, b"is this open?", NO_ANSWER).into_diagnostic()?;
        came_through += u32::from(reply.is_some());
    }
    let denied = |own: &super::site::Counts| own.dropped("nsg_denied") - before;
    let dropped = denied(&site.counts_when(Side::Microsoft, |own| denied(own) >= DENIED)?);
    let connected = match tcp_request(&h1, ANY, closed, b"telnet", NO_ANSWER) {
        Ok(_) => true,
        Err(LabError::Timeout { .. }) => false,
        Err(other) => return Err(other).into_diagnostic(),
    };
    let udp = udp_probe(&h1, ANY, open, b"and this?", ANSWER).into_diagnostic()?;
    let tcp = tcp_request(&h1, ANY, open, b"and this?", ANSWER).into_diagnostic()?;
    let figure = format!(
        "port {}: {dropped} of {DENIED} dropped as nsg_denied, no TCP; port {}: UDP and TCP answer",
        plan::CLOSED_PORT,
        plan::ECHO_PORT
    );
    let figures = json!({ "sent": DENIED, "nsg_denied": dropped, "answered": came_through });
    Ok(Outcome::new(figure, figures)
        .check(dropped == DENIED && came_through == 0, || {
            format!("{dropped} were dropped as nsg_denied and {came_through} answered")
        })
        .check(!connected, || "a TCP connection to the closed port came about".to_owned())
        .check(tcp.intact && udp.is_some_and(|reply| reply.intact), || {
            "the open port did not answer rightly".to_owned()
        }))
}
