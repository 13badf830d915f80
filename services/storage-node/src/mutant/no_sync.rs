//! A disk that says that it synced a file and did not. Journals of the mutant *no sync* are on it.
//!
//! Invariant: everything but `sync_data` is the disk behind it.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use ottla_runtime::seams::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

/// The disk.
pub(crate) struct NoSyncDisk(Arc<dyn Disk>);

struct NoSyncFile(Arc<dyn DiskFile>);

impl NoSyncDisk {
    pub(crate) fn new(behind: Arc<dyn Disk>) -> Self {
        Self(behind)
    }
}

impl Disk for NoSyncDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NoSyncFile(self.0.open(path, mode)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn free_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_space_bytes(dir)
    }

    fn total_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.total_space_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.0.lock(path)
    }
}

impl DiskFile for NoSyncFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_cached_at(buf, offset)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.0.write_all_at(slices, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.0.reserve(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }
}
