//! What a shard is asked, and what it answers.
//!
//! Invariant: every question is answered exactly once, or its sender learns that the shard is gone by the answer's channel closing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use ottla_api::storage::{
    DeleteRecordsPartition, EpochEndPartition, FetchPartition, FetchPartitionResult,
    ListOffsetsPartition, ListOffsetsPartitionResult, LogDirectoryPartition,
    ProducePartitionResult, ProducerState,
};
use ottla_log_format::BatchHeader;
use ottla_partition::Assignment;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use tokio::sync::{Notify, oneshot};
use tracing::Span;

use super::cleaning::CleanerAsk;
use super::topic_settings::TopicSettings;
use crate::log::{RaisedStart, RecoveryPoints};

/// One message to a shard.
pub(crate) enum Message {
    Produce(ProduceJob),
    Fetch(FetchJob),
    /// Wake the caller when one of these partitions has more than it has seen.
    Watch(WatchJob),
    ListOffsets(OffsetsJob),
    /// Where leader epochs end.
    EpochEnds(AskJob<EpochEndPartition, (LeaderEpoch, Offset)>),
    DescribeProducers(AskJob<TopicPartition, Vec<ProducerState>>),
    /// What DeleteRecords has to write before the first offsets may move. Changes nothing.
    PlanStarts(AskJob<DeleteRecordsPartition, PlannedStart>),
    /// First offsets that are durable; answered with those that hold from now on.
    RaiseStarts(AskJob<(TopicPartition, Offset), Offset>),
    /// Compaction.
    Clean(CleanerAsk),
    Describe(oneshot::Sender<Vec<LogDirectoryPartition>>),
    /// Partitions as the newest image has them; answered when all are acted on.
    Assign(Vec<AssignJob>, oneshot::Sender<()>),
    /// Partitions that the controller deleted (R17); answered when they serve no more.
    Remove(Vec<TopicPartition>, oneshot::Sender<()>),
    /// Checkpoint, close, end.
    Stop(oneshot::Sender<bool>),
}

/// The part of a produce that one shard does.
pub(crate) struct ProduceJob {
    /// Whether the high watermark must pass (`acks=all`).
    pub(crate) needs_all: bool,
    /// `None` for `acks=0`.
    pub(crate) answer: Option<oneshot::Sender<Vec<ProducePartitionResult>>>,
    /// Monotonic time after which the wait for the watermark is over.
    pub(crate) deadline: Duration,
    pub(crate) parts: Vec<ProducePart>,
    /// The request's span; disabled when it is not sampled.
    pub(crate) span: Span,
}

/// One batch, checked by itself already.
pub(crate) struct ProducePart {
    pub(crate) partition: TopicPartition,
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

/// The part of a fetch that one shard does.
pub(crate) struct FetchJob {
    pub(crate) parts: Vec<FetchPartition>,
    pub(crate) committed_only: bool,
    pub(crate) min_bytes: usize,
    pub(crate) max_bytes: usize,
    /// Monotonic time until which the answer may wait for `min_bytes`; `None`: answer at once.
    pub(crate) deadline: Option<Duration>,
    pub(crate) answer: oneshot::Sender<Vec<FetchPartitionResult>>,
}

/// Wakes whoever waits for records of several shards.
pub(crate) struct WatchJob {
    /// Partitions, and the end of what the caller has seen there.
    pub(crate) parts: Vec<(TopicPartition, Offset)>,
    pub(crate) committed_only: bool,
    pub(crate) deadline: Duration,
    /// Dead once the caller was woken, or is gone.
    pub(crate) waker: Weak<Notify>,
}

/// The part of a ListOffsets that one shard does.
pub(crate) struct OffsetsJob {
    pub(crate) parts: Vec<ListOffsetsPartition>,
    pub(crate) committed_only: bool,
    pub(crate) answer: oneshot::Sender<Vec<ListOffsetsPartitionResult>>,
}

/// A question about each of some partitions of one shard; answers in their order.
pub(crate) struct AskJob<Q, A> {
    pub(crate) parts: Vec<Q>,
    pub(crate) answer: oneshot::Sender<Vec<Result<A, ErrorCode>>>,
}

/// A first offset that may be raised, and where that is to be written.
pub(crate) struct PlannedStart {
    pub(crate) start: RaisedStart,
    /// False: the log begins there already, or later.
    pub(crate) is_raise: bool,
    pub(crate) points: Arc<RecoveryPoints>,
}

/// One partition as the image has it.
pub(crate) struct AssignJob {
    pub(crate) partition: TopicPartition,
    pub(crate) settings: Arc<TopicSettings>,
    pub(crate) assignment: Assignment,
}
