//! thruway as a device: child processes of this very program, asked over their API's sockets.
//!
//! One process for each role; several are joined by links, veth pairs in the device's namespace
//! that can be cut while traffic crosses them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::super::Device;
use super::super::cores::Cores;
use super::super::drops::{DropMeter, Which};
use super::super::error::{Doing, MediumError};
use super::super::site::{Hosts, Site};
use super::{INPUT_FULL, idle_share, note, threads_of};
use crate::bench::record::trial::DeviceFrames;
use crate::control::api::Topic;
use crate::control::client::{self, AskError};
use crate::control::view::{Port, Status};
use crate::lab::{Interface, LabError, Netns, Process, Scratch, process, veth};
use crate::model::Role;

/// How long it may take until packets flow: a million routes are loaded in this time.
const START: Duration = Duration::from_secs(60);
/// How long it gets to end by itself.
const END: Duration = Duration::from_secs(3);

/// How to run thruway.
#[derive(Clone, Debug)]
pub struct ThruwaySpec {
    /// The configuration; [`Site::port_lines`] has what its ports stand on.
    pub config: String,
    /// Which sides of the circuits each process is.
    pub roles: Vec<Role>,
    /// The interfaces at both ends of each link between the processes, for packet ports.
    pub links: Vec<(String, String)>,
    /// Worker threads of each process.
    pub workers: usize,
    /// Whether workers poll when they are idle.
    pub poll: bool,
    /// The program; this one without it.
    pub program: Option<PathBuf>,
}

impl ThruwaySpec {
    /// One process with one worker that polls.
    pub fn new(config: impl Into<String>, role: Role) -> Self {
        Self {
            config: config.into(),
            roles: vec![role],
            links: Vec::new(),
            workers: 1,
            poll: true,
            program: None,
        }
    }

    /// Provider and edge in a process each, with links between them. Their workers share a core,
    /// so that none of them polls.
    pub fn pair(config: impl Into<String>, links: Vec<(String, String)>) -> Self {
        let roles = vec![Role::Provider, Role::Microsoft];
        Self { roles, links, poll: false, ..Self::new(config, Role::All) }
    }
}

/// A running thruway.
#[derive(Debug)]
pub struct Thruway {
    // Processes go before their files.
    running: Running,
    scratch: Scratch,
    spec: ThruwaySpec,
    links: Vec<Link>,
    netns: Netns,
    cores: Cores,
    hosts: Hosts,
    intake: DropMeter,
    intake_threads: Vec<(String, u32)>,
    /// Turns at the last reading: busy, idle.
    turns: (u64, u64),
}

/// A link's ends in the device's namespace.
type Link = [Interface; 2];

/// The processes by role.
#[derive(Clone, Debug, Default)]
struct Running(Arc<Mutex<Vec<(Role, Process)>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, Vec<(Role, Process)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thruway {
    /// Starts it on a site; every host that has a router is known to it when this returns.
    ///
    /// # Errors
    /// With its own words when it does not start, and when it does not answer a host's ARP.
    pub fn start(site: &Site, spec: ThruwaySpec) -> Result<Self, MediumError> {
        let scratch = Scratch::new("bench")?;
        let file = scratch.file("device.toml");
        fs::write(&file, &spec.config).doing(|| format!("writing {}", file.display()))?;
        let netns = site.device_netns().clone();
        let links = spec.links.iter().map(|names| link(&netns, names, site.plan().mtu()));
        let links = links.collect::<Result<Vec<_>, _>>()?;
        let mut intake = site.intake_drops()?;
        for end in links.iter().flatten() {
            intake.add(end, Which::Sent, format!("{}: link full or cut", end.name()))?;
        }
        let mut device = Self {
            running: Running::default(),
            scratch,
            spec,
            links,
            netns,
            cores: site.cores().clone(),
            hosts: site.hosts(),
            intake,
            intake_threads: site.threads.clone(),
            turns: (0, 0),
        };
        device.launch()?;
        Ok(device)
    }

    fn launch(&mut self) -> Result<(), MediumError> {
        for role in &self.spec.roles {
            let command = self.command(*role)?;
            let process = self.cores.on_device(|| Process::spawn(&self.netns, command))?;
            self.running.lock().push((*role, process));
        }
        for (role, process) in &*self.running.lock() {
            let ready = |line: &str| line.starts_with("thruway is ready");
            process.wait_line(&format!("thruway (role {role}) to be ready"), START, ready)?;
        }
        self.turns = (0, 0);
        self.hosts.make_known()
    }

    fn command(&self, role: Role) -> Result<Command, MediumError> {
        let file = self.scratch.file("device.toml").display().to_string();
        let socket = self.socket_of(role).display().to_string();
        let (role, workers) = (role.to_string(), self.spec.workers.to_string());
        let words = ["run", &file, "--role", &role, "--workers", &workers, "--api", &socket];
        let words = words.into_iter().chain(self.spec.poll.then_some("--poll"));
        Ok(match &self.spec.program {
            None => process::own_program(words)?,
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words);
                command
            }
        })
    }

    fn socket_of(&self, role: Role) -> PathBuf {
        self.scratch.file(&format!("{role}.sock"))
    }

    /// Where the API of its first process listens.
    pub fn socket(&self) -> PathBuf {
        self.socket_of(self.spec.roles[0])
    }

    /// The id of its first process.
    pub fn id(&self) -> Option<u32> {
        self.running.lock().first().map(|(_, process)| process.id())
    }

    /// Its last lines of output.
    pub fn lines(&self) -> Vec<String> {
        self.running.lock().iter().flat_map(|(_, process)| process.lines()).collect()
    }

    /// What can be done to it while somebody else measures.
    pub fn hand(&self) -> Hand {
        Hand { running: self.running.clone(), links: self.links.clone() }
    }

    /// What all processes counted; `None` once one has ended.
    fn read(&mut self) -> io::Result<Option<DeviceFrames>> {
        let ended = |(_, process): &(Role, Process)| process.exit_status().is_some();
        if self.running.lock().iter().any(ended) {
            return Ok(None);
        }
        let mut frames = DeviceFrames::default();
        let (mut turns, mut full) = ((0, 0), 0);
        for role in &self.spec.roles {
            let socket = self.socket_of(*role);
            let status: Status = ask(&socket, Topic::Status)?;
            let ports: Vec<Port> = ask(&socket, Topic::Ports)?;
            add(&mut frames, &status);
            turns = (turns.0 + status.busy_turns, turns.1 + status.idle_turns);
            full += ports.iter().map(|port| port.medium_drops).sum::<u64>();
        }
        frames.idle_turns = idle_share(self.turns, turns);
        self.turns = turns;
        full += self.intake.total().map_err(io::Error::other)?;
        // They reached its ports and went no further.
        frames.received += full;
        note(&mut frames.dropped, INPUT_FULL, full);
        Ok(Some(frames))
    }
}

