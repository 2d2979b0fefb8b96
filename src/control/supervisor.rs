//! Starts the workers, looks after them and the ports, answers the API, and ends it all cleanly.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};

use super::api::{self, Query, SocketError, Topic};
use super::plane::Plane;
use super::ports::{self, OpenError, Ports};
use super::report::{self, Sources, to_json};
use super::view::NatSession;
use crate::compile::{self, CompileError, Compiled};
use crate::ids::{ShardId, WorkerId};
use crate::io::sys::affinity;
use crate::io::{Idle, LinkState, Sleeper, Waker, clock};
use crate::model::{Model, Role, SplitCable};
use crate::stage::Shards;
use crate::stage::state::Sizes;
use crate::sync::Published;
use crate::tables::{CounterNames, Counters};
use crate::time::{Now, Span};
use crate::worker::{Down, Inspect, Parts, Rings, Wake, Worker, handoffs};

/// Frames of each worker, and of control, beyond those that the kernel holds.
const FRAMES: usize = 8192;
/// Entries of the rings between workers and control.
const RING: usize = 1024;
/// Packets on their way from one worker to another.
const HANDOFF: usize = 4096;
/// How often ports are looked at.
const WATCH: Duration = Duration::from_millis(20);
/// Longest sleep of an idle worker.
const NAP: Span = Span::millis(100);
/// Sessions that one answer holds.
const SESSIONS_SHOWN: usize = 1000;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which sides of the circuits this process is.
    pub role: Role,
    /// Workers; the file's word, or one for each core but one, without it.
    pub workers: Option<u8>,
    /// Whether workers poll even when they are idle.
    pub poll: bool,
    /// The API's socket; the file's word, or the default of the role, without it.
    pub api: Option<PathBuf>,
}

/// Why thruway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The model does not split into roles there.
    #[error(transparent)]
    Role(#[from] SplitCable),
    /// The model cannot be forwarded.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A port cannot be opened.
    #[error(transparent)]
    Port(#[from] OpenError),
    /// The API's socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The system has no memory, threads or descriptors left.
    #[error("the system refuses {what}: {why}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        why: io::Error,
    },
}

fn system(what: &'static str) -> impl Fn(io::Error) -> RunError {
    move |why| RunError::System { what, why }
}

/// Runs until SIGINT or SIGTERM; `ready` is told where the API listens once packets flow.
///
/// # Errors
/// When it cannot start.
pub fn run(model: &Model, options: &Options, ready: impl FnOnce(&Running)) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("a runtime"))?;
    runtime.block_on(async {
        // Before anybody hears that it is ready, so that a signal at once ends it cleanly too.
        let signals = [
            signal(SignalKind::interrupt()).map_err(system("signals"))?,
            signal(SignalKind::terminate()).map_err(system("signals"))?,
        ];
        let (mut running, queries) = Running::start(model, options)?;
        ready(&running);
        running.serve(queries, signals).await;
        running.stop();
        Ok(())
    })
}

/// A running thruway.
#[derive(Debug)]
pub struct Running {
    model: Model,
    role: Role,
    compiled: Compiled,
    plane: Plane,
    ports: Ports,
    rings: Vec<Rings>,
    counters: Vec<Arc<Counters>>,
    wakers: Vec<Waker>,
    threads: Vec<JoinHandle<()>>,
    punted: Arc<Notify>,
    stop: Arc<AtomicBool>,
    socket: PathBuf,
    started: Now,
}

