//! Asks a running thruway over its Unix socket.

use std::path::{Path, PathBuf};

use miette::{Result, miette};
use serde_json::Value;

use crate::control::api::{Topic, default_folder};
use crate::control::client::{self, AskError};

/// The socket to ask: the one given, or the only one there is.
///
/// # Errors
/// When there is none, or several and none was named.
pub fn socket(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let folder = default_folder();
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|own| own == "sock"))
        .collect();
    found.sort();
    match found.len() {
        0 => Err(miette!(
            help = "start one with `thruway run FILE`, or name its socket with --socket PATH",
            "no running thruway: no socket in {}",
            folder.display()
        )),
        1 => Ok(found.remove(0)),
        _ => {
            let names: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
            Err(miette!(
                help = "name one with --socket PATH",
                "several thruways run here: {}",
                names.join(", ")
            ))
        }
    }
}

/// Asks one question.
///
/// # Errors
/// When nobody listens there, or the answer is not JSON.
pub fn ask(socket: &Path, topic: Topic) -> Result<Value> {
    client::ask(socket, topic).map_err(|error| match error {
        AskError::Unreachable { .. } => miette!(
            help = "is it still running? `thruway run FILE` prints its socket when it is ready",
            "{error}"
        ),
        other => miette!("{other}"),
    })
}
