//! Which frames does a lane carry?

use std::sync::Arc;

use super::places::{FIRST_INSIDE, FIRST_VM, ONPREM_HOSTS, TALKED_TO, TO_AZURE, TO_ONPREM};
use super::{Scenario, ScenarioError, Way};
use crate::bench::traffic::flows::{Hosts, PORTS_PER_HOST, Routed};
use crate::bench::traffic::{Flows, Frames, Genome, Learned};

/// Which flows the frames belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Those of the scenario, which are open once [`Scenario::open`] has run.
    Known,
    /// Each to a session of its own that is not open yet, `new_flows` of them.
    New,
    /// Each so-many-th frame begins a session, the others belong to open ones.
    Mixed {
        /// 4 is one frame in four.
        every: u64,
    },
}

/// Bits of the hosts on on-premises' side of a private peering.
const HOST_BITS: u32 = 16;
/// The VMs that talk where destinations lie in routes: a power of two of them.
const VM_BITS: u32 = 13;

impl Scenario {
    /// The frames of a lane, [`TO_AZURE`] or [`super::TO_ONPREM`], in these sizes. Towards
    /// on-premises through NAT they answer to what was `learned`.
    ///
    /// # Errors
    /// When the way does not carry a size or has no such flows.
    pub fn frames(
        &self,
        lane: usize,
        genome: &Genome,
        mix: Mix,
        learned: Option<&Arc<Learned>>,
    ) -> Result<Frames, ScenarioError> {
        let way = self.spec.way;
        let (size, most) = (genome.largest(), self.largest());
        if size > most {
            return Err(ScenarioError::Size { way, size, most });
        }
        let flows = match (way.translates(), lane == TO_AZURE) {
            (true, true) => self.inside(mix)?,
            (true, false) => self.answers(mix, learned)?,
            (false, _) if mix != Mix::Known => {
                return Err(ScenarioError::Way { way, what: "no sessions that could be new" });
            }
            (false, to_azure) => self.routed(to_azure),
        };
        Ok(Frames::new(&self.lane(lane).enters, genome, flows))
    }

    /// The frames of lane 1 that answer to new sessions, which a suite opened.
    ///
    /// # Errors
    /// When the way has no new sessions or does not carry a size.
    pub fn answers_to_new(
        &self,
        genome: &Genome,
        opened: &Arc<Learned>,
    ) -> Result<Frames, ScenarioError> {
        let flows = Flows::Learned(self.new_hosts()?, Arc::clone(opened));
        Ok(Frames::new(&self.lane(TO_ONPREM).enters, genome, flows))
    }

    /// Hosts that all flows behind the NAT have, known and new ones.
    pub(super) fn inside_hosts(&self) -> u64 {
        Hosts::hosts(self.spec.flows) + Hosts::hosts(self.spec.new_flows)
    }

    fn known(&self) -> Hosts {
        Hosts::new(self.spec.seed, FIRST_INSIDE, TALKED_TO, (0, self.spec.flows))
    }

    fn new_hosts(&self) -> Result<Hosts, ScenarioError> {
        let (spec, way) = (&self.spec, self.spec.way);
        if spec.new_flows == 0 {
            return Err(ScenarioError::Way { way, what: "no new flows in this scenario" });
        }
        // Hosts of known flows have no new ones.
        let offset = Hosts::hosts(spec.flows) * u64::from(PORTS_PER_HOST);
        Ok(Hosts::new(spec.seed, FIRST_INSIDE, TALKED_TO, (offset, spec.new_flows)))
    }

    fn inside(&self, mix: Mix) -> Result<Flows, ScenarioError> {
        Ok(match mix {
            Mix::Known => Flows::Hosts(self.known()),
            Mix::New => Flows::Hosts(self.new_hosts()?),
            Mix::Mixed { every } => {
                Flows::Mixed { known: self.known(), new: self.new_hosts()?, every: every.max(1) }
            }
        })
    }

    fn answers(&self, mix: Mix, learned: Option<&Arc<Learned>>) -> Result<Flows, ScenarioError> {
        let way = self.spec.way;
        if mix != Mix::Known {
            let what = "no new sessions from outside: they answer to those from inside";
            return Err(ScenarioError::Way { way, what });
        }
        let learned = learned.filter(|own| own.len() == self.spec.flows);
        let learned = learned.ok_or(ScenarioError::NotOpened(way))?;
        Ok(Flows::Learned(self.known(), Arc::clone(learned)))
    }

    /// Where known flows to Azure go, each flow's destination in turn.
    pub fn destinations(&self) -> impl Iterator<Item = u32> + use<> {
        let flows =
            if self.spec.way.translates() { Flows::Hosts(self.known()) } else { self.routed(true) };
        (0..flows.len()).map(move |place| flows.tuple(place).dst)
    }

    fn routed(&self, to_azure: bool) -> Flows {
        let spec = &self.spec;
        let hosts = (u32::from(ONPREM_HOSTS.network()), HOST_BITS);
        let make = |from, to: &Arc<[u32]>| Routed::new(spec.seed, from, Arc::clone(to), spec.flows);
        match (to_azure, &self.destinations.onprem) {
            // A provider edge does not look: its frames are those of a VNet.
            (true, _) => Flows::Routed(make(hosts, &self.destinations.azure)),
            (false, Some(onprem)) if spec.way != Way::Provider => {
                Flows::Routed(make((FIRST_VM, VM_BITS), onprem))
            }
            (false, _) => Flows::Answers(make(hosts, &self.destinations.azure)),
        }
    }
}
