//! Where coordinators are found, and what clients are told when they are not there.

use ottla_api::CallError;
use ottla_gateway::{ConnectionLimits, OffsetsTopic, Process, start};
use ottla_kafka_wire::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::messages::find_coordinator_response::FindCoordinatorResponse;
use ottla_kafka_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_runtime::Seams;
use ottla_runtime::seams::{HostPort, SimClock};
use ottla_types::{ErrorCode, NodeId};

use crate::client::Client;
use crate::cluster::{Cluster, config, create, register_broker};
use crate::controller::FakeController;
use crate::groups::with_groups;
use crate::member::{Member, NEWEST};
use crate::offsets::{commit, fetch_offsets};
use crate::roles::{apart, free_ports, neighbours};

fn find(version: i16, key_type: i8, keys: &[&str]) -> FindCoordinatorRequest {
    match version {
        4.. => FindCoordinatorRequest {
            key_type,
            coordinator_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            ..Default::default()
        },
        _ => FindCoordinatorRequest { key_type, key: keys[0].into(), ..Default::default() },
    }
}

/// The code, node, host and port of each key.
fn found(version: i16, response: FindCoordinatorResponse) -> Vec<(ErrorCode, i32, String, i32)> {
    let code = ErrorCode::from_code;
    match version {
        4.. => {
            let all = response.coordinators.into_iter();
            all.map(|one| (code(one.error_code), one.node_id, one.host, one.port)).collect()
        }
        _ => vec![(code(response.error_code), response.node_id, response.host, response.port)],
    }
}

fn nowhere(code: ErrorCode) -> (ErrorCode, i32, String, i32) {
    (code, -1, String::new(), -1)
}

#[tokio::test]
async fn a_coordinator_is_found_in_every_version_and_its_topic_made_for_the_first() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let port = i32::from(cluster.address.port);
    for version in 0..=6 {
        let response = client.ask(version, &find(version, 0, &["g"])).await;
        let message = response.error_message.clone();
        let here = (ErrorCode::None, 1, "127.0.0.1".to_owned(), port);
        assert_eq!(found(version, response), [here]);
        if (1..4).contains(&version) {
            assert_eq!(message.as_deref(), Some("NONE"));
        }
    }
    let image = cluster.controller.image();
    let topic = image.topic_by_name("__consumer_offsets").unwrap();
    assert_eq!(topic.partitions.len(), 4);
    let has = |name: &str| topic.configs.get(name).map(String::as_str);
    let configs = [has("cleanup.policy"), has("compression.type"), has("segment.bytes")];
    assert_eq!(configs, [Some("compact"), Some("producer"), Some("104857600")]);
    let many = client.ask(4, &find(4, 0, &["a", "b", "", "a"])).await;
    let keys: Vec<_> = many.coordinators.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", ""], "each once");
    assert!(client.ask(4, &find(4, 0, &[])).await.coordinators.is_empty());
}

