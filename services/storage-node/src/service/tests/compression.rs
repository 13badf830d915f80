//! Batches that are stored with the topic's compression instead of the producer's.

use bytes::Bytes;
use ottla_api::storage::{Acks, topic_partition};
use ottla_log_format::{BatchHeader, Codec, TimestampType};
use ottla_types::{ErrorCode, Offset, TopicPartition};

use super::node::{Node, World, builder, bytes_of, eventually, fetch_request, idempotent};

const TYPES: [(&str, Codec); 5] = [
    ("uncompressed", Codec::None),
    ("gzip", Codec::Gzip),
    ("snappy", Codec::Snappy),
    ("lz4", Codec::Lz4),
    ("zstd", Codec::Zstd),
];

/// A batch of one producer that packs well.
fn packed(world: &World, codec: Codec, sequence: i32) -> Bytes {
    let value = "v".repeat(1_000);
    let batch = builder(world.seams.clock.wall(), &[&value, "b"]).codec(codec);
    let producer = (ottla_types::ProducerId(7), ottla_types::ProducerEpoch(0));
    batch.producer(producer.0, producer.1, ottla_types::Sequence(sequence)).try_build().unwrap()
}

/// The headers of all batches that a reader gets.
async fn headers(node: &Node, id: TopicPartition) -> Vec<BatchHeader> {
    let fetched = node.fetch(fetch_request(&[(id, 0)], 0, 0)).await.remove(0);
    let bytes = bytes_of(&fetched.records);
    ottla_log_format::batches(&bytes)
        .map(|batch| {
            let batch = batch.unwrap();
            ottla_log_format::validate_stored(batch.bytes).unwrap()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_stored_as_the_topic_says_and_keep_what_they_say() {
    let world = World::new(41);
    let node = world.start().await;
    for (name, codec) in TYPES {
        let configs = [("compression.type", name), ("message.timestamp.type", "LogAppendTime")];
        let id = topic_partition(world.topic(&node, name, 1, &configs).await, 0);
        for (at, (_, from)) in (0_i64..).zip(TYPES) {
            let batch = packed(&world, from, i32::try_from(at).unwrap() * 2);
            for _ in 0..2 {
                // The second one is known.
                let result = node.produce(Acks::All, id, batch.clone()).await;
                assert_eq!((result.error, result.base_offset), (ErrorCode::None, Offset(at * 2)));
            }
        }
        let stored = headers(&node, id).await;
        assert_eq!(stored.len(), TYPES.len());
        for (at, header) in (0..).zip(&stored) {
            assert_eq!(header.attributes.codec(), Some(codec), "{name}");
            assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!((header.base_sequence.0, header.producer_id.0), (at * 2, 7));
            assert_eq!((header.base_offset, header.record_count), (Offset(i64::from(at) * 2), 2));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_size_holds_for_what_came_and_for_what_is_stored() {
    let world = World::new(42);
    let node = world.start().await;
    for (name, from, expected) in [
        ("gzip", Codec::None, ErrorCode::MessageTooLarge),
        ("uncompressed", Codec::Gzip, ErrorCode::MessageTooLarge),
        ("zstd", Codec::Gzip, ErrorCode::None),
    ] {
        let configs = [("compression.type", name), ("max.message.bytes", "500")];
        let id = topic_partition(world.topic(&node, name, 1, &configs).await, 0);
        let result = node.produce(Acks::All, id, packed(&world, from, 0)).await;
        assert_eq!(result.error, expected, "{from:?} to {name}");
    }
    let topic = world.topic(&node, "broken", 1, &[("compression.type", "zstd")]).await;
    let mut broken = idempotent(&world.seams, (0, 0), &["not gzip at all"]).to_vec();
    broken[22] |= 1;
    let crc = crc32c::crc32c(&broken[ottla_log_format::CRC_START..]);
    broken[17..21].copy_from_slice(&crc.to_be_bytes());
    let result = node.produce(Acks::All, topic_partition(topic, 0), broken.into()).await;
    assert_eq!(result.error, ErrorCode::InvalidRecord);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topics_compression_can_be_changed_and_outlives_a_restart() {
    let world = World::new(43);
    let mut node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let produce = async |node: &Node, sequence: i32| {
        node.produce(Acks::All, id, packed(&world, Codec::None, sequence * 2)).await;
        headers(node, id).await.pop().unwrap().attributes.codec()
    };
    assert_eq!(produce(&node, 0).await, Some(Codec::None));
    world.controller.alter_topic(id.topic, "compression.type", "lz4");
    let mut sequence = 0;
    eventually(|| {
        sequence += 1;
        let (node, produce) = (&node, &produce);
        async move { produce(node, sequence).await == Some(Codec::Lz4) }
    })
    .await;
    node.abandon();
    node = world.start().await;
    node.is_serving(id).await;
    assert_eq!(produce(&node, sequence + 1).await, Some(Codec::Lz4));
}
