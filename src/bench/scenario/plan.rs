//! What do workers read? The scenario's configuration compiled for memory ports in this process,
//! with what a file cannot say: neighbours that have answered, rates beyond the service's, and
//! routes by the million.

use std::sync::Arc;

use super::places::{AZURE_MAC, ONPREM_MAC, TALKED_TO};
use super::routes;
use super::text::Ports;
use super::{Limits, Scenario, ScenarioError, Way};
use crate::compile::{self, Compiled};
use crate::fib::prefix::Prefix as _;
use crate::fib::{FibWriter, Prefix4};
use crate::flow::Census;
use crate::ids::{NeighbourId, NextHopId, RewriteId};
use crate::model::Model;
use crate::neighbour::{NeighbourState, Word};
use crate::police::{Policer, Rate};
use crate::tables::gateway::{GATEWAY_IDLE, GatewayLimits};
use crate::tables::{LinkPolicer, NextHop, Role, Tables};

/// The tables of a scenario, ready for workers.
#[derive(Debug)]
pub struct Plan {
    /// What the configuration says.
    pub model: Model,
    /// What workers read, and what control needs beside it.
    pub compiled: Compiled,
}

/// The fewest flows that a gateway may know where limits are ample; else it is twice as many as it
/// will know, since a larger table is a slower one.
const AMPLE_FLOWS: u64 = 200_000;
/// A bucket that no batch empties: a second at the highest rate.
const AMPLE_BYTES: u64 = 50_000_000_000;
/// The domain of the private peering.
const TO_VMS: &str = "bench private";
/// Bits of the prefixes by which a gateway finds VMs for destinations in routes.
const GATEWAY_BITS: u8 = 16;

impl Scenario {
    /// Compiles the scenario for so many workers.
    ///
    /// # Errors
    /// When the configuration is refused; that would be a mistake of the scenario's.
    pub fn plan(&self, workers: usize) -> Result<Plan, ScenarioError> {
        let refused = |why: String| ScenarioError::Config(why);
        let loaded = crate::config::parse("scenario", &self.config(&Ports::MEMORY)?)
            .map_err(|report| refused(format!("{report:?}")))?;
        let model = loaded.model.for_role(self.role()).map_err(|why| refused(why.to_string()))?;
        let mut compiled =
            compile::compile(&model, workers).map_err(|why| refused(why.to_string()))?;
        compiled.tables.hash_seed = self.spec.seed;
        let mut plan = Plan { model, compiled };
        plan.meet_neighbours(self.spec.way);
        if self.spec.limits == Limits::Ample {
            plan.raise_limits(self.spec.flows.saturating_mul(2).max(AMPLE_FLOWS));
        }
        if self.has_prefixes() {
            plan.load(self).map_err(|why| refused(why.to_string()))?;
        }
        Ok(plan)
    }
}

impl Plan {
    /// All neighbours have answered ARP, and will not be asked again.
    fn meet_neighbours(&mut self, way: Way) {
        let Compiled { tables, neighbours, .. } = &mut self.compiled;
        for (index, spec) in neighbours.iter().enumerate() {
            let word = Word::new(spec.mac.unwrap_or(ONPREM_MAC), NeighbourState::Reachable);
            tables.words.store(NeighbourId::from_index(index), word);
        }
        if way == Way::Microsoft {
            meet_services(tables, neighbours.len());
        }
    }

    /// Puts policers and a census in place that never refuse.
    fn raise_limits(&mut self, flows: u64) {
        let tables = &mut self.compiled.tables;
        let bandwidth = Rate::kbps(Rate::MOST_KBPS).expect("the most is in range");
        let raise = |own: &LinkPolicer| LinkPolicer {
            bucket: Arc::new(Policer::new(bandwidth, AMPLE_BYTES)),
            ..own.clone()
        };
        tables.policers = Arc::new(tables.policers.iter().map(raise).collect());
        let per_second = Rate::per_second(Rate::MOST_PER_SECOND).expect("the most is in range");
        let counted = || Arc::new(Policer::new(per_second, Rate::MOST_PER_SECOND));
        let mut gateways = Vec::clone(&tables.gateways);
        for limits in gateways.iter_mut().filter_map(|own| own.limits.as_mut()) {
            *limits = GatewayLimits {
                bits: Arc::new(Policer::new(bandwidth, AMPLE_BYTES)),
                packets: counted(),
                new_flows: counted(),
                flows: Arc::new(Census::new(GATEWAY_IDLE, flows)),
            };
        }
        tables.gateways = Arc::new(gateways);
    }

