//! Where do the demo's files live? In a folder in memory that goes with the process, or where the
//! kernel gives none in one below `/tmp`; what a killed demo left there the next one clears away.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr};

use crate::lab::Folder;

const PREFIX: &str = "thruway-demo-";

/// A folder for sockets and the configuration; dropping it removes it.
#[derive(Debug)]
pub(super) enum Scratch {
    /// In memory.
    Memory(Folder),
    /// On disk.
    Disk(PathBuf),
}

impl Scratch {
    /// A new folder that nobody else may enter.
    pub(super) fn new() -> Result<Self> {
        match Folder::new() {
            Ok(folder) => Ok(Self::Memory(folder)),
            Err(_) => Self::on_disk(),
        }
    }

    fn on_disk() -> Result<Self> {
        // Not the system's word for temporary files: a socket's path has 107 bytes at most.
        let parent = Path::new("/tmp");
        clear_leftovers(parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self::Disk(path))
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        match self {
            Self::Memory(folder) => folder.path().join(name),
            Self::Disk(path) => path.join(name),
        }
    }

    /// What has to be removed when the process ends without dropping this.
    pub(super) fn on_disk_path(&self) -> Option<&Path> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(path) => Some(path),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Self::Disk(path) = self {
            // It may be gone already.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Removes the folders of demos that are no more; what belongs to others stays.
fn clear_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let own = pid == std::process::id();
        let running = Path::new("/proc").join(pid.to_string()).exists();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && (own || !running) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_disk_goes_when_it_is_dropped() {
        let scratch = Scratch::on_disk().unwrap();
        let path = scratch.on_disk_path().unwrap().to_owned();
        assert_eq!(scratch.file("a").parent(), Some(path.as_path()));
        fs::write(scratch.file("a"), "text").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn folders_of_dead_demos_go_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        // Beyond the largest process id that Linux gives.
        let names = ["thruway-demo-4999999", "thruway-demo-1", "thruway-demo-x", "other"];
        names.iter().for_each(|name| fs::create_dir(parent.path().join(name)).unwrap());
        clear_leftovers(parent.path());
        let left = names.map(|name| parent.path().join(name).exists());
        assert_eq!(left, [false, true, true, true]);
    }
}
