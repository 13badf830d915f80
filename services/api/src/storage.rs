//! What a storage node offers to gateways, and to the admin API of controllers.
//!
//! Domain outcomes are Kafka error codes in the answers, per partition; [`CallError`] means that the call itself failed.

mod client;
mod convert;
mod coordinate;
mod directories;
mod links;
mod node_config;
mod replicas;
mod server;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ottla_runtime::seams::DiskFile;
use ottla_types::{
    ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs,
    TopicId, TopicPartition,
};

use crate::context::{CallError, RequestContext};

pub use client::{
    MAX_OUTSTANDING_BYTES, MAX_OUTSTANDING_FETCHES, MAX_OUTSTANDING_REQUESTS,
    RECONNECT_PAUSE_FIRST, RECONNECT_PAUSE_MOST, RemoteStorage,
};
pub use coordinate::{CoordinateRequest, CoordinateResponse};
pub use directories::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, LogDirectory, LogDirectoryPartition,
};
pub use links::{ConnectStorage, RemoteStorages, StorageLinks};
pub use node_config::NodeConfig;
pub use replicas::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsResult,
    DescribeProducersRequest, DescribeProducersResponse, DescribeProducersResult,
    EpochEndPartition, EpochEndRequest, EpochEndResponse, EpochEndResult, ProducerState,
};
pub use server::{MAX_READY_BYTES, MAX_RUNNING_BYTES, MAX_RUNNING_REQUESTS, StorageServer};

/// The one method of the storage service.
const EXCHANGE_PATH: &str = "/ottla.storage.v1.StorageService/Exchange";
/// Longest message of the data path, bytes: the largest outstanding records and 32 MiB for all that stands around them.
pub const MAX_FRAME_BYTES: usize = MAX_OUTSTANDING_BYTES + (32 << 20);
/// Most partitions of one request to another process: what stands around the records stays below those 32 MiB.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 200_000;
/// Most bytes of records that a fetch from another process asks for; Kafka's own default for `fetch.max.bytes` is 55 MiB.
pub const MAX_FETCH_BYTES: i32 = 64 << 20;

