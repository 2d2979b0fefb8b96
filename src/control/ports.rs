//! The process's ports: opened from the model, watched, brought back.

use std::collections::HashMap;

use crate::compile::LossPath;
use crate::frame::{Memory, Pool};
use crate::ids::PortId;
use crate::io::{
    CaptureSpec, LinkState, Netns, Pace, PacketSpec, Port, PortError, PortKind, PortSpec, Queue,
    Steering, TapSpec, XdpMode, XdpSpec, memory, xdp,
};
use crate::model::{self, Model, PortName};
use crate::time::{Now, Span};

/// Frames that wait in each lane of a cable inside the process.
const CABLE_DEPTH: usize = 1024;
/// How often a port that is gone is tried again.
const RETRY: Span = Span::secs(1);

/// The process's ports.
#[derive(Debug)]
pub struct Ports {
    ports: Vec<Port>,
    states: Vec<LinkState>,
    retry_at: Vec<Now>,
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The medium says no.
    #[error("port {name}: {why}")]
    Port {
        /// The port.
        name: PortName,
        /// Why; part of the message, so that it is said once.
        why: PortError,
    },
    /// A memory port that nothing is plugged into.
    #[error("port {name}: a memory port needs a [[cable]] to another one")]
    NoCable {
        /// The port.
        name: PortName,
    },
    /// No descriptors or memory.
    #[error("cannot make a cable: {0}")]
    Cable(std::io::Error),
}

/// A change that control acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The port.
    pub port: PortId,
    /// What it was.
    pub before: LinkState,
    /// What it is.
    pub now: LinkState,
}

impl Ports {
    /// Opens every port of the model with one queue for each worker, whose frames lie in `memory`;
    /// returns the queues by worker, then by port.
    ///
    /// # Errors
    /// When one cannot be opened: the ones before it are closed again.
    pub fn open(
        model: &Model,
        workers: usize,
        memory: &Memory,
    ) -> Result<(Ports, Vec<Vec<Queue>>), OpenError> {
        let mut plugs = plugs(model, workers)?;
        let mut queues: Vec<Vec<Queue>> = (0..workers).map(|_| Vec::new()).collect();
        let mut ports = Vec::new();
        for own in &model.ports {
            let kind = kind(model, own, memory, &mut plugs)?;
            let (port, own_queues) = Port::open(PortSpec { kind, queues: workers })
                .map_err(|why| OpenError::Port { name: own.name.clone(), why })?;
            let name = own.name.as_str();
            port.notes().iter().for_each(|note| tracing::warn!(port = name, "{note}"));
            if let Steering::Interface { receivers } = port.steering()
                && receivers < workers
            {
                tracing::warn!(
                    port = name,
                    "{receivers} of {workers} workers receive, since {} has no more queues",
                    port.name()
                );
            }
            for (worker, queue) in queues.iter_mut().zip(own_queues) {
                worker.push(queue);
            }
            ports.push(port);
        }
        let states = ports.iter().map(Port::link_state).collect();
        let retry_at = vec![Now(0); ports.len()];
        Ok((Ports { ports, states, retry_at }, queues))
    }

    /// What the ports are doing.
    pub fn iter(&self) -> impl Iterator<Item = (&Port, LinkState)> {
        self.ports.iter().zip(self.states.iter().copied())
    }

    /// Frames that the kernel dropped before a port could receive them, by port.
    pub fn medium_drops(&mut self) -> Vec<u64> {
        self.ports.iter_mut().map(Port::medium_drops).collect()
    }

    /// Looks at every port, brings back those that are gone, passes on the loss of links, and
    /// returns what changed.
    pub fn watch(&mut self, now: Now, loss: &[LossPath]) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.ports.len() {
            let port = &mut self.ports[index];
            let mut state = port.link_state();
            if state == LinkState::Gone && now >= self.retry_at[index] {
                self.retry_at[index] = now + RETRY;
                if port.reopen().is_ok() {
                    state = port.link_state();
                }
            }
            let before = std::mem::replace(&mut self.states[index], state);
            if before != state {
                changes.push(Change { port: PortId::from_index(index), before, now: state });
            }
        }
        for path in loss {
            let down = path.links.iter().all(|link| self.states[link.index()] != LinkState::Up);
            let access = &self.ports[path.access.index()];
            if down != access.is_held()
                && let Err(error) = access.set_carrier(!down)
            {
                tracing::warn!(port = access.name(), %error, "cannot pass on the loss of the link");
            }
        }
        changes
    }
}

