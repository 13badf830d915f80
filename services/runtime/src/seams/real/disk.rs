//! Files of the operating system.
//!
//! Invariant: a write is complete or an error, whatever the kernel splits it into; `sync_data` is fdatasync (on macOS the full
//! flush), and is never tried twice here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::io::ReadWriteFlags;

use crate::seams::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

/// Slices in one system call (`IOV_MAX` of Linux).
const MAX_SLICES_PER_WRITE: usize = 1024;

/// The machine's file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile(File);

/// The descriptor holds the lock; closing it, or the end of the process, releases it.
struct RealLock(#[expect(dead_code, reason = "held, never read")] File);

impl DiskLock for RealLock {}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::ReadWrite => {}
            OpenMode::Create => _ = options.create(true),
            OpenMode::CreateNew => _ = options.create_new(true),
        }
        let file = options.open(path)?;
        // A folder opens for reading without an error, and fails only at the first read.
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Follows links, as opening does; what vanished since it was read is not there.
            match fs::metadata(entry.path()) {
                Ok(found) => {
                    let is_dir = found.is_dir();
                    entries.push(DirEntry {
                        name,
                        is_dir,
                        len: if is_dir { 0 } else { found.len() },
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn total_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_blocks.saturating_mul(found.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock(file)))
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry_interrupted(|| self.0.read_at(buf, offset))
    }

    #[cfg(target_os = "linux")]
    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let slices = &mut [io::IoSliceMut::new(buf)];
        match rustix::io::preadv2(&self.0, slices, offset, ReadWriteFlags::NOWAIT) {
            // A file system that cannot say what it has in memory is one that has nothing.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(0),
            done => Ok(done?),
        }
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        write_all(slices, offset, |slices, offset| {
            Ok(rustix::io::pwritev(&self.0, slices, offset)?)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => {}
            // A file system that cannot reserve: the length is all that it can promise.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        if self.len()? < len { self.0.set_len(len) } else { Ok(()) }
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn retry_interrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes all slices through calls that each take some of the bytes.
fn write_all(
    slices: &[IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut left: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
    // Cut-off slices need a copy of the list; the usual write is one call and needs none.
    let mut owned: Vec<IoSlice<'_>> = Vec::new();
    let mut rest: &mut [IoSlice<'_>] = &mut [];
    let mut is_first = true;
    while left > 0 {
        let batch: &[IoSlice<'_>] = if is_first { slices } else { rest };
        let batch = &batch[..batch.len().min(MAX_SLICES_PER_WRITE)];
        let done = retry_interrupted(|| write(batch, offset))?;
        if done == 0 && batch.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        left -= done as u64;
        offset += done as u64;
        if left == 0 {
            break;
        }
        if is_first {
            is_first = false;
            owned.extend(slices.iter().filter(|slice| !slice.is_empty()));
            rest = &mut owned;
        }
        IoSlice::advance_slices(&mut rest, done);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_the_kernel_splits_arrives_whole() {
        let parts: Vec<Vec<u8>> = (0..3000_u32).map(|n| vec![n as u8; n as usize % 7]).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let expected = parts.concat();
        for step in [1, 5, 1000, usize::MAX] {
            let mut got = vec![0; expected.len()];
            write_all(&slices, 0, |slices, offset| {
                assert!(slices.len() <= MAX_SLICES_PER_WRITE);
                let bytes: Vec<u8> =
                    slices.iter().flat_map(|s| s.iter().copied()).take(step).collect();
                got[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            })
            .unwrap();
            assert!(got == expected, "{step}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_lock_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk;
        let path = dir.path().join("a");
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.allocate(4096).unwrap();
        assert_eq!(file.len().unwrap(), 4096);
        let parts: Vec<Vec<u8>> = (0..2500_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_all_at(&slices, 10).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(dir.path()).unwrap();
        let mut got = vec![0; 10_000];
        file.read_exact_at(&mut got, 10).unwrap();
        assert_eq!(got, parts.concat());
        assert!(disk.open(&path, OpenMode::CreateNew).is_err());
        assert!(disk.open(dir.path(), OpenMode::Read).is_err());
        let free = disk.free_space_bytes(dir.path()).unwrap();
        assert!(free > 0 && disk.total_space_bytes(dir.path()).unwrap() >= free);

        let lock = disk.lock(&dir.path().join(".lock")).unwrap();
        let again = disk.lock(&dir.path().join(".lock")).err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        disk.lock(&dir.path().join(".lock")).unwrap();
        let names: Vec<_> = disk.list(dir.path()).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, [".lock", "a"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn reserved_space_is_taken_and_the_rest_of_it_given_back() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("a"), OpenMode::CreateNew).unwrap();
        let taken = || std::fs::metadata(dir.path().join("a")).unwrap().blocks() * 512;
        file.reserve(1 << 20).unwrap();
        assert_eq!((file.len().unwrap(), taken() >= 1 << 20), (0, true));
        file.write_all_at(&[IoSlice::new(b"records")], 0).unwrap();
        file.set_len(7).unwrap();
        assert_eq!((file.len().unwrap(), taken() < 1 << 20), (7, true));
    }
}
