//! Who leads coordinates, and nobody else; who waits learns when that ends.

use ottla_api::storage::CoordinateRequest;
use ottla_coordinator::{Command, partition_of_group};
use ottla_types::{ErrorCode, Offset, PartitionIndex};

use super::super::node::{Node, World, context, eventually};
use super::client::Client;
use super::{PARTITIONS, started};

/// A node whose groups wait for others longer than any test takes.
async fn waiting(seed: u64) -> (World, Node, ottla_types::TopicId) {
    let mut world = World::new(seed);
    world.config.groups.settings.group_initial_rebalance_delay_ms = 300_000;
    let node = world.start().await;
    let topic = world.topic(&node, "__consumer_offsets", PARTITIONS, &[]).await;
    (world, node, topic)
}

fn join(client: &Client) -> CoordinateRequest {
    CoordinateRequest { partition: client.partition(), command: client.join_command(false) }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_other_members_learns_that_the_node_stops() {
    let (_world, node, _) = waiting(44).await;
    let client = Client::new("group");
    client.commit(&node, 1).await;
    let Node { storage, handle, .. } = node;
    let mut joining = Box::pin(storage.coordinate(context(), join(&client)));
    assert!(futures::poll!(&mut joining).is_pending());
    let (joined, clean) = tokio::join!(joining, handle.shutdown());
    assert_eq!(joined.unwrap().outcome, Err(ErrorCode::NotCoordinator));
    assert!(clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_learns_that_the_topic_of_the_offsets_is_gone_and_a_new_one_begins_empty() {
    let (world, node, topic) = waiting(49).await;
    let client = Client::new("group");
    client.commit(&node, 1).await;
    let mut joining = Box::pin(node.storage.coordinate(context(), join(&client)));
    assert!(futures::poll!(&mut joining).is_pending());
    world.controller.delete_topic(topic);
    assert_eq!(joining.await.unwrap().outcome, Err(ErrorCode::NotCoordinator));
    assert_eq!(client.try_commit(&node, 2).await, Err(ErrorCode::NotCoordinator));
    world.topic(&node, "__consumer_offsets", PARTITIONS, &[]).await;
    eventually(|| async { client.try_commit(&node, 3).await == Ok(ErrorCode::None) }).await;
    assert_eq!(Client::new("group").committed(&node).await, Offset(3));
    let other = Client { topic: "other".to_owned(), ..client };
    assert_eq!(other.committed(&node).await, Offset::NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_this_node_does_not_lead_has_no_coordinator_here() {
    let (_world, node, _) = started(46).await;
    let ask = |partition, command| {
        let request = CoordinateRequest { partition: PartitionIndex(partition), command };
        node.storage.coordinate(context(), request)
    };
    let command = || Client::new("group").fetch_command();
    let outcome = ask(PARTITIONS, command()).await.unwrap().outcome;
    assert_eq!(outcome, Err(ErrorCode::NotCoordinator));
    Client::new("group").commit(&node, 1).await;
    let partition = partition_of_group("group", PARTITIONS as u32).0;
    let outcome = ask(partition, Command::Tick).await.unwrap().outcome;
    assert_eq!(outcome, Err(ErrorCode::InvalidRequest));
}