/// Both sides of every cable, by the port that takes it.
fn plugs(model: &Model, workers: usize) -> Result<HashMap<PortName, memory::Plug>, OpenError> {
    let mut plugs = HashMap::new();
    for cable in &model.cables {
        let (a, b) = memory::cable(workers, CABLE_DEPTH).map_err(OpenError::Cable)?;
        plugs.insert(cable.ends[0].clone(), a);
        plugs.insert(cable.ends[1].clone(), b);
    }
    Ok(plugs)
}

/// A pool for each of `workers` workers and one for control, with `frames` frames each beyond those
/// of a worker that the kernel holds.
///
/// # Errors
/// When the memory cannot be mapped.
pub fn pools(model: &Model, workers: usize, frames: usize) -> std::io::Result<Vec<Pool>> {
    let lent = |own: &model::Port| match &own.kind {
        model::PortKind::Xdp { ifname, netns, .. } => {
            let netns = netns.clone().map(Netns::Path);
            xdp::receive_queues(ifname, netns.as_ref()).div_ceil(workers) * xdp::FRAMES
        }
        _ => 0,
    };
    Pool::family(workers + 1, frames + model.ports.iter().map(lent).sum::<usize>())
}

fn kind(
    model: &Model,
    own: &model::Port,
    memory: &Memory,
    plugs: &mut HashMap<PortName, memory::Plug>,
) -> Result<PortKind, OpenError> {
    let name = own.name.clone();
    match &own.kind {
        model::PortKind::Tap { ifname, netns } => Ok(PortKind::Tap(TapSpec {
            mtu: u32::from(own.mtu),
            netns: netns.clone().map(Netns::Path),
            ..TapSpec::new(ifname)
        })),
        model::PortKind::Packet { ifname, netns } => Ok(PortKind::Packet(PacketSpec {
            netns: netns.clone().map(Netns::Path),
            needs_mtu: needs_mtu(model, own),
            allow_host_interface: own.allow_host_interface,
            ..PacketSpec::new(ifname)
        })),
        model::PortKind::Xdp { ifname, netns, mode, busy_poll } => Ok(PortKind::Xdp(XdpSpec {
            netns: netns.clone().map(Netns::Path),
            needs_mtu: needs_mtu(model, own),
            allow_host_interface: own.allow_host_interface,
            mode: match mode {
                model::XdpMode::Auto => XdpMode::Auto,
                model::XdpMode::Native => XdpMode::Native,
                model::XdpMode::Generic => XdpMode::Generic,
            },
            busy_poll: *busy_poll,
            ..XdpSpec::new(ifname, memory.clone())
        })),
        model::PortKind::Memory => match plugs.remove(&own.name) {
            Some(plug) => Ok(PortKind::Memory { name: name.to_string(), plug }),
            None => Err(OpenError::NoCable { name }),
        },
        model::PortKind::Pcap { input, output, pace } => Ok(PortKind::Capture(CaptureSpec {
            name: name.to_string(),
            input: input.clone(),
            output: output.clone(),
            pace: match pace {
                model::CapturePace::Capture => Pace::Capture,
                model::CapturePace::Unpaced => Pace::Unpaced,
            },
        })),
    }
}

/// What an interface must carry: a full packet, and the inner of two tags where there are two.
fn needs_mtu(model: &Model, own: &model::Port) -> u32 {
    let link = model.circuits.iter().any(|circuit| {
        let two = circuit.encapsulation == model::Encapsulation::QinQ;
        let here = circuit.links.iter().flat_map(|links| [&links.primary, &links.secondary]);
        let provided = model.providers.iter().filter(|own| own.circuit == circuit.name);
        let there = provided.flat_map(|own| [&own.links.primary, &own.links.secondary]);
        two && here.chain(there).any(|name| *name == own.name)
    });
    let access = model.providers.iter().any(|provider| {
        let sides = provider.private.iter().chain(&provider.microsoft);
        let mut sides = sides.flat_map(|side| [&side.primary, &side.secondary]).flatten();
        sides.any(|access| access.port == own.name && access.tags.len() == 2)
    });
    if link || access { u32::from(model::TWO_TAG_MTU) } else { 0 }
}
