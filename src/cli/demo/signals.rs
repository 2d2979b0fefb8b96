//! What does Ctrl-C do? While the lab is kept it ends the wait; else it ends the demo at once,
//! and the lab goes with the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};

use miette::{IntoDiagnostic, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Listens for SIGINT, SIGTERM and SIGHUP from now on.
#[derive(Debug)]
pub(super) struct Signals {
    waiting: Arc<AtomicBool>,
    heard: Receiver<()>,
}

impl Signals {
    /// Listens; a signal that nobody waits for removes `folder`, if there is one, and ends the
    /// program.
    pub(super) fn listen(folder: Option<PathBuf>) -> Result<Self> {
        let waiting = Arc::new(AtomicBool::new(false));
        let (tell, heard) = mpsc::channel();
        let theirs = Arc::clone(&waiting);
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
            let number = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = hangup.recv() => SignalKind::hangup(),
                }
            });
            if theirs.swap(false, Ordering::AcqRel) {
                let _ = tell.send(());
                continue;
            }
            // The processes die with this one, and the lab with them.
            let _ = folder.as_deref().map(std::fs::remove_dir_all);
            std::process::exit(128 + number.as_raw_value());
        };
        std::thread::Builder::new().name("signals".into()).spawn(work).into_diagnostic()?;
        Ok(Self { waiting, heard })
    }

    /// Waits for a signal.
    pub(super) fn wait(&self) {
        self.waiting.store(true, Ordering::Release);
        // The other end lives as long as the process.
        let _ = self.heard.recv();
    }
}
