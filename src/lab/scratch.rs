//! Where do a lab's files live? In a folder in memory that goes with the process, or where the
//! kernel gives none in one below `/tmp`; what a killed lab left there the next of its kind clears
//! away.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{Doing, LabError};
use super::folder::Folder;

/// Folders of this process on disk so far: each has a name of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder for sockets and the configuration; dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// What holds the files; without it they are on disk.
    memory: Option<Folder>,
}

impl Scratch {
    /// A new folder for a lab of this kind that nobody else may enter; a process may have several.
    ///
    /// # Errors
    /// When the kernel gives no folder in memory, and `/tmp` cannot be written.
    pub fn new(kind: &str) -> Result<Self, LabError> {
        match Folder::new() {
            Ok(folder) => Ok(Self { path: folder.path(), memory: Some(folder) }),
            Err(_) => Self::new_on_disk(kind),
        }
    }

    fn new_on_disk(kind: &str) -> Result<Self, LabError> {
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
        Ok(Self { path, memory: None })
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has to be removed when the process ends without dropping this.
    pub fn on_disk(&self) -> Option<&Path> {
        self.memory.is_none().then_some(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.on_disk() {
            // It may be gone already.
            let _ = fs::remove_dir_all(path);
        }
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
    fn two_folders_on_disk_differ_and_go_with_their_owners() {
        let new = || Scratch::new_on_disk("test").unwrap();
        let (a, b) = (new(), new());
        assert_eq!(a.on_disk(), Some(a.path()));
        assert_ne!(a.path(), b.path());
        let path = a.path().to_owned();
        fs::write(a.file("x"), "x").unwrap();
        drop(a);
        assert!(!path.exists() && b.path().exists());
    }
}
