//! Appending: batches that have their place already go to the end of the active segment, in one vectored write.
//!
//! Invariant: batches follow one another from the log's end on. What was written is in the page cache only: the round's
//! commit, or a checkpoint, makes it durable. A write that failed is taken back before the error is told.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use ottla_log_format::PlacedBatch;
use ottla_types::{Offset, TimestampMs};

use super::files::Files;
use super::names::FileKind;
use super::partition_log::PartitionLog;
use super::scan::Headers;
use super::segment::{Active, MAX_SEGMENT_BYTES, Segment};

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base: Offset,
    /// The log's new end.
    pub end: Offset,
    /// Bytes written.
    pub bytes: u64,
    /// The base of the newest segment that was begun: the caller snapshots producers there.
    pub rolled: Option<Offset>,
}

/// Why batches were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log failed earlier (R16).
    #[error("the log {} failed and takes no writes", .0.display())]
    Failed(PathBuf),
    /// No batch.
    #[error("there is nothing to append")]
    Empty,
    /// A batch is not at the log's end.
    #[error("a batch at offset {found} cannot follow {expected}")]
    NotContiguous {
        /// The log's end, or that of the batch before.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// A batch is larger than a segment can be.
    #[error("a batch of {0} bytes fits no segment")]
    TooLarge(u64),
    /// The disk's own error.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl PartitionLog {
    /// Appends batches, rolling segments where due. `now` decides on `segment.ms`.
    ///
    /// # Errors
    /// See [`AppendError`]. After `Io` either nothing was appended, or the log is failed.
    pub fn append(
        &mut self,
        files: &mut Files,
        batches: &[PlacedBatch],
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        self.check(batches)?;
        let (base, mut rest) = (self.end, batches);
        let mut appended = Appended { base, end: base, bytes: 0, rolled: None };
        while !rest.is_empty() {
            match self.append_part(files, rest, now, &mut appended) {
                Ok(written) => rest = &rest[written..],
                Err(error) => {
                    // Batches of one call belong together: half of them cannot stay while the caller hears of an error.
                    self.is_failed |= self.end > base;
                    return Err(error);
                }
            }
        }
        appended.end = self.end;
        Ok(appended)
    }

    /// Writes what fits one segment; answers how many batches that were.
    fn append_part(
        &mut self,
        files: &mut Files,
        batches: &[PlacedBatch],
        now: TimestampMs,
        appended: &mut Appended,
    ) -> Result<usize, AppendError> {
        if self.wants_roll(files, &batches[0], now)? {
            appended.rolled = Some(self.roll(files)?);
        }
        let (part, bytes) = self.fitting(batches);
        self.write(files, part, bytes)?;
        appended.bytes += bytes;
        Ok(part.len())
    }

    fn check(&self, batches: &[PlacedBatch]) -> Result<(), AppendError> {
        if self.is_failed {
            return Err(AppendError::Failed(self.dir.to_path_buf()));
        }
        if batches.is_empty() {
            return Err(AppendError::Empty);
        }
        let mut expected = self.end;
        for batch in batches {
            let (header, size) = (batch.header(), batch.size_bytes() as u64);
            let found = header.base_offset;
            if found < expected || (found > expected && !self.config.compact) {
                return Err(AppendError::NotContiguous { expected, found });
            }
            if size > MAX_SEGMENT_BYTES {
                return Err(AppendError::TooLarge(size));
            }
            expected = header.next_offset();
        }
        Ok(())
    }

    fn wants_roll(
        &mut self,
        files: &mut Files,
        next: &PlacedBatch,
        now: TimestampMs,
    ) -> Result<bool, AppendError> {
        let segment = self.active_segment();
        let fits = u64::from(segment.size) + next.size_bytes() as u64 <= self.segment_limit()
            && segment.relative(next.header().last_offset()).is_some()
            && !self.active.is_full(&self.config);
        if segment.size == 0 {
            // An empty segment far below its first offset cannot hold it; any other one takes a batch of any size.
            return Ok(segment.relative(next.header().last_offset()).is_none());
        }
        Ok(!fits || self.is_old(files, segment, next.header().max_timestamp, now)?)
    }

    fn segment_limit(&self) -> u64 {
        u64::from(self.config.segment_bytes).min(MAX_SEGMENT_BYTES)
    }

    /// `segment.ms`: counted in the records' own time, or in `now` if they have none.
    fn is_old(
        &mut self,
        files: &mut Files,
        segment: Segment,
        next: TimestampMs,
        now: TimestampMs,
    ) -> Result<bool, AppendError> {
        if self.active.first_timestamp.is_none() {
            let path = self.path(segment.base, FileKind::Log);
            let first = self
                .first_timestamp(files, segment)
                .map_err(|source| AppendError::Io { path, source })?;
            self.active.first_timestamp = Some(first);
        }
        let first = self.active.first_timestamp.unwrap_or(now);
        let (later, earlier) = if first.0 >= 0 && next.0 >= 0 { (next, first) } else { (now, now) };
        Ok(later.since_ms(earlier) > self.config.segment_ms.saturating_sub(self.jitter_ms()))
    }

    /// A part of `segment.jitter.ms` that differs from partition to partition but not from run to run.
    fn jitter_ms(&self) -> i64 {
        let max = self.config.segment_jitter_ms.min(self.config.segment_ms).max(0);
        let [.., low] = self.id.topic.0.as_bytes();
        let spread = (i64::from(self.id.partition.0) * 31 + i64::from(*low)) & 0xff;
        ((i128::from(max) * i128::from(spread)) / 256) as i64
    }

    fn first_timestamp(&self, files: &mut Files, segment: Segment) -> io::Result<TimestampMs> {
        let file = self.open_file(files, segment.base, FileKind::Log)?;
        let first =
            Headers::new(&*file, 0, u64::from(segment.size)).next().map_err(io::Error::other)?;
        Ok(first.map_or(TimestampMs::NONE, |first| first.header.max_timestamp))
    }

    /// As many batches as the active segment has room for, at least one; and their bytes.
    fn fitting<'b>(&self, batches: &'b [PlacedBatch]) -> (&'b [PlacedBatch], u64) {
        let segment = self.active_segment();
        let room = self.segment_limit().saturating_sub(u64::from(segment.size));
        let mut bytes = batches[0].size_bytes() as u64;
        let mut count = 1;
        for batch in &batches[1..] {
            let more = bytes + batch.size_bytes() as u64;
            if more > room || segment.relative(batch.header().last_offset()).is_none() {
                break;
            }
            bytes = more;
            count += 1;
        }
        (&batches[..count], bytes)
    }

    fn write(
        &mut self,
        files: &mut Files,
        batches: &[PlacedBatch],
        bytes: u64,
    ) -> Result<(), AppendError> {
        let segment = self.active_segment();
        if segment.size == 0 {
            self.has_unsynced_names = true;
        }
        let file = match self.create_file(files, segment.base, FileKind::Log) {
            Ok(file) => file,
            Err(source) => return Err(self.unwritten(segment.base, source)),
        };
        if segment.size == 0 && self.config.preallocate {
            let reserved = file.reserve(self.segment_limit());
            reserved.map_err(|source| self.unwritten(segment.base, source))?;
        }
        let mut slices = Vec::with_capacity(2 * batches.len());
        slices.extend(batches.iter().flat_map(PlacedBatch::slices).map(IoSlice::new));
        if let Err(source) = file.write_all_at(&slices, u64::from(segment.size)) {
            // A part may be there (a full disk): it must not stand behind the end.
            self.is_failed |= file.set_len(u64::from(segment.size)).is_err();
            return Err(self.unwritten(segment.base, source));
        }
        self.note(batches);
        self.active_segment_mut().size += bytes as u32;
        if self.active.offsets.wants_flush() {
            // The batches are written, so this is no error of theirs: the entries stay in memory for the next time.
            let _ = self.flush_indexes(files);
        }
        Ok(())
    }

    fn unwritten(&self, base: Offset, source: io::Error) -> AppendError {
        AppendError::Io { path: self.path(base, FileKind::Log), source }
    }

    fn note(&mut self, batches: &[PlacedBatch]) {
        let segment = self.active_segment();
        let mut position = segment.size;
        for batch in batches {
            let header = batch.header();
            self.epochs.assign(header.leader_epoch, header.base_offset);
            self.active.note(&segment, header, position, &self.config);
            position += batch.size_bytes() as u32;
            self.end = header.next_offset();
        }
    }

    /// Closes the active segment and begins one at the log's end.
    pub(super) fn roll(&mut self, files: &mut Files) -> Result<Offset, AppendError> {
        let old = self.active_segment();
        let path = self.path(old.base, FileKind::Index);
        self.active.note_time(&old);
        self.flush_indexes(files).map_err(|source| AppendError::Io { path, source })?;
        if self.config.preallocate && old.size > 0 {
            // What was reserved and not used goes back.
            let cut = self.open_file(files, old.base, FileKind::Log);
            cut.and_then(|file| file.set_len(u64::from(old.size)))
                .map_err(|source| self.unwritten(old.base, source))?;
        }
        // Made at once, though empty: it says where the log goes on, should all before it be deleted.
        let path = self.path(self.end, FileKind::Log);
        self.create_file(files, self.end, FileKind::Log)
            .map_err(|source| AppendError::Io { path, source })?;
        self.has_unsynced_names = true;
        self.active_segment_mut().max_timestamp = self.active.max_timestamp;
        self.active = Active::default();
        if old.size == 0 {
            self.segments.pop();
        }
        self.segments.push(Segment::new(self.end, 0));
        Ok(self.end)
    }

    /// Writes the new index entries to their files. Not synced: an index can always be made again.
    pub(super) fn flush_indexes(&mut self, files: &mut Files) -> io::Result<()> {
        let base = self.active_segment().base;
        if self.active.has_unflushed() {
            self.note_unsynced_indexes(base);
        }
        if self.active.offsets.has_tail() {
            let file = self.create_file(files, base, FileKind::Index)?;
            self.active.offsets.flush(&*file)?;
        }
        if self.active.times.has_tail() {
            let file = self.create_file(files, base, FileKind::TimeIndex)?;
            self.active.times.flush(&*file)?;
        }
        Ok(())
    }
}
