//! Starting and stopping, and the faults that keep a node from it.

use std::sync::Arc;
use std::time::Duration;

use ottla_api::Storage as _;
use ottla_api::storage::{
    Acks, NodeConfig, ProducePartition, ProduceRequest, RemoteStorage, topic_partition,
};
use ottla_runtime::Seams;
use ottla_runtime::seams::{Disk as _, HostPort, SimDisk};
use ottla_types::ErrorCode;

use super::node::{World, batch, fetch_request};

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_clean_stop_leaves_the_marker_and_the_next_start_takes_it_away() {
    let world = World::new(41);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
    assert!(node.handle.shutdown().await);
    let marker = std::path::Path::new("/d/.kafka_cleanshutdown");
    assert!(world.disk.exists(marker).unwrap());
    world.disk.crash_losing_all();
    assert!(world.disk.exists(marker).unwrap());
    let node = world.start().await;
    assert!(!world.disk.exists(marker).unwrap());
    assert_eq!(node.values(id, 0).await, ["v"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_refuses_requests() {
    let world = World::new(42);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let storage = Arc::clone(&node.storage);
    assert!(node.handle.shutdown().await);
    let request = fetch_request(&[(id, 0)], 1, 0);
    assert!(storage.fetch(super::node::context(), request).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_the_node_does_not_register() {
    let mut world = World::new(43);
    let address = HostPort::new("127.0.0.1", 0);
    let taken = world.seams.net.bind(&address).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    world.config.listener = Some(HostPort::new("127.0.0.1", port));
    let before = world.controller.offset();
    let fault = world.try_start().await.err().unwrap().to_string();
    assert!(fault.contains(&format!("127.0.0.1:{port}")), "{fault}");
    assert_eq!(world.controller.offset(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_room_or_in_use_keeps_the_node_from_starting() {
    let mut world = World::new(44);
    world.config.min_free_bytes = 1 << 60;
    let fault = world.try_start().await.err().unwrap().to_string();
    assert!(fault.contains("/d has"), "{fault}");
    world.config.min_free_bytes = 0;
    let _node = world.start().await;
    let fault = world.try_start().await.err().unwrap().to_string();
    assert!(fault.contains("/d is in use"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_that_does_not_answer_is_named() {
    let disk = SimDisk::new(45);
    let seams = Seams { disk: Arc::new(disk.clone()), ..Seams::real() };
    let mut world = World::with(disk, seams);
    world.config.timing.registration_timeout = Duration::from_millis(100);
    let fault = start_without_quorum(&world).await;
    assert!(fault.contains("controller.quorum.voters"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_another_process_is_served_over_grpc() {
    let mut world = World::new(46);
    world.config.listener = Some(HostPort::new("127.0.0.1", 0));
    world.config.node_configs = vec![NodeConfig {
        name: "node.id".into(),
        value: Some("1".into()),
        default: None,
        is_set: true,
        is_sensitive: false,
        kind: "INT".into(),
        documentation: None,
        effect: "obeyed".into(),
    }];
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let address = node.handle.address().unwrap();
    let remote = RemoteStorage::new(&world.seams, super::node::NODE, &address);
    let request = ProduceRequest {
        acks: Acks::All,
        timeout_ms: 5_000,
        transactional_id: None,
        partitions: vec![ProducePartition { partition: id, records: batch(&world.seams, &["v"]) }],
    };
    let produced = remote.produce(super::node::context(), request).await.unwrap();
    assert_eq!(produced.partitions[0].error, ErrorCode::None);
    let configs = remote.describe_node_configs(super::node::context()).await.unwrap();
    assert_eq!(configs, world.config.node_configs);
    let request = fetch_request(&[(id, 0)], 1, 1_000);
    let fetched = remote.fetch(super::node::context(), request).await.unwrap();
    assert!(!fetched.partitions[0].records.is_empty());
    assert!(node.handle.shutdown().await);
}

async fn start_without_quorum(world: &World) -> String {
    let controller = Arc::new(Silent);
    let follower = ottla_api::MetadataFollower::start(controller.clone(), &world.seams);
    let (config, seams) = (world.config.clone(), world.seams.clone());
    let started = crate::service::start(config, seams, controller, follower).await;
    started.err().unwrap().to_string()
}

struct Silent;

#[async_trait::async_trait]
impl ottla_api::Controller for Silent {
    async fn submit(
        &self,
        _: ottla_api::RequestContext,
        _: ottla_metadata::Command,
    ) -> Result<ottla_api::controller::Submitted, ottla_api::CallError> {
        Err(ottla_api::CallError::NotActive { active: None })
    }

    async fn watch_metadata(
        &self,
        _: ottla_types::MetadataOffset,
    ) -> Result<
        futures::stream::BoxStream<
            'static,
            Result<ottla_api::controller::MetadataUpdate, ottla_api::CallError>,
        >,
        ottla_api::CallError,
    > {
        Err(ottla_api::CallError::Stopping)
    }

    async fn quorum_status(
        &self,
    ) -> Result<ottla_api::controller::QuorumStatus, ottla_api::CallError> {
        Err(ottla_api::CallError::Stopping)
    }

    async fn history(
        &self,
        _: ottla_api::controller::HistoryQuery,
    ) -> Result<ottla_api::controller::HistoryPage, ottla_api::CallError> {
        Err(ottla_api::CallError::Stopping)
    }
}
