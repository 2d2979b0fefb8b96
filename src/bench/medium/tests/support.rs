//! Plans, frames, and a slow and careful sender.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::bench::medium::device::{Nat, Router};
use crate::bench::medium::{Cores, Lane, MediumError, Plan, Tester, Wire};
use crate::bench::traffic::Probe;
use crate::io::clock;
use crate::lab::LabError;
use crate::lab::traffic::Station;
use crate::time::{Now, Span};
use crate::wire::build::Packet;
use crate::wire::eth::MacAddr;
use crate::wire::vlan::TagStack;

pub(super) const CE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xce]);
pub(super) const VM: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
pub(super) const ROUTER_CE: MacAddr = MacAddr([2, 0, 0, 0, 1, 0xce]);
pub(super) const ROUTER_VM: MacAddr = MacAddr([2, 0, 0, 0, 1, 0x0a]);
pub(super) const HOST: [u8; 4] = [10, 0, 7, 1];
pub(super) const SERVER: [u8; 4] = [10, 10, 1, 4];
const PATIENCE: Span = Span::secs(3);

/// Whether a lab can be built here; says so when not.
pub(super) fn lab<T>(made: Result<T, MediumError>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(MediumError::Lab(error @ LabError::NotPermitted { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn cores() -> Cores {
    Cores::share(1).unwrap()
}

/// A customer's edge on one side, a subnet with servers on the other.
pub(super) fn plan(largest: usize) -> Plan {
    let ce = Station::new("172.16.0.1/32".parse().unwrap(), CE);
    let servers = Station::new("10.10.1.4/31".parse().unwrap(), VM);
    Plan::pair(
        Wire::new("ce").device_mac(ROUTER_CE).station(ce.router([172, 16, 0, 2].into())),
        Wire::new("hub").device_mac(ROUTER_VM).station(servers.router([10, 10, 1, 1].into())),
        largest,
    )
}

pub(super) fn router(nat: Option<Nat>) -> Router {
    Router {
        addresses: vec![
            (0, "172.16.0.2/30".parse().unwrap()),
            (1, "10.10.1.1/24".parse().unwrap()),
        ],
        neighbours: vec![(0, [172, 16, 0, 1].into(), CE), (1, SERVER.into(), VM)],
        routes: vec![("10.0.0.0/16".parse().unwrap(), [172, 16, 0, 1].into())],
        nat,
    }
}

/// A frame of this size whose payload is a probe.
pub(super) fn frame(lane: usize, size: usize, tags: TagStack, probe: &Probe) -> Vec<u8> {
    let payload = size - 42 - tags.size();
    let mut bytes = vec![0; payload];
    probe.write(&mut bytes);
    // 64 flows.
    let port = 1024 + u16::try_from(probe.seq % 64).unwrap();
    let packet = match lane {
        0 => Packet::ip4(HOST, SERVER).udp(port, 9, &bytes).eth(CE, ROUTER_CE),
        _ => Packet::ip4(SERVER, HOST).udp(9, port, &bytes).eth(VM, ROUTER_VM),
    };
    packet.tags(tags).build()
}

/// What came of frames that were sent one by one.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    /// By sequence number.
    pub(super) received: BTreeMap<u64, Vec<Vec<u8>>>,
    pub(super) foreign: Vec<Vec<u8>>,
    pub(super) drops: Vec<(String, u64)>,
}

impl Tally {
    pub(super) fn unique(&self) -> u64 {
        self.received.len() as u64
    }

    /// Every frame came exactly once, and nothing else.
    pub(super) fn check_whole(&self) {
        assert_eq!(self.unique(), self.sent, "drops: {:?}", self.drops);
        assert!(self.received.values().all(|copies| copies.len() == 1));
        assert!(self.foreign.is_empty(), "{:?}", self.foreign.first());
    }
}

/// Sends `count` frames of a lane at `rate` frames a second, and takes what comes.
pub(super) fn send_paced(
    tester: &mut impl Tester,
    lane: usize,
    count: u64,
    rate: u64,
    mut frame: impl FnMut(&Probe) -> Vec<u8>,
) -> Tally {
    let mut tally = Tally::default();
    tester.drops().unwrap();
    let start = clock::now();
    let mut last = start;
    while tally.sent < count || (tally.unique() < count && clock::now().since(last) < PATIENCE) {
        let due = u64::try_from(
            u128::from(clock::now().since(start).0) * u128::from(rate) / 1_000_000_000,
        )
        .unwrap();
        let want = usize::try_from((due + 1).min(count) - tally.sent.min(count)).unwrap();
        let sent = tester
            .send(lane, want, |room| {
                let probe = Probe { trial: 7, stream: 3, seq: tally.sent, due_ns: 0 };
                let bytes = frame(&probe);
                room[..bytes.len()].copy_from_slice(&bytes);
                tally.sent += 1;
                bytes.len()
            })
            .unwrap();
        if sent > 0 {
            last = clock::now();
        }
        take(tester, lane, &mut tally);
    }
    // What is one too many comes within this time.
    let end: Now = clock::now();
    while clock::now().since(end) < Span::millis(20) {
        take(tester, lane, &mut tally);
    }
    tally.drops = tester.drops().unwrap();
    tally
}

fn take(tester: &mut impl Tester, lane: usize, tally: &mut Tally) {
    tester
        .receive(lane, |bytes| match probe_of(bytes) {
            Some(probe) if probe.trial == 7 => {
                tally.received.entry(probe.seq).or_default().push(bytes.to_vec());
            }
            _ => tally.foreign.push(bytes.to_vec()),
        })
        .unwrap();
}

/// The probe of an IPv4 UDP frame, whatever tags it has, found by another library.
fn probe_of(bytes: &[u8]) -> Option<Probe> {
    let packet = etherparse::SlicedPacket::from_ethernet(bytes).ok()?;
    match packet.transport? {
        etherparse::TransportSlice::Udp(udp) => Probe::read(udp.payload()).ok(),
        _ => None,
    }
}

/// Source address and port of an IPv4 UDP frame, its checksums right.
pub(super) fn source(bytes: &[u8]) -> (Ipv4Addr, u16) {
    let packet = etherparse::PacketHeaders::from_ethernet_slice(bytes).unwrap();
    let Some(etherparse::NetHeaders::Ipv4(ip, _)) = &packet.net else { panic!("no IPv4") };
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    let Some(etherparse::TransportHeader::Udp(udp)) = &packet.transport else { panic!("no UDP") };
    assert_eq!(udp.checksum, udp.calc_checksum_ipv4(ip, packet.payload.slice()).unwrap());
    (ip.source.into(), udp.source_port)
}

/// One lane over a wire from end 0 to end 1.
pub(super) const ONE_WAY: [Lane; 1] = [Lane { from: 0, to: 1, also: None }];
