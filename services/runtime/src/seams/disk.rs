//! Files as a seam. Calls are synchronous: they are made by threads that own their files (see `Tasks::spawn_actor`).
//!
//! Promises: what `sync_data` returned for survives a crash; a rename, creation or removal survives once `sync_dir` of its
//! folder returned. Anything else may be lost or torn, and the simulated disk loses and tears it.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened. Every mode allows reading; all but `Read` allow writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; no writing.
    Read,
    /// The file must exist.
    ReadWrite,
    /// The file is made if it does not exist; its content is kept.
    Create,
    /// The file must not exist.
    CreateNew,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name within the folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a folder and the folders above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a folder, in order of their names. Names that are not UTF-8 are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether something is at this path.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Renames a file or folder, replacing a file at `to`; atomic.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all below it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written below this folder.
    fn free_space_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Size of the file system that this folder is on, bytes.
    fn total_space_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock file of a data directory; `WouldBlock` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// Makes a folder and those above it, durable when this returns: the name of each new one is synced in the one above.
///
/// # Errors
/// What the disk says.
pub fn create_dir_durably(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !disk.exists(folder).unwrap_or(false);
    let missing: Vec<_> = dir.ancestors().take_while(is_missing).collect();
    disk.create_dir_all(dir)?;
    for folder in missing.iter().rev() {
        sync_name(disk, folder)?;
    }
    if missing.is_empty() {
        // It may be of a start that ended before its name was durable. A folder that is closed to us was made by somebody else.
        match sync_name(disk, dir) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => return synced,
        }
    }
    Ok(())
}

/// Syncs the folder that a folder's name is in.
fn sync_name(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => disk.sync_dir(above),
        _ => Ok(()),
    }
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buf.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buf` from `offset`, or `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }

    /// Reads up to `buf.len()` bytes at `offset` of what is in memory already, so that the caller never waits for the disk; 0 where
    /// nothing is, or nobody knows.
    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let _ = (buf, offset);
        Ok(0)
    }

    /// Writes all slices one after the other at `offset`, extending the file where needed.
    fn write_all_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space up to `len` bytes and makes the file at least that long, reading as zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Reserves space up to `len` bytes where the file system can; the file's length stays.
    fn reserve(&self, len: u64) -> io::Result<()> {
        let _ = len;
        Ok(())
    }

    /// Makes content and length durable (fdatasync). After an error the file is in an unknown state: never try again (R16).
    fn sync_data(&self) -> io::Result<()>;

    /// The descriptor, where there is one: for `sendfile`.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Held for as long as the process owns a data directory.
pub trait DiskLock: Send + Sync + 'static {}