/// A storage node, here or in another process.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Appends batches. Requests of one connection that are made in order are appended in order, although their answers
    /// may be awaited together: the order is that of the calls' first poll.
    async fn produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError>;

    /// Reads batches; waits for `min_bytes` or `max_wait_ms`.
    async fn fetch(
        &self,
        context: RequestContext,
        request: FetchRequest,
    ) -> Result<FetchResponse, CallError>;

    /// Offsets by timestamp.
    async fn list_offsets(
        &self,
        context: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError>;

    /// Deletes the records before an offset, durably (DeleteRecords).
    async fn delete_records(
        &self,
        context: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError>;

    /// Where leader epochs end (OffsetForLeaderEpoch).
    async fn epoch_ends(
        &self,
        context: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError>;

    /// Producers that partitions remember (DescribeProducers).
    async fn describe_producers(
        &self,
        context: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError>;

    /// The node's log directories and what is in them.
    async fn describe_log_dirs(
        &self,
        context: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError>;

    /// A fresh producer id (InitProducerId without a transactional id).
    async fn init_producer_id(
        &self,
        context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError>;

    /// The node's own configuration, in order of the names (DescribeConfigs of a broker).
    async fn describe_node_configs(
        &self,
        context: RequestContext,
    ) -> Result<Vec<NodeConfig>, CallError>;

    /// Asks a group coordinator of this node, and waits for its reply: for as long as a rebalance takes. Requests that are made
    /// in order are decided in order: that of the calls' first poll.
    async fn coordinate(
        &self,
        context: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError>;
}

/// When a produce is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Never (`acks=0`); the call returns at once.
    None,
    /// When the leader's own offset counts (`acks=1`).
    Leader,
    /// When the high watermark passed (`acks=all`).
    All,
}

/// Batches for partitions of one node.
#[derive(Clone, Debug)]
pub struct ProduceRequest {
    /// When to answer.
    pub acks: Acks,
    /// How long `acks=all` may wait for replicas.
    pub timeout_ms: i32,
    /// Set by transactional producers.
    pub transactional_id: Option<String>,
    /// The batches. A partition appears at most once.
    pub partitions: Vec<ProducePartition>,
}

/// Batches of one partition, exactly as the client sent them.
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// Where to.
    pub partition: TopicPartition,
    /// Record batches, one after the other.
    pub records: Bytes,
}

/// Outcomes, in the order of the request.
#[derive(Clone, Debug)]
pub struct ProduceResponse {
    /// One a partition.
    pub partitions: Vec<ProducePartitionResult>,
}

/// What became of one partition's batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartitionResult {
    /// Where to.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// For people, on failure.
    pub error_message: Option<String>,
    /// Offset of the first record; -1 on failure.
    pub base_offset: Offset,
    /// Set with `message.timestamp.type=LogAppendTime`, else -1.
    pub log_append_time: TimestampMs,
    /// The partition's first offset.
    pub log_start_offset: Offset,
    /// Records refused one by one: index in the batch and reason.
    pub record_errors: Vec<(i32, String)>,
    /// Who leads instead, with NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
}

/// Which records a fetch may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset, with the aborted transactions.
    ReadCommitted,
}

/// A fetch from partitions of one node.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Longest wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer as soon as this many bytes are there.
    pub min_bytes: i32,
    /// Stop after this many bytes, but give at least one batch.
    pub max_bytes: i32,
    /// What may be seen.
    pub isolation: IsolationLevel,
    /// The client's rack (KIP-392); empty: none.
    pub rack: String,
    /// Where from.
    pub partitions: Vec<FetchPartition>,
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchPartition {
    /// Which.
    pub partition: TopicPartition,
    /// The epoch that the client knows; `NONE`: not checked (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    /// The first offset wanted.
    pub fetch_offset: Offset,
    /// The epoch of the last record that the client has; `NONE`: not checked.
    pub last_fetched_epoch: LeaderEpoch,
    /// Most bytes from this partition.
    pub max_bytes: i32,
}

/// Answers in the order of the request.
#[derive(Clone, Debug)]
pub struct FetchResponse {
    /// One a partition.
    pub partitions: Vec<FetchPartitionResult>,
}

/// What one partition answers to a fetch.
#[derive(Clone, Debug)]
pub struct FetchPartitionResult {
    /// Which.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// End of what may be consumed.
    pub high_watermark: Offset,
    /// End of what `read_committed` may see.
    pub last_stable_offset: Offset,
    /// The partition's first offset.
    pub log_start_offset: Offset,
    /// Aborted transactions in the range: producer and first offset. `None` for `read_uncommitted`.
    pub aborted: Option<Vec<(ProducerId, Offset)>>,
    /// Where the client's log parts from ours (KIP-320): epoch and end offset.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// Who leads instead, on error.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
    /// Read there next time (KIP-392).
    pub preferred_read_replica: Option<NodeId>,
    /// Whole batches.
    pub records: FetchedRecords,
}

impl FetchPartitionResult {
    /// An answer without records, with what Kafka says beside an error.
    pub fn without_records(partition: TopicPartition, error: ErrorCode) -> Self {
        Self {
            partition,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            aborted: None,
            diverging_epoch: None,
            current_leader: None,
            preferred_read_replica: None,
            records: FetchedRecords::empty(),
        }
    }
}

/// Record batches on their way to a client.
#[derive(Clone)]
pub enum FetchedRecords {
    /// In memory, one piece after the other.
    Bytes(Vec<Bytes>),
    /// In a file that a gateway of the same process can send without copying.
    Region {
        /// The file.
        file: Arc<dyn DiskFile>,
        /// First byte.
        position: u64,
        /// How many bytes.
        len: usize,
    },
}

impl FetchedRecords {
    /// No records.
    pub const fn empty() -> Self {
        Self::Bytes(Vec::new())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(pieces) => pieces.iter().map(Bytes::len).sum(),
            Self::Region { len, .. } => *len,
        }
    }

    /// Whether there is not a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for FetchedRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of records", self.len())
    }
}

/// Offsets wanted.
#[derive(Clone, Debug)]
pub struct ListOffsetsRequest {
    /// What may be seen.
    pub isolation: IsolationLevel,
    /// Where.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// One partition of ListOffsets.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetsPartition {
    /// Which.
    pub partition: TopicPartition,
    /// The epoch that the client knows; `NONE`: not checked.
    pub current_leader_epoch: LeaderEpoch,
    /// Kafka's timestamp: ≥ 0 by time; -1 latest, -2 earliest, -3 largest timestamp, -4 earliest local, -5 latest tiered.
    pub timestamp: i64,
}

/// Answers in the order of the request.
#[derive(Clone, Debug)]
pub struct ListOffsetsResponse {
    /// One a partition.
    pub partitions: Vec<ListOffsetsPartitionResult>,
}

/// What one partition answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartitionResult {
    /// Which.
    pub partition: TopicPartition,
    /// `None` on success.
    pub error: ErrorCode,
    /// The found record's timestamp, else -1.
    pub timestamp: TimestampMs,
    /// The offset, -1 when no record fits.
    pub offset: Offset,
    /// The epoch of the record at the offset, else -1.
    pub leader_epoch: LeaderEpoch,
}

/// InitProducerId.
#[derive(Clone, Debug)]
pub struct InitProducerIdRequest {
    /// Set by transactional producers.
    pub transactional_id: Option<String>,
    /// The id that the producer has; `NONE`: none.
    pub producer_id: ProducerId,
    /// The epoch that the producer has; -1: none.
    pub producer_epoch: ProducerEpoch,
}

/// A producer id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdResponse {
    /// `None` on success.
    pub error: ErrorCode,
    /// The id, -1 on failure.
    pub producer_id: ProducerId,
    /// The epoch, -1 on failure.
    pub producer_epoch: ProducerEpoch,
}

/// A partition of a topic that the caller names by id.
pub const fn topic_partition(topic: TopicId, partition: i32) -> TopicPartition {
    TopicPartition { topic, partition: PartitionIndex(partition) }
}