    /// Loads the scenario's prefixes: into the peering's domain, where they lead to VMs or to the
    /// gateway, and into the VNet's, where they lead to on-premises.
    fn load(&mut self, scenario: &Scenario) -> Result<(), crate::fib::FibError> {
        let (list, seed) = (&scenario.spec.routes, scenario.spec.seed);
        let vms = self.hops(|hop| matches!(hop, NextHop::Adjacency(id, _) if !self.to_onprem(id)));
        let onprem = self.hops(|hop| matches!(hop, NextHop::Paths(_)));
        let gateway = self.hops(|hop| matches!(hop, NextHop::Gateway(_)));
        let to_azure = match scenario.spec.way {
            Way::Gateway => {
                // The gateway looks every destination up again, in a domain of few prefixes.
                let wide = (0..1 << GATEWAY_BITS)
                    .map(|block: u32| Prefix4::around(block << (32 - GATEWAY_BITS), GATEWAY_BITS))
                    .zip(vms.iter().cycle().copied());
                self.add("bench GatewaySubnet", wide)?;
                gateway
            }
            _ => vms,
        };
        let table = routes::spread(list, seed, &to_azure);
        self.add(TO_VMS, table.iter().map(|(prefix, hop)| (prefix, *hop)))?;
        let back = list.prefixes().iter().map(|prefix| (*prefix, onprem[0]));
        self.add("bench vms", back)
    }

    /// Takes the writer of the domain that destinations in Azure are looked up in, with the next
    /// hops of VMs, which are out of one port; none where nothing is looked up. Workers keep the
    /// table.
    pub fn take_routes(&mut self) -> Option<(FibWriter, Vec<NextHopId>)> {
        let hops = self.hops(|hop| matches!(hop, NextHop::Adjacency(id, _) if !self.to_onprem(id)));
        let Compiled { vrfs, fibs, .. } = &mut self.compiled;
        let vrf = vrfs.iter().position(|own| own.name == TO_VMS)?;
        vrfs.swap_remove(vrf);
        Some((fibs.swap_remove(vrf), hops))
    }

    fn to_onprem(&self, id: RewriteId) -> bool {
        let tables = &self.compiled.tables;
        let attachment = tables.attachment(tables.rewrite(id).attachment);
        matches!(attachment.role, Role::Peering(_))
    }

    /// The ids of the next hops that are wanted.
    fn hops(&self, wanted: impl Fn(NextHop) -> bool) -> Vec<NextHopId> {
        let all = self.compiled.tables.next_hops.iter().enumerate();
        all.filter(|(_, hop)| wanted(**hop)).map(|(id, _)| NextHopId::from_index(id)).collect()
    }

    /// Builds a domain's table anew with more routes; those that it has stay.
    fn add(
        &mut self,
        name: &str,
        routes: impl Iterator<Item = (Prefix4, NextHopId)>,
    ) -> Result<(), crate::fib::FibError> {
        let vrf = self.compiled.vrfs.iter().position(|own| own.name == name);
        let vrf = vrf.expect("the scenario's domains have these names");
        let own = self.compiled.fibs[vrf].routes().iter().map(|(prefix, hop)| (prefix, *hop));
        // Of one prefix, the last entry stays.
        let all: Vec<_> = routes.chain(own).collect();
        let writer = FibWriter::build(all)?;
        self.compiled.tables.fibs[vrf] = writer.fib();
        self.compiled.fibs[vrf] = writer;
        Ok(())
    }
}

/// Gives every service that is talked to an adjacency, as control does when ARP finds it.
fn meet_services(tables: &mut Tables, known: usize) {
    let services = tables.attachments.iter().position(|own| matches!(own.role, Role::Service(_)));
    let Some(at) = services else { return };
    let id = crate::ids::AttachmentId::from_index(at);
    let (first, count) = TALKED_TO;
    let words = Arc::clone(&tables.words);
    tables.glean((first..first + count).enumerate().map(|(index, address)| {
        let neighbour = NeighbourId::from_index(known + index);
        words.store(neighbour, Word::new(AZURE_MAC, NeighbourState::Reachable));
        ((id, address), neighbour)
    }));
}
