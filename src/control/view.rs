//! What `show` and the API tell: plain values with public names, built from counters and tables.

use serde::{Deserialize, Serialize};

use crate::frame::DropReason;
use crate::sync::Counter;
use crate::tables::Counters;

/// The sum that must balance: received + originated + split on one side, sent + dropped + punted +
/// answered + held on the other. Frames in flight between two workers or two ports of one process
/// are in none of them, so it balances at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// Frames that came in.
    pub received: u64,
    /// Packets that thruway made.
    pub originated: u64,
    /// Frames made by cutting.
    pub split: u64,
    /// Frames that went out.
    pub sent: u64,
    /// Packets dropped, by any name.
    pub dropped: u64,
    /// Frames given to control.
    pub punted: u64,
    /// Packets to thruway's own addresses that were answered.
    pub answered: u64,
    /// Frames that wait for a neighbour.
    pub held: u64,
    /// Whether the two sides are equal.
    pub balanced: bool,
}

impl Accounts {
    /// The sum over all workers.
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a Counters>) -> Self {
        let mut all = Self::default();
        for own in workers {
            all.received += own.received.value();
            all.originated += own.originated.value();
            all.split += own.split.value();
            all.sent += own.sent.value();
            all.dropped += own.dropped_total();
            all.punted += own.punted.value();
            all.answered += own.answered.value();
            all.held += own.held.value();
        }
        all.balanced = all.received + all.originated + all.split
            == all.sent + all.dropped + all.punted + all.answered + all.held;
        all
    }
}

/// One drop reason's count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// Its public name.
    pub reason: String,
    /// Packets.
    pub packets: u64,
    /// What it means.
    pub meaning: String,
}

/// Every reason that has dropped something.
pub fn drops(workers: &[&Counters]) -> Vec<Drop> {
    let count = |reason: DropReason| -> u64 {
        workers.iter().map(|own| own.dropped[reason as usize].value()).sum()
    };
    let counted = DropReason::ALL.iter().map(|reason| (*reason, count(*reason)));
    counted
        .filter(|(_, packets)| *packets > 0)
        .map(|(reason, packets)| Drop {
            reason: reason.name().to_owned(),
            packets,
            meaning: reason.doc().to_owned(),
        })
        .collect()
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// `tap`, `packet`, `memory`, `pcap`; `xdp native`, `xdp generic` or `xdp zero-copy`.
    pub kind: String,
    /// The interface behind it.
    pub interface: Option<String>,
    /// `up`, `no carrier`, `down`, `gone`.
    pub state: String,
    /// Queues that receive.
    pub queues: usize,
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that came in here, or were to go out here, and were dropped.
    pub dropped: u64,
    /// Frames that the kernel dropped before they came in: its queue to this process was full, or
    /// had no carrier. They are in no other number.
    pub medium_drops: u64,
}

/// One link of a circuit's peering, on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// The circuit.
    pub circuit: String,
    /// `private` or `microsoft`.
    pub peering: String,
    /// `primary` or `secondary`.
    pub link: String,
    /// `provider` or `microsoft`.
    pub side: String,
    /// Packets towards Azure.
    pub in_packets: u64,
    /// Bytes towards Azure.
    pub in_bytes: u64,
    /// Packets towards on-premises.
    pub out_packets: u64,
    /// Bytes towards on-premises.
    pub out_bytes: u64,
    /// Packets dropped above the bandwidth, towards Azure.
    pub in_policed: u64,
    /// Packets dropped above the bandwidth, towards on-premises.
    pub out_policed: u64,
    /// Bytes that the circuit's billing plan charges for; 0 on the provider's side, who meters for
    /// itself.
    pub charged_bytes: u64,
}

/// One circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// Its name.
    pub name: String,
    /// Its service key.
    pub service_key: String,
    /// Its SKU.
    pub sku: String,
    /// Its billing model.
    pub billing: String,
    /// Its bandwidth.
    pub bandwidth: String,
    /// Microsoft's side of its state.
    pub state: String,
    /// The provider's side of its state.
    pub provider_state: String,
    /// Its S-tag.
    pub s_tag: Option<u16>,
    /// Bytes towards Azure over all links and peerings; on Microsoft's side where this process is
    /// that, else on the provider's.
    pub in_bytes: u64,
    /// Bytes towards on-premises, likewise.
    pub out_bytes: u64,
    /// Bytes that its billing plan charges for.
    pub charged_bytes: u64,
    /// Its links by peering.
    pub meters: Vec<Meter>,
}

/// One peering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peering {
    /// The circuit.
    pub circuit: String,
    /// `private` or `microsoft`.
    pub peering: String,
    /// Whether it is in use.
    pub enabled: bool,
    /// C-tag.
    pub vlan: u16,
    /// The customer's AS.
    pub peer_asn: u32,
    /// Subnet of the primary link.
    pub primary_subnet: String,
    /// Subnet of the secondary link.
    pub secondary_subnet: String,
    /// Public prefixes that sources must lie in.
    pub advertised_public_prefixes: Vec<String>,
}

/// One entry of the ARP tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arp {
    /// Whole minutes since it was confirmed; 0 for thruway's own.
    pub age: u64,
    /// `On-Prem`, `Microsoft`, or the subnet or service.
    pub interface: String,
    /// Where.
    pub attachment: String,
    /// Its address.
    pub ip_address: String,
    /// Its MAC address, or `Incomplete`.
    pub mac_address: String,
    /// `reachable`, `incomplete`, `failed`, `down`.
    pub state: String,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The routing domain.
    pub vrf: String,
    /// The prefix.
    pub prefix: String,
    /// Where it leads.
    pub next_hop: String,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The VNet.
    pub vnet: String,
    /// Packets through it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets past it by FastPath.
    pub fastpath_packets: u64,
    /// Their bytes.
    pub fastpath_bytes: u64,
    /// Flows that it knows.
    pub flows: u64,
    /// Flows that it can know; `None` when limits are off.
    pub flow_limit: Option<u64>,
    /// Packets by instance.
    pub instances: Vec<u64>,
}

/// One NAT session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatSession {
    /// The circuit whose provider translates.
    pub circuit: String,
    /// `tcp`, `udp`, `icmp`.
    pub proto: String,
    /// Inside address and port.
    pub inside: String,
    /// Outside address and port.
    pub outside: String,
    /// The remote end.
    pub remote: String,
    /// State of a TCP connection, or empty.
    pub state: String,
    /// Seconds until it expires when nothing comes.
    pub expires_in: u64,
}

/// Everything that counts, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Which sides this process is.
    pub role: String,
    /// Seconds since it was ready.
    pub uptime_s: u64,
    /// Workers.
    pub workers: usize,
    /// The sum.
    pub accounts: Accounts,
    /// Packets that changed workers.
    pub handed_over: u64,
    /// Turns of workers that found work.
    pub busy_turns: u64,
    /// Turns of workers that found none, pauses of a millisecond and more left out.
    pub idle_turns: u64,
    /// By reason.
    pub drops: Vec<Drop>,
}

/// The sum of one counter over workers.
pub(super) fn total<'a>(workers: &[&'a Counters], of: impl Fn(&'a Counters) -> &'a Counter) -> u64 {
    workers.iter().map(|own| of(own).value()).sum()
}
