//! What is a forwarder in this process made of? Workers with all ports of a scenario's
//! configuration, and the tester's ends of two of them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::bench::scenario::{Plan, Scenario};
use crate::fib::FibWriter;
use crate::flow::Census;
use crate::frame::Pool;
use crate::ids::{NextHopId, WorkerId};
use crate::io::memory::{self, End, Plug};
use crate::io::{Port, PortKind, PortSpec, Queue};
use crate::model::PortName;
use crate::stage::Shards;
use crate::stage::state::Sizes;
use crate::sync::Published;
use crate::tables::gateway::{GATEWAY_IDLE, GatewayLimits};
use crate::tables::{CounterNames, Counters, Tables};
use crate::worker::{Parts, Rings, Wake, Worker, handoffs};

/// Frames that wait in each lane of a port.
pub const DEPTH: usize = 1024;
/// Frames of each pool: of a worker, and of the tester.
pub const FRAMES: usize = 8192;
/// Entries of the rings to control, and of those between workers.
const RING: usize = 1024;
/// Packets on their way from one worker to another.
const HANDOFF: usize = 4096;

/// What sessions and flows are made from.
#[derive(Debug)]
pub struct Blueprint {
    tables: Tables,
    published: Arc<Published<Tables>>,
    seed: u64,
}

impl Blueprint {
    /// Empty sessions and flows for a worker.
    pub fn shards(&self, worker: usize) -> Shards {
        let (id, tables) = (WorkerId::from_index(worker), &self.tables);
        let state = (&tables.nats[..], &tables.gateways[..]);
        Shards::new(Sizes::default(), state, self.seed, |shard| tables.owner(shard) == id)
    }

    /// Publishes tables that count no flow of the past: flows are counted over all shards, so they
    /// go with the shards.
    pub fn renew(&mut self) {
        let mut gateways = Vec::clone(&self.tables.gateways);
        for limits in gateways.iter_mut().filter_map(|own| own.limits.as_mut()) {
            let flows = Arc::new(Census::new(GATEWAY_IDLE, limits.flows.limit()));
            *limits = GatewayLimits { flows, ..limits.clone() };
        }
        self.tables.gateways = Arc::new(gateways);
        self.published.store(Arc::new(self.tables.clone()));
    }
}

/// Workers that have not had a turn, and what is around them.
#[derive(Debug)]
pub struct Plant {
    /// For emptying.
    pub blueprint: Blueprint,
    /// The workers.
    pub workers: Vec<Worker>,
    /// By worker.
    pub counters: Vec<Arc<Counters>>,
    /// By worker.
    pub rings: Vec<Rings>,
    /// The far ends of the ports `onprem` and `azure`, by worker.
    pub ends: [Vec<End>; 2],
    /// The tester's frames.
    pub pool: Pool,
    /// More frames, as many as were asked for.
    pub spare: Vec<Pool>,
    /// The writer of the routes to VMs, and the next hops of those.
    pub routes: Option<(FibWriter, Vec<NextHopId>)>,
}

impl Plant {
    /// Makes workers for a scenario, and at least `frames` frames more than they and a tester need.
    ///
    /// # Errors
    /// When it does not compile or memory is short.
    pub fn new(scenario: &Scenario, workers: usize, frames: usize) -> io::Result<Self> {
        let mut plan = scenario.plan(workers).map_err(io::Error::other)?;
        let routes = plan.take_routes();
        let Plan { model, compiled } = plan;
        let mut pools = Pool::family(workers + 1 + frames.div_ceil(FRAMES), FRAMES)?;
        let spare = pools.split_off(workers + 1);
        let mut plugs: HashMap<&PortName, Plug> = HashMap::new();
        for cable in &model.cables {
            let (a, b) = memory::cable(workers, DEPTH)?;
            plugs.extend([(&cable.ends[0], a), (&cable.ends[1], b)]);
        }
        let mut queues: Vec<Vec<Queue>> = (0..workers).map(|_| Vec::new()).collect();
        let mut ends = [Vec::new(), Vec::new()];
        for own in &model.ports {
            let plug = match plugs.remove(&own.name) {
                Some(plug) => plug,
                None => {
                    let (plug, far) = memory::cable(workers, DEPTH)?;
                    let side = if own.name.as_str() == "onprem" { 0 } else { 1 };
                    ends[side] = far.into_ends();
                    plug
                }
            };
            let kind = PortKind::Memory { name: own.name.to_string(), plug };
            let (_, own) =
                Port::open(PortSpec { kind, queues: workers }).map_err(io::Error::other)?;
            queues.iter_mut().zip(own).for_each(|(all, queue)| all.push(queue));
        }
        let names = CounterNames {
            ports: model.ports.len(),
            meters: compiled.meters.len(),
            gateways: compiled.gateways.len(),
        };
        let counters: Vec<_> = (0..workers).map(|_| Arc::new(Counters::new(names))).collect();
        let rings: Vec<_> = (0..workers).map(|_| Rings::new(RING)).collect();
        let tables = compiled.tables.clone();
        let published = Arc::new(Published::new(tables.clone()));
        let seed = scenario.spec().seed;
        let blueprint = Blueprint { tables, published: Arc::clone(&published), seed };
        let handoffs = handoffs(workers, HANDOFF);
        let tester = pools.pop().expect("one pool more than workers");
        let each = queues.into_iter().zip(pools).enumerate();
        let workers = each.map(|(index, (queues, pool))| {
            Worker::new(Parts {
                id: WorkerId::from_index(index),
                tables: published.reader(),
                queues,
                pool,
                shards: blueprint.shards(index),
                counters: Arc::clone(&counters[index]),
                rings: rings[index].clone(),
                to: handoffs[index].iter().map(|to| (Arc::clone(to), Wake::nobody())).collect(),
                wake_control: Wake::nobody(),
                from: handoffs.iter().map(|row| Arc::clone(&row[index])).collect(),
            })
        });
        let workers = workers.collect();
        Ok(Self { blueprint, workers, counters, rings, ends, pool: tester, spare, routes })
    }
}
