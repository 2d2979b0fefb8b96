//! What does a record say of a scenario?

use super::places::{TO_AZURE, TO_ONPREM};
use super::{Direction, HandOver, Limits, Scenario};
use crate::bench::record;
use crate::bench::traffic::{Genome, size};

impl Scenario {
    /// The scenario for the record.
    pub fn record(&self, run: &Run<'_>) -> record::Scenario {
        let spec = &self.spec;
        // A line's rate follows from the longer of the two frames.
        let tags = [TO_AZURE, TO_ONPREM].map(|lane| self.lane(lane));
        let tags = tags.iter().flat_map(|lane| [lane.enters.tags.len(), lane.leaves.len()]).max();
        let tags = u32::try_from(tags.unwrap_or(0)).expect("two at most");
        let sizes = run.genome.sizes().iter().map(|size| size::tagged(*size, tags)).collect();
        let table = if spec.way.translates() { spec.flows } else { self.route_count() };
        record::Scenario {
            name: format!("{}/{}/{}/{}/{table}", spec.way, run.medium, spec.hand_over, run.genome),
            device: run.device.to_owned(),
            way: spec.way.to_string(),
            medium: run.medium.to_owned(),
            hand_over: spec.hand_over.to_string(),
            frame_sizes: sizes,
            genome: run.genome.text().map(str::to_owned),
            flows: spec.flows,
            routes: self.route_count(),
            sessions: if spec.way.translates() { spec.flows } else { 0 },
            workers: run.workers,
            direction: run.direction.to_string(),
            limits: spec.limits.to_string(),
            layout: run.layout.to_owned(),
        }
    }

    /// What a reader of the record must know of the scenario, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut notes = Vec::new();
        notes.push(match spec.limits {
            Limits::Off => "The service's limits are off: circuits are not policed, gateways know \
                            no flows and have no rates."
                .to_owned(),
            Limits::Enforced if self.spec.way.routes() => format!(
                "The service's limits are enforced: a circuit of {}, the gateway {}.",
                spec.bandwidth, spec.gateway
            ),
            Limits::Enforced => {
                format!("The service's limits are enforced: a circuit of {}.", spec.bandwidth)
            }
            Limits::Ample => "Policers, meters and flow tables work as when the service's limits \
                              are enforced, at rates that nothing reaches."
                .to_owned(),
        });
        if spec.hand_over != HandOver::Untagged {
            notes.push(
                "Frame sizes are those on the port with the most tags; each tag adds 4 bytes to \
                 the untagged frame."
                    .to_owned(),
            );
        }
        if spec.rules > 0 {
            let rules = spec.rules;
            notes.push(format!("A security group of {rules} rules is on the VNet's subnet; the last of them allows."));
        }
        if spec.way.routes() {
            notes.extend(spec.routes.note());
        }
        if spec.way.translates() {
            notes.push(format!(
                "The NAT has room for {} sessions and a pool of {}.",
                self.session_room(),
                self.pool(),
            ));
        }
        notes
    }
}

/// What else a record says of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The forwarder.
    pub device: &'a str,
    /// The medium.
    pub medium: &'a str,
    /// Sizes.
    pub genome: &'a Genome,
    /// The forwarder's workers.
    pub workers: u32,
    /// Which lanes carry traffic.
    pub direction: Direction,
    /// Which thread ran on which core.
    pub layout: &'a str,
}
