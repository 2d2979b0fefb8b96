//! Beds in namespaces of their own: veth pairs or TAP devices, the tester at one end of each, the
//! forwarder at the other.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::kernel;
use super::local::scenario;
use super::wish::{DeviceKind, Medium, Wish};
use super::{Doer, OnRig, Parts, lines};
use crate::bench::error::BenchError;
use crate::bench::medium::device::{Kernel, Null, Testpmd, Thruway, ThruwaySpec};
use crate::bench::medium::{Cores, Device, Intake, MediumError, Plan, Site, Wire, calibrate};
use crate::bench::scenario::places::{AZURE_MAC, ONPREM_MAC, SERVICE_ROUTER, TALKED_TO, VNET};
use crate::bench::scenario::{PortKind, Ports, Run, Scenario, Way};
use crate::bench::suite::{Bed, Event};
use crate::bench::traffic::size;
use crate::lab::traffic::{ArpServer, Station};
use crate::lab::{Interface, LabError};
use crate::time::Span;
use crate::wire::eth::MacAddr;

/// How long each part of a calibration runs.
const CALIBRATE: Span = Span::millis(500);

/// Names of the wires, the same at both ends.
const ONPREM: &str = "onprem";
const AZURE: &str = "azure";
const SECOND: &str = "second";
/// How long a link may take to carry frames again.
const LINK_UP: Duration = Duration::from_secs(5);

pub(super) fn open(wish: &Wish) -> Result<Box<dyn Bed>, BenchError> {
    if let Some(why) = wish.wrong_side() {
        return Err(BenchError::Asked(why));
    }
    if wish.device == DeviceKind::ThruwayXdp && wish.medium != Medium::Veth {
        let why = "xdp ports stand on veth pairs: measure thruway-xdp with --medium veth";
        return Err(BenchError::Asked(why.to_owned()));
    }
    let scenario = scenario(wish)?;
    let refused = |why: MediumError| BenchError::Device {
        device: wish.device.word().to_owned(),
        why: why.to_string(),
    };
    let cores = Cores::share(wish.workers).map_err(refused)?;
    cores.pin_tester().map_err(refused)?;
    let plan = plan(wish, &scenario);
    let site = lay(wish.medium, &plan, &cores).map_err(refused)?;
    // Before the device is there: it polls, and calibration needs its core.
    let size = size::buffer(wish.genome.largest(), 0);
    let calibration = calibrate::site(&site, size, CALIBRATE).map_err(refused)?;
    let device = device(wish, &scenario, &site).map_err(refused)?;
    let record = scenario.record(&Run {
        device: wish.device.word(),
        medium: wish.medium.word(),
        genome: &wish.genome,
        workers: u32::try_from(wish.workers).unwrap_or(u32::MAX),
        direction: wish.direction,
        layout: &site.layout(),
    });
    let circuit = scenario.circuit_limit(&wish.genome);
    let lines = lines(&record, wish.nominal_bps, circuit, Some(calibration.received));
    let tester = match wish.device {
        DeviceKind::Kernel => site.tester(),
        _ => site.tester_of_counting(),
    };
    let tester = tester.map_err(refused)?;
    let doer = wish.two_links.then(|| {
        let stations = stations(&scenario)[0].clone();
        cutter(site.tester_ends()[0].clone(), stations)
    });
    let parts = Parts {
        tester,
        // The device goes before the site that it stands on.
        device: OnSite { device, _site: site },
        scenario: Some(scenario),
        genome: wish.genome.clone(),
        direction: wish.direction,
        mix: wish.mix,
        record,
        calibration,
        lines,
        notes: Vec::new(),
        doer,
    };
    Ok(Box::new(OnRig::new(parts)?))
}

/// Cuts the primary link at the tester's end, and mends it: the stations there went with it, and
/// have to make themselves known again.
fn cutter(link: Interface, stations: Vec<Station>) -> Doer {
    let mut server = None;
    Box::new(move |event| {
        let done = match event {
            Event::CutPrimary => link.down(),
            Event::Mend => mend(&link, &stations).map(|started| server = Some(started)),
        };
        done.map_err(io::Error::other)
    })
}

fn mend(link: &Interface, stations: &[Station]) -> Result<ArpServer, LabError> {
    link.up()?;
    link.wait_carrier(true, LINK_UP)?;
    let server = ArpServer::start(link, stations.to_vec())?;
    for station in stations {
        station.make_known(link, LINK_UP)?;
    }
    Ok(server)
}

/// A device with the site that it stands on.
struct OnSite {
    device: Box<dyn Device>,
    _site: Site,
}

impl Device for OnSite {
    fn name(&self) -> &str {
        self.device.name()
    }

