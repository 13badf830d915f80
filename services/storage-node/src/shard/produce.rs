//! Placing batches: the decision, the segment, the journal's frame. Nothing is answered here but refusals.
//!
//! Invariant: a batch that is refused leaves no trace; one that is placed waits for the round's sync.

use std::collections::BTreeSet;

use ottla_api::storage::ProducePartitionResult;
use ottla_log_format::PlacedBatch;
use ottla_log_format::journal::FRAME_HEADER_BYTES;
use ottla_partition::{AppendRefusal, Batch, Decision, Placement};
use ottla_runtime::child_span;
use ottla_types::{ErrorCode, Offset, TimestampMs, TopicPartition};
use tracing::error;

use super::Shard;
use super::message::{ProduceJob, ProducePart};
use super::produces::{Produces, Waiting, refusal};
use super::round::RoundWork;
use crate::log::{AppendError, Appended};
use crate::mutant::Mutant;

/// A batch that is in the log, and where it ends.
type Placed = (ProducePartitionResult, Offset);

impl Shard {
    /// Places all batches of a produce.
    pub(super) async fn place(&mut self, job: ProduceJob, round: &mut RoundWork) {
        let append_span = child_span!(job.span, "append");
        let mut results = Vec::with_capacity(job.parts.len());
        let mut waiting = Vec::new();
        let mut seen = BTreeSet::new();
        for (slot, part) in job.parts.into_iter().enumerate() {
            let id = part.partition;
            if round.bytes >= self.round_bytes {
                self.commit_midway(round).await;
            }
            let placed = if self.produces.is_full() && job.answer.is_some() {
                Err(refusal(id, ErrorCode::RequestTimedOut, Some("too many produces wait".into())))
            } else if seen.insert(id) {
                self.place_one(part, job.needs_all, round)
            } else {
                let message = "a request may name a partition once".to_owned();
                Err(refusal(id, ErrorCode::InvalidRequest, Some(message)))
            };
            self.count_produce(id, placed.is_err());
            match placed {
                Ok((result, end)) => {
                    waiting.push(Waiting { slot, end });
                    results.push(result);
                }
                Err(refused) => results.push(refused),
            }
        }
        drop(append_span);
        let Some(answer) = job.answer else { return };
        if waiting.is_empty() || self.mutation.is(Mutant::AnswerBeforeWatermark) {
            // Whoever asked may be gone.
            _ = answer.send(results);
            return;
        }
        let ids: Vec<_> = waiting.iter().map(|w| (results[w.slot].partition, *w)).collect();
        let key = self.produces.begin(answer, results, waiting, job.deadline);
        for (id, waiting) in ids {
            self.await_acknowledgement(id, (key, waiting), job.needs_all);
        }
        if !job.span.is_disabled() {
            round.traced.push((job.span, key));
        }
    }

    fn await_acknowledgement(
        &mut self,
        id: TopicPartition,
        (key, Waiting { slot, end }): (usize, Waiting),
        needs_all: bool,
    ) {
        let ticket = Produces::ticket(key, slot);
        let partition = self.partitions.get_mut(&id);
        let waits =
            partition.is_some_and(|p| p.replica.await_acknowledgement(ticket, end, needs_all));
        if !waits {
            // The disk failed between two batches of the same request.
            self.produces.settle(ticket, ErrorCode::KafkaStorageError, Offset::NONE);
        }
    }

    fn place_one(
        &mut self,
        part: ProducePart,
        needs_all: bool,
        round: &mut RoundWork,
    ) -> Result<Placed, ProducePartitionResult> {
        let id = part.partition;
        let now = self.seams.clock.wall();
        let Some(partition) = self.partitions.get(&id) else {
            return Err(refusal(id, self.absent(id), None));
        };
        let batch = Batch::from(&part.header);
        let decision = partition.replica.decide_append(&batch, needs_all, now);
        let log_start_offset = partition.replica.start();
        let success = |base_offset, log_append_time, end| {
            let accepted = ProducePartitionResult {
                base_offset,
                log_append_time,
                log_start_offset,
                ..refusal(id, ErrorCode::None, None)
            };
            Ok((accepted, end))
        };
        match decision {
            Err(refused) => Err(self.refused(id, &refused)),
            Ok(Decision::Duplicate(memory)) => {
                round.touched.insert(id);
                let stamped = partition.replica.config().timestamps
                    == ottla_partition::TimestampPolicy::LogAppendTime;
                let time = if stamped { memory.timestamp } else { TimestampMs::NONE };
                success(memory.base_offset, time, memory.last_offset.plus(1))
            }
            Ok(Decision::Append(place)) => {
                self.append(part, &batch, place, round)?;
                let time = place.log_append_time.unwrap_or(TimestampMs::NONE);
                success(place.base_offset, time, place.end_offset)
            }
        }
    }

    /// Writes a batch into its segment, and tells the replica of it.
    fn append(
        &mut self,
        part: ProducePart,
        batch: &Batch,
        place: Placement,
        round: &mut RoundWork,
    ) -> Result<(), ProducePartitionResult> {
        let ProducePart { partition: id, header, bytes } = part;
        let now = self.seams.clock.wall();
        let (base, epoch) = (place.base_offset, place.leader_epoch);
        let placed = match place.log_append_time {
            Some(time) => PlacedBatch::with_append_time(bytes, header, base, epoch, time),
            None => PlacedBatch::new(bytes, header, base, epoch),
        };
        let partition = self.partitions.get_mut(&id).expect("the decision was this partition's");
        let appended = round.frames.append(&mut partition.log, &mut self.files, vec![placed], now);
        match appended {
            Ok(Appended { rolled: Some(base), .. }) => self.snapshot_producers(id, base),
            Ok(_) => {}
            Err(cause) => return Err(self.unwritable(id, &cause)),
        }
        let partition = self.partitions.get_mut(&id).expect("the batch was appended to it");
        partition.replica.replay(batch, &place, now);
        partition.bytes_unseen += batch.size_bytes;
        for traffic in [&partition.figures.traffic, &self.figures.traffic] {
            traffic.records_in.add(u64::from(batch.record_count.unsigned_abs()));
            traffic.bytes_in.add(batch.size_bytes as u64);
        }
        round.bytes += batch.size_bytes + FRAME_HEADER_BYTES;
        round.touched.insert(id);
        self.note_unflushed(id, batch.record_count);
        Ok(())
    }

    fn count_produce(&self, id: TopicPartition, has_failed: bool) {
        let own = self.partitions.get(&id).map(|partition| &partition.figures.traffic);
        for traffic in own.into_iter().chain([&self.figures.traffic]) {
            traffic.produces.add(1);
            traffic.failed_produces.add(u64::from(has_failed));
        }
    }

    fn unwritable(&mut self, id: TopicPartition, cause: &AppendError) -> ProducePartitionResult {
        error!(partition = %id, "a batch cannot be written: {cause}");
        if self.partitions.get(&id).is_some_and(|partition| partition.log.is_failed()) {
            self.stop_replica(id);
        }
        let message = "the log directory does not take the batch; see the storage node's log";
        refusal(id, ErrorCode::KafkaStorageError, Some(message.to_owned()))
    }

    fn refused(&self, id: TopicPartition, refused: &AppendRefusal) -> ProducePartitionResult {
        let code = refused.code();
        let elsewhere = self.known_other_leader(id);
        ProducePartitionResult {
            current_leader: elsewhere.filter(|_| code == ErrorCode::NotLeaderOrFollower),
            ..refusal(id, code, Some(refused.to_string()))
        }
    }
}
