//! Does the benchmark's lab measure a running thruway? On veth pairs and on TAP devices every frame
//! is in thruway's accounts or arrives, and nothing is left afterwards.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use thruway::bench::medium::device::{Thruway, ThruwaySpec};
use thruway::bench::medium::{
    Cores, Device, Intake, MediumError, Plan, Site, Sockets, Tester, Wire,
};
use thruway::bench::record::trial::DeviceFrames;
use thruway::bench::traffic::Probe;
use thruway::io::clock;
use thruway::lab::LabError;
use thruway::lab::traffic::Station;
use thruway::model::Role;
use thruway::time::Span;
use thruway::wire::build::Packet;
use thruway::wire::eth::MacAddr;

use crate::fixture::program;

pub(crate) const CE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xce]);
pub(crate) const VM: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
pub(crate) const EDGE: MacAddr = MacAddr([2, 0, 0, 0, 1, 0xce]);
const SUBNET: MacAddr = MacAddr([2, 0, 0, 0, 1, 0x0a]);
/// A host on-premises.
pub(crate) const HOST: [u8; 4] = [10, 0, 7, 1];
/// A VM that FastPath leads to, and a service.
pub(crate) const VMS: [u8; 4] = [10, 10, 1, 4];
const PATIENCE: Span = Span::secs(5);

pub(crate) fn plan(largest: usize) -> Plan {
    let ce = Station::new("172.16.0.1/32".parse().unwrap(), CE).router([172, 16, 0, 2].into());
    let vms = Station::new("10.10.1.4/31".parse().unwrap(), VM).router([10, 10, 1, 1].into());
    let wire = |name: &str, mac, station| Wire::new(name).device_mac(mac).station(station);
    Plan::pair(wire("ce", EDGE, ce), wire("hub", SUBNET, vms), largest)
}

fn config(site: &Site) -> String {
    let port = |wire: usize, mac: MacAddr| {
        let name = site.tester_ends()[wire].name();
        format!("[[port]]\nname = {name:?}\nmac = \"{mac}\"\n{}", site.port_lines(wire))
    };
    port(0, EDGE) + &port(1, SUBNET) + NETWORK
}

const NETWORK: &str = r#"
[service]
limits = "off"

[[port]]
name = "spare"
memory = true
[[port]]
name = "idle"
memory = true
[[cable]]
ends = ["spare", "idle"]

[circuit.bench]
provider = "Lab Exchange"
peering_location = "Amsterdam"
bandwidth = "10 Gbps"
encapsulation = "Untagged"
links = { primary = "ce", secondary = "spare" }

[circuit.bench.private]
vlan = 200
peer_asn = 65010
primary_subnet = "172.16.0.0/30"
secondary_subnet = "172.16.0.4/30"

[[route]]
circuit = "bench"
peering = "private"
prefix = "10.0.0.0/16"
link = "primary"

[vnet.hub]
region = "West Europe"
address_space = ["10.10.0.0/16"]
subnets = { vms = { prefix = "10.10.1.0/24", port = "hub" } }
gateway = { type = "ExpressRoute", sku = "ErGw3AZ", subnet = "10.10.255.0/27" }

[vnet.hub.nic.fast]
ip = "10.10.1.4"

[[connection]]
circuit = "bench"
vnet = "hub"
fastpath = true
"#;

const PROVIDER: &str = r#"
[service]
limits = "off"

[[port]]
name = "spare"
memory = true
[[port]]
name = "spare-link"
memory = true
[[cable]]
ends = ["spare", "spare-link"]
[[port]]
name = "edge-1"
memory = true
[[port]]
name = "edge-2"
memory = true
[[cable]]
ends = ["edge-1", "edge-2"]

[circuit.bench]
provider = "Lab Exchange"
peering_location = "Amsterdam"
bandwidth = "10 Gbps"
encapsulation = "Untagged"
links = { primary = "edge-1", secondary = "edge-2" }

