//! On which processor does this thread run?

use std::io;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// The processors that this thread may run on, in ascending order.
///
/// # Errors
/// When the kernel refuses to tell.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Pins the calling thread to one processor.
///
/// # Errors
/// `EINVAL` when there is no such processor, or it is not among the [`allowed`] ones.
pub fn pin(cpu: usize) -> io::Result<()> {
    restrict(&[cpu])
}

/// Keeps the calling thread, and threads and processes that it starts from now on, to `cpus`.
///
/// # Errors
/// `EINVAL` when none of them exists and is among the [`allowed`] ones.
pub fn restrict(cpus: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(None, &set(cpus)?)?)
}

/// Keeps another thread, by its id, to `cpus`.
///
/// # Errors
/// `ESRCH` when it is gone, `EPERM` when it is not ours, `EINVAL` as [`restrict`].
pub fn restrict_thread(id: u32, cpus: &[usize]) -> io::Result<()> {
    let gone = || io::Error::from_raw_os_error(libc::ESRCH);
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    Ok(sched_setaffinity(Some(id), &set(cpus)?)?)
}

fn set(cpus: &[usize]) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu >= CpuSet::MAX_CPU {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        set.set(cpu);
    }
    Ok(set)
}
