//! In which network namespace does a port's interface stand?
//!
//! Descriptors made inside a namespace work from everywhere, so it is entered only to open a
//! port, on a thread that ends with that.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::sys;

/// A network namespace other than the process's own.
#[derive(Clone, Debug)]
pub enum Netns {
    /// By a path such as `/proc/PID/ns/net` or `/run/netns/NAME`.
    Path(PathBuf),
    /// By a descriptor of such a file.
    Fd(Arc<OwnedFd>),
}

impl Netns {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        Ok(Netns::Fd(Arc::new(sys::netns::current()?)))
    }

    fn enter(&self) -> io::Result<()> {
        match self {
            Netns::Path(path) => sys::netns::enter(File::open(path)?),
            Netns::Fd(fd) => sys::netns::enter(fd),
        }
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Netns::Path(path) => write!(f, "{}", path.display()),
            Netns::Fd(_) => f.write_str("given by descriptor"),
        }
    }
}

/// The namespace in words, for messages.
pub(super) fn place(netns: Option<&Netns>) -> String {
    netns.map_or_else(
        || "this network namespace".to_owned(),
        |netns| format!("the network namespace {netns}"),
    )
}

/// Runs `work` inside `netns`, or right here without one.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn inside<T: Send>(netns: Option<&Netns>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let Some(netns) = netns else { return Ok(work()) };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| netns.enter().map(|()| work()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