#[tokio::test]
async fn the_topic_of_groups_is_made_as_such_whoever_asks_for_it_first() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let topic =
        MetadataRequestTopic { name: Some("__consumer_offsets".into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    let made = &client.ask(9, &request).await.topics[0];
    assert_eq!((made.error_code, made.partitions.len(), made.is_internal), (0, 4, true));
}

#[tokio::test]
async fn without_its_topic_nobody_coordinates() {
    let limits = ConnectionLimits::default();
    let wanted = OffsetsTopic { partitions: 4, replication_factor: 3, ..Default::default() };
    let config = ottla_gateway::GatewayConfig { offsets_topic: wanted, ..config(limits) };
    let cluster = Cluster::with_config(Seams::real(), config).await;
    let mut client = cluster.client().await;
    for version in 0..=6 {
        let response = client.ask(version, &find(version, 0, &["g"])).await;
        let told = response
            .error_message
            .iter()
            .chain(response.coordinators.iter().filter_map(|one| one.error_message.as_ref()));
        let is_told = told.into_iter().any(|text| text.contains("eplication"));
        assert_eq!(is_told, version >= 1, "the cause");
        let nowhere = nowhere(ErrorCode::CoordinatorNotAvailable);
        assert_eq!(found(version, response), [nowhere]);
    }
    assert!(client.ask(5, &ListGroupsRequest::default()).await.groups.is_empty());
    let mut member = Member::new(&cluster, "g", 3).await;
    assert_eq!(member.join().await.error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(cluster.storage.calls.lock().unwrap().get("coordinate"), None);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_is_told_when_its_leader_serves() {
    let seams = Seams { clock: std::sync::Arc::new(SimClock::new()), ..Seams::real() };
    let cluster = Cluster::with_limits(seams, ConnectionLimits::default()).await;
    let mut client = cluster.client().await;
    *cluster.storage.is_behind.lock().unwrap() = true;
    let response = client.ask(4, &find(4, 0, &["g"])).await;
    assert_eq!(found(4, response), [nowhere(ErrorCode::CoordinatorNotAvailable)]);
    *cluster.storage.is_behind.lock().unwrap() = false;
    let response = client.ask(4, &find(4, 0, &["g"])).await;
    assert_eq!(found(4, response)[0].0, ErrorCode::None);
}

#[tokio::test]
async fn coordinators_of_what_is_not_served_are_refused() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 1..=6 {
        for key_type in [1, 2, 7, -1] {
            let response = client.ask(version, &find(version, key_type, &["k"])).await;
            assert_eq!(found(version, response), [nowhere(ErrorCode::InvalidRequest)]);
        }
    }
    assert!(cluster.controller.image().topics.is_empty(), "nothing is made for it");
}

#[tokio::test]
async fn each_node_is_found_and_asked_on_its_own_port() {
    let seams = Seams::real();
    let first = free_ports(&seams, 4).await;
    let controller = FakeController::new(seams.clock.clone());
    register_broker(&controller, NodeId(1), 1);
    register_broker(&controller, NodeId(2), 2);
    let gateway = start(
        apart(9, first, first + 1),
        seams.clone(),
        neighbours(&controller, &seams),
        Process::default(),
    );
    let gateway = gateway.await.unwrap();
    gateway.ready().await;
    create(&controller, "__consumer_offsets", 8);
    gateway.replayed(controller.image().offset).await;
    let mut client = Client::connect(&seams, &HostPort::new("127.0.0.1", first)).await;
    let groups: Vec<String> = (0..40).map(|n| format!("g{n}")).collect();
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    let found = found(6, client.ask(6, &find(6, 0, &names)).await);
    let image = controller.image();
    let topic = image.topic_by_name("__consumer_offsets").unwrap();
    let mut nodes = std::collections::BTreeSet::new();
    for (group, (code, node, _, port)) in groups.iter().zip(&found) {
        let partition = ottla_coordinator::partition_of_group(group, 8);
        let leader = topic.partitions[usize::try_from(partition.0).unwrap()].leader.unwrap();
        assert_eq!((*code, *node), (ErrorCode::None, leader.0));
        assert_eq!(*port, i32::from(first) + 1 + node);
        nodes.insert(*port);
    }
    assert_eq!(nodes.len(), 2);
    // Neither node can be reached: clients look for another coordinator.
    for port in nodes.into_iter().chain([i32::from(first)]) {
        let address = HostPort::new("127.0.0.1", u16::try_from(port).unwrap());
        let mut client = Client::connect(&seams, &address).await;
        let request = DescribeGroupsRequest { groups: groups.clone(), ..Default::default() };
        let described = client.ask(6, &request).await.groups;
        let expected = ErrorCode::NotCoordinator.code();
        assert!(described.iter().all(|group| group.error_code == expected), "{described:?}");
    }
}

#[tokio::test]
async fn a_node_is_asked_on_its_port_even_for_what_another_leads() {
    let cluster = Cluster::start().await;
    register_broker(&cluster.controller, NodeId(2), 2);
    let at = cluster.topic("__consumer_offsets", 8).await;
    let image = cluster.controller.image();
    let partitions = &image.topics[&at.topic].partitions;
    let leader_of = |group: &str| {
        let partition = ottla_coordinator::partition_of_group(group, 8);
        partitions[usize::try_from(partition.0).unwrap()].leader.unwrap()
    };
    let mut groups = (0..).map(|n| format!("g{n}"));
    let elsewhere = groups.find(|group| leader_of(group) == NodeId(2)).unwrap();
    let mut member = Member::new(&cluster, &elsewhere, NEWEST).await;
    member.id = "somebody".into();
    // The other node cannot be reached; this one says itself what it knows.
    assert_eq!(member.beat().await, ErrorCode::UnknownMemberId);
    let own = partitions.iter().filter(|state| state.leader == Some(NodeId(1))).count();
    let listed = member.client.ask(5, &ListGroupsRequest::default()).await;
    assert_eq!((listed.error_code, listed.groups.len()), (0, 0));
    assert_eq!(cluster.storage.calls.lock().unwrap()["coordinate"], 1 + own);
}

#[tokio::test]
async fn failures_are_told_as_clients_expect_them() {
    use ErrorCode::*;
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut member = Member::new(&cluster, "g", 3).await;
    let unreachable = CallError::Unreachable { peer: "node 1".into(), cause: "gone".into() };
    let late = CallError::TimedOut(std::time::Duration::from_secs(1));
    let garbage = CallError::Malformed("x".into());
    // What Join, Sync, Heartbeat, OffsetCommit and OffsetFetch say.
    for (failure, codes) in [
        (Ok(NotCoordinator), [NotCoordinator; 5]),
        (
            Ok(CoordinatorLoadInProgress),
            [
                CoordinatorLoadInProgress,
                RebalanceInProgress,
                None,
                CoordinatorLoadInProgress,
                CoordinatorLoadInProgress,
            ],
        ),
        (Err(unreachable), [NotCoordinator; 5]),
        (
            Err(late),
            [
                CoordinatorNotAvailable,
                CoordinatorNotAvailable,
                CoordinatorNotAvailable,
                CoordinatorNotAvailable,
                NotCoordinator,
            ],
        ),
        (Err(garbage), [UnknownServerError; 5]),
    ] {
        *cluster.storage.coordinators.failure.lock().unwrap() = Some(failure);
        let joined = member.join().await.error_code;
        let synced = member.sync(&[]).await.error_code;
        let beat = member.beat().await.code();
        let client = &mut member.client;
        let committed = client.ask(9, &commit(9, at, "g", 1)).await.topics.remove(0);
        let partitions = committed.partitions.iter().map(|p| p.error_code);
        let committed: Vec<_> = partitions.collect();
        assert_eq!(committed, [codes[3].code(); 2]);
        for version in 1..=10 {
            let mut fetched = client.ask(version, &fetch_offsets(version, at, "g")).await;
            let code = match version {
                1 => fetched.topics[0].partitions[1].error_code,
                2..8 => fetched.error_code,
                _ => fetched.groups.remove(0).error_code,
            };
            assert_eq!(ErrorCode::from_code(code), codes[4], "version {version}");
        }
        let told = [joined, synced, beat].map(ErrorCode::from_code);
        assert_eq!(told, codes[..3]);
        let deleted = OffsetDeleteRequest { group_id: "g".into(), topics: Vec::new() };
        assert_eq!(client.ask(0, &deleted).await.error_code, codes[0].code());
        let request = DeleteGroupsRequest { groups_names: vec!["g".into()] };
        assert_eq!(client.ask(2, &request).await.results[0].error_code, codes[0].code());
        let listed = client.ask(5, &ListGroupsRequest::default()).await.error_code;
        // A node that leads a partition no more has no groups in it.
        let expected = if codes[0] == NotCoordinator { None } else { codes[0] };
        assert_eq!(ErrorCode::from_code(listed), expected);
    }
}
