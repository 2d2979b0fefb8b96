//! The API: HTTP with JSON on a Unix socket (mode 0600), one question a path.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

/// What can be asked; also the last part of the path and the word after `show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Topic {
    /// Uptime, packet accounting, drops
    Status,
    /// Circuits with their metering
    Circuits,
    /// Peerings
    Peerings,
    /// ARP tables
    Arp,
    /// Routes of every routing domain
    Routes,
    /// NAT sessions
    Nat,
    /// Gateways and FastPath
    Gateways,
    /// Ports
    Ports,
    /// Dropped packets by reason
    Drops,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 9] = [
        Topic::Status,
        Topic::Circuits,
        Topic::Peerings,
        Topic::Arp,
        Topic::Routes,
        Topic::Nat,
        Topic::Gateways,
        Topic::Ports,
        Topic::Drops,
    ];

    /// Its name in paths and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Status => "status",
            Topic::Circuits => "circuits",
            Topic::Peerings => "peerings",
            Topic::Arp => "arp",
            Topic::Routes => "routes",
            Topic::Nat => "nat",
            Topic::Gateways => "gateways",
            Topic::Ports => "ports",
            Topic::Drops => "drops",
        }
    }

    /// Its path.
    pub fn path(self) -> String {
        format!("/v1/{}", self.name())
    }
}

/// A question and where its answer goes.
#[derive(Debug)]
pub struct Query {
    /// What is asked.
    pub topic: Topic,
    /// The answer.
    pub reply: oneshot::Sender<Value>,
}

/// Why the API's socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error("{} is in use by a running thruway: stop it, or give this one another path with --api", .0.display())]
    InUse(PathBuf),
    /// Something else stands there, which is not thruway's to remove.
    #[error("{} is no socket; give another path with --api", .0.display())]
    NotASocket(PathBuf),
    /// The system says no.
    #[error("cannot listen on {}: {why}; give another path with --api", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// Where a process of this role listens when nothing else is said.
pub fn default_socket(role: &str) -> PathBuf {
    default_folder().join(format!("{role}.sock"))
}

/// The folder of the default sockets.
pub fn default_folder() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/run/thruway");
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.unwrap_or_else(std::env::temp_dir).join("thruway")
}

/// Listens on `path`; a socket that a dead process left there is taken over.
///
/// # Errors
/// When a living process has it, another kind of file is there, or the folder cannot be written.
pub fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let wrap = |why| SocketError::Io { path: path.to_owned(), why };
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        if StdUnixStream::connect(path).is_ok() {
            return Err(SocketError::InUse(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(wrap)?;
    } else if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrap)?;
    }
    let listener = UnixListener::bind(path).map_err(wrap)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(wrap)?;
    Ok(listener)
}

/// Answers requests until the runtime ends.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: UnixListener, queries: mpsc::Sender<Query>) -> io::Result<()> {
    let mut router = Router::new();
    for topic in Topic::ALL {
        router = router.route(
            &topic.path(),
            get(move |State(queries): State<mpsc::Sender<Query>>| ask(queries, topic)),
        );
    }
    axum::serve(listener, router.with_state(queries)).await
}

async fn ask(queries: mpsc::Sender<Query>, topic: Topic) -> Response {
    let (reply, answer) = oneshot::channel();
    if queries.send(Query { topic, reply }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "thruway is stopping").into_response();
    }
    match answer.await {
        Ok(value) => Json(value).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "thruway is stopping").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_process_s_socket_is_taken_over_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lab.sock");
        drop(listen(&socket).unwrap());
        assert!(socket.exists(), "nobody took it away");
        let again = listen(&socket).unwrap();
        assert!(matches!(listen(&socket), Err(SocketError::InUse(_))));
        drop(again);

        let file = folder.path().join("lab.toml");
        std::fs::write(&file, "[service]").unwrap();
        let error = listen(&file).unwrap_err().to_string();
        assert!(error.contains("lab.toml is no socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[service]");
    }
}
