//! What does a lab need that is not thruway? Namespaces, interfaces, processes and traffic, for
//! `demo`, `bench` and end-to-end tests, with no external program.
//!
//! Namespaces and folders are anonymous: descriptors hold them, no name under `/run/netns` or
//! `/tmp` does, so a killed process leaves nothing. All waits end at an event or a deadline. The lab measures, so it reads
//! clocks (in [`wait`] alone); it prints nothing, progress is its caller's business. TAP devices
//! are made by the thruway process that uses them; the lab waits for them and configures them.

pub mod error;
pub mod folder;
pub mod interface;
pub mod netns;
pub mod process;
pub mod route;
mod scratch;
mod sys;
pub mod task;
pub mod traffic;
mod tuning;
pub mod wait;

use std::collections::BTreeMap;
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub use error::LabError;
pub use interface::{Interface, InterfaceCounters, veth};
pub use netns::{Netns, Privilege, enter_user_namespace, prepare};
pub use process::{Process, die_with_parent};
pub use route::{Hop, Route};
pub use scratch::Scratch;
pub use task::{Stop, Task};

/// How long a process gets to end by itself when the lab is taken down.
const GRACE: Duration = Duration::from_secs(3);

/// Namespaces and processes that go away together; dropping it ends the processes first.
#[derive(Debug, Default)]
pub struct Lab {
    processes: BTreeMap<String, Process>,
    namespaces: BTreeMap<String, Netns>,
}

impl Lab {
    /// An empty lab, after a check that namespaces can be made.
    ///
    /// # Errors
    /// Says what is missing when they cannot; [`prepare`] at the start of the program may help.
    pub fn new() -> Result<Self, LabError> {
        Netns::new("probe")?;
        Ok(Self::default())
    }

    /// The namespace of that name, made when there is none yet.
    ///
    /// # Errors
    /// When the kernel refuses a new one.
    pub fn netns(&mut self, name: &str) -> Result<Netns, LabError> {
        if let Some(netns) = self.namespaces.get(name) {
            return Ok(netns.clone());
        }
        let netns = Netns::new(name)?;
        self.namespaces.insert(name.to_owned(), netns.clone());
        Ok(netns)
    }

    /// Starts a process in the namespace `netns` under the name `name`; one of that name that
    /// runs already is killed.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the program cannot be started.
    pub fn spawn(
        &mut self,
        name: &str,
        netns: &Netns,
        command: Command,
    ) -> Result<&Process, LabError> {
        self.processes.remove(name);
        let process = Process::spawn(netns, command)?;
        Ok(self.processes.entry(name.to_owned()).or_insert(process))
    }

    /// A process by its name.
    pub fn process(&self, name: &str) -> Option<&Process> {
        self.processes.get(name)
    }

    /// Takes a process out of the lab's care.
    pub fn release(&mut self, name: &str) -> Option<Process> {
        self.processes.remove(name)
    }

    /// Ends every process and lets the namespaces go; returns how each process ended.
    pub fn close(mut self) -> Vec<(String, Result<ExitStatus, LabError>)> {
        self.end_processes()
    }

    fn end_processes(&mut self) -> Vec<(String, Result<ExitStatus, LabError>)> {
        let processes = std::mem::take(&mut self.processes);
        for process in processes.values() {
            process.request_end();
        }
        processes.into_iter().map(|(name, process)| (name, process.terminate(GRACE))).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end_processes();
    }
}

#[cfg(test)]
mod tests;
