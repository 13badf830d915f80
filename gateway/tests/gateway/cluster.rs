//! A cluster for one test: a controller, a storage node in the gateway's process, and the gateway.

use std::sync::Arc;

use bytes::Bytes;
use ottla_api::storage::StorageServer;
use ottla_api::{Controller, MetadataFollower, Storage};
use ottla_gateway::{
    ConnectionLimits, GatewayConfig, GatewayHandle, ListenerConfig, Neighbours, OffsetsTopic,
    Process, start,
};
use ottla_log_format::BatchBuilder;
use ottla_metadata::command::{NewTopic, Reply};
use ottla_metadata::event::{BrokerRegistration, Endpoint};
use ottla_metadata::{Command, Image};
use ottla_runtime::Seams;
use ottla_runtime::grpc::{incoming, server};
use ottla_runtime::seams::HostPort;
use ottla_types::{
    BrokerEpoch, DirectoryId, IncarnationId, ListenerName, NodeId, Offset, PartitionIndex,
    TimestampMs, TopicPartition, Uuid,
};

use tonic::service::RoutesBuilder;

use crate::client::Client;
use crate::controller::FakeController;
use crate::storage::FakeStorage;

pub(crate) const NODE: NodeId = NodeId(1);

/// A storage node in the gateway's process.
type OwnStorage = (NodeId, Arc<dyn Storage>);

pub(crate) struct Cluster {
    pub(crate) seams: Seams,
    pub(crate) controller: Arc<FakeController>,
    pub(crate) storage: Arc<FakeStorage>,
    pub(crate) gateway: GatewayHandle,
    pub(crate) process: Process,
    pub(crate) address: HostPort,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Seams::real(), ConnectionLimits::default()).await
    }

    pub(crate) async fn with_limits(seams: Seams, limits: ConnectionLimits) -> Self {
        Self::with_config(seams, config(limits)).await
    }

    pub(crate) async fn with_config(seams: Seams, config: GatewayConfig) -> Self {
        let controller = FakeController::new(seams.clock.clone());
        register_broker(&controller, NODE, 1);
        let storage = FakeStorage::new(seams.clock.clone());
        let own = (NODE, storage.clone() as Arc<dyn Storage>);
        Self::of(seams, config, controller, (storage, Some(own))).await
    }

    /// The storage node is in another process, as far as the gateway can see.
    pub(crate) async fn apart(limits: ConnectionLimits) -> Self {
        let seams = Seams::real();
        let controller = FakeController::new(seams.clock.clone());
        let storage = FakeStorage::new(seams.clock.clone());
        let listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        register_broker_at(&controller, NODE, 1, listener.local_addr().unwrap().port());
        let mut routes = RoutesBuilder::default();
        StorageServer::new(&seams, NODE, storage.clone()).add_to(&mut routes);
        let connections = incoming(listener, seams.clock.clone());
        let serving = server().add_routes(routes.routes()).serve_with_incoming(connections);
        drop(seams.tasks.spawn("storage node", Box::pin(async move { serving.await.unwrap() })));
        Self::of(seams, config(limits), controller, (storage, None)).await
    }

    async fn of(
        seams: Seams,
        config: GatewayConfig,
        controller: Arc<FakeController>,
        (storage, own_storage): (Arc<FakeStorage>, Option<OwnStorage>),
    ) -> Self {
        let follower = MetadataFollower::start(controller.clone() as Arc<dyn Controller>, &seams);
        let neighbours =
            Neighbours { controller: controller.clone(), metadata: follower, own_storage };
        let process = Process::default();
        let gateway = start(config, seams.clone(), neighbours, process.clone()).await.unwrap();
        gateway.ready().await;
        let address = gateway.listeners[0].1.clone();
        Self { seams, controller, storage, gateway, process, address }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.seams, &self.address).await
    }

    /// A topic, made behind the gateway's back and known to it.
    pub(crate) async fn topic(&self, name: &str, partitions: i32) -> TopicPartition {
        let created = create(&self.controller, name, partitions);
        self.known().await;
        created
    }

    /// Waits until the gateway has replayed all.
    pub(crate) async fn known(&self) {
        let image: Image = self.controller.image();
        self.gateway.replayed(image.offset).await;
    }
}

pub(crate) fn config(limits: ConnectionLimits) -> GatewayConfig {
    let name = ListenerName::new("PLAINTEXT");
    let bind = HostPort::new("127.0.0.1", 0);
    let listener =
        ListenerConfig { name, bind: bind.clone(), advertised: bind, node_port_first: None };
    GatewayConfig {
        node: NODE,
        rack: None,
        listeners: vec![listener],
        limits,
        auto_create_topics: true,
        delete_topics: true,
        max_fetch_bytes: 55 << 20,
        fetch_session_slots: 4,
        max_partitions_per_describe: 2_000,
        topic_defaults: Default::default(),
        offsets_topic: OffsetsTopic { partitions: 4, replication_factor: 1, ..Default::default() },
    }
}

/// Makes a topic; returns its first partition.
pub(crate) fn create(controller: &FakeController, name: &str, partitions: i32) -> TopicPartition {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: None,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
    let Reply::Topics(outcomes) = controller.command(command).reply else { panic!() };
    let topic = outcomes[0].as_ref().unwrap().id;
    TopicPartition { topic, partition: PartitionIndex(0) }
}

/// Registers a storage node and unfences it.
pub(crate) fn register_broker(controller: &FakeController, node: NodeId, life: u128) {
    register_broker_at(controller, node, life, 1);
}

fn register_broker_at(controller: &FakeController, node: NodeId, life: u128, port: u16) {
    let registration = BrokerRegistration {
        node,
        incarnation: IncarnationId(Uuid::from_random(life)),
        rack: Some("r1".into()),
        directories: vec![DirectoryId(Uuid::from_random(life + 100))],
        storage_endpoint: Endpoint { host: "127.0.0.1".into(), port },
    };
    let command = Command::RegisterBroker { cluster_id: None, registration };
    let reply = controller.command(command).reply;
    let Reply::BrokerRegistered { broker_epoch } = reply else { panic!("{reply:?}") };
    heartbeat(controller, node, broker_epoch);
    assert!(controller.image().is_live(node));
}

fn heartbeat(controller: &FakeController, node: NodeId, broker_epoch: BrokerEpoch) {
    controller.command(Command::BrokerHeartbeat {
        node,
        broker_epoch,
        caught_up_to: controller.image().offset,
        want_fence: false,
        want_shutdown: false,
    });
}

/// One batch of one record.
pub(crate) fn batch(value: &[u8]) -> Bytes {
    BatchBuilder::new(Offset::ZERO).record(TimestampMs(1), None, Some(value)).build()
}
