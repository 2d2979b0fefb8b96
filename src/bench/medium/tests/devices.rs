//! Frames through the kernel and the null forwarder, every one accounted for.

use std::collections::BTreeSet;

use super::support::*;
use crate::bench::medium::device::{Beyond, Kernel, Nat, Null, Router, Testpmd};
use crate::bench::medium::{Device, Intake, Site, Sockets, Tester};
use crate::bench::record::trial::DeviceFrames;
use crate::lab::{Netns, veth};
use crate::time::Span;
use crate::wire::vlan::TagStack;

/// Sends a second's worth on both lanes and holds every frame against the device's accounts. Where
/// the queue into the device is short, a busy machine may lose some, by name.
fn conserves(site: &Site, device: &mut impl Device, short_queue: bool) {
    let mut tester = site.tester().unwrap();
    for lane in [0, 1] {
        let before = device.accounts().unwrap().unwrap();
        let tally = send_paced(&mut tester, lane, 10_000, 10_000, |probe| {
            frame(lane, 60, TagStack::UNTAGGED, probe)
        });
        let after = device.accounts().unwrap().unwrap();
        let lost = tally.drops.iter().map(|(_, count)| count).sum::<u64>();
        let dropped = |frames: &DeviceFrames| frames.dropped.values().sum::<u64>();
        assert_eq!(tally.sent, tally.unique() + lost + dropped(&after) - dropped(&before));
        assert_eq!(after.received - before.received, 10_000);
        if !short_queue {
            tally.check_whole();
        }
        assert!(tally.unique() > 1000 && tally.foreign.is_empty(), "{:?}", tally.foreign.first());
    }
}

#[test]
fn the_kernel_forwards_and_every_frame_is_accounted_for() {
    for intake in [Intake::Sender, Intake::Steered, Intake::Thread] {
        let Some(site) = lab(Site::veth(&plan(60), &cores(), intake)) else { return };
        let mut kernel = Kernel::start(&site, &router(None)).unwrap();
        conserves(&site, &mut kernel, intake != Intake::Sender);
        assert_eq!(kernel.threads().len(), if intake == Intake::Thread { 2 } else { 0 });
    }
}

#[test]
fn a_router_between_two_sides_knows_all_of_both() {
    let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
    let side =
        |next_hop, prefix: &str| Beyond { next_hop, prefixes: vec![prefix.parse().unwrap()] };
    let sides = [side(CE, "10.0.0.0/16"), side(VM, "10.10.0.0/16")];
    let mut kernel = Kernel::start(&site, &Router::between(sides, None)).unwrap();
    conserves(&site, &mut kernel, false);
}

