//! The folder of a `dev` that keeps nothing: removed at its end, or by the next one where it was killed.
//!
//! Invariant: a folder is removed only by who holds its lock, and is used only by who holds the lock of the folder that is still
//! there. The process that made it is not asked for by its id, which another may have by now.

use std::io;
use std::path::{Path, PathBuf};

use ottla_runtime::seams::{Disk as _, DiskLock, OpenMode, RealDisk};

/// What the folders' names begin with.
const PREFIX: &str = "ottla-dev-";
/// The lock within a folder.
const LOCK: &str = ".lock";
/// Names that are tried: another `dev` may sweep a folder away between its making and its locking.
const TRIES: u32 = 16;

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; set TMPDIR to a folder that can be written, or name one with --data DIR", path = path.display())]
pub(super) struct FolderError {
    path: PathBuf,
    source: io::Error,
}

/// A folder of this process's own; removed when this goes.
pub(super) struct TemporaryFolder {
    path: PathBuf,
    _lock: Box<dyn DiskLock>,
}

impl TemporaryFolder {
    /// Removes what killed ones left in `within`, then makes a folder there.
    pub(super) fn take(within: &Path) -> Result<Self, FolderError> {
        sweep(within);
        let mut path = within.join(format!("{PREFIX}{}", std::process::id()));
        let mut result = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 1..=TRIES {
            result = lock_new(&path);
            match result {
                Ok(lock) => return Ok(Self { path, _lock: lock }),
                Err(ref error) if is_lost(error) => {
                    path = within.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
                }
                Err(_) => break,
            }
        }
        let source = result.err().unwrap_or_else(|| io::ErrorKind::AlreadyExists.into());
        Err(FolderError { path, source })
    }

    /// Where the data goes.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // The data was promised to nobody; what cannot be removed is left to the next one.
        _ = RealDisk.remove_dir_all(&self.path);
    }
}

/// Somebody else was faster.
fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
    )
}

fn lock_new(path: &Path) -> io::Result<Box<dyn DiskLock>> {
    RealDisk.create_dir_all(path)?;
    // A file that is there already was locked by somebody, and may be about to be removed with its folder.
    drop(RealDisk.open(&path.join(LOCK), OpenMode::CreateNew)?);
    let lock = RealDisk.lock(&path.join(LOCK))?;
    // Who held it before may have removed the folder: then this is the lock of nothing.
    match RealDisk.exists(&path.join(LOCK))? {
        true => Ok(lock),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Removes the folders that nobody holds any more.
fn sweep(within: &Path) {
    for entry in RealDisk.list(within).unwrap_or_default() {
        let path = within.join(&entry.name);
        let lock = path.join(LOCK);
        let is_ours = entry.is_dir && entry.name.starts_with(PREFIX);
        // Without a lock file it is not ours, or its maker has not locked it yet.
        if !is_ours || !RealDisk.exists(&lock).unwrap_or(false) {
            continue;
        }
        // Held until the folder is gone. A folder of another user is left alone: its lock cannot be had.
        if let Ok(_held) = RealDisk.lock(&lock) {
            // Out of the way at once, so that nobody can begin to use it meanwhile.
            let removed = within.join(format!("{}.removed", entry.name));
            let moved = RealDisk.rename(&path, &removed);
            _ = moved.and_then(|()| RealDisk.remove_dir_all(&removed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_one_left_is_removed_and_what_lives_stays() {
        let within = tempfile::tempdir().unwrap();
        let left = within.path().join("ottla-dev-1");
        RealDisk.create_dir_all(&left.join("data")).unwrap();
        drop(RealDisk.open(&left.join(LOCK), OpenMode::CreateNew).unwrap());
        let other = within.path().join("ottla-dev-notes");
        RealDisk.create_dir_all(&other).unwrap();
        let living = TemporaryFolder::take(within.path()).unwrap();
        assert!(!left.exists(), "nobody holds its lock");
        let second = TemporaryFolder::take(within.path()).unwrap();
        assert!(living.path.exists() && other.exists());
        assert_ne!(living.path, second.path);
        drop(living);
        drop(second);
        assert_eq!(RealDisk.list(within.path()).unwrap().len(), 1, "only the notes stay");
    }
}
