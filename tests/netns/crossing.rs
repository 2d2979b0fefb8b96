//! Everything crosses, whatever it crosses on: private peering past and through the gateway, and
//! Microsoft peering with NAT; ping, a flood, TCP in both directions, UDP, a file by HTTP.

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, GATEWAY, Net, SERVICE, Setup, with};
use crate::programs::{fetch, iperf3, ping_all, received, warm_up};

/// Bytes of each TCP transfer.
const BULK: u64 = 8 << 20;

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
    // No traffic of this machine exceeds 10 Gbit/s for the 10 ms of the burst.
    assert_eq!(net.dropped("policed"), 0);
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
