//! Open files and held locks of a simulated disk.
//!
//! Invariant: a handle of before the last crash reads and writes nothing, and its lock is no longer held.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use super::State;
use super::faults::check;
use super::file::CrashDamage;
use super::names::{FileNode, locked};
use crate::seams::{DiskFile, DiskLock, OpenMode};

pub(super) struct Handle {
    pub(super) disk: Arc<Mutex<State>>,
    pub(super) file: FileNode,
    pub(super) path: PathBuf,
    pub(super) mode: OpenMode,
    pub(super) life: u64,
}

impl Handle {
    fn disk(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = locked(&self.disk);
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("this file was opened before the simulated crash"))
        }
    }

    fn disk_to_write(&self) -> io::Result<MutexGuard<'_, State>> {
        if self.mode == OpenMode::Read {
            return Err(Errno::BADF.into());
        }
        let state = self.disk()?;
        check(&state.faults.writes, &self.path)?;
        Ok(state)
    }
}

impl DiskFile for Handle {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk()?;
        state.faults.check_power()?;
        Ok(locked(&self.file).volatile.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk()?;
        state.faults.check_read(&self.path)?;
        Ok(locked(&self.file).volatile.read(buf, offset))
    }

    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes = slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat();
        self.disk_to_write()?.change(|state| {
            let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FBIG)?;
            let len = locked(&self.file).volatile.len();
            let limit = len.saturating_add(state.free_bytes());
            let fitting = limit.min(end).saturating_sub(offset) as usize;
            if fitting > 0 {
                locked(&self.file).write(&bytes[..fitting], offset);
            }
            if fitting < bytes.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk_to_write()?.change(|state| {
            let growth = len.saturating_sub(locked(&self.file).volatile.len());
            if growth > state.free_bytes() {
                return Err(Errno::NOSPC.into());
            }
            locked(&self.file).set_len(len);
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk_to_write()?.change(|state| {
            let growth = len.saturating_sub(locked(&self.file).volatile.len());
            if growth > state.free_bytes() {
                return Err(Errno::NOSPC.into());
            }
            locked(&self.file).extend(len);
            Ok(())
        })
    }

    /// Not kept: only whether there is room for it now.
    fn reserve(&self, len: u64) -> io::Result<()> {
        self.disk_to_write()?.change(|state| {
            let growth = len.saturating_sub(locked(&self.file).volatile.len());
            if growth > state.free_bytes() { Err(Errno::NOSPC.into()) } else { Ok(()) }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk()?;
        let power = state.faults.change()?;
        state.changes += 1;
        // The power went before the sync was done: nothing new is promised.
        power.answer()?;
        let failed = check(&state.faults.syncs, &self.path);
        let mut file = locked(&self.file);
        match failed {
            Ok(()) => file.sync(),
            Err(_) => file.lose_unsynced(&state.rng, None, &mut CrashDamage::default()),
        }
        failed
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

pub(super) struct Lock {
    pub(super) disk: Arc<Mutex<State>>,
    pub(super) path: PathBuf,
    pub(super) life: u64,
}

impl DiskLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = locked(&self.disk);
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}
