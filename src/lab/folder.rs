//! Where do a lab's files live, so that nothing is left of them? In a file system in memory that a
//! descriptor holds and that is mounted nowhere.
//!
//! Like the namespaces it has no name but a path below `/proc`, which other processes of this user
//! can open while this one lives. It goes with the process, however that ends.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use rustix::thread::UnshareFlags;

use super::error::{Doing, LabError};
use super::{netns, sys};

/// A folder in memory that vanishes with its last descriptor.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// A new folder, empty, that nobody else may enter.
    ///
    /// # Errors
    /// When the kernel is older than 5.2, or does not let this process mount anything.
    pub fn new() -> Result<Self, LabError> {
        // Who may mount is a question of the mount namespace: in a user namespace the process is
        // still in the host's, so the thread takes one of its own and leaves it at once.
        netns::on_thread("folder", || {
            sys::unshare(UnshareFlags::NEWNS)
                .and_then(|()| tmpfs())
                .doing(|| "making a folder in memory".into())
        })
        .map(Self)
    }

    /// Where this process, and others of this user, find it as long as this process lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

fn tmpfs() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "0700")?;
    fsconfig_create(&context)?;
    let kept_simple = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, kept_simple)
}
