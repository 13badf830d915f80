//! The role as it really runs: threads, files, sockets.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use ottla_api::controller::MetadataUpdate;
use ottla_api::{CallError, RequestContext};
use ottla_metadata::command::{NewTopic, TopicRef};
use ottla_metadata::event::{BrokerRegistration, Endpoint};
use ottla_metadata::{Command, Refusal, Reply, Settings};
use ottla_types::{DirectoryId, ErrorCode, IncarnationId, MetadataOffset, NodeId, Uuid};

use super::*;
use crate::quorum::driver::{QuorumConfig, SnapshotPolicy, Voter};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) handle: ControllerHandle,
    pub(crate) shutdown: Shutdown,
}

impl Running {
    pub(crate) async fn stop(self) -> Result<(), String> {
        self.shutdown.trigger();
        tokio::time::timeout(PATIENCE, self.handle.ended()).await.expect("it ends")
    }
}

/// Ports that nobody had a moment ago.
pub(crate) async fn free_ports(seams: &Seams, count: usize) -> Vec<u16> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap());
    }
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

pub(crate) fn config(dir: &Path, node: i32, ports: &[u16]) -> ControllerConfig {
    let voter = |(node, port): (i32, &u16)| Voter {
        node: NodeId(node),
        endpoint: HostPort::new("127.0.0.1", *port),
    };
    let voters: Vec<_> = (1..).zip(ports).map(voter).collect();
    let listener = voters.iter().find(|v| v.node == NodeId(node)).unwrap().endpoint.clone();
    ControllerConfig {
        node: NodeId(node),
        dir: dir.join(format!("node-{node}")),
        voters,
        listener,
        admin_listener: Some(HostPort::new("127.0.0.1", 0)),
        domain: Settings::default(),
        election_timeout: QuorumConfig::ELECTION_TIMEOUT,
        snapshots: SnapshotPolicy::default(),
        min_free_disk_bytes: 1,
        keeps_lists_in_memory: false,
    }
}

pub(crate) async fn run(config: ControllerConfig) -> Result<Running, StartError> {
    let shutdown = Shutdown::new();
    let handle = start(config, Seams::real(), shutdown.clone(), &Health::new()).await?;
    Ok(Running { handle, shutdown })
}

/// One controller with a live storage node.
pub(crate) async fn run_single(dir: &Path) -> Running {
    run_single_with(dir, |_| ()).await
}

/// The same, with another configuration.
pub(crate) async fn run_single_with(
    dir: &Path,
    change: impl FnOnce(&mut ControllerConfig),
) -> Running {
    let ports = free_ports(&Seams::real(), 1).await;
    let mut config = config(dir, 1, &ports);
    change(&mut config);
    let running = run(config).await.unwrap();
    running.handle.formatted().await;
    live_storage_node(running.handle.controller().as_ref()).await;
    running
}

async fn submit(controller: &dyn Controller, command: Command) -> Reply {
    let context = RequestContext::internal(PATIENCE);
    controller.submit(context, command).await.unwrap().reply
}

pub(crate) async fn live_storage_node(controller: &dyn Controller) {
    live_storage_node_at(controller, Endpoint { host: "s".into(), port: 9094 }).await;
}

/// The same, where somebody can be reached.
pub(crate) async fn live_storage_node_at(controller: &dyn Controller, storage_endpoint: Endpoint) {
    let registration = BrokerRegistration {
        node: NodeId(100),
        incarnation: IncarnationId(Uuid::from_random(1)),
        rack: None,
        directories: vec![DirectoryId(Uuid::from_random(2))],
        storage_endpoint,
    };
    let register = Command::RegisterBroker { cluster_id: None, registration };
    let reply = submit(controller, register).await;
    let Reply::BrokerRegistered { broker_epoch } = reply else { panic!("{reply:?}") };
    let heartbeat = Command::BrokerHeartbeat {
        node: NodeId(100),
        broker_epoch,
        caught_up_to: MetadataOffset(u64::MAX / 2),
        want_fence: false,
        want_shutdown: false,
    };
    submit(controller, heartbeat).await;
}

