//! The batches of a segment's file, one after the other, whole.
//!
//! Invariant: memory is one buffer, as large as it was asked to be or as the largest batch.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_log_format::{BATCH_HEADER_BYTES, BatchError, BatchHeader};
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};

use super::{ClosedSegment, CompactionError};
use crate::log::scan::ScanError;

/// Smallest buffer, in bytes.
const LEAST_BUFFER_BYTES: usize = 4096;

/// See the module.
pub(in crate::log) struct BatchSource {
    file: Arc<dyn DiskFile>,
    /// Bytes of the file that count.
    len: u64,
    buffer: Vec<u8>,
    /// Where the buffer's first byte stands in the file.
    start: u64,
    filled: usize,
    /// Of the next batch, in the file.
    position: u64,
}

impl BatchSource {
    /// The batches of a file's first `len` bytes.
    pub(in crate::log) fn new(file: Arc<dyn DiskFile>, len: u64, buffer_bytes: usize) -> Self {
        let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(buffer_bytes);
        let buffer = vec![0; wanted.max(LEAST_BUFFER_BYTES)];
        Self { file, len, buffer, start: 0, filled: 0, position: 0 }
    }

    /// Where the next batch begins, in bytes.
    pub(in crate::log) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch, with its header; `None` at the end. Nothing of it is checked but its length.
    pub(in crate::log) fn next(&mut self) -> Result<Option<(BatchHeader, &[u8])>, ScanError> {
        let position = self.position;
        if position >= self.len {
            return Ok(None);
        }
        let failed = |error| ScanError::Batch { position, error };
        let header = BatchHeader::decode(self.bytes(BATCH_HEADER_BYTES)?).map_err(failed)?;
        let need = header.size_bytes();
        if position + need as u64 > self.len {
            let have = (self.len - position) as usize;
            return Err(failed(BatchError::TooShort { have, need }));
        }
        self.bytes(need)?;
        self.position += need as u64;
        let at = (position - self.start) as usize;
        Ok(Some((header, &self.buffer[at..at + need])))
    }

    /// The next `wanted` bytes, or those that are left.
    fn bytes(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let wanted = wanted.min((self.len - self.position) as usize);
        let at = (self.position - self.start) as usize;
        if at + wanted > self.filled {
            self.refill(wanted)?;
        }
        let at = (self.position - self.start) as usize;
        Ok(&self.buffer[at..at + wanted])
    }

    fn refill(&mut self, wanted: usize) -> io::Result<()> {
        let at = ((self.position - self.start) as usize).min(self.filled);
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        self.start = self.position;
        if wanted > self.buffer.len() {
            self.buffer.resize(wanted, 0);
        }
        while self.filled < wanted {
            let from = self.start + self.filled as u64;
            let room = self.buffer.len() - self.filled;
            let room = room.min((self.len - from) as usize);
            match self.file.read_at(&mut self.buffer[self.filled..self.filled + room], from)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.filled += read,
            }
        }
        Ok(())
    }
}

/// Opens a segment to be read from its first batch on.
pub(super) fn open_source(
    disk: &dyn Disk,
    path: &Path,
    segment: &ClosedSegment,
    buffer_bytes: usize,
) -> Result<BatchSource, CompactionError> {
    let file = disk.open(path, OpenMode::Read);
    let file = file.map_err(|source| CompactionError::Io { path: path.to_owned(), source })?;
    Ok(BatchSource::new(file, u64::from(segment.size), buffer_bytes))
}

pub(super) fn scan_error(path: &Path, error: ScanError) -> CompactionError {
    let path = path.to_owned();
    match error {
        ScanError::Io(source) => CompactionError::Io { path, source },
        ScanError::Batch { position, error } => {
            CompactionError::Batch { path, position, source: error.into() }
        }
    }
}
