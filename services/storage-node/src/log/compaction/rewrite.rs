//! Reading segments and writing what is left of them, a bit at a time.
//!
//! Invariant: what it reads are closed segments, which do not change; what it writes bears names that nobody reads. Memory is two
//! buffers and what one batch takes.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use ottla_log_format::BatchHeader;
use ottla_log_format::compaction::{Compacted, OffsetMap, Rules, compact_batch};
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};
use ottla_types::{Offset, ProducerId, TimestampMs};

use super::source::{open_source, scan_error};
use super::{BatchSource, Cleanable, ClosedSegment, CompactionError};
use crate::log::names::{CLEANED, FileKind, file_path, suffixed};
use crate::log::segment::{Active, MAX_SEGMENT_BYTES, MaxTimestamp, Segment};

/// The files that a compacted segment has.
const KINDS: [FileKind; 3] = [FileKind::Log, FileKind::Index, FileKind::TimeIndex];

/// What decides on batches, in one cleaning of a log.
pub struct RewriteRules {
    /// The last offset of each key.
    pub map: OffsetMap,
    /// The time of the cleaning.
    pub now: TimestampMs,
    /// The last offset of each idempotent producer.
    pub producers: BTreeMap<ProducerId, Offset>,
    /// A batch was left as it is: tombstones behind it stay.
    pub keeps_tombstones: bool,
}

/// A segment that was written beside those that it is to stand for.
#[derive(Clone, Copy, Debug)]
pub struct CleanedSegment {
    /// Its first offset: that of the first one that it stands for.
    pub base: Offset,
    /// Where the last one that it stands for ends.
    pub end: Offset,
    /// Bytes.
    pub size: u32,
    /// Nothing was taken out and nothing was joined: the old one may stay.
    pub is_unchanged: bool,
    pub(in crate::log) max_timestamp: Option<MaxTimestamp>,
}

/// Writes one segment in the place of a group of them.
pub struct Rewrite {
    disk: Arc<dyn Disk>,
    log: Arc<Cleanable>,
    group: Vec<ClosedSegment>,
    /// Of the group: the one that is read, and its batches.
    reading: usize,
    source: Option<BatchSource>,
    files: [Arc<dyn DiskFile>; KINDS.len()],
    segment: Segment,
    active: Active,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    has_changed: bool,
}