fn create(name: &str) -> Command {
    let topic = NewTopic {
        name: name.into(),
        partitions: Some(2),
        replication_factor: None,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    Command::CreateTopics { topics: vec![topic], validate_only: false }
}

/// Creates a topic; where the answer is lost with a connection, asks again, and then it may be there already.
async fn must_create(controller: &dyn Controller, name: &str) {
    let mut is_in_doubt = false;
    loop {
        let context = RequestContext::internal(PATIENCE);
        match controller.submit(context, create(name)).await {
            Ok(submitted) => {
                let Reply::Topics(outcomes) = submitted.reply else { panic!("{submitted:?}") };
                let exists = |refusal: &Refusal| refusal.code == ErrorCode::TopicAlreadyExists;
                match &outcomes[0] {
                    Err(refusal) if !is_in_doubt || !exists(refusal) => panic!("{refusal}"),
                    _ => return,
                }
            }
            Err(CallError::Unreachable { .. }) => is_in_doubt = true,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_controller_is_ready_at_once_and_keeps_what_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let running = run_single(dir.path()).await;
    let controller = running.handle.controller();
    must_create(controller.as_ref(), "t").await;
    let before = controller.quorum_status().await.unwrap();
    running.stop().await.unwrap();
    let ports = free_ports(&Seams::real(), 1).await;
    let mut again = config(dir.path(), 1, &ports);
    // The log knows node ids only: an address may change.
    again.listener = again.voters[0].endpoint.clone();
    let running = run(again).await.unwrap();
    running.handle.formatted().await;
    let controller = running.handle.controller();
    let status = tokio::time::timeout(PATIENCE, async {
        loop {
            let status = controller.quorum_status().await.unwrap();
            if status.leader.is_some() && status.metadata_offset == before.metadata_offset {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let status = status.await.unwrap();
    assert_eq!((status.state_hash, status.cluster_id), (before.state_hash, before.cluster_id));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_controllers_agree_over_real_sockets_and_survive_one() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports(&Seams::real(), 3).await;
    let mut all = Vec::new();
    for node in 1..=3 {
        all.push(run(config(dir.path(), node, &ports)).await.unwrap());
    }
    for running in &all {
        tokio::time::timeout(PATIENCE, running.handle.formatted()).await.unwrap();
    }
    // Whichever is asked, the active one answers.
    live_storage_node(all[0].handle.controller().as_ref()).await;
    for (number, running) in all.iter().enumerate() {
        let controller = running.handle.controller();
        must_create(controller.as_ref(), &format!("t{number}")).await;
    }
    let leader = all[0].handle.controller().quorum_status().await.unwrap().leader.unwrap();
    let index = usize::try_from(leader.0 - 1).unwrap();
    all.remove(index).stop().await.unwrap();
    let controller = all[0].handle.controller();
    must_create(controller.as_ref(), "after").await;
    for running in all {
        let image = &running.handle.member().published;
        let mut committed = image.committed.clone();
        let has_all = |image: &ottla_metadata::Image| {
            ["t0", "t1", "t2", "after"].iter().all(|name| image.topic_by_name(name).is_some())
        };
        let wait = committed.wait_for(|committed| has_all(&committed.image));
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
        running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_database_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = run_single(dir.path()).await;
    submit(running.handle.controller().as_ref(), create("t")).await;
    running.stop().await.unwrap();
    let state = dir.path().join("node-1").join(QUORUM_DIR).join("state");
    Seams::real().disk.remove_dir_all(&state).unwrap();
    let ports = free_ports(&Seams::real(), 1).await;
    let running = run(config(dir.path(), 1, &ports)).await.unwrap();
    running.handle.formatted().await;
    let member = running.handle.member();
    let mut committed = member.published.committed.clone();
    let wait = committed.wait_for(|committed| committed.image.topic_by_name("t").is_some());
    let offset = tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap().image.offset;
    member.store_reached(offset, PATIENCE).await;
    assert_eq!(member.store().topics("", "", 10).unwrap().len(), 1);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_see_a_snapshot_or_events_and_then_signs_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let running = run_single(dir.path()).await;
    let controller = running.handle.controller();
    submit(controller.as_ref(), create("t")).await;
    let mut updates = controller.watch_metadata(MetadataOffset(1)).await.unwrap();
    let Some(Ok(MetadataUpdate::Events { first, events })) = updates.next().await else {
        panic!("no events")
    };
    assert_eq!((first, events.len()), (MetadataOffset(2), 3));
    let deletion = Command::DeleteTopics { topics: vec![TopicRef::Name("t".into())] };
    submit(controller.as_ref(), deletion).await;
    let update = updates.next().await;
    assert!(
        matches!(&update, Some(Ok(MetadataUpdate::Events { first: MetadataOffset(5), .. }))),
        "{update:?}"
    );
    let sign = tokio::time::timeout(PATIENCE, updates.next()).await.unwrap();
    assert!(matches!(sign, Some(Ok(MetadataUpdate::Heartbeat(MetadataOffset(5))))), "{sign:?}");
    running.stop().await.unwrap();
    let end = tokio::time::timeout(PATIENCE, updates.collect::<Vec<_>>()).await.unwrap();
    assert!(end.iter().all(|update| matches!(update, Ok(MetadataUpdate::Heartbeat(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_at_the_start_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports(&Seams::real(), 2).await;
    let first = run(config(dir.path(), 1, &ports[..1])).await.unwrap();
    let fault = |outcome: Result<Running, StartError>| match outcome {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it started"),
    };
    let again = fault(run(config(dir.path(), 1, &ports[1..])).await);
    assert!(again.contains("in use by another process"), "{again}");
    let mut taken = config(&dir.path().join("other"), 1, &ports[..1]);
    let message = fault(run(taken.clone()).await);
    assert!(message.contains(&ports[0].to_string()) && message.contains("in use"), "{message}");
    taken.min_free_disk_bytes = u64::MAX;
    let message = fault(run(taken.clone()).await);
    assert!(message.contains("ottla.min.free.disk.bytes"), "{message}");
    first.stop().await.unwrap();
    let mut other = config(dir.path(), 1, &ports[..1]);
    (other.node, other.voters[0].node) = (NodeId(7), NodeId(7));
    let message = fault(run(other).await);
    assert!(message.contains("belongs to node 1"), "{message}");
}
