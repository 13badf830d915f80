//! Questions about single replicas, and the deletion of records: each partition asks its shard, answers come in order.
//!
//! Invariant: a first offset is written to `log-start-offset-checkpoint` before its shard shows it and before anybody is answered.
//! Deliberately does not know what a replica decides.

use std::sync::Arc;

use ottla_api::CallError;
use ottla_api::storage::{
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsResult, DescribeProducersRequest,
    DescribeProducersResponse, DescribeProducersResult, EpochEndRequest, EpochEndResponse,
    EpochEndResult,
};
use ottla_types::{ErrorCode, TopicPartition};
use tokio::sync::oneshot;
use tracing::error;

use super::LocalStorage;
use crate::log::{RaisedStart, RecoveryPoints};
use crate::shard::message::{AskJob, Message, PlannedStart};
use crate::shard::replicas::MAX_DESCRIBED_PRODUCERS;

impl LocalStorage {
    pub(super) async fn do_epoch_ends(
        &self,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        let parts = request.partitions.iter().map(|part| (part.partition, *part)).collect();
        let ends = self.ask_each(parts, Message::EpochEnds).await;
        let ids = request.partitions.iter().map(|part| part.partition);
        let results = ids.zip(ends).map(|(id, end)| EpochEndResult::of(id, end));
        Ok(EpochEndResponse { partitions: results.collect() })
    }

    pub(super) async fn do_describe_producers(
        &self,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        let parts = request.partitions.iter().map(|id| (*id, *id)).collect();
        let mut found = self.ask_each(parts, Message::DescribeProducers).await;
        let mut room = MAX_DESCRIBED_PRODUCERS;
        for result in &mut found {
            match room.checked_sub(result.as_ref().map_or(0, Vec::len)) {
                Some(left) => room = left,
                None => *result = Err(ErrorCode::InvalidRequest),
            }
        }
        let results = request.partitions.iter().zip(found);
        let results = results.map(|(id, found)| DescribeProducersResult::of(*id, found));
        Ok(DescribeProducersResponse { partitions: results.collect() })
    }

    /// Plan, make durable, then show: a crash between two steps leaves the old first offset, or the new one.
    pub(super) async fn do_delete_records(
        &self,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        let parts = request.partitions.iter().map(|part| (part.partition, *part)).collect();
        let mut planned = self.ask_each(parts, Message::PlanStarts).await;
        self.make_durable(&mut planned).await;
        let ids: Vec<_> = request.partitions.iter().map(|part| part.partition).collect();
        let starts = ids.iter().zip(&planned);
        let starts =
            starts.filter_map(|(id, plan)| Some((*id, (*id, plan.as_ref().ok()?.start.to()))));
        let mut raised = self.ask_each(starts.collect(), Message::RaiseStarts).await.into_iter();
        let gone = Err(ErrorCode::KafkaStorageError);
        let low_watermark = |plan: Result<PlannedStart, ErrorCode>| match plan {
            Ok(_) => raised.next().unwrap_or(gone),
            Err(refused) => Err(refused),
        };
        let low_watermarks = planned.into_iter().map(low_watermark);
        let results = ids.into_iter().zip(low_watermarks);
        let partitions = results.map(|(id, low)| DeleteRecordsResult::of(id, low)).collect();
        Ok(DeleteRecordsResponse { partitions })
    }

    /// Writes the planned first offsets, off the shards' threads; plans that could not be written become refusals.
    async fn make_durable(&self, planned: &mut [Result<PlannedStart, ErrorCode>]) {
        let by_dir = by_directory(planned.iter().flatten().filter(|plan| plan.is_raise));
        for (points, starts) in by_dir {
            let (done, written) = oneshot::channel();
            let of_dir = Arc::clone(&points);
            let work = self.parts().seams.tasks.run_blocking(Box::new(move || {
                // Whoever asked may be gone.
                _ = done.send(points.raise_log_starts(&starts));
            }));
            work.await;
            let failed = match written.await {
                Ok(Ok(())) => continue,
                Ok(Err(cause)) => cause.to_string(),
                Err(_) => "the node stops".to_owned(),
            };
            error!("first offsets of partitions are not raised: {failed}");
            let is_of_dir =
                |plan: &PlannedStart| plan.is_raise && Arc::ptr_eq(&plan.points, &of_dir);
            for plan in &mut *planned {
                if plan.as_ref().is_ok_and(is_of_dir) {
                    *plan = Err(ErrorCode::KafkaStorageError);
                }
            }
        }
    }

    /// Asks the shard of each partition; answers in the order of the parts.
    async fn ask_each<Q, A>(
        &self,
        parts: Vec<(TopicPartition, Q)>,
        message: impl Fn(AskJob<Q, A>) -> Message,
    ) -> Vec<Result<A, ErrorCode>> {
        let (by_shard, absent) = self.split(parts.iter().map(|(id, _)| *id));
        let gone = || Err(ErrorCode::KafkaStorageError);
        let mut results: Vec<_> = parts.iter().map(|_| gone()).collect();
        for index in absent {
            results[index] = Err(self.absent(parts[index].0));
        }
        let mut questions: Vec<_> = parts.into_iter().map(|(_, question)| Some(question)).collect();
        let (mut messages, mut asked) = (Vec::new(), Vec::new());
        for (shard, indexes) in by_shard.into_iter().enumerate().filter(|(_, i)| !i.is_empty()) {
            let (answer, answered) = oneshot::channel();
            let parts = indexes.iter().filter_map(|&index| questions[index].take()).collect();
            messages.push((shard, message(AskJob { parts, answer }), answered));
            asked.push(indexes);
        }
        let answers = self.gather(messages).await;
        for (indexes, answer) in asked.into_iter().zip(answers) {
            for (index, result) in indexes.into_iter().zip(answer.unwrap_or_default()) {
                results[index] = result;
            }
        }
        results
    }
}

/// What is to be raised, by the directory whose file says so.
fn by_directory<'a>(
    plans: impl Iterator<Item = &'a PlannedStart>,
) -> Vec<(Arc<RecoveryPoints>, Vec<RaisedStart>)> {
    let mut by_dir: Vec<(Arc<RecoveryPoints>, Vec<_>)> = Vec::new();
    for plan in plans {
        let start = plan.start.clone();
        match by_dir.iter_mut().find(|(points, _)| Arc::ptr_eq(points, &plan.points)) {
            Some((_, starts)) => starts.push(start),
            None => by_dir.push((Arc::clone(&plan.points), vec![start])),
        }
    }
    by_dir
}
