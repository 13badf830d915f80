//! Fetch over several shards: ask all at once; if too little is there, be woken by any, and ask again.
//!
//! Invariant: the answer respects `max_bytes` over all shards and holds at least one batch if there is any. A fetch of one shard is
//! parked and answered by that shard.

use std::sync::Arc;
use std::time::Duration;

use ottla_api::CallError;
use ottla_api::storage::{
    FetchPartitionResult, FetchRequest, FetchResponse, FetchedRecords, IsolationLevel,
};
use ottla_types::ErrorCode;
use tokio::sync::{Notify, oneshot};

use super::LocalStorage;
use crate::shard::message::{FetchJob, Message, WatchJob};

/// Longest wait of a fetch, whatever a client asks for.
const MAX_FETCH_WAIT: Duration = Duration::from_secs(600);

impl LocalStorage {
    pub(super) async fn do_fetch(&self, request: FetchRequest) -> Result<FetchResponse, CallError> {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = self.now() + wait.min(MAX_FETCH_WAIT);
        let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
        let (by_shard, absent) = self.split(request.partitions.iter().map(|p| p.partition));
        let shards: Vec<_> =
            by_shard.into_iter().enumerate().filter(|(_, parts)| !parts.is_empty()).collect();
        // One shard waits by itself; of several none knows when all have enough.
        let parks = shards.len() == 1 && absent.is_empty() && min_bytes > 0;
        loop {
            let shard_deadline = parks.then_some(deadline);
            let partitions = self.ask_all(&request, &shards, shard_deadline).await;
            let is_urgent = |r: &FetchPartitionResult| {
                r.error != ErrorCode::None || r.diverging_epoch.is_some()
            };
            let bytes: usize = partitions.iter().map(|result| result.records.len()).sum();
            let is_done = parks || bytes >= min_bytes || partitions.iter().any(is_urgent);
            if is_done || !self.wait_for_more(&request, &shards, &partitions, deadline).await {
                return Ok(FetchResponse { partitions });
            }
        }
    }

    /// What all shards have now, or by the deadline.
    async fn ask_all(
        &self,
        request: &FetchRequest,
        shards: &[(usize, Vec<usize>)],
        deadline: Option<Duration>,
    ) -> Vec<FetchPartitionResult> {
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
        let mut messages = Vec::with_capacity(shards.len());
        for (shard, indexes) in shards {
            let (answer, answered) = oneshot::channel();
            let job = FetchJob {
                parts: indexes.iter().map(|&index| request.partitions[index]).collect(),
                committed_only: request.isolation == IsolationLevel::ReadCommitted,
                min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
                max_bytes,
                deadline,
                answer,
            };
            messages.push((*shard, Message::Fetch(job), answered));
        }
        let answers = self.gather(messages).await;
        let mut results: Vec<_> = request.partitions.iter().map(|_| None).collect();
        for ((_, indexes), answer) in shards.iter().zip(answers) {
            for (index, result) in indexes.iter().zip(answer.into_iter().flatten()) {
                results[*index] = Some(result);
            }
        }
        let places = self.parts().places.read();
        let missing = |index: usize| {
            let part = &request.partitions[index];
            let without_records =
                |error| FetchPartitionResult::without_records(part.partition, error);
            match places.get(&part.partition) {
                Some(_) => without_records(ErrorCode::KafkaStorageError),
                None => without_records(self.absent(part.partition)),
            }
        };
        let results = results.into_iter().enumerate();
        let results = results.map(|(index, result)| result.unwrap_or_else(|| missing(index)));
        cut(results.collect(), max_bytes)
    }

    /// Waits until some shard has more than these answers showed; false when the time is over.
    async fn wait_for_more(
        &self,
        request: &FetchRequest,
        shards: &[(usize, Vec<usize>)],
        seen: &[FetchPartitionResult],
        deadline: Duration,
    ) -> bool {
        let now = self.now();
        if deadline <= now {
            return false;
        }
        let committed_only = request.isolation == IsolationLevel::ReadCommitted;
        let waker = Arc::new(Notify::new());
        for (shard, indexes) in shards {
            let end = |result: &FetchPartitionResult| {
                if committed_only { result.last_stable_offset } else { result.high_watermark }
            };
            let parts =
                indexes.iter().map(|&i| (request.partitions[i].partition, end(&seen[i]))).collect();
            let waker = Arc::downgrade(&waker);
            let job = WatchJob { parts, committed_only, deadline, waker };
            if self.parts().shards[*shard].send(Message::Watch(job)).await.is_err() {
                return false;
            }
        }
        tokio::select! {
            biased;
            () = waker.notified() => self.now() < deadline,
            () = self.parts().seams.clock.sleep(deadline - now) => false,
        }
    }
}

/// Each shard gave up to `max_bytes`: keeps that many over all, in the order of the request. Regions cost nothing to drop.
fn cut(mut results: Vec<FetchPartitionResult>, max_bytes: usize) -> Vec<FetchPartitionResult> {
    let mut given = 0;
    for result in &mut results {
        let len = result.records.len();
        if given > 0 && given + len > max_bytes {
            result.records = FetchedRecords::empty();
        } else {
            given += len;
        }
    }
    results
}
