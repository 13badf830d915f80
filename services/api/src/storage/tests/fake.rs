//! A storage node that notes what is begun and answers when it is told.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use ottla_coordinator::{Command, Reply};
use ottla_types::{ErrorCode, NodeId, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId};
use tokio::sync::watch;

use crate::context::{CallError, RequestContext};
use crate::storage::*;

/// `max_wait_ms` of a fetch that waits until it is released.
pub(super) const WAITS: i32 = 60_000;

pub(super) struct Fake {
    /// Partition indexes of the produce requests, in the order in which they were begun.
    pub(super) begun: watch::Sender<Vec<i32>>,
    /// Produce requests of partitions below this wait.
    pub(super) answered_from: watch::Sender<i32>,
    /// Whether waiting fetches are answered.
    pub(super) released: watch::Sender<bool>,
    /// What fetches answer.
    pub(super) fetched: Mutex<Option<FetchedRecords>>,
    /// The contexts of the produce requests.
    pub(super) contexts: Mutex<Vec<RequestContext>>,
    /// Requests that run.
    pub(super) running: watch::Sender<usize>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            begun: watch::Sender::default(),
            answered_from: watch::Sender::new(i32::MIN),
            released: watch::Sender::default(),
            fetched: Mutex::default(),
            contexts: Mutex::default(),
            running: watch::Sender::default(),
        }
    }
}

/// Counts a request for as long as it runs.
struct Runs<'a>(&'a watch::Sender<usize>);

impl<'a> Runs<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[async_trait]
impl Storage for Fake {
    async fn produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        let _runs = Runs::new(&self.running);
        let index = request.partitions[0].partition.partition.0;
        self.begun.send_modify(|begun| begun.push(index));
        self.contexts.lock().unwrap().push(context);
        let mut answered = self.answered_from.subscribe();
        answered.wait_for(|from| index >= *from).await.unwrap();
        let one = |partition: &ProducePartition| ProducePartitionResult {
            partition: partition.partition,
            error: ErrorCode::None,
            error_message: None,
            base_offset: Offset(partition.records.len() as i64),
            log_append_time: TimestampMs::NONE,
            log_start_offset: Offset::ZERO,
            record_errors: Vec::new(),
            current_leader: None,
        };
        Ok(ProduceResponse { partitions: request.partitions.iter().map(one).collect() })
    }

    async fn fetch(
        &self,
        _: RequestContext,
        request: FetchRequest,
    ) -> Result<FetchResponse, CallError> {
        let _runs = Runs::new(&self.running);
        if request.max_wait_ms == WAITS {
            let mut released = self.released.subscribe();
            released.wait_for(|released| *released).await.unwrap();
        }
        let fetched = self.fetched.lock().unwrap().clone();
        let records = fetched.unwrap_or_else(FetchedRecords::empty);
        let one = |partition: &FetchPartition| FetchPartitionResult {
            partition: partition.partition,
            error: ErrorCode::None,
            high_watermark: partition.fetch_offset,
            last_stable_offset: partition.fetch_offset,
            log_start_offset: Offset::ZERO,
            aborted: None,
            diverging_epoch: None,
            current_leader: None,
            preferred_read_replica: None,
            records: records.clone(),
        };
        Ok(FetchResponse { partitions: request.partitions.iter().map(one).collect() })
    }

    async fn list_offsets(
        &self,
        _: RequestContext,
        _: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        Ok(ListOffsetsResponse { partitions: Vec::new() })
    }

    async fn delete_records(
        &self,
        _: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        let one = |asked: DeleteRecordsPartition| {
            DeleteRecordsResult::of(asked.partition, Ok(asked.before))
        };
        Ok(DeleteRecordsResponse { partitions: request.partitions.into_iter().map(one).collect() })
    }

    async fn epoch_ends(
        &self,
        _: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        let one = |asked: EpochEndPartition| {
            EpochEndResult::of(asked.partition, Ok((asked.leader_epoch, Offset(7))))
        };
        Ok(EpochEndResponse { partitions: request.partitions.into_iter().map(one).collect() })
    }

    async fn describe_producers(
        &self,
        _: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        let one = |asked| DescribeProducersResult::of(asked, Ok(Vec::new()));
        let partitions = request.partitions.into_iter().map(one).collect();
        Ok(DescribeProducersResponse { partitions })
    }

    async fn describe_log_dirs(
        &self,
        _: RequestContext,
        _: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        Err(CallError::NotActive { active: Some(NodeId(1)) })
    }

    async fn init_producer_id(
        &self,
        _: RequestContext,
        _: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        Ok(InitProducerIdResponse {
            error: ErrorCode::None,
            producer_id: ProducerId(5),
            producer_epoch: ProducerEpoch(0),
        })
    }

    async fn describe_node_configs(&self, _: RequestContext) -> Result<Vec<NodeConfig>, CallError> {
        Ok(node_configs())
    }

    async fn coordinate(
        &self,
        _: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        Ok(CoordinateResponse {
            outcome: match request.command {
                Command::Heartbeat(_) => Ok(Reply::Heartbeat(ErrorCode::RebalanceInProgress)),
                _ => Err(ErrorCode::NotCoordinator),
            },
        })
    }
}

/// One key that somebody set, one that is null, and a secret.
pub(crate) fn node_configs() -> Vec<NodeConfig> {
    let threads = NodeConfig {
        name: "num.io.threads".to_owned(),
        value: Some("4".to_owned()),
        default: Some("8".to_owned()),
        is_set: true,
        is_sensitive: false,
        kind: "INT".to_owned(),
        documentation: Some("How many.".to_owned()),
        effect: "obeyed".to_owned(),
    };
    let null = NodeConfig {
        name: "broker.rack".to_owned(),
        value: None,
        default: None,
        is_set: false,
        kind: "STRING".to_owned(),
        documentation: None,
        ..threads.clone()
    };
    let secret = NodeConfig { is_sensitive: true, kind: "PASSWORD".to_owned(), ..null.clone() };
    vec![null, threads, secret]
}

pub(super) fn produce(index: i32, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: Acks::All,
        timeout_ms: 1000,
        transactional_id: None,
        partitions: vec![ProducePartition {
            partition: topic_partition(TopicId::default(), index),
            records,
        }],
    }
}

pub(super) fn fetch(max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: i32::MAX,
        isolation: IsolationLevel::ReadUncommitted,
        rack: String::new(),
        partitions: vec![FetchPartition {
            partition: topic_partition(TopicId::default(), 0),
            current_leader_epoch: ottla_types::LeaderEpoch::NONE,
            fetch_offset: Offset(3),
            last_fetched_epoch: ottla_types::LeaderEpoch::NONE,
            max_bytes: i32::MAX,
        }],
    }
}
