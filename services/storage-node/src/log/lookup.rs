//! From an offset to the batch that holds it.
//!
//! Invariant: what an index says is checked against the batch that it points to; an index that lies is made anew. A reader
//! that goes on where it stopped needs no index at all.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_log_format::index::{OffsetIndexEntry, TimeIndexEntry};
use ottla_runtime::seams::DiskFile;
use ottla_types::Offset;

use super::files::Files;
use super::index::{Entry, SparseIndex, entries_in, find_last_in_file};
use super::names::FileKind;
use super::partition_log::PartitionLog;
use super::scan::{Headers, Located, ScanError};
use super::segment::{Active, Segment};

/// Places of recent readers that are remembered, for each log.
const READ_HINTS: usize = 4;

/// A segment holds bytes that it cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("{} is corrupt at position {position}: {reason}", .path.display())]
pub struct CorruptSegment {
    /// The file.
    pub path: PathBuf,
    /// Where, in bytes from its beginning.
    pub position: u64,
    /// What is wrong there.
    pub reason: String,
}

/// Why a batch could not be looked up.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    #[error("cannot read {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Where recent reads ended: the next one likely begins there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadHints {
    places: [(i64, i64, u32); READ_HINTS],
    next: u8,
}

impl ReadHints {
    /// Remembers that the batch at `offset` begins at `position` of the segment at `base`.
    pub(super) fn remember(&mut self, offset: Offset, base: Offset, position: u32) {
        // Position 0 needs no hint, and an unused place must not look like one.
        if position > 0 && self.find(offset).is_none() {
            self.places[usize::from(self.next)] = (offset.0, base.0, position);
            self.next = (self.next + 1) % READ_HINTS as u8;
        }
    }

