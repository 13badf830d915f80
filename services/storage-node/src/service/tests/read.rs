//! Fetching and finding offsets.

use std::time::Duration;

use ottla_api::storage::{Acks, DescribeLogDirsRequest, topic_partition};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};

use super::node::{World, batch, builder, bytes_of, context, fetch_request};

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_records_of_any_of_its_partitions() {
    for io_threads in [1, 4] {
        let mut world = World::new(11);
        world.config.io_threads = io_threads;
        let node = world.start().await;
        let topic = world.topic(&node, "t", 8, &[]).await;
        for target in 0..8 {
            let parts: Vec<_> = (0..8).map(|p| (topic_partition(topic, p), 0)).collect();
            let parts: Vec<_> = parts.into_iter().skip(target).collect();
            let waiting = node.fetch(fetch_request(&parts, 1, 60_000));
            let produced = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let id = topic_partition(topic, target as i32);
                node.produce(Acks::All, id, batch(&world.seams, &["v"])).await
            };
            let (fetched, produced) = futures::join!(waiting, produced);
            assert_eq!(produced.error, ErrorCode::None);
            assert!(!fetched[0].records.is_empty(), "{io_threads} shards, partition {target}");
            assert_eq!(fetched[0].high_watermark, Offset(1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_for_enough_bytes() {
    for io_threads in [1, 4] {
        let mut world = World::new(12);
        world.config.io_threads = io_threads;
        let node = world.start().await;
        let topic = world.topic(&node, "t", 2, &[]).await;
        let ids = [topic_partition(topic, 0), topic_partition(topic, 1)];
        let one = batch(&world.seams, &["v"]);
        let parts = [(ids[0], 0), (ids[1], 0)];
        let min_bytes = 3 * one.len() as i32;
        let waiting = node.fetch(fetch_request(&parts, min_bytes, 60_000));
        let producing = async {
            for id in [ids[0], ids[1], ids[0]] {
                node.produce(Acks::All, id, one.clone()).await;
            }
        };
        let (fetched, ()) = futures::join!(waiting, producing);
        let bytes: usize = fetched.iter().map(|part| part.records.len()).sum();
        assert_eq!(bytes, 3 * one.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_waited_long_enough_is_answered_empty() {
    for io_threads in [1, 4] {
        let mut world = World::new(13);
        world.config.io_threads = io_threads;
        let node = world.start().await;
        let topic = world.topic(&node, "t", 2, &[]).await;
        let parts = [(topic_partition(topic, 0), 0), (topic_partition(topic, 1), 0)];
        for parts in [&parts[..1], &parts[..]] {
            let fetched = node.fetch(fetch_request(parts, 1, 30)).await;
            assert!(fetched.iter().all(|p| p.records.is_empty() && p.error == ErrorCode::None));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_gives_at_least_one_batch_and_no_more_than_asked_for() {
    let mut world = World::new(14);
    world.config.io_threads = 4;
    let node = world.start().await;
    let topic = world.topic(&node, "t", 4, &[]).await;
    let value = "v".repeat(1_000);
    let one = batch(&world.seams, &[&value]);
    for partition in 0..4 {
        for _ in 0..5 {
            node.produce(Acks::All, topic_partition(topic, partition), one.clone()).await;
        }
    }
    let parts: Vec<_> = (0..4).map(|p| (topic_partition(topic, p), 0)).collect();
    for (max_bytes, batches) in [(1, 1), (3 * one.len(), 3), (1 << 20, 20)] {
        let mut request = fetch_request(&parts, 1, 0);
        request.max_bytes = max_bytes as i32;
        let fetched = node.fetch(request).await;
        let bytes: usize = fetched.iter().map(|part| bytes_of(&part.records).len()).sum();
        assert_eq!(bytes, batches * one.len(), "max_bytes={max_bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_out_of_range_and_wrong_epochs_are_told_at_once() {
    let world = World::new(15);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    let id = topic_partition(topic, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
    let fetch = |offset, epoch| {
        let mut request = fetch_request(&[(id, offset)], 1, 60_000);
        request.partitions[0].current_leader_epoch = LeaderEpoch(epoch);
        let node = &node;
        async move { node.fetch(request).await.remove(0).error }
    };
    assert_eq!(fetch(2, -1).await, ErrorCode::OffsetOutOfRange);
    assert_eq!(fetch(-1, -1).await, ErrorCode::OffsetOutOfRange);
    assert_eq!(fetch(0, 99).await, ErrorCode::UnknownLeaderEpoch);
    let absent = [(topic_partition(topic, 5), 0)];
    let unknown = node.fetch(fetch_request(&absent, 1, 60_000)).await.remove(0).error;
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_time() {
    let world = World::new(16);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let now = world.seams.clock.wall().0;
    for at in [now - 30, now - 10, now - 20] {
        node.produce(Acks::All, id, builder(TimestampMs(at), &["v"]).build()).await;
    }
    let mut found = Vec::new();
    for timestamp in [-1, -2, -3, -4, -5, now - 25, now - 10, now] {
        found.push(node.offset_for(id, timestamp).await.offset.0);
    }
    assert_eq!(found, [3, 0, 1, 0, -1, 1, 1, -1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_are_described_with_their_partitions() {
    let mut world = World::new(17);
    world.config.log_dirs = vec!["/a".into(), "/b".into()];
    world.config.io_threads = 4;
    let node = world.start().await;
    let topic = world.topic(&node, "t", 4, &[]).await;
    node.produce(Acks::All, topic_partition(topic, 0), batch(&world.seams, &["v"])).await;
    let request = DescribeLogDirsRequest { partitions: None };
    let described = node.storage.describe_log_dirs(context(), request).await.unwrap();
    let counts: Vec<_> = described.directories.iter().map(|d| d.partitions.len()).collect();
    assert_eq!(counts, [2, 2]);
    let sizes: i64 =
        described.directories.iter().flat_map(|d| &d.partitions).map(|p| p.size_bytes).sum();
    assert_eq!(sizes, batch(&world.seams, &["v"]).len() as i64);
    world.disk.set_capacity_bytes(Some(1 << 30));
    let request = DescribeLogDirsRequest { partitions: None };
    let described = node.storage.describe_log_dirs(context(), request).await.unwrap();
    for directory in &described.directories {
        assert_eq!(directory.total_bytes, 1 << 30);
        assert!((1..1 << 30).contains(&directory.usable_bytes));
    }
    world.disk.set_capacity_bytes(None);
    let only = Some(vec![topic_partition(topic, 2)]);
    let request = DescribeLogDirsRequest { partitions: only };
    let described = node.storage.describe_log_dirs(context(), request).await.unwrap();
    let count: usize = described.directories.iter().map(|d| d.partitions.len()).sum();
    assert_eq!(count, 1);
}
