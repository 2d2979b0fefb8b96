//! Why a medium or a device cannot be had: with which of them, why, and the way out.

use std::io;

use crate::io::PortError;
use crate::lab::LabError;

/// Why a medium or a device cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// The lab could not be built.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A port could not be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with what.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It cannot be, or shall not be.
    #[error("{what}")]
    Refused {
        /// The reason and the way out, in a sentence.
        what: String,
    },
}

impl MediumError {
    /// A refusal.
    pub fn refused(what: impl Into<String>) -> Self {
        MediumError::Refused { what: what.into() }
    }
}

/// Adds what was tried to an error of the system.
pub(super) trait Doing<T> {
    /// The error with `what` in front.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, MediumError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, MediumError> {
        self.map_err(|source| MediumError::Io { what: what(), source: source.into() })
    }
}
