//! thruway as a device: a child process of this very program, asked over its API's socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::super::Device;
use super::super::cores::Cores;
use super::super::drops::DropMeter;
use super::super::error::{Doing, MediumError};
use super::super::site::{Hosts, Site};
use super::{INPUT_FULL, idle_share, note, threads_of};
use crate::bench::record::trial::DeviceFrames;
use crate::control::api::Topic;
use crate::control::client::{self, AskError};
use crate::control::view::{Port, Status};
use crate::lab::{Netns, Process, Scratch, process};
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
    /// Which sides of the circuits it is.
    pub role: Role,
    /// Worker threads.
    pub workers: usize,
    /// Whether workers poll when they are idle.
    pub poll: bool,
    /// The program; this one without it.
    pub program: Option<PathBuf>,
}

impl ThruwaySpec {
    /// One worker that polls.
    pub fn new(config: impl Into<String>, role: Role) -> Self {
        Self { config: config.into(), role, workers: 1, poll: true, program: None }
    }
}

/// A running thruway.
#[derive(Debug)]
pub struct Thruway {
    // The process goes before its files.
    process: Option<Process>,
    scratch: Scratch,
    spec: ThruwaySpec,
    netns: Netns,
    cores: Cores,
    hosts: Hosts,
    intake: DropMeter,
    intake_threads: Vec<(String, u32)>,
    /// Turns at the last reading: busy, idle.
    turns: (u64, u64),
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
        let mut device = Self {
            process: None,
            scratch,
            spec,
            netns: site.device_netns().clone(),
            cores: site.cores().clone(),
            hosts: site.hosts(),
            intake: site.intake_drops()?,
            intake_threads: site.threads.clone(),
            turns: (0, 0),
        };
        device.launch()?;
        Ok(device)
    }

    fn launch(&mut self) -> Result<(), MediumError> {
        let command = self.command()?;
        let process = self.cores.on_device(|| Process::spawn(&self.netns, command))?;
        let ready = |line: &str| line.starts_with("thruway is ready");
        process.wait_line("thruway to be ready", START, ready)?;
        self.process = Some(process);
        self.turns = (0, 0);
        self.hosts.make_known()
    }

    fn command(&self) -> Result<Command, MediumError> {
        let file = self.scratch.file("device.toml").display().to_string();
        let socket = self.socket().display().to_string();
        let (role, workers) = (self.spec.role.to_string(), self.spec.workers.to_string());
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

    /// Where its API listens.
    pub fn socket(&self) -> PathBuf {
        self.scratch.file("device.sock")
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Its last lines of output.
    pub fn lines(&self) -> Vec<String> {
        self.process.as_ref().map(Process::lines).unwrap_or_default()
    }
}

fn ask<T: DeserializeOwned>(socket: &Path, topic: Topic) -> std::io::Result<T> {
    let answer = client::ask(socket, topic).map_err(std::io::Error::other)?;
    serde_json::from_value(answer)
        .map_err(|why| std::io::Error::other(AskError::Form { topic, why }))
}

impl Device for Thruway {
    fn name(&self) -> &str {
        "thruway"
    }

    fn accounts(&mut self) -> std::io::Result<Option<DeviceFrames>> {
        let status: Status = ask(&self.socket(), Topic::Status)?;
        let ports: Vec<Port> = ask(&self.socket(), Topic::Ports)?;
        let own = status.accounts;
        let mut frames = DeviceFrames {
            received: own.received,
            originated: own.originated,
            split: own.split,
            sent: own.sent,
            punted: own.punted,
            answered: own.answered,
            held: i64::try_from(own.held).unwrap_or(i64::MAX),
            dropped: status.drops.into_iter().map(|own| (own.reason, own.packets)).collect(),
            idle_turns: idle_share(self.turns, (status.busy_turns, status.idle_turns)),
        };
        self.turns = (status.busy_turns, status.idle_turns);
        let full = ports.iter().map(|port| port.medium_drops).sum::<u64>()
            + self.intake.total().map_err(std::io::Error::other)?;
        // They reached its ports and went no further.
        frames.received += full;
        note(&mut frames.dropped, INPUT_FULL, full);
        Ok(Some(frames))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        let process = self.id().map(|id| threads_of(id, |name| name.starts_with("worker-")));
        process.into_iter().flatten().chain(self.intake_threads.iter().cloned()).collect()
    }

    /// Starts it again: sessions live in its memory alone.
    fn reset(&mut self) -> std::io::Result<bool> {
        if let Some(process) = self.process.take() {
            process.terminate(END).map_err(std::io::Error::other)?;
        }
        self.launch().map_err(std::io::Error::other)?;
        Ok(true)
    }
}
