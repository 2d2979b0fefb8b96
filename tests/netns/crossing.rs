//! Everything crosses, whatever it crosses on: private peering past and through the gateway, and
//! Microsoft peering with NAT; ping, a flood, TCP in both directions, UDP, a file by HTTP.

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, GATEWAY, Net, SERVICE, Setup, with};
use crate::programs::{fetch, iperf3, ping_all, received, warm_up};

/// Bytes of each TCP transfer. iperf3 stops when the sender's socket has taken them, and counts what
/// the receiver has read by then: this has to be far more than both sockets hold.
const BULK: u64 = 64 << 20;
/// The same where a narrow and policed way makes it long.
const SLOW_BULK: u64 = 32 << 20;

fn everything(net: &mut Net) {
    for address in [FAST, GATEWAY, SERVICE] {
        warm_up(net, address);
        ping_all(net, address, &["-f", "-c", "500"]);
        let bulk = BULK.to_string();
        for direction in [&[][..], &["-R"]] {
            let words = [&["-C", "cubic", "-n", &bulk], direction].concat();
            let report = iperf3(net, address, &words);
            assert!(received(&report) >= BULK / 2, "{address} {words:?}: {}", report["end"]);
        }
        let before = net.lost();
        let report = iperf3(net, address, &["-u", "-b", "40M", "-l", "1300", "-n", "2M"]);
        let sum = &report["end"]["sum"];
        let lost = sum["lost_packets"].as_u64().unwrap();
        assert!(sum["packets"].as_u64().unwrap() > 1000, "{sum}");
        assert!(lost <= net.lost() - before, "{lost} datagrams vanished: {sum}");
        assert_eq!(sum["out_of_order"].as_u64().unwrap_or(0), 0, "{sum}");
        let content: Vec<u8> = (0..300_000u32).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect();
        fetch(net, address, net.folder.path(), &content);
    }
    // What came in as super-frames left so, but for segments that were dropped: beyond 10 Gbit/s,
    // and too big for the gateway.
    let (split, dropped) = (net.account("split"), net.account("dropped"));
    assert!(split <= dropped, "{split} made by cutting, {dropped} dropped");
    // None come to an xdp port, nor from kernels without offloads.
    if !matches!(net.medium(), Medium::Veth { offloads: false } | Medium::Xdp { .. }) {
        let average = net.bytes_a_frame("cm1") + net.bytes_a_frame("cm2");
        assert!(average > 2000, "super-frames came in: {average} bytes a frame");
    }
}

/// On a link that TCP fills, and with a way out that takes less than the sender sends at first.
fn what_does_not_fit_is_cut(net: &mut Net) {
    for address in [FAST, SERVICE] {
        warm_up(net, address);
        for direction in [&[][..], &["-R"]] {
            let bulk = SLOW_BULK.to_string();
            let words = [&["-C", "cubic", "-n", &bulk], direction].concat();
            let report = iperf3(net, address, &words);
            assert!(received(&report) >= SLOW_BULK / 2, "{address} {words:?}: {}", report["end"]);
            let end = &report["end"]["sum_received"];
            assert!(end["bits_per_second"].as_f64().unwrap() < 1.2 * 500e6, "{end}");
        }
        let content: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect();
        fetch(net, address, net.folder.path(), &content);
    }
    assert!(net.dropped("policed") > 0, "TCP fills the link");
    assert!(net.account("split") > 0, "some segments of super-frames had no room");
    assert!(net.dropped("fragmentation_needed") > 0, "the service's port is narrow");
}

#[test]
fn super_frames_from_taps_leave_by_narrow_and_policed_ways_in_part() {
    for workers in [1, 2] {
        let setup = Setup { medium: Medium::Mixed, workers, processes: Processes::One };
        let needed = ["ping", "iperf3", "curl", "python3"];
        with(setup, &needed, what_does_not_fit_is_cut);
    }
}

fn everything_crosses(medium: Medium, workers: u8, processes: Processes) {
    with(Setup { medium, workers, processes }, &["ping", "iperf3", "curl", "python3"], everything);
}

#[test]
fn everything_crosses_taps_with_one_worker() {
    everything_crosses(Medium::Tap, 1, Processes::One);
}

#[test]
fn everything_crosses_taps_and_tagged_links_with_two_workers() {
    everything_crosses(Medium::Tap, 2, Processes::Two);
}

#[test]
fn everything_crosses_packet_ports_whose_peers_send_super_frames() {
    everything_crosses(Medium::Veth { offloads: true }, 1, Processes::One);
}

#[test]
fn everything_crosses_packet_ports_with_two_workers() {
    everything_crosses(Medium::Veth { offloads: true }, 2, Processes::One);
}

#[test]
fn everything_crosses_packet_ports_without_offloads() {
    everything_crosses(Medium::Veth { offloads: false }, 1, Processes::Two);
}

#[test]
fn everything_crosses_xdp_ports_in_native_mode_with_one_worker() {
    everything_crosses(Medium::Xdp { mode: "native" }, 1, Processes::One);
}

#[test]
fn everything_crosses_xdp_ports_and_tagged_links_with_two_workers() {
    everything_crosses(Medium::Xdp { mode: "native" }, 2, Processes::Two);
}

#[test]
fn everything_crosses_xdp_ports_in_generic_mode() {
    everything_crosses(Medium::Xdp { mode: "generic" }, 1, Processes::One);
}
