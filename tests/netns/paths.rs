//! What the way looks like: path MTU, traceroute, fragments, tags on the link, many flows, files.

use crate::config::{Medium, Processes};
use crate::fixture::{FAST, GATEWAY, HOST, SERVICE, SOON, Setup, with};
use crate::programs::{fetch, iperf3, output, ping_all, received, run, start, warm_up};

const TAPS: Setup = Setup { medium: Medium::Tap, workers: 1, processes: Processes::One };
/// The other kind of port, whose ends leave checksums partial, and flows spread over workers.
const VETHS: Setup =
    Setup { medium: Medium::Veth { offloads: true }, workers: 2, processes: Processes::Two };

#[test]
fn the_path_mtu_is_found_and_fragments_cross_taps() {
    mtu_and_fragments(TAPS);
}

#[test]
fn the_path_mtu_is_found_and_fragments_cross_packet_ports() {
    mtu_and_fragments(VETHS);
}

fn mtu_and_fragments(setup: Setup) {
    with(setup, &["ping", "curl", "python3"], |net| {
        [FAST, GATEWAY, SERVICE].iter().for_each(|address| warm_up(net, address));
        // 1,500 bytes pass by FastPath and on the Microsoft peering, 1,400 through the gateway.
        for (address, size) in [(FAST, "1472"), (SERVICE, "1472"), (GATEWAY, "1372")] {
            ping_all(net, address, &["-c", "3", "-i", "0.1", "-M", "do", "-s", size]);
        }
        let before = net.dropped("gateway_too_big");
        let words = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1373", GATEWAY];
        let (good, lines) = run(net.onprem(), &words);
        assert!(!good && lines.iter().any(|line| line.contains("mtu = 1400")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("From 172.16.0.2")), "{lines:#?}");
        assert_eq!(net.dropped("gateway_too_big"), before + 1);

        // 3,000 bytes in fragments; NAT translates them all. Each ping is a flow of its own, and all
        // fragments of an answer take one of the two links.
        for address in [FAST, SERVICE] {
            for _ in 0..10 {
                ping_all(net, address, &["-c", "1", "-s", "3000"]);
            }
        }
        // The gateway drops fragments by name.
        let before = net.dropped("gateway_fragment");
        let (good, _) = run(net.onprem(), &["ping", "-n", "-c1", "-W1", "-s", "3000", GATEWAY]);
        assert!(!good && net.dropped("gateway_fragment") > before);

        let content: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect();
        for address in [FAST, GATEWAY, SERVICE] {
            fetch(net, address, net.folder.path(), &content);
        }
    });
}

#[test]
fn traceroute_shows_the_edge_on_both_peerings_over_taps() {
    traceroute(TAPS);
}

#[test]
fn traceroute_shows_the_edge_on_both_peerings_over_packet_ports() {
    traceroute(VETHS);
}

fn traceroute(setup: Setup) {
    with(setup, &["traceroute", "ping"], |net| {
        let way = |end: &str, to: &str| -> Vec<String> {
            let words = ["traceroute", "-n", "-q1", "-w2", "-N1", "-m5", to];
            let lines = output(net.at(end), &words);
            let hop = |line: &String| line.split_whitespace().nth(1).unwrap_or("").to_owned();
            lines[1..].iter().map(hop).collect()
        };
        [FAST, GATEWAY, SERVICE].iter().for_each(|address| warm_up(net, address));
        assert_eq!(way(HOST, FAST), ["172.16.0.2", FAST]);
        // The gateway decrements the time to live and is silent.
        assert_eq!(way(HOST, GATEWAY), ["172.16.0.2", "*", GATEWAY]);
        // The edge's error comes back through NAT.
        assert_eq!(way(HOST, SERVICE), ["203.0.113.2", SERVICE]);
        assert_eq!(way(FAST, HOST), ["10.10.1.1", HOST]);
    });
}

#[test]
fn a_hundred_flows_cross_at_once_and_links_carry_two_tags() {
    let setup = Setup { medium: Medium::Tap, workers: 2, processes: Processes::Two };
    with(setup, &["iperf3", "tcpdump", "ping"], |net| {
        [FAST, SERVICE].iter().for_each(|address| warm_up(net, address));
        let capture = ["tcpdump", "-lnei", "msee-pri", "-c", "400", "-s", "64"];
        let capture = start(&net.edge, &capture);
        capture.wait_line("tcpdump", SOON, |line| line.contains("listening on")).unwrap();
        for address in [FAST, SERVICE] {
            let report = iperf3(net, address, &["-P", "100", "-t", "1", "-C", "cubic"]);
            let flows = report["end"]["streams"].as_array().unwrap();
            assert_eq!(flows.len(), 100);
            assert!(received(&report) > 1_000_000, "{}", report["end"]["sum_received"]);
        }
        capture.wait(SOON).unwrap();
        let frames: Vec<_> =
            capture.lines().into_iter().filter(|line| line.contains("ethertype")).collect();
        let tagged = |line: &String| line.contains("vlan 1001") && line.contains("vlan 200");
        assert!(frames.len() >= 400 && frames.iter().all(tagged), "{:#?}", &frames[..3]);
    });
}
