//! What survives: kills, power cuts, disks that fail; and that known bugs are found by the same tests.

use std::path::Path;

use ottla_api::storage::{Acks, topic_partition};
use ottla_runtime::seams::Disk as _;
use ottla_types::{ErrorCode, Offset};

use super::node::{World, batch, eventually, idempotent};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_records_survive_a_power_cut() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.config.io_threads = 2;
        // Fewer and more than there are partitions.
        world.config.recovery_threads = 1 + usize::try_from(seed).unwrap() % 4;
        let node = world.start().await;
        let topic = world.topic(&node, "t", 3, &[]).await;
        for value in 0..30 {
            let id = topic_partition(topic, value % 3);
            let value = value.to_string();
            let result = node.produce(Acks::All, id, batch(&world.seams, &[&value])).await;
            assert_eq!(result.error, ErrorCode::None);
        }
        world.disk.crash_losing_all();
        node.abandon();
        let node = world.start().await;
        for partition in 0..3 {
            let expected: Vec<_> =
                (0..30).filter(|v| v % 3 == partition).map(|v| v.to_string()).collect();
            assert_eq!(node.values(topic_partition(topic, partition), 0).await, expected);
        }
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_crash_point_what_was_acknowledged_is_there_and_in_order() {
    for point in 0..48 {
        let world = World::new(point);
        let node = world.start().await;
        let topic = world.topic(&node, "t", 2, &[]).await;
        world.disk.cut_power_after(point);
        let mut acknowledged = [0; 2];
        for value in 0..16 {
            let partition = value % 2;
            let id = topic_partition(topic, partition as i32);
            let value = value.to_string();
            let result = node.produce(Acks::All, id, batch(&world.seams, &[&value])).await;
            let is_next = result.base_offset == Offset(acknowledged[partition]);
            acknowledged[partition] += i64::from(result.error == ErrorCode::None && is_next);
        }
        // Unsynced writes are kept, lost or torn, as the seed decides.
        world.disk.crash();
        node.abandon();
        let node = world.start().await;
        for partition in 0..2 {
            let values = node.values(topic_partition(topic, partition), 0).await;
            let sent: Vec<_> =
                (0..16).filter(|v| v % 2 == partition).map(|v| v.to_string()).collect();
            assert!(values.len() as i64 >= acknowledged[partition as usize], "crash point {point}");
            assert_eq!(values, sent[..values.len()], "crash point {point}");
        }
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_making_partitions_leaves_nothing_that_cannot_serve() {
    for point in 0..24 {
        let world = World::new(point);
        let node = world.start().await;
        world.disk.cut_power_after(point);
        let topic = world.controller.create_topic("t", 2, &[]);
        let id = topic_partition(topic, 0);
        let told = |error| error != ErrorCode::UnknownTopicOrPartition;
        eventually(|| async { told(node.latest(id).await.error) }).await;
        world.disk.crash();
        node.abandon();
        let node = world.start().await;
        for partition in 0..2 {
            let id = topic_partition(topic, partition);
            let result = node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
            assert_eq!(result.error, ErrorCode::None, "crash point {point}");
        }
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_directories_all_failed_says_so() {
    let mut world = World::new(25);
    world.config.log_dirs = vec!["/a".into(), "/b".into()];
    let node = world.start().await;
    let topic = world.topic(&node, "t", 2, &[]).await;
    let first_in_a = topic_partition(topic, 0);
    world.disk.fail_sync(|path| path.starts_with("/a"));
    let result = node.produce(Acks::All, first_in_a, batch(&world.seams, &["v"])).await;
    assert_eq!(result.error, ErrorCode::KafkaStorageError);
    // What is made now goes to the sound directory.
    for name in ["u", "v", "w"] {
        let id = topic_partition(world.topic(&node, name, 1, &[]).await, 0);
        let result = node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
        assert_eq!(result.error, ErrorCode::None);
    }
    world.disk.fail_sync(|_| true);
    let second_in_b = topic_partition(topic, 1);
    node.produce(Acks::All, second_in_b, batch(&world.seams, &["v"])).await;
    node.handle.failed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_messages_and_flush_ms_are_obeyed_without_anybody_waiting() {
    for configs in [
        [("flush.messages", "3"), ("flush.ms", "9223372036854775807")],
        [("flush.messages", "1000"), ("flush.ms", "20")],
    ] {
        let world = World::new(26);
        let node = world.start().await;
        let id = topic_partition(world.topic(&node, "t", 1, &configs).await, 0);
        let before = recovery_point(&world);
        for value in ["a", "b", "c"] {
            node.produce(Acks::All, id, batch(&world.seams, &[value])).await;
        }
        eventually(|| async { recovery_point(&world) != before }).await;
        world.disk.crash_losing_all();
        node.abandon();
        let node = world.start().await;
        assert_eq!(node.values(id, 0).await, ["a", "b", "c"]);
    }
}

/// What the file of recovery points says.
fn recovery_point(world: &World) -> Option<Vec<u8>> {
    let path = Path::new("/d/recovery-point-offset-checkpoint");
    let file = world.disk.open(path, ottla_runtime::seams::OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_known_again_after_a_power_cut_and_after_a_clean_stop() {
    let world = World::new(20);
    let mut node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    for sequence in 0..8 {
        let sent = idempotent(&world.seams, (2, sequence), &["v"]);
        assert_eq!(node.produce(Acks::All, id, sent).await.error, ErrorCode::None);
    }
    for is_clean in [false, true, true] {
        if is_clean {
            assert!(node.handle.shutdown().await);
        } else {
            world.disk.crash_losing_all();
            node.abandon();
        }
        node = world.start().await;
        node.is_serving(id).await;
        // A client with five batches in flight may send any of them again.
        for sequence in 3..8 {
            let sent = idempotent(&world.seams, (2, sequence), &["v"]);
            let again = node.produce(Acks::All, id, sent).await;
            let found = (again.error, again.base_offset);
            assert_eq!(found, (ErrorCode::None, Offset(i64::from(sequence))));
        }
        let gap = node.produce(Acks::All, id, idempotent(&world.seams, (2, 10), &["v"])).await;
        assert_eq!(gap.error, ErrorCode::OutOfOrderSequenceNumber);
    }
    assert_eq!(node.latest(id).await.offset, Offset(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_flush_messages_above_one_a_killed_process_loses_nothing() {
    let world = World::new(21);
    let node = world.start().await;
    let configs = [("flush.messages", "1000")];
    let id = topic_partition(world.topic(&node, "t", 1, &configs).await, 0);
    for value in ["a", "b", "c"] {
        let result = node.produce(Acks::All, id, batch(&world.seams, &[value])).await;
        assert_eq!(result.error, ErrorCode::None);
    }
    world.disk.kill_process();
    node.abandon();
    let node = world.start().await;
    assert_eq!(node.values(id, 0).await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sync_error_nothing_is_acknowledged_any_more() {
    let world = World::new(22);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["kept"])).await;
    world.disk.fail_sync(|_| true);
    for _ in 0..2 {
        let result = node.produce(Acks::All, id, batch(&world.seams, &["lost"])).await;
        assert_eq!(result.error, ErrorCode::KafkaStorageError);
        world.disk.heal();
    }
    world.disk.crash_losing_all();
    node.abandon();
    let node = world.start().await;
    assert_eq!(node.values(id, 0).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_batches_and_keeps_what_it_has() {
    let world = World::new(23);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["kept"])).await;
    world.disk.set_capacity_bytes(Some(1));
    let refused = node.produce(Acks::All, id, batch(&world.seams, &["refused"])).await;
    assert_eq!(refused.error, ErrorCode::KafkaStorageError);
    world.disk.set_capacity_bytes(None);
    let accepted = node.produce(Acks::All, id, batch(&world.seams, &["more"])).await;
    assert_eq!((accepted.error, accepted.base_offset), (ErrorCode::None, Offset(1)));
    assert_eq!(node.values(id, 0).await, ["kept", "more"]);
}

/// Acknowledged records that a power cut loses, over some seeds.
#[cfg(feature = "mutants")]
async fn losses_with(mutant: crate::mutant::Mutant) -> usize {
    let mut lost = 0;
    for seed in 0..4 {
        let mut world = World::new(seed);
        world.config.mutant = Some(mutant);
        let node = world.start().await;
        let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
        let mut acknowledged = 0;
        // The power goes in the middle of some round.
        world.disk.cut_power_after(20 + seed);
        for value in 0..50 {
            let value = value.to_string();
            let result = node.produce(Acks::All, id, batch(&world.seams, &[&value])).await;
            acknowledged += usize::from(result.error == ErrorCode::None);
        }
        world.disk.crash_losing_all();
        node.abandon();
        let node = world.start().await;
        lost += acknowledged.saturating_sub(node.values(id, 0).await.len());
        node.abandon();
    }
    lost
}

#[cfg(feature = "mutants")]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_sync_is_found_out() {
    assert!(losses_with(crate::mutant::Mutant::NoSync).await > 0);
}

#[cfg(feature = "mutants")]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_before_the_watermark_is_found_out() {
    assert!(losses_with(crate::mutant::Mutant::AnswerBeforeWatermark).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_partition_is_not_served_and_the_others_are() {
    let world = World::new(24);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 2, &[]).await;
    for partition in 0..2 {
        for _ in 0..3 {
            let id = topic_partition(topic, partition);
            node.produce(Acks::All, id, batch(&world.seams, &["value"])).await;
        }
    }
    assert!(node.handle.shutdown().await);
    // The last byte of the first batch: a batch that is whole follows, and a write that was lost leaves a zero there.
    let segment = Path::new("/d/t-0/00000000000000000000.log");
    let first = batch(&world.seams, &["value"]).len() as u64;
    world.disk.flip_bit(segment, (first - 1) * 8).unwrap();
    remove_marker(&world);
    let node = world.start().await;
    node.is_serving(topic_partition(topic, 1)).await;
    let id = topic_partition(topic, 0);
    eventually(|| async {
        node.produce(Acks::All, id, batch(&world.seams, &["x"])).await.error
            == ErrorCode::KafkaStorageError
    })
    .await;
}

/// An unclean stop, as far as recovery is concerned: it reads all again, and has no journal to mend it from.
fn remove_marker(world: &World) {
    let dir = Path::new("/d");
    for entry in world.disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        match entry.name.as_str() {
            ".kafka_cleanshutdown" | "recovery-point-offset-checkpoint" => {
                world.disk.remove_file(&path).unwrap();
            }
            name if name.contains("journal") => world.disk.remove_dir_all(&path).unwrap(),
            _ => {}
        }
    }
}
