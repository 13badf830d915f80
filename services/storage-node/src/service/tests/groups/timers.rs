//! What a coordinator does because time has passed.

use std::time::Duration;

use ottla_coordinator::reply::GroupState;
use ottla_types::{ErrorCode, Offset};

use super::super::node::{World, eventually};
use super::PARTITIONS;
use super::client::Client;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_rebalance_waits_and_a_silent_member_is_out_also_after_a_restart() {
    for is_restarted in [false, true] {
        let mut world = World::new(60);
        world.config.groups.settings.group_initial_rebalance_delay_ms = 30;
        world.config.groups.settings.group_min_session_timeout_ms = 1;
        let mut node = world.start().await;
        world.topic(&node, "__consumer_offsets", PARTITIONS, &[]).await;
        let mut client = Client { session_timeout_ms: 300, ..Client::new("group") };
        client.join(&node).await;
        client.sync(&node).await;
        assert_eq!(client.describe(&node).await.0, GroupState::Stable);
        if is_restarted {
            node = super::restarted(&world, node).await;
        }
        let empty = (GroupState::Empty, Vec::new());
        eventually(|| async { client.describe(&node).await == empty }).await;
        assert_eq!(client.heartbeat(&node).await, ErrorCode::UnknownMemberId);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_nobody_reads_on_from_expire_and_the_tombstones_are_on_disk() {
    let mut world = World::new(61);
    world.config.groups.settings.offsets_retention_minutes = 0;
    world.config.groups.expire_interval = Duration::from_millis(20);
    let node = world.start().await;
    world.topic(&node, "__consumer_offsets", PARTITIONS, &[]).await;
    let client = Client::new("group");
    client.commit(&node, 17).await;
    eventually(|| async { client.describe(&node).await.0 == GroupState::Dead }).await;
    world.config.groups.expire_interval = Duration::from_secs(600);
    let node = super::restarted(&world, node).await;
    assert_eq!(client.committed(&node).await, Offset::NONE);
    assert_eq!(client.describe(&node).await.0, GroupState::Dead);
}
