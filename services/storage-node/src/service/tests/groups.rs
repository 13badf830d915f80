//! Coordinators of groups, as gateways ask them: through crashes, failures and stops.

mod client;
mod leadership;
mod timers;

use futures::future::join_all;
use ottla_api::storage::{Acks, topic_partition};
use ottla_coordinator::Generation;
use ottla_coordinator::reply::GroupState;
use ottla_log_format::BatchBuilder;
use ottla_types::{ErrorCode, Offset, TopicId};

use super::node::{Node, World, eventually};
use client::Client;

const PARTITIONS: i32 = 4;

/// A node whose groups do not wait before their first rebalance, and the topic of its offsets.
async fn started(seed: u64) -> (World, Node, TopicId) {
    let mut world = World::new(seed);
    world.config.groups.settings.group_initial_rebalance_delay_ms = 0;
    let node = world.start().await;
    let topic = world.topic(&node, "__consumer_offsets", PARTITIONS, &[]).await;
    (world, node, topic)
}

async fn restarted(world: &World, node: Node) -> Node {
    world.disk.crash_losing_all();
    node.abandon();
    world.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_and_its_offsets_survive_a_kill_and_its_generation_does_not_go_back() {
    let (world, node, _) = started(40).await;
    let mut client = Client::new("group");
    client.join(&node).await;
    assert_eq!(client.generation, Generation(1));
    client.sync(&node).await;
    assert_eq!(client.heartbeat(&node).await, ErrorCode::None);
    client.commit(&node, 17).await;
    assert_eq!(client.committed(&node).await, Offset(17));

    let node = restarted(&world, node).await;
    assert_eq!(client.committed(&node).await, Offset(17));
    let (state, members) = client.describe(&node).await;
    assert_eq!((state, members), (GroupState::Stable, vec![client.member.clone()]));
    assert_eq!(client.heartbeat(&node).await, ErrorCode::None);
    client.commit(&node, 18).await;
    client.join(&node).await;
    assert_eq!(client.generation, Generation(2));
    client.sync(&node).await;

    // An orderly stop, too.
    assert!(node.handle.shutdown().await);
    let node = world.start().await;
    assert_eq!(client.committed(&node).await, Offset(18));
    assert_eq!(client.heartbeat(&node).await, ErrorCode::None);
    client.join(&node).await;
    assert_eq!(client.generation, Generation(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_answered_survives_whatever_point_the_power_is_cut_at() {
    for point in 0..24 {
        let (world, node, _) = started(100 + point).await;
        let client = Client::new("group");
        client.commit(&node, 0).await;
        world.disk.cut_power_after(point);
        let mut acknowledged = 0;
        for offset in 1..8 {
            if client.try_commit(&node, offset).await != Ok(ErrorCode::None) {
                break;
            }
            acknowledged = offset;
        }
        world.disk.crash();
        node.abandon();
        let node = world.start().await;
        let found = client.committed(&node).await;
        assert!(found >= Offset(acknowledged), "cut at {point}: {found} after {acknowledged}");
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_append_nobody_coordinates_until_all_is_loaded_again() {
    let (world, node, _) = started(41).await;
    let mut client = Client::new("group");
    client.join(&node).await;
    client.sync(&node).await;
    client.commit(&node, 17).await;
    world.disk.set_capacity_bytes(Some(1));
    assert_eq!(client.try_commit(&node, 18).await, Err(ErrorCode::NotCoordinator));
    world.disk.set_capacity_bytes(None);
    assert_eq!(client.committed(&node).await, Offset(17));
    assert_eq!(client.heartbeat(&node).await, ErrorCode::None);
    client.commit(&node, 19).await;
    assert_eq!(client.committed(&node).await, Offset(19));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grew_by_something_else_is_read_again() {
    let (world, node, topic) = started(42).await;
    let (client, other) = (Client::new("group"), Client::new("group"));
    client.commit(&node, 1).await;
    let id = topic_partition(topic, client.partition().0);
    let foreign = other.as_record(world.seams.clock.wall(), 5);
    assert_eq!(node.produce(Acks::All, id, foreign).await.error, ErrorCode::None);
    assert_eq!(client.committed(&node).await, Offset(1), "nobody told the coordinator");
    let beside = Client { topic: "beside".to_owned(), ..Client::new("group") };
    assert_eq!(beside.try_commit(&node, 7).await, Err(ErrorCode::NotCoordinator));
    assert_eq!(client.committed(&node).await, Offset(5));
    assert_eq!(beside.committed(&node).await, Offset(7), "it was written, whoever was told what");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_cannot_be_understood_is_not_served_and_says_so() {
    let (world, node, topic) = started(43).await;
    let client = Client::new("group");
    client.commit(&node, 1).await;
    let id = topic_partition(topic, client.partition().0);
    let strange = BatchBuilder::new(Offset(0));
    let strange = strange.record(world.seams.clock.wall(), Some(&[0, 1, 0, 9]), None).build();
    assert_eq!(node.produce(Acks::All, id, strange).await.error, ErrorCode::None);
    let node = restarted(&world, node).await;
    eventually(|| async {
        client.try_commit(&node, 2).await == Err(ErrorCode::CoordinatorNotAvailable)
    })
    .await;
    let elsewhere = Client::new("another group");
    assert_ne!(elsewhere.partition(), client.partition());
    elsewhere.commit(&node, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_deleted_topic_go_with_it() {
    let (world, node, _) = started(45).await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    let client = Client::new("group");
    client.commit(&node, 17).await;
    world.controller.delete_topic(topic);
    eventually(|| async { client.committed(&node).await == Offset::NONE }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_groups_are_served_at_a_time_and_all_are_there_after_a_kill() {
    let (world, node, _) = started(47).await;
    let begin = |index: usize| {
        let node = &node;
        async move {
            let mut client = Client::new(&format!("group-{index}"));
            client.join(node).await;
            client.sync(node).await;
            client.commit(node, index as i64).await;
            client
        }
    };
    let clients = join_all((0..1000).map(begin)).await;
    let node = restarted(&world, node).await;
    let check = |(index, client): (usize, &Client)| {
        let (node, client) = (&node, client.clone());
        async move {
            assert_eq!(client.committed(node).await, Offset(index as i64));
            assert_eq!(client.heartbeat(node).await, ErrorCode::None);
        }
    };
    join_all(clients.iter().enumerate().map(check)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_begun_in_order_are_decided_in_order() {
    let (world, node, _) = started(48).await;
    let client = Client::new("group");
    client.commit(&node, 0).await;
    let commits = join_all((1..500).map(|offset| client.try_commit(&node, offset))).await;
    assert!(commits.iter().all(|code| *code == Ok(ErrorCode::None)));
    assert_eq!(client.committed(&node).await, Offset(499));
    let node = restarted(&world, node).await;
    assert_eq!(client.committed(&node).await, Offset(499));
}
