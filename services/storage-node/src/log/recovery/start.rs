//! Where to begin to look at a segment: at an index entry that can be believed, else at the front.
//!
//! Invariant: an entry is believed only if the batch that it points to ends with its offset. What lies before it is taken
//! to be in order: it was synced, and its index entries with it or before it.

use std::io;
use std::sync::Arc;

use ottla_log_format::index::{OffsetIndexEntry, TimeIndexEntry};
use ottla_runtime::seams::DiskFile;
use ottla_types::Offset;

use super::open::OpenError;
use crate::log::files::Files;
use crate::log::index::{Entry, SparseIndex, entries_in, entry_at, sound_prefix};
use crate::log::names::FileKind;
use crate::log::partition_log::PartitionLog;
use crate::log::scan::{Headers, ScanError};
use crate::log::segment::{Active, MaxTimestamp, Segment};

/// A segment that was walked over, with its index made anew.
pub(super) struct Walked {
    pub(super) segment: Segment,
    pub(super) active: Active,
    /// Entries of the index files that stay.
    pub(super) kept: (u32, u32),
}

/// Where to begin in a segment, and what of its indexes is believed.
#[derive(Default)]
pub(super) struct Start {
    pub(super) position: u64,
    pub(super) next_offset: Offset,
    offsets: (u32, Option<OffsetIndexEntry>),
    times: (u32, Option<TimeIndexEntry>),
}

impl Start {
    pub(super) fn front(segment: Segment) -> Self {
        Self { next_offset: segment.base, ..Self::default() }
    }

    pub(super) fn walked(&self, segment: Segment) -> Walked {
        let max_timestamp = self.times.1.map(|entry| MaxTimestamp {
            timestamp: entry.timestamp,
            offset: segment.base.plus(i64::from(entry.relative_offset)),
        });
        let active = Active {
            offsets: SparseIndex::of_file(self.offsets.0, self.offsets.1),
            times: SparseIndex::of_file(self.times.0, self.times.1),
            max_timestamp,
            ..Active::default()
        };
        Walked { segment, active, kept: (self.offsets.0, self.times.0) }
    }

    /// The last index entry that is not above `offset` and that both indexes speak for; entries may be torn.
    pub(super) fn before(
        files: &mut Files,
        log: &PartitionLog,
        segment: Segment,
        offset: Offset,
    ) -> Result<Self, OpenError> {
        let front = Self::front(segment);
        let (Some(relative), Some(file), Some(times)) = (
            segment.relative(offset),
            open_if_there(files, log, segment, FileKind::Index)?,
            open_if_there(files, log, segment, FileKind::TimeIndex)?,
        ) else {
            return Ok(front);
        };
        let path = log.path(segment.base, FileKind::Index);
        let times: Vec<TimeIndexEntry> =
            sound_prefix(&*times, |entry: &TimeIndexEntry| entry.relative_offset <= relative)
                .map_err(OpenError::io(&path))?;
        let Some(covered) = times.last().map(|entry| entry.relative_offset) else {
            return Ok(front);
        };
        let offsets: Vec<OffsetIndexEntry> =
            sound_prefix(&*file, |entry: &OffsetIndexEntry| entry.relative_offset <= covered)
                .map_err(OpenError::io(&path))?;
        let Some(&entry) = offsets.last() else { return Ok(front) };
        let kept = times.partition_point(|time| time.relative_offset <= entry.relative_offset);
        let times = (kept as u32, kept.checked_sub(1).map(|last| times[last]));
        Ok(Self::at(files, log, segment, (offsets.len() as u32, entry), times)?.unwrap_or(front))
    }

    /// The last entries of both indexes, as a clean stop left them. `None` if they do not fit the log.
    pub(super) fn last_entries(
        files: &mut Files,
        log: &PartitionLog,
        segment: Segment,
    ) -> Result<Option<Self>, OpenError> {
        let front = Some(Self::front(segment));
        let Some(file) = open_if_there(files, log, segment, FileKind::Index)? else {
            return Ok(front);
        };
        let Some(offsets) = last_entry::<OffsetIndexEntry>(log, segment, &*file)? else {
            return Ok(front);
        };
        let Some(file) = open_if_there(files, log, segment, FileKind::TimeIndex)? else {
            return Ok(None);
        };
        let Some((count, last)) = last_entry::<TimeIndexEntry>(log, segment, &*file)? else {
            return Ok(None);
        };
        Self::at(files, log, segment, offsets, (count, Some(last)))
    }

    /// At the batch that an entry points to; `None` if the entry lies.
    fn at(
        files: &mut Files,
        log: &PartitionLog,
        segment: Segment,
        offsets: (u32, OffsetIndexEntry),
        times: (u32, Option<TimeIndexEntry>),
    ) -> Result<Option<Self>, OpenError> {
        let path = log.path(segment.base, FileKind::Log);
        let Some(file) = open_if_there(files, log, segment, FileKind::Log)? else {
            return Ok(None);
        };
        let (count, entry) = offsets;
        let Ok(position) = u64::try_from(entry.position) else { return Ok(None) };
        let found = match Headers::new(&*file, position, u64::from(segment.size)).next() {
            Err(ScanError::Io(source)) => {
                return Err(OpenError::Io { path, source });
            }
            Err(_) | Ok(None) => return Ok(None),
            Ok(Some(found)) => found,
        };
        let is_true = segment.relative(found.header.last_offset()) == Some(entry.relative_offset);
        let next_offset = found.header.base_offset;
        Ok(is_true.then_some(Self { position, next_offset, offsets: (count, Some(entry)), times }))
    }
}

fn last_entry<E: Entry>(
    log: &PartitionLog,
    segment: Segment,
    file: &dyn DiskFile,
) -> Result<Option<(u32, E)>, OpenError> {
    let path = log.path(segment.base, FileKind::Index);
    let count = entries_in::<E>(file.len().map_err(OpenError::io(&path))?);
    let Some(last) = count.checked_sub(1) else { return Ok(None) };
    let entry = entry_at(file, last).map_err(OpenError::io(&path))?;
    Ok(entry.map(|entry| (count, entry)))
}

pub(super) fn open_if_there(
    files: &mut Files,
    log: &PartitionLog,
    segment: Segment,
    kind: FileKind,
) -> Result<Option<Arc<dyn DiskFile>>, OpenError> {
    match log.open_file(files, segment.base, kind) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io { path: log.path(segment.base, kind), source }),
    }
}