/// Makes a link of two ends in one namespace.
fn link(netns: &Netns, names: &(String, String), mtu: u32) -> Result<Link, LabError> {
    let (a, b) = veth((netns, &names.0), (netns, &names.1))?;
    for end in [&a, &b] {
        end.set_mtu(mtu)?;
        end.offloads_off()?;
        end.up()?;
    }
    Ok([a, b])
}

/// Adds what one process counted.
fn add(frames: &mut DeviceFrames, status: &Status) {
    let own = &status.accounts;
    frames.received += own.received;
    frames.originated += own.originated;
    frames.split += own.split;
    frames.sent += own.sent;
    frames.punted += own.punted;
    frames.answered += own.answered;
    frames.held += i64::try_from(own.held).unwrap_or(i64::MAX);
    for drop in &status.drops {
        note(&mut frames.dropped, &drop.reason, drop.packets);
    }
}

fn ask<T: DeserializeOwned>(socket: &Path, topic: Topic) -> io::Result<T> {
    let answer = client::ask(socket, topic).map_err(io::Error::other)?;
    serde_json::from_value(answer).map_err(|why| io::Error::other(AskError::Form { topic, why }))
}

impl Device for Thruway {
    fn name(&self) -> &str {
        "thruway"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        self.read()
    }

    fn threads(&self) -> Vec<(String, u32)> {
        let mut threads = Vec::new();
        for (role, process) in &*self.running.lock() {
            let own = threads_of(process.id(), |name| name.starts_with("worker-"));
            threads.extend(own.into_iter().map(|(name, id)| match self.spec.roles.len() {
                1 => (name, id),
                _ => (format!("{role} {name}"), id),
            }));
        }
        threads.extend(self.intake_threads.iter().cloned());
        threads
    }

    /// Starts it again: sessions live in its memory alone. Links that were cut work again.
    fn reset(&mut self) -> io::Result<bool> {
        let processes = std::mem::take(&mut *self.running.lock());
        for (_, process) in &processes {
            process.request_end();
        }
        for (_, process) in processes {
            process.terminate(END).map_err(io::Error::other)?;
        }
        for end in self.links.iter().flatten() {
            end.up().map_err(io::Error::other)?;
        }
        self.launch().map_err(io::Error::other)?;
        Ok(true)
    }
}

/// Does to a running thruway what failures do.
#[derive(Clone, Debug)]
pub struct Hand {
    running: Running,
    links: Vec<Link>,
}

impl Hand {
    /// Cuts a link by its number, or mends it: both ends see their carrier go or come.
    ///
    /// # Errors
    /// When the site is gone.
    ///
    /// # Panics
    /// When there is no such link.
    pub fn set_link(&self, link: usize, up: bool) -> Result<(), MediumError> {
        // One end alone: the other one loses its carrier, as when a fibre is cut.
        let end = &self.links[link][1];
        if up {
            end.up()?
        } else {
            end.down()?
        }
        Ok(())
    }

    /// Kills the process of a role, without a word.
    ///
    /// # Errors
    /// When there is none, or the kernel refuses.
    pub fn kill(&self, role: Role) -> Result<(), MediumError> {
        let running = self.running.lock();
        let found = running.iter().find(|(own, _)| *own == role);
        let (_, process) = found
            .ok_or_else(|| MediumError::refused(format!("no process of role {role} runs here")))?;
        process.kill()?;
        Ok(())
    }
}
