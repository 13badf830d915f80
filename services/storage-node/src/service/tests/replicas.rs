//! Records deleted before an offset, ends of epochs, producers that are remembered.

use ottla_api::storage::{
    Acks, DeleteRecordsPartition, DeleteRecordsRequest, DescribeProducersRequest,
    EpochEndPartition, EpochEndRequest, topic_partition,
};
use ottla_runtime::seams::Disk as _;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, ProducerId, Sequence, TopicPartition};

use super::node::{Node, World, batch, context, eventually, fetch_request, idempotent};

async fn delete(node: &Node, id: TopicPartition, before: i64) -> (ErrorCode, i64) {
    let part = DeleteRecordsPartition { partition: id, before: Offset(before) };
    let request = DeleteRecordsRequest { partitions: vec![part] };
    let deleted = node.storage.delete_records(context(), request).await.unwrap().partitions[0];
    assert_eq!(deleted.partition, id);
    (deleted.error, deleted.low_watermark.0)
}

async fn fill(world: &World, node: &Node, id: TopicPartition, values: std::ops::Range<i32>) {
    for value in values {
        let value = value.to_string();
        let result = node.produce(Acks::All, id, batch(&world.seams, &[&value])).await;
        assert_eq!(result.error, ErrorCode::None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_before_an_offset_are_gone_for_readers_at_once() {
    let world = World::new(31);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    fill(&world, &node, id, 0..5).await;
    assert_eq!(delete(&node, id, 3).await, (ErrorCode::None, 3));
    assert_eq!(node.values(id, 3).await, ["3", "4"]);
    assert_eq!(node.offset_for(id, -2).await.offset, Offset(3));
    let below = node.fetch(fetch_request(&[(id, 2)], 1, 60_000)).await.remove(0);
    assert_eq!(below.error, ErrorCode::OffsetOutOfRange);
    // What is gone already is no error, and nothing comes back.
    assert_eq!(delete(&node, id, 1).await, (ErrorCode::None, 3));
    assert_eq!(delete(&node, id, 6).await, (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&node, id, -2).await, (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&node, id, -1).await, (ErrorCode::None, 5));
    fill(&world, &node, id, 5..7).await;
    assert_eq!(node.values(id, 5).await, ["5", "6"]);
    let absent = TopicPartition { partition: ottla_types::PartitionIndex(9), ..id };
    assert_eq!(delete(&node, absent, 0).await, (ErrorCode::UnknownTopicOrPartition, -1));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_compacted_topic_are_not_deleted_unless_its_policy_deletes() {
    let world = World::new(32);
    let node = world.start().await;
    let policies = [("compact", ErrorCode::PolicyViolation), ("compact,delete", ErrorCode::None)];
    for (policy, expected) in policies {
        let name = policy.replace(',', "-");
        let topic = world.topic(&node, &name, 1, &[("cleanup.policy", policy)]).await;
        let id = topic_partition(topic, 0);
        fill(&world, &node, id, 0..2).await;
        assert_eq!(delete(&node, id, 1).await.0, expected, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_deletion_survives_a_power_cut_whatever_checkpoint_was_under_way() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.config.sizes.journal_bytes = 1 << 20;
        let node = world.start().await;
        let topic = world.topic(&node, "t", 2, &[]).await;
        let ids = [topic_partition(topic, 0), topic_partition(topic, 1)];
        for round in 0..6_i32 {
            // Enough for the journal to be retired, so that checkpoints run beside the deletions.
            let large = "v".repeat(200_000);
            let producing = node.produce(Acks::All, ids[1], batch(&world.seams, &[&large]));
            let deleting = async {
                fill(&world, &node, ids[0], round..round + 1).await;
                delete(&node, ids[0], i64::from(round)).await
            };
            let (_, deleted) = futures::join!(producing, deleting);
            assert_eq!(deleted, (ErrorCode::None, i64::from(round)));
        }
        world.disk.crash_losing_all();
        node.abandon();
        let node = world.start().await;
        assert_eq!(node.offset_for(ids[0], -2).await.offset, Offset(5), "seed {seed}");
        assert_eq!(node.values(ids[0], 5).await, ["5"]);
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_the_disk_does_not_take_is_not_answered_as_done() {
    let world = World::new(33);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    fill(&world, &node, id, 0..4).await;
    world.disk.fail_sync(|path| path.to_string_lossy().contains("log-start-offset"));
    assert_eq!(delete(&node, id, 2).await, (ErrorCode::KafkaStorageError, -1));
    world.disk.heal();
    assert_eq!(node.offset_for(id, -2).await.offset, Offset(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_the_first_records_were_deleted_is_known_as_a_duplicate_after_a_restart() {
    let world = World::new(37);
    let mut node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let sent = idempotent(&world.seams, (3, 0), &["a", "b", "c"]);
    node.produce(Acks::All, id, sent.clone()).await;
    assert_eq!(delete(&node, id, 1).await, (ErrorCode::None, 1));
    node.abandon();
    node = world.start().await;
    node.is_serving(id).await;
    let again = node.produce(Acks::All, id, sent).await;
    assert_eq!((again.error, again.base_offset), (ErrorCode::None, Offset(0)));
    assert_eq!(node.values(id, 1).await, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_wholly_before_the_first_offset_are_removed_later() {
    let mut world = World::new(34);
    world.config.timing.retention_check_interval = std::time::Duration::from_millis(20);
    let node = world.start().await;
    let configs = [("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")];
    let id = topic_partition(world.topic(&node, "t", 1, &configs).await, 0);
    let value = "v".repeat(600_000);
    for _ in 0..4 {
        node.produce(Acks::All, id, batch(&world.seams, &[&value])).await;
    }
    let first = "/d/t-0/00000000000000000000.log";
    assert!(world.disk.exists(std::path::Path::new(first)).unwrap());
    assert_eq!(delete(&node, id, 3).await, (ErrorCode::None, 3));
    let is_gone = || !world.disk.exists(std::path::Path::new(first)).unwrap();
    eventually(|| async { is_gone() }).await;
    assert_eq!(node.values(id, 3).await, [value]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_epochs_are_told_by_the_leader_of_the_epoch() {
    let world = World::new(35);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    fill(&world, &node, id, 0..3).await;
    let epoch = node.latest(id).await.leader_epoch;
    let ask = |current: LeaderEpoch, asked: LeaderEpoch| {
        let part =
            EpochEndPartition { partition: id, current_leader_epoch: current, leader_epoch: asked };
        let request = EpochEndRequest { partitions: vec![part] };
        let node = &node;
        async move {
            let end = node.storage.epoch_ends(context(), request).await.unwrap().partitions[0];
            (end.error, end.leader_epoch, end.end_offset.0)
        }
    };
    let newer = LeaderEpoch(epoch.0 + 1);
    assert_eq!(ask(epoch, epoch).await, (ErrorCode::None, epoch, 3));
    assert_eq!(ask(LeaderEpoch::NONE, newer).await, (ErrorCode::None, LeaderEpoch::NONE, -1));
    assert_eq!(
        ask(LeaderEpoch::NONE, LeaderEpoch::NONE).await,
        (ErrorCode::None, LeaderEpoch::NONE, -1)
    );
    assert_eq!(ask(newer, epoch).await, (ErrorCode::UnknownLeaderEpoch, LeaderEpoch::NONE, -1));
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_described_also_after_a_restart() {
    let world = World::new(36);
    let mut node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 2, &[]).await, 0);
    let other = topic_partition(id.topic, 1);
    node.produce(Acks::All, id, idempotent(&world.seams, (3, 0), &["a", "b"])).await;
    fill(&world, &node, other, 0..1).await;
    for _ in 0..2 {
        let request = DescribeProducersRequest { partitions: vec![other, id] };
        let told = node.storage.describe_producers(context(), request).await.unwrap().partitions;
        assert!(told[0].producers.is_empty());
        let [producer] = told[1].producers[..] else { panic!("{:?}", told[1]) };
        assert_eq!((producer.id, producer.epoch.0), (ProducerId(7), 3));
        assert_eq!((producer.last_sequence, producer.transaction_start.0), (Sequence(1), -1));
        assert!((world.seams.clock.wall().0 - producer.last_timestamp.0).abs() < 60_000);
        node.abandon();
        node = world.start().await;
        node.is_serving(other).await;
    }
}
