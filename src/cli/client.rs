//! Asks a running thruway over its Unix socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use miette::{IntoDiagnostic, Result, miette};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::control::api::{Topic, default_folder};

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
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()?;
    runtime.block_on(request(socket, topic))
}

async fn request(socket: &Path, topic: Topic) -> Result<Value> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        miette!(
            help = "is it still running? `thruway run FILE` prints its socket when it is ready",
            "cannot reach thruway at {}: {error}",
            socket.display()
        )
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.into_diagnostic()?;
    tokio::spawn(connection);
    let request = hyper::Request::get(topic.path())
        .header("host", "thruway")
        .body(Empty::<Bytes>::new())
        .into_diagnostic()?;
    let response = sender.send_request(request).await.into_diagnostic()?;
    let status = response.status();
    let body = response.into_body().collect().await.into_diagnostic()?.to_bytes();
    if !status.is_success() {
        return Err(miette!("thruway answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).into_diagnostic()
}
