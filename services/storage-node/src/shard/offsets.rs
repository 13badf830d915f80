//! Offsets by timestamp.
//!
//! Invariant: an answer is an offset that the asker may read, or the end of what it may read. A request makes the shard decompress
//! no more than a bounded number of bytes.

use ottla_api::storage::{ListOffsetsPartition, ListOffsetsPartitionResult};
use ottla_partition::FetchRefusal;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use tracing::error;

use super::Shard;
use super::message::OffsetsJob;
use super::partition::Partition;
use crate::log::{Files, InflateBudget, MAX_INFLATED_BYTES_PER_REQUEST, TimestampQuery};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Timestamp, offset, epoch.
type Found = (TimestampMs, Offset, LeaderEpoch);

const NOT_FOUND: Found = (TimestampMs::NONE, Offset::NONE, LeaderEpoch::NONE);

impl Shard {
    /// Answers a ListOffsets.
    pub(super) fn list_offsets(&mut self, job: OffsetsJob) {
        let mut budget = InflateBudget::new(MAX_INFLATED_BYTES_PER_REQUEST);
        let find = |part: &ListOffsetsPartition| {
            let absent = self.absent(part.partition);
            let means = (&mut self.files, &mut budget);
            match self.partitions.get_mut(&part.partition) {
                Some(partition) => find(partition, means, part, job.committed_only),
                None => Err(absent),
            }
        };
        let results: Vec<_> = job.parts.iter().map(find).collect();
        let results = job.parts.iter().zip(results).map(|(part, found)| answer(part, found));
        // Whoever asked may be gone.
        _ = job.answer.send(results.collect());
    }
}

fn find(
    partition: &mut Partition,
    (files, budget): (&mut Files, &mut InflateBudget),
    part: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<Found, ErrorCode> {
    let replica = &partition.replica;
    let asked = part.current_leader_epoch;
    replica.leader(asked).map_err(FetchRefusal::code)?;
    let query = match part.timestamp {
        LATEST => {
            let latest = replica.r6_latest(asked, committed_only).map_err(FetchRefusal::code)?;
            return Ok((TimestampMs::NONE, latest.0, latest.1));
        }
        EARLIEST | EARLIEST_LOCAL => {
            let start = replica.start();
            let epoch = replica.epochs().epoch_at(start).unwrap_or(LeaderEpoch::NONE);
            return Ok((TimestampMs::NONE, start, epoch));
        }
        // Nothing is tiered.
        LATEST_TIERED => return Ok(NOT_FOUND),
        MAX_TIMESTAMP => TimestampQuery::Latest,
        timestamp if timestamp >= 0 => TimestampQuery::NotBefore(TimestampMs(timestamp)),
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    // R6: what lies below a watermark that is not trusted yet may still be found.
    let end = if committed_only { replica.last_stable_offset() } else { replica.high_watermark() };
    let found = partition.log.find_timestamp(files, query, budget).map_err(|cause| {
        error!(partition = %part.partition, "offsets cannot be looked up: {cause}");
        ErrorCode::KafkaStorageError
    })?;
    let found = found.filter(|found| found.offset < end);
    Ok(found.map_or(NOT_FOUND, |found| (found.timestamp, found.offset, found.leader_epoch)))
}

/// The answer of one partition.
pub(crate) fn answer(
    part: &ListOffsetsPartition,
    found: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResult {
    let error = found.err().unwrap_or(ErrorCode::None);
    let (timestamp, offset, leader_epoch) = found.unwrap_or(NOT_FOUND);
    ListOffsetsPartitionResult { partition: part.partition, error, timestamp, offset, leader_epoch }
}
