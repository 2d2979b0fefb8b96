//! Where do a lab's files live? In a folder of its own that goes with it; one that a killed lab left
//! is cleared away by the next of its kind.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{Doing, LabError};

/// Folders of this process so far: each has a name of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder for sockets and the configuration; dropping it removes it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder for a lab of this kind that nobody else may enter; a process may have several.
    ///
    /// # Errors
    /// When `/tmp` cannot be written.
    pub fn new(kind: &str) -> Result<Self, LabError> {
        // Not the system's word for temporary files: a socket's path has 107 bytes at most.
        let parent = Path::new("/tmp");
        clear_leftovers(parent, kind);
        let mut name = format!("thruway-{kind}-{}", std::process::id());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number > 0 {
            name += &format!(".{number}");
        }
        let path = parent.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .doing(|| format!("making the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of labs that are no more; what belongs to others stays.
fn clear_leftovers(parent: &Path, kind: &str) {
    let prefix = format!("thruway-{kind}-");
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix)).unwrap_or_default();
        let pid = rest.split_once('.').map_or(rest, |(pid, _)| pid);
        let Ok(pid) = pid.parse::<u32>() else { continue };
        let running = Path::new("/proc").join(pid.to_string()).exists();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !running {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_labs_go_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        // Beyond the largest process id that Linux gives.
        let names = [
            "thruway-demo-4999999",
            "thruway-demo-4999999.3",
            "thruway-demo-1",
            "thruway-demo-x",
            "thruway-bench-4999999",
            "other",
        ];
        names.iter().for_each(|name| fs::create_dir(parent.path().join(name)).unwrap());
        clear_leftovers(parent.path(), "demo");
        let left = names.map(|name| parent.path().join(name).exists());
        assert_eq!(left, [false, false, true, true, true, true]);
    }

    #[test]
    fn two_folders_of_one_process_differ_and_go_with_their_owners() {
        let (a, b) = (Scratch::new("test").unwrap(), Scratch::new("test").unwrap());
        assert_ne!(a.path(), b.path());
        let path = a.path().to_owned();
        fs::write(a.file("x"), "x").unwrap();
        drop(a);
        assert!(!path.exists() && b.path().exists());
    }
}