impl Running {
    fn start(model: &Model, options: &Options) -> Result<(Self, mpsc::Receiver<Query>), RunError> {
        let role = options.role;
        let model = model.for_role(role)?;
        let workers = worker_count(&model, options);
        let mut compiled = compile::compile(&model, workers)?;
        compiled.tables.hash_seed = random();
        for advice in &compiled.advice {
            tracing::warn!("{advice}");
        }
        let socket = options.api.clone().or_else(|| model.api.socket.clone());
        let socket = socket.unwrap_or_else(|| api::default_socket(&role.to_string()));
        let listener = api::listen(&socket)?;
        let (asked, queries) = mpsc::channel(16);
        tokio::spawn(api::serve(listener, asked));

        let pools = ports::pools(&model, workers, FRAMES).map_err(system("memory for frames"));
        let mut pools = pools.inspect_err(|_| remove(&socket))?;
        let opened = Ports::open(&model, workers, &pools[0].memory());
        let (ports, queues) = opened.inspect_err(|_| remove(&socket))?;
        let plane_pool = pools.pop().expect("one more pool than workers");
        let rings: Vec<Rings> = (0..workers).map(|_| Rings::new(RING)).collect();
        let names = CounterNames {
            ports: model.ports.len(),
            meters: compiled.meters.len(),
            gateways: compiled.gateways.len(),
        };
        let counters: Vec<_> = (0..workers).map(|_| Arc::new(Counters::new(names))).collect();
        let published = Arc::new(Published::new(compiled.tables.clone()));
        let started = clock::now();
        let plane =
            Plane::new(&compiled, Arc::clone(&published), rings.clone(), plane_pool, started);

        let idle = if options.poll || model.workers.poll { Idle::Poll } else { Idle::default() };
        let sleepers: Result<Vec<_>, _> = (0..workers).map(|_| Sleeper::new(idle)).collect();
        let sleepers = sleepers.map_err(system("descriptors"))?;
        let mut running = Self {
            role,
            plane,
            ports,
            rings: rings.clone(),
            counters: counters.clone(),
            wakers: sleepers.iter().map(Sleeper::waker).collect(),
            threads: Vec::new(),
            punted: Arc::new(Notify::new()),
            stop: Arc::new(AtomicBool::new(false)),
            socket,
            started,
            model,
            compiled,
        };
        let seed = random();
        let handoffs = handoffs(workers, HANDOFF);
        let each = queues.into_iter().zip(pools).zip(sleepers).enumerate();
        for (index, ((queues, pool), sleeper)) in each {
            let id = WorkerId::from_index(index);
            let tables = &running.compiled.tables;
            let owners = tables.owners;
            let shards = Shards::new(
                Sizes::default(),
                (&tables.nats, &tables.gateways),
                seed,
                |shard: ShardId| owners[shard.index()] == id,
            );
            let worker = Worker::new(Parts {
                id,
                tables: published.reader(),
                queues,
                pool,
                shards,
                counters: Arc::clone(&counters[index]),
                rings: rings[index].clone(),
                to: running.to(&handoffs[index]),
                from: handoffs.iter().map(|row| Arc::clone(&row[index])).collect(),
                wake_control: running.wake_control(),
            });
            running.spawn(worker, sleeper)?;
        }
        Ok((running, queries))
    }

    /// Where the API listens.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// The line that says that packets flow.
    pub fn ready_line(&self) -> String {
        format!(
            "thruway is ready: role {}, {} worker(s), {} port(s), API {}",
            self.role,
            self.threads.len(),
            self.model.ports.len(),
            self.socket.display(),
        )
    }

    fn to(&self, rings: &[crate::worker::Handoff]) -> Vec<(crate::worker::Handoff, Wake)> {
        let wake = |waker: &Waker| {
            let waker = waker.clone();
            Wake(Arc::new(move || waker.wake()))
        };
        rings.iter().zip(&self.wakers).map(|(ring, own)| (Arc::clone(ring), wake(own))).collect()
    }

    fn wake_control(&self) -> Wake {
        let punted = Arc::clone(&self.punted);
        Wake(Arc::new(move || punted.notify_one()))
    }

