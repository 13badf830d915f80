//! A storage node under test, and clients' words in short.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_api::storage::{
    Acks, FetchPartition, FetchPartitionResult, FetchRequest, FetchedRecords, IsolationLevel,
    ListOffsetsPartition, ListOffsetsPartitionResult, ListOffsetsRequest, ProducePartition,
    ProducePartitionResult, ProduceRequest, topic_partition,
};
use ottla_api::{MetadataFollower, RequestContext, Storage};
use ottla_log_format::{BatchBuilder, batches};
use ottla_runtime::Seams;
use ottla_runtime::seams::SimDisk;
use ottla_types::{
    ErrorCode, LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
    TopicId, TopicPartition,
};

use super::controller::{Line, TestController};
use crate::config::StorageConfig;
use crate::service::{StartError, StorageHandle, start};

pub(crate) const NODE: NodeId = NodeId(1);

/// What survives the lives of a node.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) seams: Seams,
    pub(crate) controller: Arc<TestController>,
    pub(crate) config: StorageConfig,
}

/// One life of a node.
pub(crate) struct Node {
    pub(crate) handle: StorageHandle,
    pub(crate) storage: Arc<dyn Storage>,
    follower: MetadataFollower,
    line: Arc<Line>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let seams = Seams { disk: Arc::new(disk.clone()), ..Seams::real() };
        Self::with(disk, seams)
    }

    pub(crate) fn with(disk: SimDisk, seams: Seams) -> Self {
        let controller = Arc::new(TestController::new(&seams));
        let mut config = StorageConfig::new(NODE, PathBuf::from("/d"));
        config.sizes.journal_bytes = 4 << 20;
        Self { disk, seams, controller, config }
    }

    pub(crate) async fn try_start(&self) -> Result<Node, StartError> {
        let line = Line::new(&self.controller);
        let follower = MetadataFollower::start(line.clone(), &self.seams);
        let (config, seams) = (self.config.clone(), self.seams.clone());
        let started = start(config, seams, line.clone(), follower.clone()).await;
        let handle = started?;
        let storage = handle.storage();
        Ok(Node { handle, storage, follower, line })
    }

    pub(crate) async fn start(&self) -> Node {
        self.try_start().await.unwrap()
    }

    /// Makes a topic, and waits until the node serves it.
    pub(crate) async fn topic(
        &self,
        node: &Node,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> TopicId {
        let id = self.controller.create_topic(name, partitions, configs);
        for partition in 0..partitions {
            node.is_serving(topic_partition(id, partition)).await;
        }
        id
    }
}

pub(crate) fn context() -> RequestContext {
    RequestContext::internal(Duration::from_secs(20))
}

/// Asks again until the condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to that");
}

impl Node {
    /// Ends this life: shards stop where they are, without a word to the disk.
    pub(crate) fn abandon(self) {
        self.line.cut(NODE, self.handle.standing().broker_epoch);
        self.follower.stop();
    }

    pub(crate) async fn is_serving(&self, id: TopicPartition) {
        eventually(|| async { self.latest(id).await.error == ErrorCode::None }).await;
    }

    pub(crate) async fn produce(
        &self,
        acks: Acks,
        id: TopicPartition,
        records: Bytes,
    ) -> ProducePartitionResult {
        let request = ProduceRequest {
            acks,
            timeout_ms: 10_000,
            transactional_id: None,
            partitions: vec![ProducePartition { partition: id, records }],
        };
        let response = self.storage.produce(context(), request).await.unwrap();
        response.partitions.into_iter().next().unwrap()
    }

    pub(crate) async fn fetch(&self, request: FetchRequest) -> Vec<FetchPartitionResult> {
        self.storage.fetch(context(), request).await.unwrap().partitions
    }

    /// Values of all records from an offset on.
    pub(crate) async fn values(&self, id: TopicPartition, from: i64) -> Vec<String> {
        let mut values = Vec::new();
        let mut next = from;
        loop {
            let result = self.fetch(fetch_request(&[(id, next)], 0, 0)).await.remove(0);
            assert_eq!(result.error, ErrorCode::None);
            let bytes = bytes_of(&result.records);
            for batch in batches(&bytes) {
                let header = batch.as_ref().unwrap().header;
                let records = ottla_log_format::Records::of(&header, batch.unwrap().bytes).unwrap();
                for record in records {
                    let record = record.unwrap();
                    if record.offset.0 >= next {
                        let value = record.value.unwrap_or_default();
                        values.push(String::from_utf8(value.to_vec()).unwrap());
                    }
                }
                next = next.max(header.next_offset().0);
            }
            if bytes.is_empty() {
                return values;
            }
        }
    }

    pub(crate) async fn offset_for(
        &self,
        id: TopicPartition,
        timestamp: i64,
    ) -> ListOffsetsPartitionResult {
        let request = ListOffsetsRequest {
            isolation: IsolationLevel::ReadUncommitted,
            partitions: vec![ListOffsetsPartition {
                partition: id,
                current_leader_epoch: LeaderEpoch::NONE,
                timestamp,
            }],
        };
        self.storage.list_offsets(context(), request).await.unwrap().partitions[0]
    }

    pub(crate) async fn latest(&self, id: TopicPartition) -> ListOffsetsPartitionResult {
        self.offset_for(id, -1).await
    }
}

pub(crate) fn fetch_request(
    parts: &[(TopicPartition, i64)],
    min_bytes: i32,
    max_wait_ms: i32,
) -> FetchRequest {
    let part = |(partition, offset): &(TopicPartition, i64)| FetchPartition {
        partition: *partition,
        current_leader_epoch: LeaderEpoch::NONE,
        fetch_offset: Offset(*offset),
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 1 << 20,
    };
    FetchRequest {
        max_wait_ms,
        min_bytes,
        max_bytes: 50 << 20,
        isolation: IsolationLevel::ReadUncommitted,
        rack: String::new(),
        partitions: parts.iter().map(part).collect(),
    }
}

pub(crate) fn bytes_of(records: &FetchedRecords) -> Vec<u8> {
    match records {
        FetchedRecords::Bytes(pieces) => pieces.concat(),
        FetchedRecords::Region { file, position, len } => {
            let mut bytes = vec![0; *len];
            file.read_exact_at(&mut bytes, *position).unwrap();
            bytes
        }
    }
}

/// A batch of these values, stamped now.
pub(crate) fn batch(seams: &Seams, values: &[&str]) -> Bytes {
    builder(seams.clock.wall(), values).build()
}

pub(crate) fn builder(at: TimestampMs, values: &[&str]) -> BatchBuilder {
    values.iter().fold(BatchBuilder::new(Offset(0)), |batch, value| {
        // Compacted topics want a key.
        batch.record(at, Some(b"key"), Some(value.as_bytes()))
    })
}

/// A batch of an idempotent producer.
pub(crate) fn idempotent(seams: &Seams, (epoch, sequence): (i16, i32), values: &[&str]) -> Bytes {
    builder(seams.clock.wall(), values)
        .producer(ProducerId(7), ProducerEpoch(epoch), Sequence(sequence))
        .build()
}
