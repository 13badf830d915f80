//! Reading: from an offset to a region of a segment file.
//!
//! Invariant: a region begins and ends where a batch does, lies within one segment, and holds nothing at or above `upper`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_runtime::seams::DiskFile;
use ottla_types::Offset;

use super::files::Files;
use super::lookup::{CorruptSegment, LookupError, OpenSegment};
use super::partition_log::PartitionLog;
use super::scan::{Headers, Located};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// At most this many bytes.
    pub max_bytes: usize,
    /// The first batch is read even if it is larger, so that a reader gets on.
    pub at_least_one_batch: bool,
}

/// Batches, still in their file.
#[derive(Clone)]
pub struct ReadRegion {
    /// The file. Stays readable while it is held, whatever becomes of the segment.
    pub file: Arc<dyn DiskFile>,
    /// Where the first batch begins, in bytes.
    pub position: u64,
    /// Bytes of all batches.
    pub len: usize,
    /// Base offset of the first batch: at most the offset that was asked for.
    pub base: Offset,
    /// The offset behind the last batch.
    pub next: Offset,
}

impl std::fmt::Debug for ReadRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ReadRegion({}..{}, {} bytes at {})",
            self.base, self.next, self.len, self.position
        )
    }
}

impl ReadRegion {
    /// Reads the region into memory.
    ///
    /// # Errors
    /// The disk's own.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.len];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes.into())
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE
    #[error("offset {offset} is not in {start}..{end}")]
    OutOfRange {
        /// The offset that was asked for.
        offset: Offset,
        /// The log's first offset.
        start: Offset,
        /// The log's end.
        end: Offset,
    },
    /// KAFKA_STORAGE_ERROR: the segment is corrupt.
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// KAFKA_STORAGE_ERROR: the disk's own error.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl From<LookupError> for ReadError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Corrupt(error) => Self::Corrupt(error),
            LookupError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// What a region must not go beyond.
#[derive(Clone, Copy)]
struct Bounds {
    upper: Offset,
    bytes: usize,
}

impl PartitionLog {
    /// The batches from the one that holds `from` on, all of them below `upper` (the high watermark, or the end).
    /// `None` if there is none, or if the first one is too large and need not be read.
    ///
    /// # Errors
    /// `OutOfRange` if `from` is below the log's start or above its end; see [`ReadError`].
    pub fn read(
        &mut self,
        files: &mut Files,
        from: Offset,
        upper: Offset,
        limit: ReadLimit,
    ) -> Result<Option<ReadRegion>, ReadError> {
        if from < self.log_start || from > self.end {
            return Err(ReadError::OutOfRange {
                offset: from,
                start: self.log_start,
                end: self.end,
            });
        }
        if from >= upper.min(self.end) {
            return Ok(None);
        }
        let Some((open, first)) = self.locate(files, from)? else { return Ok(None) };
        if first.header.next_offset() > upper {
            return Ok(None);
        }
        let wanted = if limit.at_least_one_batch {
            limit.max_bytes.max(first.header.size_bytes())
        } else {
            limit.max_bytes
        };
        if first.header.size_bytes() > wanted {
            return Ok(None);
        }
        let (end, next) = self.region_end(files, &open, &first, Bounds { upper, bytes: wanted })?;
        self.hints.remember(next, open.segment.base, end as u32);
        let len = (end - first.position) as usize;
        Ok(Some(ReadRegion {
            file: open.file,
            position: first.position,
            len,
            base: first.header.base_offset,
            next,
        }))
    }

    /// Where the last batch that fits ends, and the offset behind it.
    fn region_end(
        &mut self,
        files: &mut Files,
        open: &OpenSegment,
        first: &Located,
        bounds: Bounds,
    ) -> Result<(u64, Offset), ReadError> {
        let (limit, upper) = (first.position + bounds.bytes as u64, bounds.upper);
        let size = u64::from(open.segment.size);
        let segment_end = self.segment_end(open.index);
        if size <= limit && segment_end <= upper {
            return Ok((size, segment_end));
        }
        // The last place that an index knows within both limits; then a walk of about one index interval.
        let position = i32::try_from(limit).unwrap_or(i32::MAX);
        let relative = open.segment.relative(upper).unwrap_or(i32::MAX);
        let known = self.floor(files, open, |entry| {
            entry.position <= position && entry.relative_offset < relative
        })?;
        let from = known.unwrap_or(0).max(first.position);
        let mut reached = (first.end(), first.header.next_offset());
        let mut headers = Headers::new(&*open.file, from, size);
        while let Some(found) = headers.next().map_err(|e| self.scan_error(open.segment.base, e))? {
            if found.position > first.position {
                reached = (found.position, found.header.base_offset);
            }
            if found.end() > limit || found.header.next_offset() > upper {
                break;
            }
            reached = (found.end(), found.header.next_offset());
        }
        Ok(reached)
    }
}
