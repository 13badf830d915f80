//! Deleting old segments (`retention.ms`, `retention.bytes`, and what lies below the log's start).
//!
//! Invariant: only whole segments from the oldest on, and only what lies below `upper` (the high watermark). A file is
//! renamed first; who removes it, and when (`file.delete.delay.ms`), is the caller's business.

use std::io;
use std::path::PathBuf;

use ottla_runtime::seams::Disk;
use ottla_types::{Offset, TimestampMs, TopicPartition};

use super::append::AppendError;
use super::files::Files;
use super::lookup::{CorruptSegment, LookupError};
use super::names::{DELETED, FileKind, suffixed};
use super::partition_log::PartitionLog;

/// Why old segments were not deleted.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// A segment is corrupt.
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// The active segment is due, but a new one cannot be begun.
    #[error(transparent)]
    Roll(#[from] AppendError),
    /// The disk's own error.
    #[error("cannot rename or read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl From<LookupError> for RetentionError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Corrupt(error) => Self::Corrupt(error),
            LookupError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// A first offset that a log is about to get: to be written before the log shows it.
#[derive(Clone, Debug)]
pub struct RaisedStart {
    pub(super) partition: TopicPartition,
    pub(super) topic: Box<str>,
    pub(super) to: Offset,
    /// The log's, when this was planned.
    pub(super) generation: u32,
}

impl RaisedStart {
    /// The first offset that will be left.
    pub fn to(&self) -> Offset {
        self.to
    }
}

impl PartitionLog {
    /// Says what is to be written before the first offset is raised to this.
    pub fn plan_log_start(&self, to: Offset) -> RaisedStart {
        let (partition, generation) = (self.id, self.generation);
        RaisedStart { partition, topic: self.topic().into(), to, generation }
    }

    /// Raises the first offset that can be read (DeleteRecords). Never beyond `upper`, never back.
    pub fn raise_log_start(&mut self, to: Offset, upper: Offset) {
        let to = to.min(upper).min(self.end);
        if to > self.log_start {
            self.log_start = to;
            self.epochs.truncate_start(to);
            self.durable_end = self.durable_end.max(to);
        }
    }

    /// Renames the files of all segments that are due, and answers what they are called now. The log's start moves up. Nothing is due
    /// while the log is being compacted.
    ///
    /// # Errors
    /// See [`RetentionError`]; what was renamed before stays deleted.
    pub fn apply_retention(
        &mut self,
        files: &mut Files,
        now: TimestampMs,
        upper: Offset,
    ) -> Result<Vec<PathBuf>, RetentionError> {
        let mut renamed = Vec::new();
        if self.cleaning.is_some() {
            return Ok(renamed);
        }
        while self.is_first_due(files, now, upper)? {
            if self.segments.len() == 1 {
                self.roll(files)?;
                let path = self.dir.to_path_buf();
                files
                    .disk()
                    .sync_dir(&path)
                    .map_err(|source| RetentionError::Io { path, source })?;
            }
            self.rename_segment(files, self.segments[0].base, &mut renamed)?;
            self.segments.remove(0);
            let start = self.segments[0].base;
            self.raise_log_start(start, start);
            self.recovery_point = self.recovery_point.max(start);
            self.noted_end = self.noted_end.max(start);
        }
        Ok(renamed)
    }

    fn is_first_due(
        &mut self,
        files: &mut Files,
        now: TimestampMs,
        upper: Offset,
    ) -> Result<bool, LookupError> {
        let (first, end) = (self.segments[0], self.segment_end(0));
        if first.size == 0 || end > upper {
            return Ok(false);
        }
        if self.segments.len() > 1 && end <= self.log_start {
            return Ok(true);
        }
        if !self.config.delete {
            return Ok(false);
        }
        // The segment that is appended to goes only for its age.
        let excess = self.size_bytes().saturating_sub(u64::from(first.size));
        let is_excess = u64::try_from(self.config.retention_bytes).is_ok_and(|kept| excess >= kept);
        if is_excess && self.segments.len() > 1 {
            return Ok(true);
        }
        if self.config.retention_ms < 0 {
            return Ok(false);
        }
        let latest =
            self.max_timestamp(files, 0)?.map(|max| max.timestamp).filter(|time| time.0 >= 0);
        Ok(latest.is_some_and(|latest| now.since_ms(latest) > self.config.retention_ms))
    }

    fn rename_segment(
        &self,
        files: &mut Files,
        base: Offset,
        renamed: &mut Vec<PathBuf>,
    ) -> Result<(), RetentionError> {
        self.rename_segment_but(files, base, None, renamed)
    }

    /// All files of a segment but for the one of a kind that is kept.
    pub(super) fn rename_segment_but(
        &self,
        files: &mut Files,
        base: Offset,
        kept: Option<FileKind>,
        renamed: &mut Vec<PathBuf>,
    ) -> Result<(), RetentionError> {
        files.forget_segment(self.id, base);
        // The log last: an index without a log is nothing, a log without an index is still a log.
        for kind in FileKind::ALL.into_iter().rev().filter(|kind| Some(*kind) != kept) {
            let path = self.path(base, kind);
            let name = suffixed(&path, DELETED);
            match files.disk().rename(&path, &name) {
                Ok(()) => renamed.push(name),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(RetentionError::Io { path, source }),
            }
        }
        Ok(())
    }
}

/// Removes files or folders that were renamed for deletion; one that is gone already is no error.
///
/// # Errors
/// The first of the disk's own, with its path; the rest is tried all the same.
pub fn remove_renamed(disk: &dyn Disk, paths: &[PathBuf]) -> Result<(), (PathBuf, io::Error)> {
    let mut first_error = Ok(());
    for path in paths {
        let removed = if super::names::is_deleted_dir_name(&path.to_string_lossy()) {
            disk.remove_dir_all(path)
        } else {
            disk.remove_file(path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound && first_error.is_ok() => {
                first_error = Err((path.clone(), error));
            }
            _ => {}
        }
    }
    first_error
}
