//! Partitions that cannot be served: for how long, and that a topic's deletion frees their name.

use std::path::Path;

use ottla_api::storage::{Acks, topic_partition};
use ottla_runtime::seams::{Disk as _, OpenMode};
use ottla_types::{ErrorCode, Offset, TopicId};

use super::node::{Node, World, batch, eventually};

/// What happened to a partition's folder while the node was down.
#[derive(Clone, Copy, Debug)]
enum Fault {
    LostSegment,
    /// Nothing says any more whose folder it is.
    LostId,
}

/// A topic of one partition with a record, whose folder is damaged while the node is down.
async fn damaged(world: &World, fault: Fault) -> TopicId {
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    node.produce(Acks::All, topic_partition(topic, 0), batch(&world.seams, &["v"])).await;
    assert!(node.handle.shutdown().await);
    let dir = Path::new("/d/t-0");
    match fault {
        Fault::LostSegment => world.disk.remove_file(&dir.join("00000000000000000000.log")),
        Fault::LostId => {
            let file = world.disk.open(&dir.join("partition.metadata"), OpenMode::ReadWrite);
            file.unwrap().set_len(3)
        }
    }
    .unwrap();
    topic
}

fn folders(world: &World) -> Vec<String> {
    let entries = world.disk.list(Path::new("/d")).unwrap();
    entries.into_iter().filter(|e| e.is_dir && !e.name.starts_with('.')).map(|e| e.name).collect()
}

async fn error_of(node: &Node, topic: TopicId) -> ErrorCode {
    node.latest(topic_partition(topic, 0)).await.error
}

/// A topic of the same name can be used.
async fn assert_name_is_free(world: &World, node: &Node) {
    let id = topic_partition(world.topic(node, "t", 1, &[]).await, 0);
    let result = node.produce(Acks::All, id, batch(&world.seams, &["new"])).await;
    assert_eq!((result.error, result.base_offset), (ErrorCode::None, Offset(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_in_quarantine_is_refused_until_a_person_ends_it() {
    let world = World::new(61);
    let topic = damaged(&world, Fault::LostSegment).await;
    for _ in 0..2 {
        let node = world.start().await;
        assert_eq!(error_of(&node, topic).await, ErrorCode::KafkaStorageError);
        assert!(node.handle.shutdown().await);
        let node = world.start().await;
        assert_eq!(error_of(&node, topic).await, ErrorCode::KafkaStorageError);
        world.disk.crash();
        node.abandon();
    }
    world.disk.remove_file(Path::new("/d/t-0/quarantined")).unwrap();
    let node = world.start().await;
    node.is_serving(topic_partition(topic, 0)).await;
    let result =
        node.produce(Acks::All, topic_partition(topic, 0), batch(&world.seams, &["w"])).await;
    assert_eq!((result.error, result.base_offset), (ErrorCode::None, Offset(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_topic_in_quarantine_frees_its_name() {
    for fault in [Fault::LostSegment, Fault::LostId] {
        let world = World::new(62);
        let topic = damaged(&world, fault).await;
        let node = world.start().await;
        assert_eq!(error_of(&node, topic).await, ErrorCode::KafkaStorageError, "{fault:?}");
        world.controller.delete_topic(topic);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        eventually(|| async { error_of(&node, topic).await == unknown }).await;
        assert_name_is_free(&world, &node).await;
        let names = folders(&world);
        assert!(names.len() == 2 && names.iter().any(|n| n.ends_with("-delete")), "{names:?}");
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_in_quarantine_that_was_deleted_meanwhile_is_set_aside() {
    for fault in [Fault::LostSegment, Fault::LostId] {
        let world = World::new(63);
        let topic = damaged(&world, fault).await;
        let node = world.start().await;
        assert_eq!(error_of(&node, topic).await, ErrorCode::KafkaStorageError, "{fault:?}");
        assert!(node.handle.shutdown().await);
        world.controller.delete_topic(topic);
        let node = world.start().await;
        assert_name_is_free(&world, &node).await;
        assert_eq!(folders(&world), ["t-0", "t-0-stray"], "{fault:?}");
        node.abandon();
    }
}
