//! What does Ctrl-C do? While the lab is kept it ends the wait; else it ends the demo at once,
//! and the lab goes with the process.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};

use miette::Result;

use super::super::signals;

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
        signals::each(move |number| {
            if theirs.swap(false, Ordering::AcqRel) {
                let _ = tell.send(());
                return ControlFlow::Continue(());
            }
            // The processes die with this one, and the lab with them.
            let _ = folder.as_deref().map(std::fs::remove_dir_all);
            std::process::exit(128 + number.as_raw_value());
        })?;
        Ok(Self { waiting, heard })
    }

    /// Waits for a signal.
    pub(super) fn wait(&self) {
        self.waiting.store(true, Ordering::Release);
        // The other end lives as long as the process.
        let _ = self.heard.recv();
    }
}
