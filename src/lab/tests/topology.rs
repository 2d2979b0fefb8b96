//! Namespaces, interfaces and routes.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::{SOON, ip, lab, net, pair, routed, wire};
use crate::lab::traffic::{PingOptions, ping, start_ping, traceroute};
use crate::lab::{Hop, LabError, Netns, Route, Scratch, enter_user_namespace, wait};
use crate::wire::eth::MacAddr;

fn interfaces(netns: &Netns) -> BTreeSet<String> {
    let text = netns.run(|| fs::read_to_string("/proc/thread-self/net/dev")).unwrap().unwrap();
    let names = text.lines().skip(2).filter_map(|line| line.split(':').next());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn a_new_namespace_has_a_loopback_alone_and_is_no_one_else_s() {
    let Some(mut lab) = lab() else { return };
    let a = lab.netns("a").unwrap();
    // Tunnel drivers put fallback interfaces into each namespace; a real one is none of them.
    assert!(interfaces(&a).contains("lo") && !interfaces(&a).contains("eth0"));
    assert!(ping(&a, &PingOptions::new(ip("127.0.0.1"))).unwrap().is_clean());
    let inode = |path: &str| fs::read_link(path).unwrap();
    let ours = inode("/proc/thread-self/ns/net");
    assert_ne!(a.run(|| inode("/proc/thread-self/ns/net")).unwrap(), ours);
    assert_eq!(inode("/proc/thread-self/ns/net"), ours, "the caller's thread stays where it is");
}

#[test]
fn a_namespace_goes_with_its_last_handle_and_takes_its_wires_along() {
    let Some(mut lab) = lab() else { return };
    let kept = lab.netns("kept").unwrap();
    let gone = Netns::new("gone").unwrap();
    assert!(fs::read_link(gone.path()).unwrap().to_string_lossy().starts_with("net:["));
    let (near, far) = wire((&kept, "near", "10.9.0.1/24"), (&gone, "far", "10.9.0.2/24"));
    drop(gone);
    assert!(near.wait_gone(Duration::from_millis(50)).is_err(), "far holds its namespace");
    drop(far);
    near.wait_gone(SOON).unwrap();
}

#[test]
fn a_multithreaded_process_is_told_why_it_cannot_enter_a_user_namespace() {
    // The test harness has threads, so the kernel always refuses here.
    let error = enter_user_namespace().unwrap_err();
    assert!(matches!(error, LabError::NotPermitted { .. }), "{error}");
}

#[test]
fn interfaces_take_addresses_mtu_mac_and_neighbours() {
    let Some(pair) = pair() else { return };
    let mac: MacAddr = "02:00:00:00:09:01".parse().unwrap();
    pair.left.set_mac(mac).unwrap();
    assert_eq!(pair.left.mac().unwrap(), mac);
    for end in [&pair.left, &pair.right] {
        end.set_mtu(1504).unwrap();
        end.offloads_off().unwrap();
    }
    let mut large = PingOptions::new(ip("10.9.0.2"));
    (large.size, large.df) = (1504 - 28, true);
    assert!(ping(&pair.a, &large).unwrap().is_clean());
    large.size += 1;
    let refused = ping(&pair.a, &large).unwrap();
    assert_eq!((refused.sent, refused.refused), (0, 3));
    assert!(refused.refusal.unwrap().contains("too long"));

    pair.right.remove_address(net("10.9.0.2/24")).unwrap();
    pair.right.add_address(net("10.9.0.3/24")).unwrap();
    pair.left.add_neighbour(ip("10.9.0.2"), pair.right.mac().unwrap()).unwrap();
    let mut brief = PingOptions::new(ip("10.9.0.2"));
    brief.timeout = Duration::from_millis(50);
    let before = pair.right.counters().unwrap();
    assert_eq!(ping(&pair.a, &brief).unwrap().received, 0);
    assert!(pair.right.counters().unwrap().rx_packets >= before.rx_packets + 3);

    pair.left.delete().unwrap();
    pair.right.wait_gone(SOON).unwrap();
    let error = pair.left.up().unwrap_err();
    assert_eq!(error.to_string(), "no interface left in namespace a");
}

#[test]
fn a_cut_wire_loses_packets_until_it_is_back() {
    let Some(pair) = pair() else { return };
    let mut options = PingOptions::new(ip("10.9.0.2"));
    (options.count, options.interval) = (10_000, Duration::from_millis(5));
    options.timeout = Duration::from_millis(100);
    let task = start_ping(&pair.a, &options).unwrap();
    let before = pair.right.counters().unwrap().rx_packets;
    let moving = |from: u64| {
        wait::until(SOON, Duration::from_millis(2), || {
            pair.right.counters().unwrap().rx_packets > from + 5
        })
    };
    assert!(moving(before));
    pair.right.down().unwrap();
    pair.left.wait_carrier(false, SOON).unwrap();
    wait::until(Duration::from_millis(60), Duration::from_millis(60), || false);
    pair.right.up().unwrap();
    pair.left.wait_carrier(true, SOON).unwrap();
    assert!(moving(pair.right.counters().unwrap().rx_packets));
    let report = task.finish().unwrap();
    assert!(report.longest_loss + report.refused >= 5, "{report:?}");
    assert!(report.received >= 10, "{report:?}");
}

#[test]
fn the_way_shows_routers_and_their_complaints() {
    let Some(net3) = routed() else { return };
    let way = traceroute(&net3.a, ip("10.2.0.1"), 8, Duration::from_secs(1)).unwrap();
    assert_eq!(way, [Some(ip("10.1.0.254")), Some(ip("10.2.0.1"))]);
    net3.router.sysctl("net/ipv4/icmp_ratelimit", "0").unwrap();

    let mut options = PingOptions::new(ip("10.2.0.1"));
    (options.ttl, options.timeout) = (Some(1), Duration::from_millis(100));
    let report = ping(&net3.a, &options).unwrap();
    assert!(report.errors.len() == 1 && report.errors[0].is_ttl_exceeded(), "{report:?}");
    assert_eq!((report.errors[0].from, report.errors[0].count), (ip("10.1.0.254"), 3));

    net3.router.interface("to-b").set_mtu(1400).unwrap();
    options.ttl = None;
    (options.size, options.df) = (1400 - 28, true);
    assert!(ping(&net3.a, &options).unwrap().is_clean());
    options.size += 1;
    let report = ping(&net3.a, &options).unwrap();
    assert_eq!(report.received, 0);
    assert!(report.errors[0].is_fragmentation_needed());
    assert_eq!(report.errors[0].mtu, Some(1400));
    options.df = false;
    assert!(ping(&net3.a, &options).unwrap().is_clean(), "the router fragments");
}

#[test]
fn a_silent_hop_is_a_gap_in_the_way() {
    let Some(net3) = routed() else { return };
    let way = |timeout| traceroute(&net3.a, ip("10.2.0.1"), 4, timeout).unwrap();
    // Longer than the minute of credit that the kernel starts with, so it never may answer.
    net3.router.sysctl("net/ipv4/icmp_ratelimit", "600000").unwrap();
    let found = way(Duration::from_millis(200));
    assert_eq!(found, [None, Some(ip("10.2.0.1"))]);
    net3.router.add_route(&Route::blackhole(net("10.3.0.0/24"))).unwrap();
    assert_eq!(traceroute(&net3.a, ip("10.3.0.1"), 4, Duration::from_millis(50)).unwrap(), []);
}

#[test]
fn routes_obey_metric_and_replacement() {
    let Some(mut lab) = lab() else { return };
    let (a, b, c) = (lab.netns("a").unwrap(), lab.netns("b").unwrap(), lab.netns("c").unwrap());
    wire((&a, "to-b", "10.1.0.1/24"), (&b, "to-a", "10.1.0.2/24"));
    wire((&a, "to-c", "10.2.0.1/24"), (&c, "to-a", "10.2.0.2/24"));
    let service = net("198.51.100.0/24");
    for server in [&b, &c] {
        server.add_route(&Route::local(service)).unwrap();
        server.add_route(&Route::via(net("0.0.0.0/0"), ip("10.1.0.1")).on("to-a")).unwrap_or_else(
            |_| server.add_route(&Route::via(net("0.0.0.0/0"), ip("10.2.0.1"))).unwrap(),
        );
    }
    let received = |server: &Netns| server.interface("to-a").counters().unwrap().rx_packets;
    let goes_to_b = || {
        let before = (received(&b), received(&c));
        assert!(ping(&a, &PingOptions::new(ip("198.51.100.77"))).unwrap().is_clean());
        let (to_b, to_c) = (received(&b) - before.0, received(&c) - before.1);
        assert!(to_b.max(to_c) >= 3, "{to_b} {to_c}");
        to_b > to_c
    };
    let via_b = Route::via(service, ip("10.1.0.2")).metric(10);
    let via_c = Route::via(service, ip("10.2.0.2")).metric(20);
    a.add_route(&via_c).unwrap();
    assert!(!goes_to_b());
    a.add_route(&via_b).unwrap();
    assert!(goes_to_b());
    a.replace_route(&Route::via(service, ip("10.2.0.2")).metric(10)).unwrap();
    assert!(!goes_to_b());
    a.remove_route(&via_c).unwrap();
    a.replace_route(&Route::blackhole(service).metric(10)).unwrap();
    let report = ping(&a, &PingOptions::new(ip("198.51.100.77"))).unwrap();
    assert_eq!((report.received, report.refused), (0, 3));
    let hops = [("10.1.0.2", "to-b"), ("10.2.0.2", "to-c")];
    let hops = hops.map(|(via, dev)| Hop { via: Some(ip(via)), dev: Some(dev.into()) });
    a.replace_route(&Route::multipath(service, hops.to_vec()).metric(10)).unwrap();
    assert!(ping(&a, &PingOptions::new(ip("198.51.100.77"))).unwrap().is_clean());
}

#[test]
fn a_folder_in_memory_is_found_by_its_path_and_goes_with_its_holder() {
    if lab().is_none() {
        return;
    }
    let folder = Scratch::new("test").unwrap();
    assert!(folder.on_disk().is_none());
    let path = folder.path();
    let (file, socket) = (path.join("file"), path.join("socket"));
    std::fs::write(&file, "text").unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let seen = std::process::Command::new("cat").arg(&file).output().unwrap();
    assert_eq!(seen.stdout, b"text", "by another process");
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&path.display().to_string()));
    drop((folder, listener));
    assert!(!file.exists());
}
