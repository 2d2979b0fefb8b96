//! Asks a running thruway over its API's socket: one question, one answer.

use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::api::Topic;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("cannot reach thruway at {}: {why}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// The system's word.
        why: io::Error,
    },
    /// It does not want to answer.
    #[error("thruway answered {status}: {words}")]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The connection broke.
    #[error("the connection to thruway broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer is no JSON, or not of the expected form.
    #[error("the answer about {} is not what it should be: {why}", topic.name())]
    Form {
        /// What was asked.
        topic: Topic,
        /// Where it differs.
        why: serde_json::Error,
    },
    /// The system has no descriptors left.
    #[error("cannot start a runtime to ask thruway: {0}")]
    System(io::Error),
}

/// Asks one question.
///
/// # Errors
/// When nobody listens there, or the answer is not JSON.
pub fn ask(socket: &Path, topic: Topic) -> Result<Value, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AskError::System)?;
    runtime.block_on(request(socket, topic))
}

async fn request(socket: &Path, topic: Topic) -> Result<Value, AskError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|why| AskError::Unreachable { socket: socket.to_owned(), why })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(topic.path())
        .header("host", "thruway")
        .body(Empty::<Bytes>::new())
        .expect("a path and a header of ours are right");
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        let words = String::from_utf8_lossy(&body).into_owned();
        return Err(AskError::Refused { status: status.as_u16(), words });
    }
    serde_json::from_slice(&body).map_err(|why| AskError::Form { topic, why })
}
