//! What is kept in memory of a segment: little for a closed one, a bit more for the active one.
//!
//! Invariant: `size` bytes of the `.log` file are batches one after the other; what may lie behind them does not count.

use ottla_log_format::BatchHeader;
use ottla_log_format::index::{OffsetIndexEntry, TimeIndexEntry};
use ottla_types::{Offset, TimestampMs};

use super::config::LogConfig;
use super::index::{Entry, SparseIndex};

/// A segment grows to this at most, in bytes: positions are `i32` in Kafka's index.
pub(super) const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;

/// The largest timestamp of a segment, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MaxTimestamp {
    pub(super) timestamp: TimestampMs,
    pub(super) offset: Offset,
}

/// One segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) base: Offset,
    pub(super) size: u32,
    /// Loaded when it is first asked for; for the active segment it is in [`Active`].
    pub(super) max_timestamp: Option<MaxTimestamp>,
}

impl Segment {
    pub(super) const fn new(base: Offset, size: u32) -> Self {
        Self { base, size, max_timestamp: None }
    }

    /// An offset relative to the base; `None` if it does not fit an index entry.
    pub(super) fn relative(&self, offset: Offset) -> Option<i32> {
        offset.0.checked_sub(self.base.0).and_then(|relative| i32::try_from(relative).ok())
    }
}

/// What only the active segment has.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    pub(super) offsets: SparseIndex<OffsetIndexEntry>,
    pub(super) times: SparseIndex<TimeIndexEntry>,
    pub(super) max_timestamp: Option<MaxTimestamp>,
    /// Largest timestamp of the first batch, from which `segment.ms` counts; `None` until it is needed.
    pub(super) first_timestamp: Option<TimestampMs>,
    pub(super) bytes_since_entry: u32,
}

impl Active {
    /// Takes note of a batch that is appended at `position`, as Kafka does: an entry points to a batch and bears the
    /// batch's last offset.
    pub(super) fn note(
        &mut self,
        segment: &Segment,
        header: &BatchHeader,
        position: u32,
        config: &LogConfig,
    ) {
        let last_offset = header.last_offset();
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if self.max_timestamp.is_none_or(|max| header.max_timestamp > max.timestamp) {
            self.max_timestamp =
                Some(MaxTimestamp { timestamp: header.max_timestamp, offset: last_offset });
        }
        if self.bytes_since_entry > config.index_interval_bytes {
            if let Some(relative_offset) = segment.relative(last_offset) {
                self.offsets.push(OffsetIndexEntry { relative_offset, position: position as i32 });
            }
            self.note_time(segment);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(header.size_bytes() as u32);
    }

    /// Adds the largest timestamp so far to the time index, unless it is there already.
    pub(super) fn note_time(&mut self, segment: &Segment) {
        let entry = self.max_timestamp.and_then(|max| {
            let relative_offset = segment.relative(max.offset)?;
            Some(TimeIndexEntry { timestamp: max.timestamp, relative_offset })
        });
        let Some(entry) = entry else { return };
        if self.times.last().is_none_or(|last| entry.follows(last)) {
            self.times.push(entry);
        }
    }

    /// Whether index entries are in memory only.
    pub(super) fn has_unflushed(&self) -> bool {
        self.offsets.has_tail() || self.times.has_tail()
    }

    /// Whether an index has no room for one more entry, and one for the end.
    pub(super) fn is_full(&self, config: &LogConfig) -> bool {
        let limit = u64::from(config.segment_index_bytes);
        self.offsets.size_bytes() + 2 * OffsetIndexEntry::BYTES as u64 > limit
            || self.times.size_bytes() + 2 * TimeIndexEntry::BYTES as u64 > limit
    }
}
