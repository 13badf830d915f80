//! What is asked of single replicas besides their records: their first offset, their epochs, their producers.
//!
//! Invariant: answers come in the order of the request, one a partition. Deliberately does not know how they travel.

use ottla_types::{
    ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
    TopicPartition,
};

/// Records to delete: all before an offset.
#[derive(Clone, Debug)]
pub struct DeleteRecordsRequest {
    /// Where.
    pub partitions: Vec<DeleteRecordsPartition>,
}

/// One partition of DeleteRecords.
#[derive(Clone, Copy, Debug)]
pub struct DeleteRecordsPartition {
    /// Which.
    pub partition: TopicPartition,
    /// The first offset that stays; -1: the high watermark.
    pub before: Offset,
}

/// Answers in the order of the request.
#[derive(Clone, Debug)]
pub struct DeleteRecordsResponse {
    /// One a partition.
    pub partitions: Vec<DeleteRecordsResult>,
}

/// What became of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteRecordsResult {
    /// Which.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// The first offset from now on; -1 on failure.
    pub low_watermark: Offset,
}

/// Leader epochs whose ends are asked for (KIP-320).
#[derive(Clone, Debug)]
pub struct EpochEndRequest {
    /// Where.
    pub partitions: Vec<EpochEndPartition>,
}

/// One partition of OffsetForLeaderEpoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochEndPartition {
    /// Which.
    pub partition: TopicPartition,
    /// The epoch that the client knows; `NONE`: not checked.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch whose end is asked for.
    pub leader_epoch: LeaderEpoch,
}

/// Answers in the order of the request.
#[derive(Clone, Debug)]
pub struct EpochEndResponse {
    /// One a partition.
    pub partitions: Vec<EpochEndResult>,
}

/// Where an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEndResult {
    /// Which partition.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// The largest epoch that is not above the one asked for; -1: none.
    pub leader_epoch: LeaderEpoch,
    /// The offset behind its last record; -1: none.
    pub end_offset: Offset,
}

/// Partitions whose producers are asked for.
#[derive(Clone, Debug)]
pub struct DescribeProducersRequest {
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
}

/// Answers in the order of the request.
#[derive(Clone, Debug)]
pub struct DescribeProducersResponse {
    /// One a partition.
    pub partitions: Vec<DescribeProducersResult>,
}

/// The producers of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeProducersResult {
    /// Which.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// By id.
    pub producers: Vec<ProducerState>,
}

/// A producer that a partition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub id: ProducerId,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of its last record, -1 unknown.
    pub last_sequence: Sequence,
    /// Timestamp of its last batch, -1 unknown.
    pub last_timestamp: TimestampMs,
    /// Offset of the first record of its open transaction, -1 none.
    pub transaction_start: Offset,
}

impl DeleteRecordsResult {
    /// What one partition answers.
    pub fn of(partition: TopicPartition, low_watermark: Result<Offset, ErrorCode>) -> Self {
        Self {
            partition,
            error: low_watermark.err().unwrap_or(ErrorCode::None),
            low_watermark: low_watermark.unwrap_or(Offset::NONE),
        }
    }
}

impl EpochEndResult {
    /// What one partition answers; -1 and -1 stand for "no such epoch".
    pub fn of(partition: TopicPartition, end: Result<(LeaderEpoch, Offset), ErrorCode>) -> Self {
        let error = end.err().unwrap_or(ErrorCode::None);
        let (leader_epoch, end_offset) = end.unwrap_or((LeaderEpoch::NONE, Offset::NONE));
        Self { partition, error, leader_epoch, end_offset }
    }
}

impl DescribeProducersResult {
    /// What one partition answers.
    pub fn of(partition: TopicPartition, found: Result<Vec<ProducerState>, ErrorCode>) -> Self {
        let error = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        Self { partition, error, producers: found.unwrap_or_default() }
    }
}
