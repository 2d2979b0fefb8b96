//! What became of the packets: sums over all workers, the same for any number of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Replay;
use crate::control::report::Sources;
use crate::control::view::{Accounts, Circuit, Gateway, drops};
use crate::ids::PortId;
use crate::tables::Counters;

/// What one port carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortCount {
    /// Its name.
    pub name: String,
    /// Frames that came in.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that left.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Packets that came in here, or were to go out here, and were dropped.
    pub dropped: u64,
}

/// What became of the packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// The sum that must balance.
    pub accounts: Accounts,
    /// Packets dropped, by the name of the reason.
    pub drops: BTreeMap<String, u64>,
    /// By port.
    pub ports: Vec<PortCount>,
    /// Circuits with their meters.
    pub circuits: Vec<Circuit>,
    /// Gateways.
    pub gateways: Vec<Gateway>,
}

impl Replay {
    /// What became of the packets so far.
    pub fn verdicts(&self) -> Verdicts {
        let counters: Vec<&Counters> = self.counters.iter().map(AsRef::as_ref).collect();
        let sources = Sources { model: &self.model, compiled: &self.compiled, counters: &counters };
        let port = |(index, own): (usize, &crate::model::Port)| {
            let id = PortId::from_index(index);
            let mut count = PortCount {
                name: own.name.to_string(),
                rx_frames: 0,
                rx_bytes: 0,
                tx_frames: 0,
                tx_bytes: 0,
                dropped: 0,
            };
            for own in counters.iter().map(|own| own.port(id)) {
                count.rx_frames += own.rx_frames.value();
                count.rx_bytes += own.rx_bytes.value();
                count.tx_frames += own.tx_frames.value();
                count.tx_bytes += own.tx_bytes.value();
                count.dropped += own.dropped.value();
            }
            count
        };
        Verdicts {
            accounts: Accounts::of(counters.iter().copied()),
            drops: drops(&counters).into_iter().map(|own| (own.reason, own.packets)).collect(),
            ports: self.model.ports.iter().enumerate().map(port).collect(),
            circuits: sources.circuits(),
            gateways: sources.gateways(self.now),
        }
    }
}
