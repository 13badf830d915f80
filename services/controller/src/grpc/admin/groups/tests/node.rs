//! A storage node as the admin API needs one: coordinators made of the real core, logs of which only the ends are known.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ottla_api::storage::{
    CoordinateRequest, CoordinateResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, EpochEndRequest, EpochEndResponse, FetchRequest, FetchResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListOffsetsPartition,
    ListOffsetsPartitionResult, ListOffsetsRequest, ListOffsetsResponse, NodeConfig,
    ProduceRequest, ProduceResponse, StorageServer,
};
use ottla_api::{CallError, RequestContext, Storage};
use ottla_coordinator::{
    Changes, Context, Durable, Event, Now, Settings, Soft, decide, partition_of_group,
};
use ottla_runtime::Seams;
use ottla_runtime::grpc::{incoming, server};
use ottla_runtime::seams::HostPort;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, TimestampMs};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::{Routes, RoutesBuilder};

/// The first offset of every partition.
pub(super) const LOG_START: i64 = 10;
/// The end of every partition. A record's time in seconds is its offset.
pub(super) const LOG_END: i64 = 100;

#[derive(Default)]
struct Coordinator {
    durable: Durable,
    soft: Soft,
}

struct Fake {
    coordinators: Vec<Mutex<Coordinator>>,
    silent: Mutex<BTreeSet<i32>>,
}

/// The node on a port of this machine.
pub(super) struct Node {
    pub(super) port: u16,
    fake: Arc<Fake>,
    server: StorageServer,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Node {
    pub(super) async fn serve(seams: &Seams, coordinators: u32) -> Self {
        let coordinators = (0..coordinators).map(|_| Mutex::default()).collect();
        let fake = Arc::new(Fake { coordinators, silent: Mutex::default() });
        let listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = StorageServer::new(seams, NodeId(100), fake.clone());
        let mut routes: RoutesBuilder = Routes::builder();
        server.add_to(&mut routes);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = self::server()
            .add_routes(routes.routes())
            .serve_with_incoming_shutdown(incoming(listener, seams.clock.clone()), async move {
                _ = stopped.await
            });
        #[allow(clippy::disallowed_methods, reason = "a test needs no seam")]
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { port, fake, server, stop, serving }
    }

    /// What the coordinator of a group finds in its log.
    pub(super) fn replay(&self, group: &str, events: &[Event]) {
        let count = self.fake.coordinators.len() as u32;
        let at = partition_of_group(group, count).0 as usize;
        let mut coordinator = self.fake.coordinators[at].lock().unwrap();
        for event in events {
            coordinator.durable.replay(event, &mut Changes::default());
        }
        coordinator.soft = Soft::load(&coordinator.durable, &context(&Settings::default()));
    }

    /// Has all other coordinators than this group's not answer; their partitions.
    pub(super) fn silence_all_but(&self, group: &str) -> Vec<i32> {
        let count = self.fake.coordinators.len();
        let kept = partition_of_group(group, count as u32).0;
        let others: Vec<i32> = (0..count as i32).filter(|at| *at != kept).collect();
        self.fake.silent.lock().unwrap().extend(&others);
        others
    }

    pub(super) async fn end(self) {
        self.server.drain();
        _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}

fn context(settings: &Settings) -> Context<'_> {
    let now = Now { wall: TimestampMs(1_000), monotonic: Duration::from_secs(1) };
    Context { settings, now, seed: 1 }
}

fn offset(asked: &ListOffsetsPartition) -> ListOffsetsPartitionResult {
    let offset = match asked.timestamp {
        -2 => LOG_START,
        -1 => LOG_END,
        time_ms => Some(time_ms / 1_000).filter(|at| *at < LOG_END).unwrap_or(-1),
    };
    ListOffsetsPartitionResult {
        partition: asked.partition,
        error: ErrorCode::None,
        timestamp: TimestampMs::NONE,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(0),
    }
}

fn not_asked<T>() -> Result<T, CallError> {
    Err(CallError::Overloaded("this node only coordinates".into()))
}

#[async_trait]
impl Storage for Fake {
    async fn produce(
        &self,
        _: RequestContext,
        _: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        not_asked()
    }

    async fn fetch(&self, _: RequestContext, _: FetchRequest) -> Result<FetchResponse, CallError> {
        not_asked()
    }

    async fn list_offsets(
        &self,
        _: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        Ok(ListOffsetsResponse { partitions: request.partitions.iter().map(offset).collect() })
    }

    async fn delete_records(
        &self,
        _: RequestContext,
        _: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        not_asked()
    }

    async fn epoch_ends(
        &self,
        _: RequestContext,
        _: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        not_asked()
    }

    async fn describe_producers(
        &self,
        _: RequestContext,
        _: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        not_asked()
    }

    async fn describe_log_dirs(
        &self,
        _: RequestContext,
        _: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        not_asked()
    }

    async fn init_producer_id(
        &self,
        _: RequestContext,
        _: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        not_asked()
    }

    async fn describe_node_configs(&self, _: RequestContext) -> Result<Vec<NodeConfig>, CallError> {
        not_asked()
    }

    async fn coordinate(
        &self,
        _: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        let PartitionIndex(at) = request.partition;
        if self.silent.lock().unwrap().contains(&at) {
            return Ok(CoordinateResponse { outcome: Err(ErrorCode::CoordinatorNotAvailable) });
        }
        let mut coordinator = self.coordinators[at as usize].lock().unwrap();
        let Coordinator { durable, soft } = &mut *coordinator;
        let decided = decide(durable, soft, request.command, &context(&Settings::default()));
        decided.events.iter().for_each(|event| durable.replay(event, &mut Changes::default()));
        let reply = decided.replies.into_iter().next().expect("an operator's question is answered");
        Ok(CoordinateResponse { outcome: Ok(reply.1) })
    }
}
