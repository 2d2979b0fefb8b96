//! Network namespaces of the calling thread.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// Moves the calling thread into a new, empty network namespace.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN.
pub fn unshare() -> io::Result<()> {
    // SAFETY: NEWNET alone changes no descriptor table, address space or signal handling.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Moves the calling thread into the namespace that `fd` names.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN there, `EINVAL` when `fd` is no network namespace.
pub fn enter(fd: impl AsFd) -> io::Result<()> {
    Ok(move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// The calling thread's namespace.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn current() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}
