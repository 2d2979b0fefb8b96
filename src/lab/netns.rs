//! Where does a thing run? In a network namespace that a descriptor holds.
//!
//! A namespace lives as long as a [`Netns`], a socket, a thread or a process of it does, and has
//! no name in the file system. A thread enters one for good: work is always done on a thread of
//! its own, never by moving the caller.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::error::{Doing, LabError};
use super::sys;
use super::task::{Stop, Task};

/// A network namespace; clones are the same one.
#[derive(Clone, Debug)]
pub struct Netns {
    label: Arc<str>,
    fd: Arc<OwnedFd>,
}

impl Netns {
    /// Makes a namespace with `lo` up; `label` is for messages alone.
    ///
    /// # Errors
    /// [`LabError::NotPermitted`] when the process may not.
    pub fn new(label: &str) -> Result<Self, LabError> {
        let fd = on_thread(label, || {
            sys::unshare(UnshareFlags::NEWNET).map_err(refusal)?;
            open_current()
        })?;
        let netns = Self { label: label.into(), fd: Arc::new(fd) };
        netns.interface("lo").up()?;
        Ok(netns)
    }

    /// The namespace that the calling thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current(label: &str) -> Result<Self, LabError> {
        Ok(Self { label: label.into(), fd: Arc::new(open_current()?) })
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where another process of this user finds the namespace, as long as this process lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd()).into()
    }

    /// Does `work` inside, on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// When no thread can be made or the namespace cannot be entered.
    ///
    /// # Panics
    /// When `work` panics, with its panic.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        on_thread(&self.label, || {
            self.enter()?;
            Ok(work())
        })
    }

    /// Starts `work` inside, in the background.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Stop) -> Result<T, LabError> + Send + 'static,
    ) -> Result<Task<Result<T, LabError>>, LabError> {
        let netns = self.clone();
        Task::start(name, move |stop| {
            netns.enter()?;
            work(stop)
        })
    }

    /// Moves the calling thread inside, for good.
    pub(crate) fn enter(&self) -> Result<(), LabError> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .doing(|| format!("entering namespace {}", self.label))
    }

    /// Writes a sysctl, such as `net/ipv4/ip_forward`.
    ///
    /// # Errors
    /// When the kernel does not know it or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        // /proc/sys/net shows the namespace of the thread that opens the file.
        self.run(|| write_sysctl(key, value))?
    }

    /// Reads a sysctl.
    ///
    /// # Errors
    /// When the kernel does not know it.
    pub fn read_sysctl(&self, key: &str) -> Result<String, LabError> {
        self.run(|| {
            let path = format!("/proc/sys/{key}");
            fs::read_to_string(&path)
                .map(|s| s.trim().to_owned())
                .doing(|| format!("reading {path}"))
        })?
    }

    /// Writes a sysctl of every interface there is and of those to come:
    /// `net/FAMILY/conf/*/KEY`.
    ///
    /// # Errors
    /// When the kernel does not know it or refuses the value.
    pub fn sysctl_all(&self, family: &str, key: &str, value: &str) -> Result<(), LabError> {
        self.run(|| {
            let path = format!("/proc/sys/net/{family}/conf");
            for entry in fs::read_dir(&path).doing(|| format!("reading {path}"))? {
                let name = entry.doing(|| format!("reading {path}"))?.file_name();
                let name = name.to_string_lossy();
                write_sysctl(&format!("net/{family}/conf/{name}/{key}"), value)?;
            }
            Ok(())
        })?
    }

    /// Makes the namespace a router: forwards, with no reverse-path filter, and leaves routes
    /// whose interface has no carrier alone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make_router(&self) -> Result<(), LabError> {
        self.sysctl("net/ipv4/ip_forward", "1")?;
        self.sysctl_all("ipv4", "rp_filter", "0")?;
        self.sysctl_all("ipv4", "ignore_routes_with_linkdown", "1")?;
        // Hash over ports as well as addresses.
        self.sysctl("net/ipv4/fib_multipath_hash_policy", "1")
    }

    /// Keeps IPv6 silent: no addresses, no router or listener messages of the kernel's own.
    ///
    /// # Errors
    /// When the kernel refuses; a kernel without IPv6 is silent already.
    pub fn silence_ip6(&self) -> Result<(), LabError> {
        if !self.run(|| fs::exists("/proc/sys/net/ipv6").unwrap_or(false))? {
            return Ok(());
        }
        self.sysctl_all("ipv6", "accept_dad", "0")?;
        self.sysctl_all("ipv6", "disable_ipv6", "1")
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How this process may make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// By itself: it is root, or has CAP_SYS_ADMIN.
    Own,
    /// In a user namespace that it entered.
    UserNamespace,
}

/// Sees to it that this process can make namespaces: enters a user namespace when it must. Call
/// it before any other thread is started.
///
/// # Errors
/// [`LabError::NotPermitted`] says what is missing.
pub fn prepare() -> Result<Privilege, LabError> {
    match Netns::new("probe") {
        Ok(_) => Ok(Privilege::Own),
        Err(LabError::NotPermitted { .. }) => {
            enter_user_namespace()?;
            Netns::new("probe").map(|_| Privilege::UserNamespace)
        }
        Err(other) => Err(other),
    }
}

/// Moves this process into a user and a network namespace of its own, where it is root. The
/// process must have no other thread.
///
/// # Errors
/// [`LabError::NotPermitted`] says what is missing.
pub fn enter_user_namespace() -> Result<(), LabError> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    sys::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(|error| match error {
        Errno::INVAL => LabError::NotPermitted {
            missing: "a user namespace can be entered only before other threads are started".into(),
        },
        other => refusal(other),
    })?;
    let write = |file: &str, text: String| {
        fs::write(file, text).map_err(|error| LabError::NotPermitted {
            missing: format!("the user namespace cannot be mapped ({file}: {error})"),
        })
    };
    // user_namespaces(7): gid_map may be written by the unprivileged after this alone.
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
    write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))?;
    Netns::current("own")?.interface("lo").up()
}

fn refusal(error: Errno) -> LabError {
    let advice = match error {
        Errno::PERM | Errno::ACCESS => {
            "run as root, or let users make user namespaces \
             (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor)"
        }
        Errno::NOSPC | Errno::USERS => {
            "the limit is reached (sysctl user.max_net_namespaces, user.max_user_namespaces)"
        }
        _ => "the kernel has none",
    };
    LabError::NotPermitted { missing: format!("{advice}; the kernel said: {error}") }
}

fn open_current() -> Result<OwnedFd, LabError> {
    // thread-self, not self: the main thread may be somewhere else.
    let path = "/proc/thread-self/ns/net";
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .doing(|| format!("opening {path}"))
}

fn write_sysctl(key: &str, value: &str) -> Result<(), LabError> {
    let path = format!("/proc/sys/{key}");
    fs::write(&path, value).doing(|| format!("writing {value} to {path}"))
}

pub(super) fn on_thread<T: Send>(
    label: &str,
    work: impl FnOnce() -> Result<T, LabError> + Send,
) -> Result<T, LabError> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name(format!("ns {label}"))
            .spawn_scoped(scope, work)
            .doing(|| format!("starting a thread in namespace {label}"))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
