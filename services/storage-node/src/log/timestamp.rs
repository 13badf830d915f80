//! ListOffsets by timestamp: from a time to the first record that is not earlier, as exact as Kafka's answer.
//!
//! Invariant: the answer is a record's own offset and timestamp, also within a compressed batch, as long as what a request makes
//! us decompress stays within `MAX_INFLATED_BYTES_PER_REQUEST`; beyond, it is the batch's.

use std::io;
use std::path::PathBuf;

use ottla_log_format::compression::decompress;
use ottla_log_format::{BATCH_HEADER_BYTES, Codec, Records, TimestampType};
use ottla_types::{LeaderEpoch, Offset, TimestampMs};

use super::files::Files;
use super::lookup::{CorruptSegment, LookupError, OpenSegment};
use super::names::FileKind;
use super::partition_log::PartitionLog;
use super::scan::{Headers, Located};
use super::segment::MaxTimestamp;

/// Most bytes that are decompressed for one request, in all its partitions together: the shard does nothing else meanwhile.
pub const MAX_INFLATED_BYTES_PER_REQUEST: usize = 32 << 20;

/// What may still be decompressed for a request.
#[derive(Debug)]
pub struct InflateBudget {
    bytes_left: usize,
}

impl InflateBudget {
    /// So many bytes may come out of compressed batches.
    pub const fn new(bytes: usize) -> Self {
        Self { bytes_left: bytes }
    }

    /// What comes out of a batch; `None` if that is more than may, or makes no sense. A batch that fails may have cost all.
    fn inflate(&mut self, codec: Codec, records: &[u8]) -> Option<Vec<u8>> {
        let inflated = match self.bytes_left {
            0 => None,
            left => decompress(codec, records, left).ok(),
        };
        let cost = inflated.as_ref().map_or(self.bytes_left, Vec::len);
        self.bytes_left -= cost.min(self.bytes_left);
        inflated
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The first record that is not earlier.
    NotBefore(TimestampMs),
    /// The first record that has the largest timestamp (-3).
    Latest,
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundTimestamp {
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// Its offset.
    pub offset: Offset,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TimestampError {
    /// A segment is corrupt.
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// The disk's own error.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl From<LookupError> for TimestampError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Corrupt(error) => Self::Corrupt(error),
            LookupError::Io { path, source } => Self::Io { path, source },
        }
    }
}

impl PartitionLog {
    /// Finds a record by its time; `None` if there is none. Whether its offset may be told already (the high watermark)
    /// is the caller's business. Once the budget is spent, a compressed batch is answered as a whole.
    ///
    /// # Errors
    /// See [`TimestampError`].
    pub fn find_timestamp(
        &mut self,
        files: &mut Files,
        query: TimestampQuery,
        budget: &mut InflateBudget,
    ) -> Result<Option<FoundTimestamp>, TimestampError> {
        let found = match query {
            TimestampQuery::NotBefore(timestamp) => {
                self.find_not_before(files, timestamp, budget)?
            }
            TimestampQuery::Latest => self.find_latest(files, budget)?,
        };
        Ok(found)
    }