impl Rewrite {
    /// Begins to write one segment for `group`, which is not empty.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin(
        disk: &Arc<dyn Disk>,
        log: &Arc<Cleanable>,
        group: Vec<ClosedSegment>,
        buffer_bytes: usize,
    ) -> Result<Self, CompactionError> {
        let base = group.first().map_or(log.log_start, |first| first.base);
        let create = |kind| {
            let path = suffixed(&file_path(&log.dir, base, kind), CLEANED);
            let file = disk.open(&path, OpenMode::Create);
            let file = file.and_then(|file| file.set_len(0).map(|()| file));
            file.map_err(|source| CompactionError::Io { path, source })
        };
        Ok(Self {
            files: [create(KINDS[0])?, create(KINDS[1])?, create(KINDS[2])?],
            disk: Arc::clone(disk),
            log: Arc::clone(log),
            has_changed: group.len() > 1,
            group,
            reading: 0,
            source: None,
            segment: Segment::new(base, 0),
            active: Active::default(),
            buffer: Vec::new(),
            buffer_bytes,
        })
    }

    /// Works on about one buffer of batches. How many bytes were read and written; `None` once all is written, though not synced.
    ///
    /// # Errors
    /// See [`CompactionError`].
    pub fn step(&mut self, rules: &mut RewriteRules) -> Result<Option<u64>, CompactionError> {
        let Some(&reading) = self.group.get(self.reading) else {
            return if self.buffer.is_empty() { Ok(None) } else { self.write().map(Some) };
        };
        let path = file_path(&self.log.dir, reading.base, FileKind::Log);
        let mut source = match self.source.take() {
            Some(source) => source,
            None => open_source(&*self.disk, &path, &reading, self.buffer_bytes)?,
        };
        let is_last_segment = self.reading + 1 == self.group.len();
        let began = source.position();
        let mut written = 0;
        let mut is_done = false;
        while !is_done && source.position() - began < self.buffer_bytes as u64 {
            let position = source.position();
            let failed = |error| scan_error(&path, error);
            let Some((header, bytes)) = source.next().map_err(failed)? else { break };
            is_done = position + bytes.len() as u64 >= u64::from(reading.size);
            let of_producer = rules.producers.get(&header.producer_id);
            let batch_rules = Rules {
                map: &rules.map,
                now: rules.now,
                delete_retention_ms: self.log.config.delete_retention_ms,
                keeps_tombstones: rules.keeps_tombstones,
                keeps_empty: (is_done && is_last_segment)
                    || of_producer == Some(&header.last_offset()),
            };
            let compacted = compact_batch(bytes, &batch_rules).map_err(|source| {
                CompactionError::Batch { path: path.clone(), position, source }
            })?;
            rules.keeps_tombstones |= compacted == Compacted::Untouched;
            match compacted {
                Compacted::Gone => self.has_changed = true,
                Compacted::Same | Compacted::Untouched => self.take(&header, bytes)?,
                Compacted::Rewritten(new) => {
                    self.has_changed = true;
                    let header = BatchHeader::decode(&new).unwrap_or(header);
                    self.take(&header, &new)?;
                }
            }
            if self.buffer.len() >= self.buffer_bytes {
                written += self.write()?;
            }
        }
        let read = source.position() - began;
        if source.position() < u64::from(reading.size) {
            self.source = Some(source);
        } else {
            self.reading += 1;
        }
        Ok(Some(read + written))
    }

    fn take(&mut self, header: &BatchHeader, bytes: &[u8]) -> Result<(), CompactionError> {
        let position = self.segment.size;
        let size = u64::from(position) + bytes.len() as u64;
        if size > MAX_SEGMENT_BYTES {
            let path = file_path(&self.log.dir, self.segment.base, FileKind::Log);
            return Err(CompactionError::TooLarge(path));
        }
        self.active.note(&self.segment, header, position, &self.log.config);
        self.segment.size = size as u32;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn path(&self, kind: FileKind) -> PathBuf {
        suffixed(&file_path(&self.log.dir, self.segment.base, kind), CLEANED)
    }

    fn io(&self, kind: FileKind) -> impl FnOnce(io::Error) -> CompactionError {
        let path = self.path(kind);
        move |source| CompactionError::Io { path, source }
    }

    fn write(&mut self) -> Result<u64, CompactionError> {
        let bytes = self.buffer.len() as u64;
        let at = u64::from(self.segment.size) - bytes;
        let written = self.files[0].write_all_at(&[IoSlice::new(&self.buffer)], at);
        written.map_err(self.io(FileKind::Log))?;
        self.buffer.clear();
        if self.active.offsets.wants_flush() {
            self.flush_indexes()?;
        }
        Ok(bytes)
    }

    fn flush_indexes(&mut self) -> Result<(), CompactionError> {
        let flushed = self.active.offsets.flush(&*self.files[1]);
        flushed.map_err(self.io(FileKind::Index))?;
        let flushed = self.active.times.flush(&*self.files[2]);
        flushed.map_err(self.io(FileKind::TimeIndex))
    }

    /// Syncs what `step` wrote.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self) -> Result<CleanedSegment, CompactionError> {
        self.active.note_time(&self.segment);
        self.flush_indexes()?;
        let cleaned = CleanedSegment {
            base: self.segment.base,
            end: self.group.last().map_or(self.segment.base, |last| last.end),
            size: self.segment.size,
            is_unchanged: !self.has_changed,
            max_timestamp: self.active.max_timestamp,
        };
        if self.has_changed {
            for (file, kind) in self.files.iter().zip(KINDS) {
                file.sync_data().map_err(self.io(kind))?;
            }
        }
        Ok(cleaned)
    }

    /// Removes what was written for a segment, where it is of no use: best effort, a start removes it too.
    pub fn discard(disk: &dyn Disk, log: &Cleanable, base: Offset) {
        for kind in KINDS {
            _ = disk.remove_file(&suffixed(&file_path(&log.dir, base, kind), CLEANED));
        }
    }
}
