//! A partition of `__consumer_offsets`, as its coordinator appends to it and reads it.
//!
//! Invariant: all is asked with the leader epoch in which the coordinator began, so that a later epoch answers nothing. Appends
//! wait for the high watermark, and go in the order of their first polls.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use ottla_api::storage::{
    Acks, FetchPartition, FetchRequest, FetchedRecords, IsolationLevel, ListOffsetsPartition,
    ListOffsetsRequest, ProducePartition, ProduceRequest,
};
use ottla_api::{CallError, RequestContext, Storage};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use tracing::Span;

use super::parked::Appended;
use crate::local::LocalStorage;

/// How long one question to the own shards may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Kafka's timestamp for "the first offset".
const EARLIEST: i64 = -2;
/// Kafka's timestamp for "the end of what is committed".
const LATEST: i64 = -1;

/// The partition.
#[derive(Clone)]
pub(super) struct OffsetsLog {
    pub(super) storage: LocalStorage,
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) read_bytes: usize,
    pub(super) append_timeout: Duration,
}

/// Why nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// The partition refuses.
    #[error("the partition answers {0}")]
    Refused(ErrorCode),
    /// The shards cannot be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node does not answer what it was asked.
    #[error("the node's answer is not one to the question")]
    NoAnswer,
}

impl OffsetsLog {
    /// The first offset, and the end of what is committed. Refused until all of earlier epochs is committed (R6).
    pub(super) async fn bounds(&self) -> Result<(Offset, Offset), ReadError> {
        let part = |timestamp| ListOffsetsPartition {
            partition: self.partition,
            current_leader_epoch: self.leader_epoch,
            timestamp,
        };
        let request = ListOffsetsRequest {
            isolation: IsolationLevel::ReadUncommitted,
            partitions: vec![part(EARLIEST), part(LATEST)],
        };
        let response = self.storage.list_offsets(context(Span::none()), request).await?;
        let [first, end] = response.partitions[..] else { return Err(ReadError::NoAnswer) };
        for result in [first, end] {
            if result.error != ErrorCode::None {
                return Err(ReadError::Refused(result.error));
            }
        }
        Ok((first.offset, end.offset))
    }

    /// Some batches from an offset on.
    pub(super) async fn read(&self, from: Offset) -> Result<FetchedRecords, ReadError> {
        let max_bytes = i32::try_from(self.read_bytes).unwrap_or(i32::MAX);
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes,
            isolation: IsolationLevel::ReadUncommitted,
            rack: String::new(),
            partitions: vec![FetchPartition {
                partition: self.partition,
                current_leader_epoch: self.leader_epoch,
                fetch_offset: from,
                last_fetched_epoch: LeaderEpoch::NONE,
                max_bytes,
            }],
        };
        let response = self.storage.fetch(context(Span::none()), request).await?;
        let result = response.partitions.into_iter().next().ok_or(ReadError::NoAnswer)?;
        match result.error {
            ErrorCode::None => Ok(result.records),
            error => Err(ReadError::Refused(error)),
        }
    }

    /// Appends a batch, and waits until it is committed. Begins at the first poll.
    pub(super) fn append(&self, records: Bytes, span: Span) -> BoxFuture<'static, Appended> {
        let storage = self.storage.clone();
        let request = ProduceRequest {
            acks: Acks::All,
            timeout_ms: i32::try_from(self.append_timeout.as_millis()).unwrap_or(i32::MAX),
            transactional_id: None,
            partitions: vec![ProducePartition { partition: self.partition, records }],
        };
        async move {
            let response = storage.produce(context(span), request).await;
            let result = response.ok().and_then(|response| response.partitions.into_iter().next());
            match result {
                Some(result) if result.error == ErrorCode::None => Ok(result.base_offset),
                Some(result) => Err(result.error),
                None => Err(ErrorCode::NotCoordinator),
            }
        }
        .boxed()
    }
}

fn context(span: Span) -> RequestContext {
    RequestContext { span, ..RequestContext::internal(READ_TIMEOUT) }
}
