//! Does the user want it to end? Signals are words in a channel.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};

use miette::Result;

use super::super::signals;

/// Listens from now on.
pub(super) fn listen() -> Result<Receiver<()>> {
    let (tell, heard) = mpsc::channel();
    signals::each(move |_| match tell.send(()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })?;
    Ok(heard)
}
