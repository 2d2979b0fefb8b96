//! Does the user want it to end? SIGINT, SIGTERM and SIGHUP are words in a channel.

use std::sync::mpsc::{self, Receiver};

use miette::{IntoDiagnostic, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on; the thread that does ends with the process.
pub(super) fn listen() -> Result<Receiver<()>> {
    let (tell, heard) = mpsc::channel();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()?;
    // Registered before this returns: no signal is missed.
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).into_diagnostic();
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        )
    };
    let work = move || loop {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        if tell.send(()).is_err() {
            return;
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(work).into_diagnostic()?;
    Ok(heard)
}
