//! A region of a file on its way to a socket.
//!
//! Invariant: a worker never waits for a disk: what is not in the page cache is read by a thread for blocking work first.
//! Deliberately does not know what is in the file.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ottla_runtime::seams::{DiskFile, Tasks};
#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::answer::Region;

/// A region below this size is copied into the vectored write; a system call of its own costs more.
const MIN_SENDFILE_BYTES: usize = 32 << 10;
/// Bytes that are sent at a time where they are in the page cache: few steps, for each ends with a packet that is not full.
const STEP_BYTES: usize = 8 << 20;
/// Bytes that are read from the disk, then sent.
const READ_STEP_BYTES: usize = 512 << 10;
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

/// Takes the next bytes to send off a region; they are in the page cache then.
pub(super) async fn next_step(tasks: &Arc<dyn Tasks>, region: &mut Region) -> io::Result<Region> {
    let len = region.len.min(STEP_BYTES);
    if cached::is_cached(&region.file, region.position, len) {
        return Ok(region.split_to(len));
    }
    let step = region.split_to(READ_STEP_BYTES);
    let Region { file, position, len } = step.clone();
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
    .await?;
    Ok(step)
}

/// Sends what the socket takes, once it has room for a good part of its buffer: the kernel then says that it can be written.
/// A call that finds the socket full, or room for a few bytes, costs as much as one that sends a quarter of a megabyte.
#[cfg(target_os = "linux")]
pub(super) fn sendfile(socket: BorrowedFd<'_>, region: &Region) -> io::Result<usize> {
    let mut ready = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    if poll(&mut ready, Some(&Timespec::default()))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let file = region.file.as_fd().expect("only files with a descriptor are sent so");
    let mut offset = region.position;
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), region.len)?)
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

    /// One byte in so many is looked for.
    const PROBE_BYTES: usize = 512 << 10;

    /// The bytes, if all are in the page cache.
    pub(super) fn read(region: &Region) -> Option<Bytes> {
        let file = region.file.as_fd()?;
        let mut bytes = vec![0; region.len];
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let read = preadv2(file, &mut slices, region.position, ReadWriteFlags::NOWAIT).ok()?;
        (read == region.len).then(|| Bytes::from(bytes))
    }

    /// Whether bytes here and there, and the last one, are in the page cache: records are written and read in one go, so what
    /// lies between them is as well, most likely.
    pub(super) fn is_cached(file: &Arc<dyn DiskFile>, position: u64, len: usize) -> bool {
        let Some(file) = file.as_fd() else { return true };
        let probes = (0..len).step_by(PROBE_BYTES).chain(len.checked_sub(1));
        probes.map(|at| position + at as u64).all(|at| {
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
