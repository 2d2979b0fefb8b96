//! Who runs on which core? The tester has one for itself, the device the others.

use std::io;
use std::sync::OnceLock;

use super::error::{Doing, MediumError};
use crate::io::sys::affinity;

/// The cores of tester and device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The tester's.
    pub tester: usize,
    /// The device's, at least one.
    pub device: Vec<usize>,
}

impl Cores {
    /// Shares the cores that this process may use: the first for the tester, as many of the others
    /// as the device has workers. On a machine with one core both share it.
    ///
    /// # Errors
    /// When the kernel does not tell the cores, or there are fewer others than workers.
    pub fn share(workers: usize) -> Result<Self, MediumError> {
        Self::of(&first_allowed()?, workers)
    }

    fn of(allowed: &[usize], workers: usize) -> Result<Self, MediumError> {
        let workers = workers.max(1);
        match allowed {
            [] => Err(MediumError::refused("this process may use no core")),
            [only] if workers == 1 => Ok(Self { tester: *only, device: vec![*only] }),
            [first, rest @ ..] if rest.len() >= workers => {
                Ok(Self { tester: *first, device: rest[..workers].to_vec() })
            }
            _ => Err(MediumError::refused(format!(
                "{workers} workers and a tester need {} cores and this process may use {}; \
                 measure with fewer workers, or on a larger machine",
                workers + 1,
                allowed.len()
            ))),
        }
    }

    /// A core for each worker, where nobody else needs one meanwhile.
    ///
    /// # Errors
    /// When the kernel does not tell the cores, or there are fewer than workers.
    pub fn each(workers: usize) -> Result<Vec<usize>, MediumError> {
        Self::one_each(&first_allowed()?, workers)
    }

    fn one_each(allowed: &[usize], workers: usize) -> Result<Vec<usize>, MediumError> {
        allowed.get(..workers).map(<[usize]>::to_vec).ok_or_else(|| {
            MediumError::refused(format!(
                "{workers} workers need a core each and this process may use {}; measure with \
                 fewer workers, or on a larger machine",
                allowed.len()
            ))
        })
    }

    /// Pins the calling thread to the tester's core.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn pin_tester(&self) -> Result<(), MediumError> {
        affinity::pin(self.tester).doing(|| format!("pinning the tester to core {}", self.tester))
    }

    /// Does `work` on a thread that keeps to the device's cores, as do all threads and processes
    /// that it starts.
    ///
    /// # Errors
    /// When the kernel refuses, or with `work`'s own error.
    pub(in crate::bench) fn on_device<T: Send, E: Send + Into<MediumError>>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send,
    ) -> Result<T, MediumError> {
        let cores = || format!("keeping the device to cores {:?}", self.device);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                affinity::restrict(&self.device).doing(cores)?;
                work().map_err(Into::into)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The layout in words.
    pub fn words(&self) -> String {
        let device: Vec<String> = self.device.iter().map(ToString::to_string).collect();
        match &self.device[..] {
            [own] if *own == self.tester => format!("tester and device share core {own}"),
            [_] => format!("tester on core {}, device on core {}", self.tester, device[0]),
            _ => format!("tester on core {}, device on cores {}", self.tester, device.join(", ")),
        }
    }
}

/// The cores that this process was started with: what a thread may use shrinks once it is pinned.
fn first_allowed() -> Result<Vec<usize>, MediumError> {
    static FIRST: OnceLock<Vec<usize>> = OnceLock::new();
    if let Some(first) = FIRST.get() {
        return Ok(first.clone());
    }
    let allowed = affinity::allowed().doing(|| "asking for this process' cores".into())?;
    Ok(FIRST.get_or_init(|| allowed).clone())
}

/// Keeps the calling thread to one core.
pub(in crate::bench) fn pin(core: usize) -> io::Result<()> {
    affinity::pin(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tester_has_a_core_of_its_own_where_there_are_two() {
        let cores = |allowed: &[usize], workers| Cores::of(allowed, workers).unwrap().words();
        assert_eq!(cores(&[0, 1], 1), "tester on core 0, device on core 1");
        assert_eq!(cores(&[2, 3, 5, 7], 2), "tester on core 2, device on cores 3, 5");
        assert_eq!(cores(&[4], 1), "tester and device share core 4");
    }

    #[test]
    fn too_many_workers_are_refused_with_the_numbers() {
        let refused = Cores::of(&[0, 1], 2).unwrap_err().to_string();
        assert!(refused.contains("need 3 cores and this process may use 2"), "{refused}");
        assert_eq!(Cores::one_each(&[3, 5, 7], 2).unwrap(), [3, 5]);
        let refused = Cores::one_each(&[3, 5], 3).unwrap_err().to_string();
        assert!(refused.contains("3 workers need a core each"), "{refused}");
    }
}
