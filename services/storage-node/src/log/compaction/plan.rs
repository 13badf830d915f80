//! Whether a log is worth to be compacted, and which of its segments become one.
//!
//! Invariant: as Kafka's `LogCleanerManager` and `Cleaner.groupSegmentsBySize` decide. What is asked of the disk are first headers and
//! last index entries only.

use std::io;

use ottla_log_format::index::TimeIndexEntry;
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};
use ottla_types::{Offset, TimestampMs};

use super::{Cleanable, ClosedSegment, CompactionError};
use crate::log::config::LogConfig;
use crate::log::index::{entries_in, entry_at};
use crate::log::names::{FileKind, file_path};
use crate::log::scan::Headers;

/// Most segments that become one: each costs the shard some renames at once.
const MAX_GROUP_SEGMENTS: usize = 64;

/// The dirty part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Offsets below are compacted.
    pub start: Offset,
    /// Offsets from here on are too young, or their segment is not closed, synced and committed.
    pub end: Offset,
    /// Bytes of segments that are compacted.
    pub clean_bytes: u64,
    /// Bytes of segments between start and end.
    pub dirty_bytes: u64,
    /// `max.compaction.lag.ms` demands a cleaning, whatever the ratio.
    pub is_overdue: bool,
}

impl Dirty {
    /// The dirty part of a log that is compacted up to `checkpoint`.
    ///
    /// # Errors
    /// The disk's own.
    pub fn of(
        log: &Cleanable,
        checkpoint: Option<Offset>,
        disk: &dyn Disk,
        now: TimestampMs,
    ) -> Result<Self, CompactionError> {
        let limit = log.segments.last().map_or(log.log_start, |last| last.end);
        // One that lies outside the log says nothing of it.
        let start = checkpoint.filter(|at| *at >= log.log_start && *at <= limit);
        let start = start.unwrap_or(log.log_start);
        let mut dirty =
            Self { start, end: start, clean_bytes: 0, dirty_bytes: 0, is_overdue: false };
        for segment in &log.segments {
            if segment.end <= start {
                dirty.clean_bytes += u64::from(segment.size);
                continue;
            }
            if log.is_too_young(segment, disk, now)? {
                break;
            }
            dirty.dirty_bytes += u64::from(segment.size);
            dirty.end = segment.end;
            dirty.is_overdue = dirty.is_overdue || log.is_overdue(segment, disk, now)?;
        }
        Ok(dirty)
    }

    /// Whether the log is to be compacted: more than `min.cleanable.dirty.ratio` of it is dirty, or it is overdue.
    pub fn is_worth_it(&self, config: &LogConfig) -> bool {
        self.dirty_bytes > 0
            && (self.is_overdue || self.millionths() > u64::from(config.min_cleanable_millionths))
    }

    /// The share that is dirty, in millionths: what is dirtiest comes first.
    pub fn millionths(&self) -> u64 {
        let all = self.clean_bytes.saturating_add(self.dirty_bytes).max(1);
        self.dirty_bytes.saturating_mul(1_000_000) / all
    }
}

impl Cleanable {
    /// `min.compaction.lag.ms`
    fn is_too_young(
        &self,
        segment: &ClosedSegment,
        disk: &dyn Disk,
        now: TimestampMs,
    ) -> Result<bool, CompactionError> {
        let lag = self.config.min_compaction_lag_ms;
        if lag <= 0 {
            return Ok(false);
        }
        let latest = match segment.max_timestamp {
            Some(max) => max.timestamp,
            None => self.ask(segment, FileKind::TimeIndex, disk, latest_timestamp)?,
        };
        Ok(now.since_ms(latest) < lag)
    }

    /// `max.compaction.lag.ms`
    fn is_overdue(
        &self,
        segment: &ClosedSegment,
        disk: &dyn Disk,
        now: TimestampMs,
    ) -> Result<bool, CompactionError> {
        let lag = self.config.max_compaction_lag_ms;
        if lag == i64::MAX {
            return Ok(false);
        }
        let first = self.ask(segment, FileKind::Log, disk, first_timestamp)?;
        Ok(first.0 > 0 && now.since_ms(first) > lag)
    }

    fn ask(
        &self,
        segment: &ClosedSegment,
        kind: FileKind,
        disk: &dyn Disk,
        question: impl FnOnce(&dyn DiskFile) -> io::Result<TimestampMs>,
    ) -> Result<TimestampMs, CompactionError> {
        let path = file_path(&self.dir, segment.base, kind);
        let answer = disk.open(&path, OpenMode::Read).and_then(|file| question(&*file));
        answer.map_err(|source| CompactionError::Io { path, source })
    }
}

/// The last entry of a closed segment's time index is its largest timestamp.
fn latest_timestamp(times: &dyn DiskFile) -> io::Result<TimestampMs> {
    let count = entries_in::<TimeIndexEntry>(times.len()?);
    let last = match count.checked_sub(1) {
        Some(last) => entry_at::<TimeIndexEntry>(times, last)?,
        None => None,
    };
    last.map(|entry| entry.timestamp).ok_or_else(|| io::Error::other("the time index is empty"))
}

fn first_timestamp(log: &dyn DiskFile) -> io::Result<TimestampMs> {
    let first = Headers::new(log, 0, log.len()?).next().map_err(io::Error::other)?;
    Ok(first.map_or(TimestampMs::NONE, |first| first.header.max_timestamp))
}

/// Which segments below `end` become one each: neighbours, as long as they fit one of `segment.bytes` and its indexes.
pub fn group_segments(log: &Cleanable, end: Offset, disk: &dyn Disk) -> Vec<Vec<ClosedSegment>> {
    let mut groups: Vec<Vec<ClosedSegment>> = Vec::new();
    let mut sizes = [0_u64; 3];
    for segment in log.segments.iter().filter(|segment| segment.base < end) {
        let of_kind = |kind| {
            let file = disk.open(&file_path(&log.dir, segment.base, kind), OpenMode::Read);
            // An index that is not there can be made again.
            file.and_then(|file| file.len()).unwrap_or(0)
        };
        let own = [u64::from(segment.size), of_kind(FileKind::Index), of_kind(FileKind::TimeIndex)];
        let index_bytes = u64::from(log.config.segment_index_bytes);
        let limits = [u64::from(log.config.segment_bytes), index_bytes, index_bytes];
        let fits = (0..sizes.len()).all(|kind| sizes[kind] + own[kind] <= limits[kind]);
        match groups.last_mut() {
            Some(group) if fits && has_room(group, segment) => {
                group.push(*segment);
                (0..sizes.len()).for_each(|kind| sizes[kind] += own[kind]);
            }
            _ => {
                groups.push(vec![*segment]);
                sizes = own;
            }
        }
    }
    groups
}

/// Whether the offsets of one more segment can be told from the first one's base.
fn has_room(group: &[ClosedSegment], next: &ClosedSegment) -> bool {
    let offsets = group.first().map_or(0, |first| next.end.0.saturating_sub(first.base.0));
    group.len() < MAX_GROUP_SEGMENTS && offsets <= i64::from(i32::MAX)
}