    fn accounts(&mut self) -> std::io::Result<Option<crate::bench::record::trial::DeviceFrames>> {
        self.device.accounts()
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.device.threads()
    }

    fn reset(&mut self) -> std::io::Result<bool> {
        self.device.reset()
    }
}

fn lay(medium: Medium, plan: &Plan, cores: &Cores) -> Result<Site, MediumError> {
    match medium {
        Medium::Tap => Site::tap(plan, cores),
        _ => Site::veth(plan, cores, Intake::Sender),
    }
}

/// The two wires with their stations.
fn plan(wish: &Wish, scenario: &Scenario) -> Plan {
    let stations = stations(scenario);
    let kernel =
        matches!(wish.device, DeviceKind::Kernel | DeviceKind::Testpmd | DeviceKind::TestpmdXdp);
    let mut wires =
        [ONPREM, AZURE].into_iter().zip(stations).enumerate().map(|(lane, (name, own))| {
            let wire = own.into_iter().fold(Wire::new(name), Wire::station);
            // A kernel takes frames for its interface's own address.
            if kernel { wire.device_mac(entered(scenario, lane)) } else { wire }
        });
    let (a, b) = (wires.next().expect("two wires"), wires.next().expect("two wires"));
    let plan = Plan::pair(a, b, size::buffer(wish.genome.largest(), 2));
    if !wish.two_links {
        return plan;
    }
    let customer = Scenario::second_customer();
    let tags = scenario.lane(0).enters.tags;
    let station = Station::new(Ipv4Net::from(customer), ONPREM_MAC).tags(tags);
    let edge = Ipv4Addr::from(u32::from(customer) + 1);
    plan.with_second_link(Wire::new(SECOND).station(station.router(edge)))
}

/// The MAC address that a lane's frames are sent to.
fn entered(scenario: &Scenario, lane: usize) -> MacAddr {
    scenario.lane(lane).enters.dst
}

/// Who answers ARP on each wire.
fn stations(scenario: &Scenario) -> [Vec<Station>; 2] {
    let way = scenario.spec().way;
    let customer = scenario.customer();
    let edge = Ipv4Addr::from(u32::from(customer) + 1);
    let tags = scenario.lane(0).enters.tags;
    let one = |address: Ipv4Addr, mac| Station::new(Ipv4Net::from(address), mac);
    let talked_to = Ipv4Net::new_assert(Ipv4Addr::from(TALKED_TO.0), 24);
    match way {
        // Between customer and edge, a provider edge asks nobody.
        Way::Nat | Way::Provider => [Vec::new(), Vec::new()],
        Way::FastPath | Way::Gateway => [
            vec![one(customer, ONPREM_MAC).tags(tags).router(edge)],
            vec![Station::new(VNET, AZURE_MAC)],
        ],
        Way::Microsoft => [
            vec![one(customer, ONPREM_MAC).tags(tags).router(edge)],
            vec![
                Station::new(talked_to, AZURE_MAC).router(SERVICE_ROUTER),
                Station::new(VNET, AZURE_MAC),
            ],
        ],
    }
}

fn device(wish: &Wish, scenario: &Scenario, site: &Site) -> Result<Box<dyn Device>, MediumError> {
    Ok(match wish.device {
        DeviceKind::Thruway | DeviceKind::ThruwayXdp => {
            let config = scenario.config(&ports(site, wish.device == DeviceKind::ThruwayXdp));
            let config = config.map_err(|why| MediumError::refused(why.to_string()))?;
            let mut spec = ThruwaySpec::new(config, scenario.role());
            (spec.workers, spec.program) = (wish.workers, wish.program.clone());
            Box::new(Thruway::start(site, spec)?)
        }
        DeviceKind::Kernel => Box::new(Kernel::start(site, &kernel::router(scenario)?)?),
        DeviceKind::Null => Box::new(Null::start(site)?),
        DeviceKind::Testpmd => Box::new(Testpmd::start(site, false)?),
        DeviceKind::TestpmdXdp => Box::new(Testpmd::start(site, true)?),
    })
}

/// What thruway's two ports stand on.
fn ports(site: &Site, xdp: bool) -> Ports {
    let kind = |wire: usize| {
        let name = site.tester_ends()[wire].name().to_owned();
        match site.device_ends().get(wire) {
            Some(_) if xdp => PortKind::Xdp(name, None),
            Some(_) => PortKind::Packet(name, None),
            None => PortKind::Tap(name, Some(site.tester_netns().path())),
        }
    };
    let secondary = (site.tester_ends().len() > 2).then(|| kind(2));
    Ports { onprem: kind(0), azure: kind(1), secondary }
}
