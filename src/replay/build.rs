//! Everything that a replay is made of, from a model.

use std::sync::Arc;

use super::{Options, Replay, ReplayError};
use crate::compile;
use crate::control::plane::Plane;
use crate::frame::{FRAME_SIZE, Pool};
use crate::ids::{PortId, WorkerId};
use crate::io::{Port, PortKind, PortSpec, memory};
use crate::model::{Model, PortName};
use crate::stage::Shards;
use crate::stage::state::Sizes;
use crate::sync::Published;
use crate::tables::{CounterNames, Counters, Tables};
use crate::time::Now;
use crate::worker::{Handoff, Parts, Rings, Wake, Worker, handoffs};

/// The seed of what is random about NAT.
const SEED: u64 = 0;

impl Replay {
    /// A model ready for the first packet, which comes in at `start`.
    ///
    /// # Errors
    /// When the model cannot be forwarded, or an option is out of range.
    pub fn new(model: &Model, options: Options, start: Now) -> Result<Self, ReplayError> {
        let Options { role, workers, batch, room } = options;
        for (what, value) in [("workers", workers), ("batch", batch)] {
            if !(1..=64).contains(&value) {
                return Err(ReplayError::Range { what, value });
            }
        }
        let model = model.for_role(role)?;
        let compiled = compile::compile(&model, workers)?;
        let cables = cables(&model);
        let mut lanes = Vec::new();
        let mut queues: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        for own in &model.ports {
            let (plug, far) = memory::cable(workers, room.lanes)?;
            let kind = PortKind::Memory { name: own.name.to_string(), plug };
            let (_, own_queues) = Port::open(PortSpec { kind, queues: workers })?;
            queues.iter_mut().zip(own_queues).for_each(|(all, queue)| all.push(queue));
            lanes.push(far.into_ends());
        }
        // Twice as many as there are users, so that no pool runs dry while others are full.
        let mut pools = Pool::family(2 * workers + 4, room.frames)?;
        let (mut pool, plane_pool) = (take(&mut pools), take(&mut pools));
        for mut spare in pools.split_off(workers) {
            std::iter::from_fn(|| if spare.is_empty() { None } else { spare.take() })
                .for_each(|frame| pool.put(frame));
        }
        let names = CounterNames {
            ports: model.ports.len(),
            meters: compiled.meters.len(),
            gateways: compiled.gateways.len(),
        };
        let counters: Vec<_> = (0..workers).map(|_| Arc::new(Counters::new(names))).collect();
        let rings: Vec<Rings> = (0..workers).map(|_| Rings::new(room.rings)).collect();
        let published = Arc::new(Published::new(compiled.tables.clone()));
        let plane = Plane::new(&compiled, Arc::clone(&published), rings.clone(), plane_pool, start);
        let handoffs = handoffs(workers, room.rings);
        let own = pools.into_iter().zip(queues).enumerate();
        let workers = own
            .map(|(index, (pool, queues))| {
                let parts = Parts {
                    id: WorkerId::from_index(index),
                    tables: published.reader(),
                    queues,
                    pool,
                    shards: shards(&compiled.tables, index, room.flows),
                    counters: Arc::clone(&counters[index]),
                    rings: rings[index].clone(),
                    to: handoffs[index].iter().map(to).collect(),
                    wake_control: Wake::nobody(),
                    from: handoffs.iter().map(|row| Arc::clone(&row[index])).collect(),
                };
                let mut worker = Worker::new(parts);
                worker.in_order = true;
                worker
            })
            .collect();
        let mut replay = Self {
            model,
            compiled,
            published,
            workers,
            counters,
            plane,
            rings,
            lanes,
            cables,
            pool,
            batch,
            now: start,
            due: None,
            last: Now(0),
            window: Vec::new(),
            crossing: Vec::new(),
            punts: Vec::new(),
            sent: Vec::new(),
            scratch: Box::new([0; FRAME_SIZE]),
        };
        replay.checkpoint(start)?;
        Ok(replay)
    }
}

fn take(pools: &mut Vec<Pool>) -> Pool {
    pools.pop().expect("as many pools as were asked for")
}

fn to(handoff: &Handoff) -> (Handoff, Wake) {
    (Arc::clone(handoff), Wake::nobody())
}

fn shards(tables: &Tables, worker: usize, sizes: Sizes) -> Shards {
    let id = WorkerId::from_index(worker);
    let (nats, gateways) = (&tables.nats[..], &tables.gateways[..]);
    Shards::new(sizes, (nats, gateways), SEED, |shard| tables.owner(shard) == id)
}

/// The far port of each port's cable.
fn cables(model: &Model) -> Vec<Option<PortId>> {
    let find = |name: &PortName| model.ports.iter().position(|own| own.name == *name);
    let mut far = vec![None; model.ports.len()];
    for cable in &model.cables {
        if let (Some(a), Some(b)) = (find(&cable.ends[0]), find(&cable.ends[1])) {
            (far[a], far[b]) = (Some(PortId::from_index(b)), Some(PortId::from_index(a)));
        }
    }
    far
}
