//! Who listens for SIGINT, SIGTERM and SIGHUP? A thread that ends with the process.

use std::ops::ControlFlow;

use miette::{IntoDiagnostic, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Calls `act` for each signal from now on, until it breaks.
///
/// # Errors
/// When the system refuses a thread or a handler.
pub(super) fn each(
    mut act: impl FnMut(SignalKind) -> ControlFlow<()> + Send + 'static,
) -> Result<()> {
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
    let mut next = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                _ = hangup.recv() => SignalKind::hangup(),
            }
        })
    };
    let work = move || while act(next()).is_continue() {};
    std::thread::Builder::new().name("signals".into()).spawn(work).into_diagnostic()?;
    Ok(())
}