    fn find(&self, offset: Offset) -> Option<(Offset, u32)> {
        let found = self.places.iter().find(|place| place.0 == offset.0 && place.2 > 0)?;
        Some((Offset(found.1), found.2))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A segment's file, ready to be walked over.
pub(super) struct OpenSegment {
    pub(super) index: usize,
    pub(super) segment: Segment,
    pub(super) file: Arc<dyn DiskFile>,
}

impl PartitionLog {
    pub(super) fn io_error(&self, base: Offset, kind: FileKind, source: io::Error) -> LookupError {
        LookupError::Io { path: self.path(base, kind), source }
    }

    pub(super) fn scan_error(&self, base: Offset, error: ScanError) -> LookupError {
        match error {
            ScanError::Io(source) => self.io_error(base, FileKind::Log, source),
            ScanError::Batch { position, error } => {
                let path = self.path(base, FileKind::Log);
                CorruptSegment { path, position, reason: error.to_string() }.into()
            }
        }
    }

    pub(super) fn open_segment(
        &self,
        files: &mut Files,
        index: usize,
    ) -> Result<OpenSegment, LookupError> {
        let segment = self.segments[index];
        let file = self
            .open_file(files, segment.base, FileKind::Log)
            .map_err(|source| self.io_error(segment.base, FileKind::Log, source))?;
        Ok(OpenSegment { index, segment, file })
    }

    /// The first batch that ends at `offset` or later; `None` at the end of the log.
    pub(super) fn locate(
        &mut self,
        files: &mut Files,
        offset: Offset,
    ) -> Result<Option<(OpenSegment, Located)>, LookupError> {
        for index in self.segment_index(offset)..self.segments.len() {
            if self.segments[index].size == 0 {
                continue;
            }
            let open = self.open_segment(files, index)?;
            let from = self.start_position(files, &open, offset)?;
            let mut headers = Headers::new(&*open.file, from, u64::from(open.segment.size));
            while let Some(found) =
                headers.next().map_err(|e| self.scan_error(open.segment.base, e))?
            {
                if found.header.last_offset() >= offset {
                    return Ok(Some((open, found)));
                }
            }
        }
        Ok(None)
    }

    /// Where to begin the walk to `offset`: at a batch that is not behind it.
    fn start_position(
        &mut self,
        files: &mut Files,
        open: &OpenSegment,
        offset: Offset,
    ) -> Result<u64, LookupError> {
        let base = open.segment.base;
        if let Some((hint_base, position)) = self.hints.find(offset)
            && hint_base == base
            && position < open.segment.size
        {
            return Ok(u64::from(position));
        }
        let Some(relative) = open.segment.relative(offset) else { return Ok(0) };
        let position = self.floor(files, open, |entry| entry.relative_offset <= relative)?;
        Ok(position.unwrap_or(0))
    }

    /// The position of the last index entry for which `is_before` holds, checked against its batch.
    pub(super) fn floor(
        &mut self,
        files: &mut Files,
        open: &OpenSegment,
        is_before: impl Fn(&OffsetIndexEntry) -> bool,
    ) -> Result<Option<u64>, LookupError> {
        let Some(entry) = self.find_offset_entry(files, open.index, &is_before)? else {
            return Ok(None);
        };
        if is_true(open, entry).map_err(|e| self.scan_error(open.segment.base, e))? {
            return Ok(Some(entry.position as u64));
        }
        self.rebuild_indexes(files, open)?;
        let entry = self.find_offset_entry(files, open.index, &is_before)?;
        Ok(entry.map(|entry| entry.position as u64))
    }

    /// Where a batch begins that is not behind `offset`, as far as the index helps; the front where it lies.
    pub(super) fn position_before(
        &self,
        files: &mut Files,
        open: &OpenSegment,
        offset: Offset,
    ) -> Result<u64, LookupError> {
        let Some(relative) = open.segment.relative(offset) else { return Ok(0) };
        let entry =
            self.find_offset_entry(files, open.index, |entry| entry.relative_offset <= relative)?;
        let Some(entry) = entry else { return Ok(0) };
        let is_true = is_true(open, entry).map_err(|e| self.scan_error(open.segment.base, e))?;
        Ok(if is_true { entry.position as u64 } else { 0 })
    }

    fn find_offset_entry(
        &self,
        files: &mut Files,
        index: usize,
        is_before: impl Fn(&OffsetIndexEntry) -> bool,
    ) -> Result<Option<OffsetIndexEntry>, LookupError> {
        let active = self.is_active(index).then_some(&self.active.offsets);
        self.find_entry(files, index, active, is_before)
    }

    pub(super) fn find_time_entry(
        &self,
        files: &mut Files,
        index: usize,
        is_before: impl Fn(&TimeIndexEntry) -> bool,
    ) -> Result<Option<TimeIndexEntry>, LookupError> {
        let active = self.is_active(index).then_some(&self.active.times);
        self.find_entry(files, index, active, is_before)
    }

    fn find_entry<E: Entry>(
        &self,
        files: &mut Files,
        index: usize,
        active: Option<&SparseIndex<E>>,
        is_before: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, LookupError> {
        let (base, kind) = (self.segments[index].base, E::FILE);
        let found = match active {
            Some(active) => active.find_last(|| self.open_file(files, base, kind), is_before),
            None => self.open_file(files, base, kind).and_then(|file| {
                let count = entries_in::<E>(file.len()?);
                find_last_in_file(&*file, count, is_before)
            }),
        };
        match found {
            // No index file: the segment is small, or the index is lost. Either way the walk begins at the front.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.io_error(base, kind, source)),
            Ok(entry) => Ok(entry),
        }
    }

    /// Makes both indexes of a segment anew, from its batches.
    pub(super) fn rebuild_indexes(
        &mut self,
        files: &mut Files,
        open: &OpenSegment,
    ) -> Result<(), LookupError> {
        let base = open.segment.base;
        let mut fresh = Active::default();
        let mut headers = Headers::new(&*open.file, 0, u64::from(open.segment.size));
        while let Some(found) = headers.next().map_err(|e| self.scan_error(base, e))? {
            fresh.note(&open.segment, &found.header, found.position as u32, &self.config);
        }
        if !self.is_active(open.index) {
            fresh.note_time(&open.segment);
            self.segments[open.index].max_timestamp = fresh.max_timestamp;
        }
        self.write_indexes(files, base, &mut fresh)?;
        if self.is_active(open.index) {
            self.active = fresh;
        }
        Ok(())
    }

    fn write_indexes(
        &mut self,
        files: &mut Files,
        base: Offset,
        fresh: &mut Active,
    ) -> Result<(), LookupError> {
        self.note_unsynced_indexes(base);
        let file = self.create_file(files, base, FileKind::Index).and_then(|file| {
            cut_index(&*file, 0)?;
            fresh.offsets.flush(&*file)
        });
        file.map_err(|source| self.io_error(base, FileKind::Index, source))?;
        let file = self.create_file(files, base, FileKind::TimeIndex).and_then(|file| {
            cut_index(&*file, 0)?;
            fresh.times.flush(&*file)
        });
        file.map_err(|source| self.io_error(base, FileKind::TimeIndex, source))
    }
}

/// Cuts an index file, so that other entries can be written behind. Synced: a crash must not leave old and new entries in
/// one file, where half of the one and half of the other could make an entry that looks sound.
pub(super) fn cut_index(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    if file.len()? > len {
        file.set_len(len)?;
        file.sync_data()?;
    }
    Ok(())
}

/// Whether an index entry points to a batch that ends with its offset.
fn is_true(open: &OpenSegment, entry: OffsetIndexEntry) -> Result<bool, ScanError> {
    let Ok(position) = u64::try_from(entry.position) else { return Ok(false) };
    match Headers::new(&*open.file, position, u64::from(open.segment.size)).next() {
        Ok(Some(found)) => {
            Ok(open.segment.relative(found.header.last_offset()) == Some(entry.relative_offset))
        }
        Ok(None) | Err(ScanError::Batch { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
