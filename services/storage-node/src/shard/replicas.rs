//! Questions about single replicas: epochs, producers; and their first offset, which DeleteRecords moves.
//!
//! Invariant: a first offset moves only after it was written (`log-start-offset-checkpoint`), never back, and never beyond the high
//! watermark. Segments that lie wholly below it go with the next look at retention.

use std::sync::Arc;

use ottla_api::storage::{DeleteRecordsPartition, EpochEndPartition, ProducerState};
use ottla_partition::{FetchRefusal, Producer, Replica, ReplicaRole};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, ProducerId, TopicPartition};
use tracing::info;

use super::Shard;
use super::message::{AskJob, PlannedStart};
use super::partition::Partition;

/// Most producers that one request describes: so many fit into a message. Partitions beyond are refused.
pub(crate) const MAX_DESCRIBED_PRODUCERS: usize = 500_000;

impl Shard {
    /// Where leader epochs end.
    pub(super) fn epoch_ends(&self, job: AskJob<EpochEndPartition, (LeaderEpoch, Offset)>) {
        let end = |part: EpochEndPartition| {
            let replica = &self.present(part.partition)?.replica;
            let end = replica.epoch_end(part.current_leader_epoch, part.leader_epoch);
            end.map_err(FetchRefusal::code)
        };
        // Whoever asked may be gone; here and below.
        _ = job.answer.send(job.parts.into_iter().map(end).collect());
    }

    /// The producers that partitions remember.
    pub(super) fn describe_producers(&self, job: AskJob<TopicPartition, Vec<ProducerState>>) {
        let mut room = MAX_DESCRIBED_PRODUCERS;
        let described = |id: TopicPartition| {
            let replica = &self.present(id)?.replica;
            if *replica.role() == ReplicaRole::Offline {
                return Err(ErrorCode::KafkaStorageError);
            }
            room = room.checked_sub(replica.producers().len()).ok_or(ErrorCode::InvalidRequest)?;
            let producers = replica.producers().iter();
            Ok(producers.map(|(id, producer)| state(replica, id, producer)).collect())
        };
        _ = job.answer.send(job.parts.into_iter().map(described).collect());
    }

    /// What DeleteRecords has to write before the first offsets may move.
    pub(super) fn plan_starts(&self, job: AskJob<DeleteRecordsPartition, PlannedStart>) {
        let plan = |part: DeleteRecordsPartition| {
            let partition = self.present(part.partition)?;
            if partition.settings.as_ref().is_some_and(|settings| settings.keeps_all_keys) {
                return Err(ErrorCode::PolicyViolation);
            }
            let replica = &partition.replica;
            let to = replica.decide_delete(part.before).map_err(FetchRefusal::code)?;
            Ok(PlannedStart {
                start: partition.log.plan_log_start(to),
                is_raise: to > replica.start(),
                points: Arc::clone(&self.recovery_points),
            })
        };
        _ = job.answer.send(job.parts.into_iter().map(plan).collect());
    }

    /// Shows first offsets that were written.
    pub(super) fn raise_starts(&mut self, job: AskJob<(TopicPartition, Offset), Offset>) {
        let raised = job.parts.into_iter().map(|(id, to)| self.raise_start(id, to)).collect();
        _ = job.answer.send(raised);
    }

    fn raise_start(&mut self, id: TopicPartition, to: Offset) -> Result<Offset, ErrorCode> {
        let absent = self.absent(id);
        let Partition { log, replica, .. } = self.partitions.get_mut(&id).ok_or(absent)?;
        if to > replica.start() {
            log.raise_log_start(to, replica.high_watermark());
            let start = log.log_start();
            info!(topic = log.topic(), partition = %id.partition, %start, "records deleted");
            let mut effects = Vec::new();
            replica.start_raised(start, &mut effects);
            self.obey(id, effects);
        }
        self.present(id).map(|partition| partition.replica.start())
    }

    fn present(&self, id: TopicPartition) -> Result<&Partition, ErrorCode> {
        self.partitions.get(&id).ok_or_else(|| self.absent(id))
    }
}

fn state(replica: &Replica, id: ProducerId, producer: &Producer) -> ProducerState {
    let newest = producer.batches.back();
    ProducerState {
        id,
        epoch: producer.epoch,
        last_sequence: newest.map_or(ottla_types::Sequence(-1), |batch| batch.last_sequence),
        last_timestamp: newest.map_or(producer.last_seen, |batch| batch.timestamp),
        transaction_start: replica.transaction_start(id).unwrap_or(Offset::NONE),
    }
}