    fn spawn(&mut self, worker: Worker, sleeper: Sleeper) -> Result<(), RunError> {
        let stop = Arc::clone(&self.stop);
        let index = self.threads.len();
        let pin = self.model.workers.pin.get(index).map(|cpu| usize::from(*cpu));
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || turn_until(worker, sleeper, &stop, pin))
            .map_err(system("a thread"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Serves until a signal comes.
    async fn serve(
        &mut self,
        mut queries: mpsc::Receiver<Query>,
        [mut interrupt, mut terminate]: [Signal; 2],
    ) {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let punted = Arc::clone(&self.punted);
        for (index, (_, state)) in self.ports.iter().enumerate() {
            if state != LinkState::Up {
                self.plane.port_changed(crate::ids::PortId::from_index(index), false, self.started);
            }
        }
        let mut due = self.step();
        loop {
            let wait = due.map_or(Duration::from_secs(1), |due| due.since(clock::now()).into());
            tokio::select! {
                () = punted.notified() => due = self.step(),
                () = tokio::time::sleep(wait) => due = self.step(),
                _ = watch.tick() => if self.watch() { due = self.step() },
                query = queries.recv() => if let Some(query) = query { self.answer(query) },
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
            }
        }
    }

    fn step(&mut self) -> Option<Now> {
        let due = self.plane.step(clock::now());
        self.wakers.iter().for_each(Waker::wake);
        due
    }

    /// Looks at the ports; whether something changed.
    fn watch(&mut self) -> bool {
        let now = clock::now();
        let changes = self.ports.watch(now, &self.compiled.loss);
        for change in &changes {
            let name = &self.model.ports[change.port.index()].name;
            tracing::info!(
                port = %name,
                before = report::state_name(change.before),
                now = report::state_name(change.now),
                "link",
            );
            self.plane.port_changed(change.port, change.now == LinkState::Up, now);
        }
        !changes.is_empty()
    }

    fn answer(&mut self, query: Query) {
        let medium_drops = match query.topic {
            Topic::Ports => self.ports.medium_drops(),
            _ => Vec::new(),
        };
        let counters: Vec<&Counters> = self.counters.iter().map(Arc::as_ref).collect();
        let sources = Sources { model: &self.model, compiled: &self.compiled, counters: &counters };
        let now = clock::now();
        let value = match query.topic {
            Topic::Status => {
                to_json(sources.status(&self.role.to_string(), now.since(self.started)))
            }
            Topic::Circuits => to_json(sources.circuits()),
            Topic::Peerings => to_json(sources.peerings()),
            Topic::Arp => to_json(sources.arp(&self.plane, now)),
            Topic::Routes => to_json(sources.routes()),
            Topic::Gateways => to_json(sources.gateways(now)),
            Topic::Ports => to_json(sources.ports(&self.ports, &medium_drops)),
            Topic::Drops => to_json(super::view::drops(&counters)),
            Topic::Nat => return self.ask_sessions(query.reply, now),
        };
        // Whoever asked may be gone.
        let _ = query.reply.send(value);
    }

    /// Lets each worker tell its sessions, between two of its batches.
    fn ask_sessions(&self, reply: oneshot::Sender<serde_json::Value>, now: Now) {
        let (tell, mut told) = mpsc::unbounded_channel::<Vec<(usize, crate::nat::SessionView)>>();
        for (rings, waker) in self.rings.iter().zip(&self.wakers) {
            let tell = tell.clone();
            let look = move |shards: &mut Shards| {
                let sessions = shards.nats.iter().enumerate().flat_map(|(nat, shards)| {
                    let views = shards.all().flat_map(|own| own.sessions(now));
                    views.map(move |view| (nat, view))
                });
                let _ = tell.send(sessions.take(SESSIONS_SHOWN).collect());
            };
            let _ = rings.down.push(Down::Inspect(Inspect(Box::new(look))));
            waker.wake();
        }
        drop(tell);
        let names = self.compiled.nats.clone();
        tokio::spawn(async move {
            let mut all: Vec<NatSession> = Vec::new();
            while let Some(sessions) = told.recv().await {
                all.extend(sessions.iter().map(|(nat, own)| {
                    let circuit = names.get(*nat).cloned().unwrap_or_default();
                    report::nat_session(circuit, own, now)
                }));
            }
            all.truncate(SESSIONS_SHOWN);
            let _ = reply.send(to_json(all));
        });
    }

    /// Ends the workers, closes the ports, takes the socket away.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wakers.iter().for_each(Waker::wake);
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
        remove(&self.socket);
    }
}

fn turn_until(mut worker: Worker, mut sleeper: Sleeper, stop: &AtomicBool, pin: Option<usize>) {
    if let Some(cpu) = pin
        && let Err(error) = affinity::pin(cpu)
    {
        tracing::warn!(cpu, %error, "cannot pin the worker");
    }
    while !stop.load(Ordering::Acquire) {
        let work = worker.turn(clock::now());
        let nap = if worker.holds_frames() { Span::millis(10) } else { NAP };
        if let Err(error) = sleeper.rest(work, worker.queues().iter(), nap) {
            tracing::error!(%error, "a worker cannot sleep");
        }
    }
}

/// As many workers as asked for; else one for each core that this process may use, less one for
/// control and the lab's own programs.
fn worker_count(model: &Model, options: &Options) -> usize {
    let asked = options.workers.or(model.workers.count).map(usize::from);
    let cores = affinity::allowed().map_or(1, |cores| cores.len());
    asked.unwrap_or(cores.saturating_sub(1)).clamp(1, crate::ids::SHARDS)
}

/// A number that nobody can guess, from the keys of the standard library's hasher.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn remove(socket: &std::path::Path) {
    // It may be gone with its folder.
    let _ = std::fs::remove_file(socket);
}
