//! Why can something not be measured? Sentences for whoever typed the command.

use std::io;

use crate::lab::LabError;

/// What keeps a benchmark from giving an answer.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The medium failed while frames crossed it.
    #[error("the medium failed during {during}: {why}")]
    Medium {
        /// What was going on.
        during: String,
        /// What the system said.
        why: io::Error,
    },
    /// The forwarder that was to be measured cannot be set up.
    #[error("{device} cannot be measured: {why}")]
    Device {
        /// Its name.
        device: String,
        /// Why not, and the way out.
        why: String,
    },
    /// Namespaces, interfaces or processes cannot be had.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// What was asked for does not go together.
    #[error("{0}")]
    Asked(String),
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

impl BenchError {
    /// Wraps what the system said about a medium.
    pub fn medium(during: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let during = during.into();
        move |why| Self::Medium { during, why }
    }
}
