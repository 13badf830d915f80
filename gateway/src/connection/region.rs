//! A region of a file on its way to a socket.
//!
//! Invariant: a worker never waits for a disk: what is not in the page cache is read by a thread for blocking work first.
//! Deliberately does not know what is in the file.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ottla_runtime::seams::{DiskFile, Tasks};

use crate::answer::Region;

/// A region below this size is copied into the vectored write; a system call of its own costs more.
const MIN_SENDFILE_BYTES: usize = 32 << 10;
/// Bytes that are looked for in the page cache, and sent, at a time.
const STEP_BYTES: usize = 512 << 10;
/// Bytes that a thread reads at a time to bring a region into the page cache.
const WARM_BUFFER_BYTES: usize = 64 << 10;

/// Whether the region can and should go from file to a socket with a descriptor directly.
pub(super) fn is_for_sendfile(region: &Region) -> bool {
    cfg!(target_os = "linux") && region.len >= MIN_SENDFILE_BYTES && region.file.as_fd().is_some()
}

/// The region's bytes.
pub(super) async fn read(tasks: &Arc<dyn Tasks>, region: Region) -> io::Result<Bytes> {
    if let Some(bytes) = cached::read(&region) {
        return Ok(bytes);
    }
    let Region { file, position, len } = region;
    blocking(tasks, move || {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, position)?;
        Ok(Bytes::from(bytes))
    })
    .await
}

/// Brings the next step of the region into the page cache.
pub(super) async fn warm(tasks: &Arc<dyn Tasks>, region: &Region) -> io::Result<()> {
    let len = region.len.min(STEP_BYTES);
    if cached::is_cached(&region.file, region.position, len) {
        return Ok(());
    }
    let (file, position) = (region.file.clone(), region.position);
    blocking(tasks, move || {
        let mut buffer = vec![0; WARM_BUFFER_BYTES];
        let mut done = 0;
        while done < len {
            let most = buffer.len().min(len - done);
            match file.read_at(&mut buffer[..most], position + done as u64)? {
                0 => break,
                read => done += read,
            }
        }
        Ok(())
    })
    .await
}

/// One system call; never more than a step.
#[cfg(target_os = "linux")]
pub(super) fn sendfile(socket: BorrowedFd<'_>, region: &Region) -> io::Result<usize> {
    let file = region.file.as_fd().expect("only files with a descriptor are sent so");
    let mut offset = region.position;
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), region.len.min(STEP_BYTES))?)
}

/// Never called: [`is_for_sendfile`] is false here.
#[cfg(not(target_os = "linux"))]
pub(super) fn sendfile(_: BorrowedFd<'_>, _: &Region) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn blocking<T: Send + 'static>(
    tasks: &Arc<dyn Tasks>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let result = Arc::new(Mutex::new(None));
    let place = result.clone();
    let work = move || *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
    tasks.run_blocking(Box::new(work)).await;
    let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.unwrap_or_else(|| Err(io::Error::other("the reading thread ended early")))
}

/// What the kernel says without waiting.
#[cfg(target_os = "linux")]
mod cached {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::{Arc, Bytes, DiskFile, Region};

    /// The bytes, if all are in the page cache.
    pub(super) fn read(region: &Region) -> Option<Bytes> {
        let file = region.file.as_fd()?;
        let mut bytes = vec![0; region.len];
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let read = preadv2(file, &mut slices, region.position, ReadWriteFlags::NOWAIT).ok()?;
        (read == region.len).then(|| Bytes::from(bytes))
    }

    /// Whether the first and the last byte are in the page cache: records are written and read in one go, so what lies
    /// between them is as well, most likely.
    pub(super) fn is_cached(file: &Arc<dyn DiskFile>, position: u64, len: usize) -> bool {
        let Some(file) = file.as_fd() else { return true };
        [position, position + len.saturating_sub(1) as u64].into_iter().all(|at| {
            let mut byte = [0];
            let mut slices = [IoSliceMut::new(&mut byte)];
            // A file system that cannot say so is most likely one in memory.
            !matches!(preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT), Err(Errno::AGAIN))
        })
    }
}

/// Without a way to ask, everything is read by a thread.
#[cfg(not(target_os = "linux"))]
mod cached {
    use super::{Arc, Bytes, DiskFile, Region};

    pub(super) fn read(_: &Region) -> Option<Bytes> {
        None
    }

    pub(super) fn is_cached(_: &Arc<dyn DiskFile>, _: u64, _: usize) -> bool {
        false
    }
}
