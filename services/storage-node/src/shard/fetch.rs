//! Reading: regions below what a reader may see, at once or when enough came.
//!
//! Invariant: no record is copied here; an answer holds regions of files. A fetch that fails for any partition does not wait.

use ottla_api::storage::{FetchPartition, FetchPartitionResult, FetchedRecords};
use ottla_partition::{FetchRefusal, Readable};
use ottla_types::ErrorCode;
use tracing::error;

use super::Shard;
use super::message::{FetchJob, WatchJob};
use super::parked::Waiter;
use crate::log::{ReadError, ReadLimit};

/// Room for one partition's records.
#[derive(Clone, Copy)]
struct Room {
    bytes_left: usize,
    /// Nothing is in the answer yet: the first batch is given whatever its size.
    is_empty: bool,
}

impl Shard {
    /// Answers a fetch, or parks it.
    pub(super) fn fetch(&mut self, job: FetchJob) {
        let results = self.read_all(&job);
        let bytes: usize = results.iter().map(|result| result.records.len()).sum();
        let is_urgent =
            |r: &FetchPartitionResult| r.error != ErrorCode::None || r.diverging_epoch.is_some();
        let now = self.seams.clock.monotonic();
        let deadline = job.deadline.filter(|deadline| *deadline > now);
        let missing = job.min_bytes.saturating_sub(bytes);
        match deadline {
            Some(deadline) if missing > 0 && !results.iter().any(is_urgent) => {
                let ids = job.parts.iter().map(|part| part.partition).collect();
                if let Some(refused) = self.parked.park(Waiter::Fetch(job), ids, missing, deadline)
                {
                    self.wake(vec![refused]);
                }
            }
            _ => self.answer_fetch(job, results),
        }
    }

    /// Answers a fetch, and counts what it was given.
    pub(super) fn answer_fetch(&self, job: FetchJob, results: Vec<FetchPartitionResult>) {
        for result in &results {
            let own = self.partitions.get(&result.partition).map(|p| &p.figures.traffic);
            for traffic in own.into_iter().chain([&self.figures.traffic]) {
                traffic.fetches.add(1);
                traffic.bytes_out.add(result.records.len() as u64);
                traffic.failed_fetches.add(u64::from(!result.error.is_none()));
            }
        }
        // Whoever asked may be gone.
        _ = job.answer.send(results);
    }

    /// Wakes the caller when there is more than it has seen.
    pub(super) fn watch(&mut self, job: WatchJob) {
        let has_more = job.parts.iter().any(|(id, seen)| match self.partitions.get(id) {
            Some(partition) if job.committed_only => partition.replica.last_stable_offset() > *seen,
            Some(partition) => partition.replica.high_watermark() > *seen,
            None => true,
        });
        let waiter = Waiter::Caller(job.waker);
        let ids = job.parts.into_iter().map(|(id, _)| id).collect();
        let now =
            if has_more { Some(waiter) } else { self.parked.park(waiter, ids, 1, job.deadline) };
        self.wake(now.into_iter().collect());
    }

    /// What each partition of a fetch has to give now.
    pub(super) fn read_all(&mut self, job: &FetchJob) -> Vec<FetchPartitionResult> {
        let mut room = Room { bytes_left: job.max_bytes, is_empty: true };
        let mut results = Vec::with_capacity(job.parts.len());
        for part in &job.parts {
            let result = self.read_one(part, job.committed_only, room);
            room.bytes_left = room.bytes_left.saturating_sub(result.records.len());
            room.is_empty &= result.records.is_empty();
            results.push(result);
        }
        results
    }

    fn read_one(
        &mut self,
        part: &FetchPartition,
        committed_only: bool,
        room: Room,
    ) -> FetchPartitionResult {
        let id = part.partition;
        let absent = self.absent(id);
        let Some(partition) = self.partitions.get_mut(&id) else {
            return FetchPartitionResult::without_records(id, absent);
        };
        let (known, last) = (part.current_leader_epoch, part.last_fetched_epoch);
        let readable =
            partition.replica.r7_readable(known, last, part.fetch_offset, committed_only);
        let mut result = FetchPartitionResult::without_records(id, ErrorCode::None);
        result.high_watermark = partition.replica.high_watermark();
        result.last_stable_offset = partition.replica.last_stable_offset();
        result.log_start_offset = partition.replica.start();
        result.aborted = committed_only.then(Vec::new);
        match readable {
            Ok(Readable::Diverging { epoch, end }) => result.diverging_epoch = Some((epoch, end)),
            Ok(Readable::Range { end }) => {
                let max_bytes = usize::try_from(part.max_bytes).unwrap_or(0).min(room.bytes_left);
                let limit = ReadLimit { max_bytes, at_least_one_batch: room.is_empty };
                match partition.log.read(&mut self.files, part.fetch_offset, end, limit) {
                    Ok(None) => {}
                    Ok(Some(region)) => {
                        let (file, position, len) = (region.file, region.position, region.len);
                        result.records = FetchedRecords::Region { file, position, len };
                    }
                    Err(error) => return self.unreadable(part, &error),
                }
            }
            Err(refusal) => {
                let mut refused = FetchPartitionResult::without_records(id, refusal.code());
                let moved = [FetchRefusal::NotLeader, FetchRefusal::FencedLeaderEpoch];
                if moved.contains(&refusal) {
                    refused.current_leader = self.known_other_leader(id);
                }
                return refused;
            }
        }
        result
    }

    fn unreadable(&self, part: &FetchPartition, cause: &ReadError) -> FetchPartitionResult {
        let code = match cause {
            ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Corrupt(_) | ReadError::Io { .. } => {
                error!(partition = %part.partition, "records cannot be read: {cause}");
                ErrorCode::KafkaStorageError
            }
        };
        FetchPartitionResult::without_records(part.partition, code)
    }
}
