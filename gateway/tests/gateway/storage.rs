//! A storage node in memory: keeps what is produced, and can be told to wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ottla_api::storage::*;
use ottla_api::{CallError, RequestContext, Storage};
use ottla_log_format::BatchHeader;
use ottla_runtime::seams::{Clock, DiskFile};
use ottla_types::*;
use tokio::sync::{Notify, Semaphore};

use crate::coordinators::FakeCoordinators;

/// A file, the first byte and the length of a part of it.
type FileRegion = (Arc<dyn DiskFile>, u64, usize);

pub(crate) struct FakeStorage {
    clock: Arc<dyn Clock>,
    logs: Mutex<BTreeMap<TopicPartition, Vec<(Offset, Bytes)>>>,
    appended: Notify,
    /// Taken by each produce before it is answered.
    pub(crate) gate: Semaphore,
    /// What to say instead of appending.
    pub(crate) failure: Mutex<Option<ErrorCode>>,
    /// What fetches get instead of what was produced.
    pub(crate) region: Mutex<Option<FileRegion>>,
    /// Calls by name.
    pub(crate) calls: Mutex<HashMap<&'static str, usize>>,
    next_producer: Mutex<i64>,
    /// Whether leaders say that they do not serve their partitions yet.
    pub(crate) is_behind: Mutex<bool>,
    /// Its coordinators of groups.
    pub(crate) coordinators: FakeCoordinators,
}

impl FakeStorage {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            coordinators: FakeCoordinators::new(clock.clone()),
            is_behind: Mutex::default(),
            clock,
            logs: Mutex::default(),
            appended: Notify::new(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            failure: Mutex::default(),
            region: Mutex::default(),
            calls: Mutex::default(),
            next_producer: Mutex::new(1000),
        })
    }

    /// From now on produces wait until `gate` gets permits.
    pub(crate) fn close_gate(&self) {
        self.gate.forget_permits(usize::MAX);
    }

    pub(crate) fn batches(&self, partition: TopicPartition) -> Vec<Bytes> {
        let logs = self.logs.lock().unwrap();
        logs.get(&partition).into_iter().flatten().map(|(_, batch)| batch.clone()).collect()
    }

    fn count(&self, call: &'static str) {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
    }

    fn end(&self, partition: TopicPartition) -> Offset {
        let logs = self.logs.lock().unwrap();
        logs.get(&partition).and_then(|log| log.last()).map_or(Offset::ZERO, end_of)
    }

    fn append(&self, item: &ProducePartition) -> Offset {
        let base = self.end(item.partition);
        let mut logs = self.logs.lock().unwrap();
        logs.entry(item.partition).or_default().push((base, item.records.clone()));
        self.appended.notify_waiters();
        base
    }

    fn read(&self, item: &FetchPartition, room: &mut Room) -> FetchPartitionResult {
        let end = self.end(item.partition);
        let logs = self.logs.lock().unwrap();
        let log = logs.get(&item.partition).into_iter().flatten();
        let found: Vec<Bytes> = log
            .filter(|entry| end_of(entry) > item.fetch_offset)
            .map(|(_, batch)| batch.clone())
            .take_while(|batch| room.takes(batch.len()))
            .collect();
        let region = self.region.lock().unwrap().clone();
        FetchPartitionResult {
            partition: item.partition,
            error: ErrorCode::None,
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: Offset::ZERO,
            aborted: None,
            diverging_epoch: None,
            current_leader: None,
            preferred_read_replica: None,
            records: match region {
                Some((file, position, len)) => FetchedRecords::Region { file, position, len },
                None => FetchedRecords::Bytes(found),
            },
        }
    }
}

/// What an answer may still hold: one batch at least.
struct Room {
    left: i32,
    is_empty: bool,
}

impl Room {
    fn takes(&mut self, len: usize) -> bool {
        let len = i32::try_from(len).unwrap();
        let fits = self.is_empty || len <= self.left;
        self.is_empty = false;
        self.left = self.left.saturating_sub(len);
        fits
    }
}

fn end_of((base, batch): &(Offset, Bytes)) -> Offset {
    base.plus(BatchHeader::decode(batch).map_or(1, |header| i64::from(header.record_count)))
}

#[async_trait]
impl Storage for FakeStorage {
    async fn produce(
        &self,
        _: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        self.count("produce");
        let failure = *self.failure.lock().unwrap();
        let result = |item: &ProducePartition| ProducePartitionResult {
            partition: item.partition,
            error: failure.unwrap_or(ErrorCode::None),
            error_message: failure.map(|code| code.to_string()),
            base_offset: if failure.is_some() { Offset::NONE } else { self.append(item) },
            log_append_time: TimestampMs::NONE,
            log_start_offset: Offset::ZERO,
            record_errors: Vec::new(),
            current_leader: match failure {
                Some(ErrorCode::NotLeaderOrFollower) => Some((NodeId(2), LeaderEpoch(7))),
                _ => None,
            },
        };
        let partitions = request.partitions.iter().map(result).collect();
        self.gate.acquire().await.expect("never closed").forget();
        Ok(ProduceResponse { partitions })
    }

