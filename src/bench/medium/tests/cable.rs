//! The tester on interfaces of somebody's lab.

use std::time::Duration;

use super::support::*;
use crate::bench::medium::cable::{Cable, Side};
use crate::bench::medium::{Device, cable};
use crate::lab::{Interface, Netns, veth};
use crate::time::Span;
use crate::wire::build::Packet;
use crate::wire::eth::MacAddr;

const SOON: Duration = Duration::from_secs(5);

/// A host with two interfaces, and a router that they are cabled to.
struct Lab {
    host: Netns,
    /// The router's ends.
    far: [Interface; 2],
    near: [Interface; 2],
}

fn lab_with_router() -> Option<Lab> {
    let [host, router] = ["host", "router"].map(|name| lab(Netns::new(name).map_err(Into::into)));
    let (host, router) = (host?, router?);
    for netns in [&host, &router] {
        netns.silence_ip6().unwrap();
    }
    let pair = |near: &str, far: &str, address: &str| {
        let (near, far) = veth((&host, near), (&router, far)).unwrap();
        far.add_address(address.parse().unwrap()).unwrap();
        far.offloads_off().unwrap();
        near.offloads_off().unwrap();
        far.up().unwrap();
        (near, far)
    };
    let (near_0, far_0) = pair("x0", "y0", "198.18.0.1/24");
    let (near_1, far_1) = pair("x1", "y1", "198.19.0.1/16");
    router.make_router().unwrap();
    Some(Lab { host, far: [far_0, far_1], near: [near_0, near_1] })
}

fn sides() -> [Side; 2] {
    [
        Side {
            interface: "x0".into(),
            address: "198.18.0.2/24".parse().unwrap(),
            hosts: Vec::new(),
            gateway: Some([198, 18, 0, 1].into()),
            mac: None,
        },
        Side {
            interface: "x1".into(),
            address: "198.19.0.2/16".parse().unwrap(),
            hosts: vec!["198.19.0.0/16".parse().unwrap()],
            gateway: Some([198, 19, 0, 1].into()),
            mac: None,
        },
    ]
}

#[test]
fn a_routers_mac_addresses_are_found_and_its_questions_answered() {
    let Some(own) = lab_with_router() else { return };
    own.host
        .run(|| {
            let mut cable = Cable::open(&sides(), 60, false).unwrap();
            let macs = own.far.each_ref().map(|far| far.mac().unwrap());
            assert_eq!(cable.next(), macs);
            let [src, at] = cable.own();
            let tally = send_paced(cable.tester(), 0, 2_000, 10_000, |probe| {
                let mut payload = [0; 18];
                probe.write(&mut payload);
                // Ten hosts behind the router, each of which it has to ask for.
                let host = u8::try_from(probe.seq % 10).unwrap();
                let packet =
                    Packet::ip4([198, 18, 0, 2], [198, 19, 7, host]).udp(1024, 9, &payload);
                packet.eth(src, macs[0]).build()
            });
            tally.check_whole();
            let arrived = &tally.received[&0][0];
            assert_eq!((&arrived[..6], &arrived[6..12]), (&at.0[..], &macs[1].0[..]));
        })
        .unwrap();
    let known = |end: &Interface| {
        end.netns().run(|| std::fs::read_to_string("/proc/thread-self/net/arp")).unwrap().unwrap()
    };
    assert!(known(&own.far[1]).contains("198.19.7.9"), "the router asked");
}

#[test]
fn a_hosts_own_interfaces_are_refused_unless_allowed() {
    let Some(own) = lab_with_router() else { return };
    own.near[1].add_address("192.0.2.1/24".parse().unwrap()).unwrap();
    own.host
        .run(|| {
            let error = Cable::open(&sides(), 60, false).unwrap_err().to_string();
            assert!(error.contains("`x1` has the address 192.0.2.1"), "{error}");
            assert!(Cable::open(&sides(), 60, true).is_ok());
        })
        .unwrap();
}

#[test]
fn what_is_wrong_with_the_lab_is_said() {
    let Some(own) = lab_with_router() else { return };
    own.host
        .run(|| {
            let refused = |sides: &[Side; 2], largest| {
                Cable::open(sides, largest, false).unwrap_err().to_string()
            };
            let with = |change: fn(&mut [Side; 2])| {
                let mut sides = sides();
                change(&mut sides);
                sides
            };
            let error = refused(&with(|sides| sides[0].interface = "x7".into()), 60);
            assert!(error.contains("no interface `x7`"), "{error}");
            let error = refused(&sides(), 1522);
            assert!(error.contains("an MTU of 1500 and frames of 1522 bytes need 1504"), "{error}");
            let error = refused(&with(|sides| sides[1].gateway = Some([198, 19, 0, 9].into())), 60);
            assert!(error.contains("who has 198.19.0.9, tell 198.19.0.2\" on x1"), "{error}");
            own.far[0].down().unwrap();
            let error = refused(&sides(), 60);
            assert!(error.contains("`x0` has no link"), "{error}");
        })
        .unwrap();
}

#[test]
fn a_forwarding_host_is_refused_the_interfaces_own_mac_address() {
    let Some(own) = lab_with_router() else { return };
    own.host.make_router().unwrap();
    let hardware: MacAddr = own.near[0].mac().unwrap();
    own.host
        .run(|| {
            let mut sides = sides();
            assert!(Cable::open(&sides, 60, false).is_ok());
            sides[0].mac = Some(hardware);
            let error = Cable::open(&sides, 60, false).unwrap_err().to_string();
            assert!(error.contains("net.ipv4.conf.x0.forwarding=0"), "{error}");
        })
        .unwrap();
}

#[test]
fn a_loop_calibrates_itself_and_says_so_when_there_is_none() {
    let Some(host) = lab(Netns::new("host").map_err(Into::into)) else { return };
    host.silence_ip6().unwrap();
    let (near, far) = veth((&host, "x0"), (&host, "x1")).unwrap();
    near.up().unwrap();
    far.up().unwrap();
    far.wait_carrier(true, SOON).unwrap();
    let mut sides = sides();
    sides.iter_mut().for_each(|side| side.gateway = None);
    host.run(|| {
        let mut cable = Cable::open(&sides, 60, false).unwrap();
        assert_eq!(cable.next(), [cable.own()[1], cable.own()[0]]);
        let time = Span::millis(100);
        let (figures, note) = cable.calibrate(true, &cores(), time).unwrap();
        assert!(figures.sent.value > 1000.0 && figures.received.value > 1000.0, "{figures:?}");
        assert!(note.contains("cabled to each other"));
    })
    .unwrap();
    drop((near, far));
    let Some(own) = lab_with_router() else { return };
    own.host
        .run(|| {
            let mut cable = Cable::open(&sides, 60, false).unwrap();
            let error = cable.calibrate(true, &cores(), Span::millis(50)).unwrap_err().to_string();
            assert!(error.contains("with --loop the two interfaces must be cabled"), "{error}");
        })
        .unwrap();
}

#[test]
fn an_unknown_forwarder_keeps_no_accounts() {
    let mut device = cable::Unknown::new("box");
    assert_eq!(device.name(), "box");
    assert_eq!(device.accounts().unwrap(), None);
    assert!(!device.reset().unwrap());
}
