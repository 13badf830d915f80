//! Noting the keys of a segment, a bit at a time.
//!
//! Invariant: memory is one buffer, what one batch takes, and the map.

use std::path::PathBuf;

use ottla_log_format::compaction::{Noted, OffsetMap, note_keys};
use ottla_runtime::seams::Disk;
use ottla_types::Offset;

use super::source::{open_source, scan_error};
use super::{BatchSource, Cleanable, ClosedSegment, CompactionError};
use crate::log::names::{FileKind, file_path};

/// The keys of one segment.
pub struct KeyScan {
    source: BatchSource,
    path: PathBuf,
    size: u64,
    buffer_bytes: u64,
}

impl KeyScan {
    /// Begins with a segment's first batch.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin(
        disk: &dyn Disk,
        log: &Cleanable,
        segment: &ClosedSegment,
        buffer_bytes: usize,
    ) -> Result<Self, CompactionError> {
        let path = file_path(&log.dir, segment.base, FileKind::Log);
        let source = open_source(disk, &path, segment, buffer_bytes)?;
        let size = u64::from(segment.size);
        Ok(Self { source, path, size, buffer_bytes: buffer_bytes as u64 })
    }

    /// Notes the keys of about one buffer of batches. How many bytes were read, and whether there is more to read and room for it.
    ///
    /// # Errors
    /// See [`CompactionError`].
    pub fn step(
        &mut self,
        from: Offset,
        map: &mut OffsetMap,
    ) -> Result<(u64, Progress), CompactionError> {
        let began = self.source.position();
        while self.source.position() - began < self.buffer_bytes {
            let position = self.source.position();
            let failed = |error| scan_error(&self.path, error);
            let Some((header, bytes)) = self.source.next().map_err(failed)? else { break };
            if header.last_offset() < from {
                continue;
            }
            let noted = note_keys(bytes, from, map).map_err(|source| CompactionError::Batch {
                path: self.path.clone(),
                position,
                source,
            })?;
            if noted == Noted::MapIsFull {
                return Ok((self.source.position() - began, Progress::MapIsFull));
            }
        }
        let is_over = self.source.position() >= self.size;
        let progress = if is_over { Progress::SegmentIsOver } else { Progress::GoesOn };
        Ok((self.source.position() - began, progress))
    }
}

/// What is to be done after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The segment has more batches.
    GoesOn,
    /// The segment was read to its end.
    SegmentIsOver,
    /// The map has no room for one more key.
    MapIsFull,
}