[circuit.bench.microsoft]
vlan = 300
peer_asn = 65010
subnet = "203.0.113.0/29"
advertised_public_prefixes = ["203.0.113.64/26"]

[provider.bench]
circuit = "bench"
links = { primary = "hub", secondary = "spare-link" }
microsoft = { primary = { port = "ce", untagged = true }, secondary = { port = "spare", untagged = true } }

[provider.bench.nat]
inside = ["10.0.0.0/16"]
pool = ["203.0.113.64/28"]

[[route]]
circuit = "bench"
peering = "microsoft"
prefix = "203.0.113.64/26"
"#;

fn site(made: Result<Site, MediumError>) -> Option<Site> {
    match made {
        Ok(site) => Some(site),
        Err(MediumError::Lab(error @ LabError::NotPermitted { .. })) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn start(site: &Site, poll: bool) -> Thruway {
    let spec =
        ThruwaySpec { program: Some(program()), poll, ..ThruwaySpec::new(config(site), Role::All) };
    Thruway::start(site, spec).unwrap()
}

/// A provider edge that translates, untagged at both ends.
pub(crate) fn start_provider(site: &Site) -> Thruway {
    let port = |wire: usize, mac: MacAddr| {
        let name = site.tester_ends()[wire].name();
        format!("[[port]]\nname = {name:?}\nmac = \"{mac}\"\n{}", site.port_lines(wire))
    };
    let spec = ThruwaySpec {
        program: Some(program()),
        ..ThruwaySpec::new(port(0, EDGE) + &port(1, SUBNET) + PROVIDER, Role::Provider)
    };
    Thruway::start(site, spec).unwrap()
}

fn frame(lane: usize, probe: &Probe, room: &mut [u8]) -> usize {
    let mut payload = [0; 18];
    probe.write(&mut payload);
    let bytes = match lane {
        0 => Packet::ip4(HOST, VMS).udp(1024, 9, &payload).eth(CE, EDGE).build(),
        _ => Packet::ip4(VMS, HOST).udp(9, 1024, &payload).eth(VM, SUBNET).build(),
    };
    room[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

/// Sends 10,000 frames in a second; how many arrived once, and what the medium lost.
fn second(tester: &mut impl Tester, lane: usize) -> (u64, u64) {
    const COUNT: u64 = 10_000;
    tester.drops().unwrap();
    let mut seen = vec![0_u8; usize::try_from(COUNT).unwrap()];
    let (mut sent, mut arrived) = (0, 0);
    let start = clock::now();
    let mut last = start;
    while sent < COUNT || (arrived < COUNT && clock::now().since(last) < PATIENCE) {
        let due = clock::now().since(start).0 / 100_000 + 1;
        let want = usize::try_from(due.min(COUNT) - sent).unwrap();
        let taken = tester
            .send(lane, want, |room| {
                let probe = Probe { trial: 1, stream: 0, seq: sent, due_ns: 0 };
                sent += 1;
                frame(lane, &probe, room)
            })
            .unwrap();
        if taken > 0 {
            last = clock::now();
        }
        tester
            .receive(lane, |bytes| {
                let probe = Probe::read(&bytes[42..]).expect("nothing else comes out");
                let times = &mut seen[usize::try_from(probe.seq).unwrap()];
                *times += 1;
                assert_eq!(*times, 1, "frame {} came twice", probe.seq);
                arrived += 1;
            })
            .unwrap();
    }
    (arrived, tester.drops().unwrap().iter().map(|(_, count)| count).sum())
}

/// What goes into a device and comes out of it by no wire, without what it received.
fn balance(frames: &DeviceFrames) -> i64 {
    let signed = |count: u64| i64::try_from(count).unwrap();
    let ends = frames.dropped.values().sum::<u64>() + frames.punted + frames.answered;
    signed(ends) + frames.held - signed(frames.originated + frames.split)
}

/// Every frame arrives or stands in an account. The customer's other link is one inside thruway,
/// whose edge asks there for a router in vain: it makes frames and drops them.
fn conserves(site: &Site, device: &mut Thruway) {
    let mut tester = site.tester().unwrap();
    for lane in [0, 1] {
        let before = device.accounts().unwrap().unwrap();
        let (arrived, lost) = second(&mut tester, lane);
        let after = device.accounts().unwrap().unwrap();
        let unaccounted = 10_000 - i64::try_from(arrived + lost).unwrap();
        assert_eq!(unaccounted, balance(&after) - balance(&before), "{before:?} {after:?}");
        assert!(arrived > 9_000, "{arrived} arrived: {after:?}");
        assert!(after.idle_turns.is_some_and(|share| (0.0..=1.0).contains(&share.value)));
    }
}

#[test]
fn bench_measures_thruway_on_veth_and_on_tap_devices() {
    let cores = Cores::share(1).unwrap();
    let veth = || Site::veth(&plan(60), &cores, Intake::Sender);
    for made in [veth(), Site::tap(&plan(60), &cores)] {
        let Some(site) = site(made) else { return };
        let mut device = start(&site, true);
        conserves(&site, &mut device);
        assert_eq!(device.threads()[0].0, "worker-0");
        // A reset is a new process under the same interfaces.
        let before = device.id();
        assert!(device.reset().unwrap());
        assert_ne!(device.id(), before);
        conserves(&site, &mut device);
    }
}

/// Sends frames as fast as they are taken, then waits until nothing comes any more.
fn flood(tester: &mut Sockets, count: u64, resume: impl FnOnce()) -> (u64, u64) {
    tester.drops().unwrap();
    let mut sent = 0;
    while sent < count {
        let want = usize::try_from((count - sent).min(32)).unwrap();
        let taken = tester.send(0, want, |room| {
            let probe = Probe { trial: 1, seq: sent, ..Probe::default() };
            sent += 1;
            frame(0, &probe, room)
        });
        taken.unwrap();
    }
    resume();
    let (mut arrived, mut last) = (0, clock::now());
    while clock::now().since(last) < Span::millis(300) {
        if tester.receive(0, |_| arrived += 1).unwrap() > 0 {
            last = clock::now();
        }
    }
    (arrived, tester.drops().unwrap().iter().map(|(_, count)| count).sum())
}

#[test]
fn what_a_device_that_stands_still_has_no_room_for_is_counted_once() {
    const COUNT: u64 = 50_000;
    let cores = Cores::share(1).unwrap();
    let veth = || Site::veth(&plan(60), &cores, Intake::Sender);
    for made in [veth(), Site::tap(&plan(60), &cores)] {
        let Some(site) = site(made) else { return };
        let mut device = start(&site, false);
        let mut tester = site.tester().unwrap();
        let before = device.accounts().unwrap().unwrap();
        let id = i32::try_from(device.id().unwrap()).unwrap();
        let tell = |signal| kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        tell(Signal::STOP);
        let (arrived, lost) = flood(&mut tester, COUNT, || tell(Signal::CONT));
        let after = device.accounts().unwrap().unwrap();
        let unaccounted = i64::try_from(COUNT).unwrap() - i64::try_from(arrived + lost).unwrap();
        assert_eq!(unaccounted, balance(&after) - balance(&before), "{before:?} {after:?}");
        let full = |frames: &DeviceFrames| frames.dropped.get("input_full").copied().unwrap_or(0);
        let full = full(&after) - full(&before);
        assert!(arrived > 0 && full > COUNT / 2, "{arrived} arrived, {full} found no room");
    }
}

/// Provider and edge in a process each, the customer untagged, QinQ between them.
fn start_pair(site: &Site) -> Thruway {
    let port = |name: &str, rest: &str| format!("[[port]]\nname = {name:?}\n{rest}");
    let outside = |wire: usize| port(site.tester_ends()[wire].name(), &site.port_lines(wire));
    let links = [("pe-1", "ms-1"), ("pe-2", "ms-2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let ends = links.iter().flat_map(|(a, b)| [a, b]);
    let ends: String = ends.map(|name| port(name, &format!("packet = {name:?}\n"))).collect();
    let network = NETWORK
        .split_once("[circuit.bench]")
        .map(|(_, rest)| format!("[service]\nlimits = \"off\"\n[circuit.bench]{rest}"))
        .unwrap()
        .replace("encapsulation = \"Untagged\"", "encapsulation = \"QinQ\"\ns_tag = 1001")
        .replace("\"ce\", secondary = \"spare\"", "\"ms-1\", secondary = \"ms-2\"");
    let provider = "[provider.bench]\ncircuit = \"bench\"\n\
                    links = { primary = \"pe-1\", secondary = \"pe-2\" }\n\
                    private = { primary = { port = \"ce\", untagged = true } }\n";
    let config = outside(0) + &outside(1) + &ends + &network + provider;
    let spec =
        ThruwaySpec { program: Some(program()), ..ThruwaySpec::pair(config, links.to_vec()) };
    Thruway::start(site, spec).unwrap()
}

#[test]
fn bench_cuts_links_and_kills_processes_under_traffic() {
    let cores = Cores::share(1).unwrap();
    let Some(site) = site(Site::veth(&plan(60), &cores, Intake::Sender)) else { return };
    let mut device = start_pair(&site);
    assert_eq!(device.threads().len(), 2, "{:?}", device.threads());
    let mac =
        site.router_mac(0).unwrap().expect("the edge told its MAC address through the provider");
    let mut tester = site.tester().unwrap();
    let hand = device.hand();
    let mut seq = 0;
    let mut cross = |tester: &mut Sockets, within: Span| {
        let start = clock::now();
        let mut came = false;
        while !came && clock::now().since(start) < within {
            let sent = tester.send(0, 1, |room| {
                seq += 1;
                let size = frame(0, &Probe { trial: 1, seq, ..Probe::default() }, room);
                room[..6].copy_from_slice(&mac.0);
                size
            });
            sent.unwrap();
            let pause = clock::now();
            while clock::now().since(pause) < Span::millis(1) {
                tester.receive(0, |_| came = true).unwrap();
            }
        }
        came
    };
    assert!(cross(&mut tester, PATIENCE));
    hand.set_link(0, false).unwrap();
    // What was under way when the link was cut comes out still.
    cross(&mut tester, Span::millis(200));
    assert!(!cross(&mut tester, Span::millis(200)), "the primary link is cut");
    hand.set_link(0, true).unwrap();
    assert!(cross(&mut tester, PATIENCE));
    assert!(device.accounts().unwrap().is_some());
    hand.kill(Role::Microsoft).unwrap();
    cross(&mut tester, Span::millis(200));
    assert!(!cross(&mut tester, Span::millis(200)), "the edge is dead");
    assert_eq!(device.accounts().unwrap(), None);
    assert!(device.reset().unwrap());
    assert!(cross(&mut tester, PATIENCE));
    assert!(device.accounts().unwrap().is_some());
}

#[test]
fn bench_leaves_no_process_and_no_file() {
    let cores = Cores::share(1).unwrap();
    let Some(site) = site(Site::veth(&plan(60), &cores, Intake::Sender)) else { return };
    let device = start(&site, true);
    let (id, socket) = (device.id().unwrap(), device.socket());
    let process = Path::new("/proc").join(id.to_string());
    assert!(process.exists() && socket.exists());
    drop(device);
    assert!(!process.exists(), "the process is gone");
    assert!(!socket.parent().unwrap().exists(), "its folder is gone");
}

#[test]
fn bench_says_what_thruway_said_when_it_does_not_start() {
    let cores = Cores::share(1).unwrap();
    let Some(site) = site(Site::veth(&plan(60), &cores, Intake::Sender)) else { return };
    let spec = ThruwaySpec {
        program: Some(program()),
        ..ThruwaySpec::new("[circuit.bench]\nbandwidth = 7\n", Role::All)
    };
    let error = Thruway::start(&site, spec).unwrap_err().to_string();
    assert!(error.contains("bandwidth"), "{error}");
}
