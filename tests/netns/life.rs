//! Links that are cut and return, ports that disappear and return, and the end.

use std::time::Duration;

use rustix::process::Signal;
use thruway::control::api::Topic;
use thruway::lab::{Netns, Route, wait};

use crate::config::{End, Medium, Processes};
use crate::fixture::{FAST, GATEWAY, Net, SERVICE, SOON, Setup, with};
use crate::programs::{output, ping_all, ping_counts, start, warm_up};

const LOOK: Duration = Duration::from_millis(10);

fn state(net: &Net, port: &str) -> String {
    let all = net.ask(Topic::Ports);
    let mut rows = all.iter().flat_map(|rows| rows.as_array().unwrap());
    let row = rows.find(|row| row["name"] == port).unwrap();
    row["state"].as_str().unwrap().to_owned()
}

#[test]
fn traffic_moves_to_the_other_link_within_a_second_and_back_on_taps() {
    moves_and_returns(Setup { medium: Medium::Tap, workers: 1, processes: Processes::Two });
}

#[test]
fn traffic_moves_to_the_other_link_within_a_second_and_back_on_packet_ports() {
    let medium = Medium::Veth { offloads: true };
    moves_and_returns(Setup { medium, workers: 2, processes: Processes::Two });
}

#[test]
fn traffic_moves_to_the_other_link_within_a_second_and_back_on_xdp_ports() {
    let medium = Medium::Xdp { mode: "native" };
    moves_and_returns(Setup { medium, workers: 1, processes: Processes::Two });
}

fn moves_and_returns(setup: Setup) {
    with(setup, &["ping"], |net| {
        [FAST, SERVICE].iter().for_each(|address| warm_up(net, address));
        let primary = net.provider.interface("pe-pri");
        let sent = |port: &str| net.outer(port).counters().unwrap().tx_packets;
        // Every 20 ms on both peerings: a second is 50 requests.
        let pings = [FAST, SERVICE].map(|address| {
            let words = ["ping", "-n", "-i", "0.02", "-c", "200", "-w", "8", address];
            start(net.onprem(), &words)
        });
        let reached = |seq: &str| {
            let seq = format!("icmp_seq={seq} ");
            pings.iter().for_each(|ping| {
                ping.wait_line("an answer", SOON, |line| line.contains(&seq)).unwrap();
            });
        };
        reached("20");
        primary.down().unwrap();
        reached("100");
        assert!(!net.outer("cp1").carrier().unwrap(), "the loss is passed on");
        assert!(!net.outer("cm1").carrier().unwrap());
        primary.up().unwrap();
        net.outer("cp1").wait_carrier(true, SOON).unwrap();
        let before = (sent("cp1"), sent("cm1"));
        for ping in pings {
            ping.wait(Duration::from_secs(10)).unwrap();
            let (requests, answers) = ping_counts(&ping.lines());
            assert!(requests - answers < 50, "{answers} of {requests}");
        }
        [FAST, SERVICE].iter().for_each(|address| warm_up(net, address));
        assert!(sent("cp1") > before.0 && sent("cm1") > before.1, "the primary is used again");
    });
}

#[test]
fn a_packet_port_that_disappears_comes_back() {
    disappears_and_comes_back(Medium::Veth { offloads: true });
}

#[test]
fn an_xdp_port_that_disappears_comes_back() {
    disappears_and_comes_back(Medium::Xdp { mode: "native" });
}

#[test]
fn a_killed_thruway_leaves_no_program_at_its_interfaces() {
    let medium = Medium::Xdp { mode: "native" };
    let setup = Setup { medium, workers: 1, processes: Processes::One };
    with(setup, &["ping", "ip"], |net| {
        warm_up(net, FAST);
        let has_program = |net: &Net| {
            let shown = output(net.own(End::Vm), &["ip", "link", "show", "dev", "t-hub"]);
            shown.iter().any(|line| line.contains("xdp"))
        };
        assert!(has_program(net));
        let all = net.ask(Topic::Ports);
        assert!(all[0].as_array().unwrap().iter().any(|port| port["kind"] == "xdp native"));
        for (process, socket) in net.running.drain(..) {
            process.kill().unwrap();
            process.wait(SOON).unwrap();
            std::fs::remove_file(socket).unwrap();
        }
        assert!(wait::until(SOON, LOOK, || !has_program(net)));
        net.run();
        warm_up(net, FAST);
        ping_all(net, FAST, &["-c", "20", "-i", "0.02"]);
    });
}

fn disappears_and_comes_back(medium: Medium) {
    let setup = Setup { medium, workers: 2, processes: Processes::One };
    with(setup, &["ping"], |net| {
        warm_up(net, FAST);
        let inner = net.own(End::Vm).interface("t-hub");
        inner.delete().unwrap();
        assert!(wait::until(SOON, LOOK, || state(net, "hub") == "gone"));
        ping_all(net, SERVICE, &["-c", "5", "-i", "0.05"]);
        let ping = start(net.onprem(), &["ping", "-n", "-c", "3", "-i", "0.05", "-W1", FAST]);
        assert!(!ping.wait(SOON).unwrap().success());

        net.lay_wire("hub");
        net.outer("hub").add_address(format!("{FAST}/24").parse().unwrap()).unwrap();
        net.address_vm();
        assert!(wait::until(SOON, LOOK, || state(net, "hub") == "up"));
        for address in [FAST, GATEWAY] {
            warm_up(net, address);
            ping_all(net, address, &["-c", "20", "-i", "0.02"]);
        }
    });
}

#[test]
fn a_tap_that_is_moved_by_hand_goes_on_where_it_is() {
    let setup = Setup { medium: Medium::Tap, workers: 2, processes: Processes::One };
    with(setup, &["ping", "ip"], |net| {
        warm_up(net, FAST);
        let there = Netns::new("elsewhere").unwrap();
        let path = there.path();
        output(net.end_of(End::Vm), &["ip", "link", "set", "hub", "netns", path.to_str().unwrap()]);
        let hub = there.interface("hub");
        assert!(wait::until(SOON, LOOK, || state(net, "hub") == "down"), "{}", state(net, "hub"));
        hub.up().unwrap();
        hub.add_address(format!("{FAST}/24").parse().unwrap()).unwrap();
        let route = Route::via("0.0.0.0/0".parse().unwrap(), "10.10.1.1".parse().unwrap());
        there.add_route(&route).unwrap();
        assert!(wait::until(SOON, LOOK, || state(net, "hub") == "up"));
        warm_up(net, FAST);
        ping_all(net, FAST, &["-c", "20", "-i", "0.02"]);
        assert!(!net.outer("hub").exists().unwrap(), "no second one was made");
        assert!(hub.exists().unwrap());
    });
}

#[test]
fn an_interrupt_ends_it_cleanly_in_the_middle_of_traffic() {
    let setup = Setup { medium: Medium::Tap, workers: 2, processes: Processes::One };
    with(setup, &["ping"], |net| {
        warm_up(net, FAST);
        let flood = start(net.onprem(), &["ping", "-n", "-i", "0.002", "-w", "8", FAST]);
        flood.wait_line("answers", SOON, |line| line.contains("icmp_seq=50 ")).unwrap();
        net.end(Signal::INT);
        flood.kill().unwrap();
    });
}