    async fn fetch(
        &self,
        _: RequestContext,
        request: FetchRequest,
    ) -> Result<FetchResponse, CallError> {
        self.count("fetch");
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = self.clock.monotonic() + wait;
        loop {
            let appended = self.appended.notified();
            let mut room = Room { left: request.max_bytes, is_empty: true };
            let partitions: Vec<_> =
                request.partitions.iter().map(|p| self.read(p, &mut room)).collect();
            let bytes: usize = partitions.iter().map(|result| result.records.len()).sum();
            let left = deadline.saturating_sub(self.clock.monotonic());
            if bytes >= usize::try_from(request.min_bytes).unwrap_or(0) || left.is_zero() {
                return Ok(FetchResponse { partitions });
            }
            tokio::select! {
                () = appended => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    async fn list_offsets(
        &self,
        _: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        self.count("list_offsets");
        let error = match *self.is_behind.lock().unwrap() {
            true => ErrorCode::NotLeaderOrFollower,
            false => ErrorCode::None,
        };
        let partitions = request.partitions.iter().map(|asked| ListOffsetsPartitionResult {
            partition: asked.partition,
            error,
            timestamp: TimestampMs::NONE,
            offset: if asked.timestamp == -2 { Offset::ZERO } else { self.end(asked.partition) },
            leader_epoch: LeaderEpoch(0),
        });
        Ok(ListOffsetsResponse { partitions: partitions.collect() })
    }

    async fn delete_records(
        &self,
        _: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        self.count("delete_records");
        let one = |asked: DeleteRecordsPartition| {
            let end = self.end(asked.partition);
            let before = if asked.before == Offset::NONE { end } else { asked.before };
            let low = if before > end { Err(ErrorCode::OffsetOutOfRange) } else { Ok(before) };
            DeleteRecordsResult::of(asked.partition, low)
        };
        Ok(DeleteRecordsResponse { partitions: request.partitions.into_iter().map(one).collect() })
    }

    async fn epoch_ends(
        &self,
        _: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        self.count("epoch_ends");
        let one = |asked: EpochEndPartition| {
            let end = (asked.leader_epoch, self.end(asked.partition));
            let is_known = asked.current_leader_epoch < LeaderEpoch(100);
            let end = if is_known { Ok(end) } else { Err(ErrorCode::UnknownLeaderEpoch) };
            EpochEndResult::of(asked.partition, end)
        };
        Ok(EpochEndResponse { partitions: request.partitions.into_iter().map(one).collect() })
    }

    async fn describe_producers(
        &self,
        _: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        self.count("describe_producers");
        let producer = ProducerState {
            id: ProducerId(77),
            epoch: ProducerEpoch(3),
            last_sequence: Sequence(9),
            last_timestamp: TimestampMs(1_000),
            transaction_start: Offset::NONE,
        };
        let one = |asked| DescribeProducersResult::of(asked, Ok(vec![producer]));
        let partitions = request.partitions.into_iter().map(one).collect();
        Ok(DescribeProducersResponse { partitions })
    }

    async fn describe_log_dirs(
        &self,
        _: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        self.count("describe_log_dirs");
        let logs = self.logs.lock().unwrap();
        let is_asked = |partition: &TopicPartition| {
            request.partitions.as_ref().is_none_or(|asked| asked.contains(partition))
        };
        let partitions = logs.iter().filter(|(partition, _)| is_asked(partition));
        let partitions = partitions.map(|(partition, log)| LogDirectoryPartition {
            partition: *partition,
            size_bytes: log.iter().map(|(_, batch)| batch.len() as i64).sum(),
            offset_lag: 0,
        });
        let directory = LogDirectory {
            error: ErrorCode::None,
            path: "/data".into(),
            id: DirectoryId::default(),
            total_bytes: 1 << 40,
            usable_bytes: 1 << 39,
            partitions: partitions.collect(),
        };
        let other = LogDirectory { path: "/other".into(), partitions: vec![], ..directory.clone() };
        Ok(DescribeLogDirsResponse { directories: vec![directory, other] })
    }

    async fn init_producer_id(
        &self,
        _: RequestContext,
        _: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        self.count("init_producer_id");
        let mut next = self.next_producer.lock().unwrap();
        *next += 1;
        Ok(InitProducerIdResponse {
            error: ErrorCode::None,
            producer_id: ProducerId(*next),
            producer_epoch: ProducerEpoch(0),
        })
    }

    async fn describe_node_configs(&self, _: RequestContext) -> Result<Vec<NodeConfig>, CallError> {
        self.count("describe_node_configs");
        let threads = NodeConfig {
            name: "num.io.threads".into(),
            value: Some("4".into()),
            default: Some("8".into()),
            is_set: true,
            is_sensitive: false,
            kind: "INT".into(),
            documentation: None,
            effect: "obeyed".into(),
        };
        let secret = NodeConfig {
            name: "ssl.key.password".into(),
            value: Some("hunter2".into()),
            default: None,
            is_sensitive: true,
            kind: "PASSWORD".into(),
            effect: "no effect yet".into(),
            ..threads.clone()
        };
        Ok(vec![threads, secret])
    }

    async fn coordinate(
        &self,
        _: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        self.count("coordinate");
        self.coordinators.coordinate(request).await
    }
}