#[test]
fn what_the_kernel_does_not_forward_has_a_reason() {
    let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
    let mut kernel = Kernel::start(&site, &router(None)).unwrap();
    let mut tester = site.tester().unwrap();
    let expired = |probe: &_| {
        let mut bytes = frame(0, 60, TagStack::UNTAGGED, probe);
        // A time to live of 1 with the checksum for it (RFC 1624).
        bytes[22] = 1;
        bytes[24..26].fill(0);
        let sum = crate::wire::checksum::of(&bytes[14..34]);
        bytes[24..26].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let bytes = expired(&Default::default());
    for _ in 0..5 {
        tester
            .send(0, 1, |room| {
                room[..60].copy_from_slice(&bytes);
                60
            })
            .unwrap();
    }
    let told = || kernel.accounts().unwrap().unwrap().dropped.get("ip_header_or_ttl") == Some(&5);
    assert!(crate::lab::wait::until(
        std::time::Duration::from_secs(3),
        std::time::Duration::from_millis(10),
        told
    ));
}

#[test]
fn the_null_forwarder_moves_every_frame_unchanged() {
    let Some(site) = lab(Site::veth(&plan(1522), &cores(), Intake::Sender)) else { return };
    let mut null = Null::start(&site).unwrap();
    conserves(&site, &mut null, false);
    let mut tester = site.tester().unwrap();
    let written = |probe: &_| frame(0, 1522, TagStack::double(9, 9), probe);
    let tally = send_paced(&mut tester, 0, 500, 10_000, written);
    tally.check_whole();
    for (seq, copies) in tally.received {
        let probe = crate::bench::traffic::Probe { trial: 7, stream: 3, seq, due_ns: 0 };
        assert_eq!(copies[0], written(&probe));
    }
    assert_eq!(null.threads()[0].0, "null");
}

#[test]
fn the_null_forwarder_works_on_tap_devices() {
    let Some(site) = lab(Site::tap(&plan(60), &cores())) else { return };
    let mut null = Null::start(&site).unwrap();
    conserves(&site, &mut null, false);
}

#[test]
fn nft_translates_sources_and_a_reset_forgets_them() {
    if std::process::Command::new("nft").arg("--version").output().is_err() {
        println!("skipped: the program nft is not installed");
        return;
    }
    let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
    let pool = Some(([203, 0, 113, 64].into(), [203, 0, 113, 65].into()));
    let nat = Nat { inside: "10.0.0.0/8".parse().unwrap(), pool, out: 1, sessions: 1000 };
    let mut kernel = Kernel::start(&site, &router(Some(nat))).unwrap();
    let mut tester = site.tester().unwrap();
    let tally =
        send_paced(&mut tester, 0, 6_400, 10_000, |probe| frame(0, 60, TagStack::UNTAGGED, probe));
    tally.check_whole();
    let mut outside = BTreeSet::new();
    for copies in tally.received.values() {
        let (address, port) = source(&copies[0]);
        assert!([[203, 0, 113, 64], [203, 0, 113, 65]].contains(&address.octets()), "{address}");
        outside.insert((address, port));
    }
    assert_eq!(outside.len(), 64, "a translation for each flow, always the same");
    assert_eq!(kernel.sessions().unwrap(), 64);
    assert!(kernel.reset().unwrap());
    assert_eq!(kernel.sessions().unwrap(), 0);
}

#[test]
fn a_kernel_between_tap_devices_is_refused() {
    let Some(site) = lab(Site::tap(&plan(60), &cores())) else { return };
    let error = Kernel::start(&site, &router(None)).unwrap_err();
    assert!(error.to_string().contains("choose the veth medium"), "{error}");
}

#[test]
fn testpmd_moves_every_frame_and_accounts_for_it() {
    if std::process::Command::new("dpdk-testpmd").arg("--version").output().is_err() {
        println!("skipped: the program dpdk-testpmd is not installed");
        return;
    }
    for xdp in [false, true] {
        let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
        let mut testpmd = Testpmd::start(&site, xdp).unwrap();
        conserves(&site, &mut testpmd, true);
        assert_eq!(testpmd.threads().len(), 1, "{:?}", testpmd.threads());
        let id = testpmd.id();
        drop(testpmd);
        assert!(!std::path::Path::new("/proc").join(id.to_string()).exists());
    }
}

#[test]
fn a_missing_testpmd_is_named_with_the_way_to_get_it() {
    let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
    let error = Testpmd::start_program(&site, false, "no-such-testpmd").unwrap_err().to_string();
    assert!(error.contains("no-such-testpmd is not installed: install DPDK"), "{error}");
}

#[test]
fn a_black_out_lets_nothing_cross_and_is_counted() {
    let Some(site) = lab(Site::veth(&plan(60), &cores(), Intake::Sender)) else { return };
    let mut null = Null::start(&site).unwrap();
    let mut tester = site.tester().unwrap();
    let crossed = |tester: &mut Sockets, count| {
        send_paced(tester, 0, count, 10_000, |probe| frame(0, 60, TagStack::UNTAGGED, probe))
            .unique()
    };
    null.switch().black_out(Span::secs(60));
    assert_eq!(crossed(&mut tester, 100), 0);
    let told = null.accounts().unwrap().unwrap();
    assert_eq!((told.received, told.dropped["black_out"]), (100, 100));
    null.switch().black_out(Span::ZERO);
    assert_eq!(crossed(&mut tester, 100), 100);
}

#[test]
fn namespaces_go_with_the_site_and_take_everything_along() {
    let sites = [Site::veth(&plan(60), &cores(), Intake::Thread), Site::tap(&plan(60), &cores())];
    for site in sites {
        let Some(site) = lab(site) else { return };
        // What shares a wire with a namespace sees it go.
        let kept = Netns::new("kept").unwrap();
        let watch = |netns: &Netns, name: &str| {
            let (ours, _theirs) = veth((&kept, name), (netns, "watched")).unwrap();
            ours
        };
        let watches = [watch(site.device_netns(), "d"), watch(site.tester_netns(), "t")];
        let tester = site.tester().unwrap();
        let null = Null::start(&site).unwrap();
        drop((tester, null, site));
        for ours in watches {
            ours.wait_gone(std::time::Duration::from_secs(10)).unwrap();
        }
    }
}
