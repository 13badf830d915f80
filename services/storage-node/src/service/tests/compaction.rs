//! Compaction beside produces and fetches, as clients see it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_api::storage::{Acks, topic_partition};
use ottla_log_format::{BatchBuilder, Codec, Records, batches};
use ottla_types::{ErrorCode, Offset, TopicPartition};

use super::node::{Node, World, bytes_of, context, eventually, fetch_request};

const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("file.delete.delay.ms", "0"),
];
/// Bytes of a value: five batches of four records fill a segment.
const VALUE_BYTES: usize = 50_000;

fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.config.cleaner.backoff = Duration::from_millis(5);
    world
}

/// A batch of four records under four keys of eight; the values tell their number.
fn batch(world: &World, number: usize, codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(Offset(0)).codec(codec);
    for index in number * 4..number * 4 + 4 {
        let value = format!("{index} {}", "x".repeat(VALUE_BYTES));
        let key = format!("key {}", index % 8);
        builder.push(world.seams.clock.wall(), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.try_build().unwrap()
}

/// What a reader from the start has in the end: by key, the number that its last value tells; and how many records it saw.
async fn read(node: &Node, id: TopicPartition) -> (BTreeMap<String, usize>, usize) {
    let (mut last, mut count, mut next) = (BTreeMap::new(), 0, 0);
    loop {
        let result = node.fetch(fetch_request(&[(id, next)], 0, 0)).await.remove(0);
        assert_eq!(result.error, ErrorCode::None);
        let bytes = bytes_of(&result.records);
        if bytes.is_empty() {
            return (last, count);
        }
        for batch in batches(&bytes).map(Result::unwrap) {
            let payload = &batch.bytes[ottla_log_format::BATCH_HEADER_BYTES..];
            let codec = batch.header.attributes.codec().unwrap();
            let inflate = ottla_log_format::compression::decompress;
            let payload = inflate(codec, payload, 1 << 24).unwrap();
            for record in Records::over(&batch.header, &payload).map(Result::unwrap) {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let value = text(record.value.unwrap());
                let number = value.split(' ').next().unwrap().parse().unwrap();
                last.insert(text(record.key.unwrap()), number);
                count += 1;
            }
            next = next.max(batch.header.next_offset().0);
        }
    }
}

async fn size(node: &Node) -> i64 {
    let request = ottla_api::storage::DescribeLogDirsRequest { partitions: None };
    let response = node.storage.describe_log_dirs(context(), request).await.unwrap();
    response.directories.iter().flat_map(|dir| &dir.partitions).map(|one| one.size_bytes).sum()
}

fn expected(batches: usize) -> BTreeMap<String, usize> {
    (0..batches * 4).map(|index| (format!("key {}", index % 8), index)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_compacted_while_it_is_written_and_read() {
    let world = world(41);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, CONFIGS).await, 0);
    for number in 0..60 {
        let codec = if number % 2 == 0 { Codec::None } else { Codec::Lz4 };
        let produced = node.produce(Acks::All, id, batch(&world, number, codec)).await;
        assert_eq!(
            (produced.error, produced.base_offset),
            (ErrorCode::None, Offset(number as i64 * 4))
        );
        let (last, _) = read(&node, id).await;
        assert_eq!(last, expected(number + 1), "after batch {number}");
    }
    // Six megabytes and 240 records were written; what is left are the last values, and a segment that is not closed.
    eventually(|| async { size(&node).await < 3 << 20 && read(&node, id).await.1 < 80 }).await;
    assert_eq!(read(&node, id).await.0, expected(60));
    node.abandon();
    world.disk.crash();
    let node = world.start().await;
    node.is_serving(id).await;
    assert_eq!(read(&node, id).await.0, expected(60));
    assert_eq!(node.latest(id).await.offset, Offset(240));
    assert!(node.handle.shutdown().await, "a clean stop");
    let node = world.start().await;
    node.is_serving(id).await;
    assert_eq!(read(&node, id).await.0, expected(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_a_key_is_refused_by_a_compacted_topic_only() {
    let world = world(42);
    let node = world.start().await;
    let compacted = topic_partition(world.topic(&node, "c", 1, CONFIGS).await, 0);
    let other = topic_partition(world.topic(&node, "d", 1, &[]).await, 0);
    for codec in [Codec::None, Codec::Zstd] {
        let now = world.seams.clock.wall();
        let builder = BatchBuilder::new(Offset(0)).codec(codec);
        let records = builder
            .record(now, Some(b"key"), Some(b"value"))
            .record(now, None, Some(b"value"))
            .try_build()
            .unwrap();
        let refused = node.produce(Acks::All, compacted, records.clone()).await;
        assert_eq!((refused.error, refused.base_offset), (ErrorCode::InvalidRecord, Offset::NONE));
        let why = "Compacted topic cannot accept message without key in topic partition c-0.";
        assert_eq!(refused.record_errors, [(1, why.to_owned())]);
        assert!(refused.error_message.unwrap().contains("due to 1 record errors in total"));
        assert_eq!(node.produce(Acks::All, other, records).await.error, ErrorCode::None);
    }
    assert_eq!(node.latest(compacted).await.offset, Offset(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_and_made_anew_is_not_touched_by_the_compaction_of_the_old_one() {
    let mut world = world(43);
    // So slow that the topic is gone before its compaction ends.
    world.config.cleaner.max_bytes_per_second = Some(2 << 20);
    let node = world.start().await;
    for round in 0..3 {
        let id = topic_partition(world.topic(&node, "t", 1, CONFIGS).await, 0);
        for number in 0..20 {
            let produced = node.produce(Acks::All, id, batch(&world, number, Codec::None)).await;
            assert_eq!(produced.error, ErrorCode::None, "round {round}");
        }
        assert_eq!(read(&node, id).await.0, expected(20));
        world.controller.delete_topic(id.topic);
        let error = ErrorCode::UnknownTopicOrPartition;
        eventually(|| async { node.latest(id).await.error == error }).await;
    }
}
