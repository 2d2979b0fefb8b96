//! What can go wrong in a lab: by what was tried and what the kernel said.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The host does not let this process make network namespaces.
    #[error("network namespaces are not permitted here: {missing}")]
    NotPermitted {
        /// What is missing, for people.
        missing: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses, routes or neighbours.
    #[error("{what}: {source}")]
    Netlink {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: rtnetlink::Error,
    },
    /// There is no interface of that name.
    #[error("no interface {name} in namespace {netns}")]
    NoInterface {
        /// The namespace's label.
        netns: String,
        /// The name asked for.
        name: String,
    },
    /// Something did not happen in time.
    #[error("{what}: not within {within:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
    /// A process ended before it did what was waited for.
    #[error("{what}: the process ended first ({status}){tail}")]
    Exited {
        /// What was waited for.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines of output, each on a line of its own.
        tail: String,
    },
    /// An option outside its range.
    #[error("{what}")]
    Invalid {
        /// What is wrong, and what would be accepted.
        what: String,
    },
    /// The process that started this one is gone.
    #[error("the parent process {parent} is gone")]
    ParentGone {
        /// Its id.
        parent: i32,
    },
}

/// Adds what was tried to an error of the system.
pub(crate) trait Doing<T> {
    /// The error with `what` in front.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io { what: what(), source })
    }
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(io::Error::from).doing(what)
    }
}
