//! What goes: deleted topics, old segments, and what only looks like an orphan.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_api::storage::{Acks, topic_partition};
use ottla_runtime::Seams;
use ottla_runtime::seams::{Disk as _, ManualClock, SimDisk};
use ottla_types::{ErrorCode, Offset};

use super::node::{World, batch, eventually, fetch_request};

fn folders(world: &World) -> Vec<String> {
    let entries = world.disk.list(Path::new("/d")).unwrap();
    entries.into_iter().filter(|e| e.is_dir && !e.name.starts_with('.')).map(|e| e.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_deleted_topic_is_renamed_then_removed_and_its_name_is_free() {
    let world = World::new(31);
    let node = world.start().await;
    let old = world.topic(&node, "t", 1, &[("file.delete.delay.ms", "50")]).await;
    let id = topic_partition(old, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
    let waiting = node.fetch(fetch_request(&[(id, 1)], 1, 60_000));
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.controller.delete_topic(old);
    };
    let (fetched, ()) = futures::join!(waiting, deleting);
    assert_eq!(fetched[0].error, ErrorCode::UnknownTopicOrPartition);
    let new = world.topic(&node, "t", 1, &[]).await;
    assert_eq!(node.latest(topic_partition(new, 0)).await.offset, Offset(0));
    eventually(|| async { folders(&world) == ["t-0"] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_what_the_metadata_do_not_know_is_renamed_and_kept() {
    let world = World::new(32);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    node.produce(Acks::All, topic_partition(topic, 0), batch(&world.seams, &["v"])).await;
    assert!(node.handle.shutdown().await);
    world.controller.lose_everything();
    let node = world.start().await;
    assert_eq!(folders(&world), ["t-0-stray"]);
    assert!(node.handle.shutdown().await);
    let node = world.start().await;
    assert_eq!(folders(&world), ["t-0-stray"]);
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_folder_that_was_set_aside_leaves_nothing_to_the_next_topic_of_its_name() {
    let world = World::new(35);
    let node = world.start().await;
    let old = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    for _ in 0..20 {
        node.produce(Acks::All, old, batch(&world.seams, &["old"])).await;
    }
    assert!(node.handle.shutdown().await);
    world.controller.lose_everything();
    let node = world.start().await;
    let new = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    node.produce(Acks::All, new, batch(&world.seams, &["new"])).await;
    // Before its first checkpoint: the recovery point of the old one is not its own.
    world.disk.kill_process();
    node.abandon();
    let node = world.start().await;
    assert_eq!(node.values(new, 0).await, ["new"]);
    node.abandon();
}

fn world_with_clock(seed: u64) -> (World, ManualClock) {
    let (disk, clock) = (SimDisk::new(seed), ManualClock::new());
    let seams =
        Seams { disk: Arc::new(disk.clone()), clock: Arc::new(clock.clone()), ..Seams::real() };
    (World::with(disk, seams), clock)
}

/// Starts a node under a clock that stands still but for this.
async fn start(world: &World, clock: &ManualClock) -> super::node::Node {
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            clock.advance(Duration::from_millis(20));
        }
    };
    tokio::select! {
        node = world.start() => node,
        () = ticking => unreachable!("the clock ticks for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_segments_go_by_time_and_the_first_offset_moves_up() {
    let configs = [("retention.ms", "3600000"), ("segment.ms", "1800000")];
    let (world, clock) = world_with_clock(33);
    let node = start(&world, &clock).await;
    let topic = world.topic(&node, "u", 1, &configs).await;
    let id = topic_partition(topic, 0);
    for _ in 0..3 {
        node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
        clock.advance(Duration::from_secs(2_400));
    }
    eventually(|| async { node.offset_for(id, -2).await.offset >= Offset(1) }).await;
    let first = node.offset_for(id, -2).await.offset;
    let below = node.fetch(fetch_request(&[(id, first.0 - 1)], 1, 0)).await.remove(0);
    assert_eq!(below.error, ErrorCode::OffsetOutOfRange);
    assert_eq!(node.latest(id).await.offset, Offset(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_expire_with_time_and_may_begin_anywhere() {
    let (world, clock) = world_with_clock(34);
    let node = start(&world, &clock).await;
    let id = topic_partition(world.topic(&node, "u", 1, &[]).await, 0);
    let send = |sequence| {
        let sent = super::node::idempotent(&world.seams, (0, sequence), &["v"]);
        node.produce(Acks::All, id, sent)
    };
    assert_eq!(send(0).await.error, ErrorCode::None);
    assert_eq!(send(7).await.error, ErrorCode::OutOfOrderSequenceNumber);
    clock.advance(Duration::from_secs(2 * 86_400));
    eventually(|| async { send(7).await.error == ErrorCode::None }).await;
}
