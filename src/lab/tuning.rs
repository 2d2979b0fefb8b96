//! Which core takes the frames in that reach an interface? Without a word of ours it is the core
//! of whoever sent them, which then does part of the receiver's work.
//!
//! Written to the interface's attributes in a view of sysfs that belongs to its namespace and is
//! mounted nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::UnshareFlags;

use super::error::{Doing, LabError};
use super::interface::Interface;
use super::{sys, wait};
#[cfg(doc)]
use crate::io::sys::affinity;

// linux/ethtool.h
const SET_GRO: u32 = 0x2c;
/// How long the kernel may take to start a thread.
const THREAD_START: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

impl Interface {
    /// Lets a kernel thread take in what reaches the interface (threaded NAPI), and returns its id;
    /// [`affinity::restrict_thread`] chooses its core. A veth must be up, and its far end without
    /// segmentation offloads.
    ///
    /// # Errors
    /// When the kernel has no such thread for this driver.
    pub fn receive_in_thread(&self) -> Result<u32, LabError> {
        let before = napi_threads(self.name());
        // A veth's end has a queue of its own while generic receive offload is on.
        self.netns().run(|| {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
                .doing(|| "opening a socket to switch offloads".into())?;
            sys::ethtool_value(socket.as_fd(), self.name(), SET_GRO, 1)
                .doing(|| format!("turning generic receive offload on at {}", self.name()))
        })??;
        self.set_attribute("threaded", "1")?;
        let mut new = None;
        wait::until(THREAD_START, LOOK, || {
            new = napi_threads(self.name()).difference(&before).next().copied();
            new.is_some()
        });
        new.ok_or_else(|| LabError::Timeout {
            what: format!("waiting for a kernel thread that receives for {}", self.name()),
            within: THREAD_START,
        })
    }

    /// Lets core `cpu` take in what reaches the interface (receive packet steering), at once and in
    /// order.
    ///
    /// # Errors
    /// When the kernel has no such steering.
    pub fn receive_on(&self, cpu: usize) -> Result<(), LabError> {
        // Words of 32 cores, the highest first (Documentation/networking/scaling.rst).
        let mut mask = format!("{:x}", 1_u32 << (cpu % 32));
        mask.extend(std::iter::repeat_n(",00000000", cpu / 32));
        self.set_attribute("queues/rx-0/rps_cpus", &mask)
    }

    /// Writes an attribute of the interface: a file below `/sys/class/net/NAME`.
    fn set_attribute(&self, attribute: &str, value: &str) -> Result<(), LabError> {
        let path = format!("class/net/{}/{attribute}", self.name());
        let what = || format!("writing {value} to {path} of namespace {}", self.netns().label());
        self.netns().run(|| {
            let root = own_sysfs().doing(what)?;
            let file =
                rustix::fs::openat(&root, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                    .doing(what)?;
            fs::File::from(file).write_all(value.as_bytes()).doing(what)
        })?
    }
}

/// sysfs as the calling thread's namespace sees it. The thread must end after this.
fn own_sysfs() -> rustix::io::Result<OwnedFd> {
    // Whoever is root in a user namespace may mount in a mount namespace of that alone.
    sys::unshare(UnshareFlags::NEWNS)?;
    let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// The kernel threads that receive for interfaces of this name, in any namespace.
fn napi_threads(interface: &str) -> BTreeSet<u32> {
    // The kernel keeps 15 bytes of "napi/NAME-ID".
    let name = format!("napi/{interface}-");
    let start = &name[..name.len().min(15)];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_one = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|own| own.starts_with(start))
    };
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}
