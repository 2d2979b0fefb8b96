//! Does the benchmark's lab measure a running thruway? On veth pairs and on TAP devices every frame
//! is in thruway's accounts or arrives, and nothing is left afterwards.

use std::path::Path;

use thruway::bench::medium::device::{Thruway, ThruwaySpec};
use thruway::bench::medium::{Cores, Device, Intake, MediumError, Plan, Site, Tester, Wire};
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

const CE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xce]);
const VM: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const EDGE: MacAddr = MacAddr([2, 0, 0, 0, 1, 0xce]);
const SUBNET: MacAddr = MacAddr([2, 0, 0, 0, 1, 0x0a]);
const PATIENCE: Span = Span::secs(5);

fn plan() -> Plan {
    let ce = Station::new("172.16.0.1/32".parse().unwrap(), CE).router([172, 16, 0, 2].into());
    let vms = Station::new("10.10.1.4/31".parse().unwrap(), VM).router([10, 10, 1, 1].into());
    Plan::pair(Wire::new("ce").station(ce), Wire::new("hub").station(vms), 60)
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

fn start(site: &Site) -> Thruway {
    let spec =
        ThruwaySpec { program: Some(program()), ..ThruwaySpec::new(config(site), Role::All) };
    Thruway::start(site, spec).unwrap()
}

fn frame(lane: usize, probe: &Probe, room: &mut [u8]) -> usize {
    let mut payload = [0; 18];
    probe.write(&mut payload);
    let (host, vm) = ([10, 0, 7, 1], [10, 10, 1, 4]);
    let bytes = match lane {
        0 => Packet::ip4(host, vm).udp(1024, 9, &payload).eth(CE, EDGE).build(),
        _ => Packet::ip4(vm, host).udp(9, 1024, &payload).eth(VM, SUBNET).build(),
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

fn conserves(site: &Site, device: &mut Thruway) {
    let mut tester = site.tester().unwrap();
    for lane in [0, 1] {
        let before = device.accounts().unwrap().unwrap();
        let (arrived, lost) = second(&mut tester, lane);
        let after = device.accounts().unwrap().unwrap();
        let dropped = |own: &DeviceFrames| own.dropped.values().sum::<u64>();
        let reasons = (&before.dropped, &after.dropped);
        // What it asked by ARP on its spare link is dropped there, by name.
        let own = after.originated - before.originated;
        let drops = dropped(&after) - dropped(&before);
        assert_eq!(arrived + lost + drops, 10_000 + own, "{reasons:?}");
        assert!(arrived > 9_000, "{arrived} arrived: {reasons:?}");
        assert!(after.idle_turns.is_some_and(|share| (0.0..=1.0).contains(&share.value)));
    }
}

#[test]
fn bench_measures_thruway_on_veth_and_on_tap_devices() {
    let cores = Cores::share(1).unwrap();
    let veth = || Site::veth(&plan(), &cores, Intake::Sender);
    for made in [veth(), Site::tap(&plan(), &cores)] {
        let Some(site) = site(made) else { return };
        let mut device = start(&site);
        conserves(&site, &mut device);
        assert_eq!(device.threads()[0].0, "worker-0");
        // A reset is a new process under the same interfaces.
        let before = device.id();
        assert!(device.reset().unwrap());
        assert_ne!(device.id(), before);
        conserves(&site, &mut device);
    }
}

#[test]
fn bench_leaves_no_process_and_no_file() {
    let cores = Cores::share(1).unwrap();
    let Some(site) = site(Site::veth(&plan(), &cores, Intake::Sender)) else { return };
    let device = start(&site);
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
    let Some(site) = site(Site::veth(&plan(), &cores, Intake::Sender)) else { return };
    let spec = ThruwaySpec {
        program: Some(program()),
        ..ThruwaySpec::new("[circuit.bench]\nbandwidth = 7\n", Role::All)
    };
    let error = Thruway::start(&site, spec).unwrap_err().to_string();
    assert!(error.contains("bandwidth"), "{error}");
}