    fn find_not_before(
        &mut self,
        files: &mut Files,
        timestamp: TimestampMs,
        budget: &mut InflateBudget,
    ) -> Result<Option<FoundTimestamp>, LookupError> {
        for index in self.segment_index(self.log_start)..self.segments.len() {
            let max = self.max_timestamp(files, index)?;
            if max.is_none_or(|max| max.timestamp < timestamp) {
                continue;
            }
            let open = self.open_segment(files, index)?;
            let from = self.time_position(files, &open, timestamp)?;
            if let Some(found) = self.search_records(&open, from, timestamp, budget)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_latest(
        &mut self,
        files: &mut Files,
        budget: &mut InflateBudget,
    ) -> Result<Option<FoundTimestamp>, LookupError> {
        let mut latest: Option<MaxTimestamp> = None;
        for index in self.segment_index(self.log_start)..self.segments.len() {
            let max = self.max_timestamp(files, index)?;
            if let Some(max) =
                max.filter(|max| latest.is_none_or(|latest| max.timestamp > latest.timestamp))
            {
                latest = Some(max);
            }
        }
        let Some(latest) = latest else { return Ok(None) };
        let Some((open, found)) = self.locate(files, latest.offset)? else { return Ok(None) };
        self.search_batch(&open, &found, latest.timestamp, budget)
    }

    /// The largest timestamp of a segment; `None` if it holds nothing.
    pub(super) fn max_timestamp(
        &mut self,
        files: &mut Files,
        index: usize,
    ) -> Result<Option<MaxTimestamp>, LookupError> {
        let segment = self.segments[index];
        if self.is_active(index) {
            return Ok(self.active.max_timestamp);
        }
        if segment.max_timestamp.is_some() || segment.size == 0 {
            return Ok(segment.max_timestamp);
        }
        if self.find_time_entry(files, index, |_| true)?.is_none() {
            let open = self.open_segment(files, index)?;
            self.rebuild_indexes(files, &open)?;
        }
        // The last entry of a closed segment is its maximum: one is added when it is closed.
        if let Some(entry) = self.find_time_entry(files, index, |_| true)? {
            let offset = segment.base.plus(i64::from(entry.relative_offset));
            self.segments[index].max_timestamp =
                Some(MaxTimestamp { timestamp: entry.timestamp, offset });
        }
        Ok(self.segments[index].max_timestamp)
    }

    /// Where to begin the search: no record before it is as late as `timestamp`.
    fn time_position(
        &mut self,
        files: &mut Files,
        open: &OpenSegment,
        timestamp: TimestampMs,
    ) -> Result<u64, LookupError> {
        let entry =
            self.find_time_entry(files, open.index, |entry| entry.timestamp <= timestamp)?;
        let by_time = entry.map_or(0, |entry| entry.relative_offset);
        let by_start = open.segment.relative(self.log_start).unwrap_or(0);
        let relative = by_time.max(by_start);
        Ok(self.floor(files, open, |entry| entry.relative_offset <= relative)?.unwrap_or(0))
    }

    fn search_records(
        &self,
        open: &OpenSegment,
        from: u64,
        timestamp: TimestampMs,
        budget: &mut InflateBudget,
    ) -> Result<Option<FoundTimestamp>, LookupError> {
        let mut headers = Headers::new(&*open.file, from, u64::from(open.segment.size));
        while let Some(found) =
            headers.next().map_err(|error| self.scan_error(open.segment.base, error))?
        {
            if found.header.max_timestamp >= timestamp
                && found.header.last_offset() >= self.log_start
                && let Some(found) = self.search_batch(open, &found, timestamp, budget)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record of a batch that is not earlier, and not below the log's start.
    fn search_batch(
        &self,
        open: &OpenSegment,
        found: &Located,
        timestamp: TimestampMs,
        budget: &mut InflateBudget,
    ) -> Result<Option<FoundTimestamp>, LookupError> {
        let header = &found.header;
        let answer = |timestamp, offset| FoundTimestamp {
            timestamp,
            offset,
            leader_epoch: header.leader_epoch,
        };
        // Compaction keeps some batches without records.
        if header.record_count == 0 {
            return Ok(None);
        }
        let whole_batch = answer(header.max_timestamp, header.base_offset.max(self.log_start));
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(Some(whole_batch));
        }
        let mut batch = vec![0; header.size_bytes()];
        open.file
            .read_exact_at(&mut batch, found.position)
            .map_err(|source| self.io_error(open.segment.base, FileKind::Log, source))?;
        let records = &batch[BATCH_HEADER_BYTES..];
        let inflated = match header.attributes.codec() {
            Some(Codec::None) => None,
            Some(codec) => match budget.inflate(codec, records) {
                Some(inflated) => Some(inflated),
                None => return Ok(Some(whole_batch)),
            },
            None => return Ok(Some(whole_batch)),
        };
        let payload = inflated.as_deref().unwrap_or(records);
        let mut found = Records::over(header, payload).map_while(Result::ok);
        let first =
            found.find(|record| record.timestamp >= timestamp && record.offset >= self.log_start);
        Ok(first.map(|record| answer(record.timestamp, record.offset)))
    }
}
