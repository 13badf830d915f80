//! What becomes of produced batches.

use bytes::{Bytes, BytesMut};
use ottla_api::storage::{Acks, InitProducerIdRequest, topic_partition};
use ottla_metadata::command::ConfigOp;
use ottla_types::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::node::{World, batch, builder, context, eventually, idempotent};

#[tokio::test(flavor = "multi_thread")]
async fn produced_records_are_read_back_in_order() {
    let world = World::new(1);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    for (acks, values) in [(Acks::All, ["a", "b"]), (Acks::Leader, ["c", "d"])] {
        let result = node.produce(acks, id, batch(&world.seams, &values)).await;
        assert_eq!(result.error, ErrorCode::None);
    }
    node.produce(Acks::None, id, batch(&world.seams, &["e"])).await;
    eventually(|| async { node.latest(id).await.offset == Offset(5) }).await;
    assert_eq!(node.values(id, 0).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(node.values(id, 3).await, ["d", "e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_begun_in_order_are_appended_in_order() {
    let mut world = World::new(2);
    world.config.io_threads = 4;
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let names: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    let calls = names.iter().map(|name| node.produce(Acks::All, id, batch(&world.seams, &[name])));
    let results = futures::future::join_all(calls).await;
    assert!(results.iter().enumerate().all(|(n, result)| result.base_offset == Offset(n as i64)));
    assert_eq!(node.values(id, 0).await, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_sent_twice_is_stored_once_and_answered_alike() {
    let world = World::new(3);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["x"])).await;
    let sent = idempotent(&world.seams, (0, 0), &["a", "b"]);
    let first = node.produce(Acks::All, id, sent.clone()).await;
    let second = node.produce(Acks::All, id, sent).await;
    assert_eq!((first.error, first.base_offset), (ErrorCode::None, Offset(1)));
    assert_eq!((second.error, second.base_offset), (ErrorCode::None, Offset(1)));
    assert_eq!(node.values(id, 0).await, ["x", "a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_old_epochs_of_a_producer_are_refused_with_kafkas_codes() {
    let world = World::new(4);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let mut errors = Vec::new();
    for (epoch, sequence) in [(0, 0), (0, 5), (1, 0), (0, 1), (1, 1)] {
        let sent = idempotent(&world.seams, (epoch, sequence), &["v"]);
        errors.push(node.produce(Acks::All, id, sent).await.error);
    }
    assert_eq!(
        errors,
        [
            ErrorCode::None,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::None
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_batches_are_refused_with_kafkas_codes_and_leave_no_trace() {
    let world = World::new(5);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[("max.message.bytes", "200")]).await;
    let id = topic_partition(topic, 0);
    let good = batch(&world.seams, &["v"]);
    let with = |at: usize, byte: u8| {
        let mut bytes = BytesMut::from(&good[..]);
        bytes[at] ^= byte;
        bytes.freeze()
    };
    let (now, long) = (world.seams.clock.wall(), "v".repeat(300));
    let cases = [
        (with(good.len() - 1, 1), ErrorCode::CorruptMessage),
        (good.slice(..good.len() - 1), ErrorCode::CorruptMessage),
        (good.slice(..20), ErrorCode::CorruptMessage),
        (Bytes::from([&good[..], &good[..]].concat()), ErrorCode::InvalidRecord),
        (Bytes::new(), ErrorCode::InvalidRecord),
        (with(16, 3), ErrorCode::UnsupportedForMessageFormat),
        (batch(&world.seams, &[&long]), ErrorCode::MessageTooLarge),
        (builder(now.plus_ms(7_200_000), &["v"]).build(), ErrorCode::InvalidTimestamp),
    ];
    for (records, code) in cases {
        let result = node.produce(Acks::All, id, records).await;
        assert_eq!((result.error, result.base_offset), (code, Offset::NONE));
        assert!(result.error_message.is_some());
    }
    let other = topic_partition(topic, 9);
    let unknown = node.produce(Acks::All, other, good).await.error;
    assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(node.latest(id).await.offset, Offset(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_append_time_is_the_nodes_own() {
    let world = World::new(6);
    let node = world.start().await;
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let id = topic_partition(world.topic(&node, "t", 1, &configs).await, 0);
    let result = node.produce(Acks::All, id, builder(TimestampMs(5), &["v"]).build()).await;
    assert!(result.log_append_time > TimestampMs(1_000_000));
    assert_eq!(node.offset_for(id, -3).await.timestamp, result.log_append_time);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_in_sync_replicas_acks_all_is_refused() {
    let world = World::new(7);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    let id = topic_partition(topic, 0);
    world.controller.alter_topic(topic, "min.insync.replicas", "2");
    eventually(|| async {
        let refused = node.produce(Acks::All, id, batch(&world.seams, &["v"])).await.error;
        refused == ErrorCode::NotEnoughReplicas
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_for_brokers_holds_in_topics_that_run_and_say_nothing_themselves() {
    let world = World::new(10);
    let node = world.start().await;
    let silent = topic_partition(world.topic(&node, "silent", 1, &[]).await, 0);
    let own = [("max.message.bytes", "1000000")];
    let own = topic_partition(world.topic(&node, "own", 1, &own).await, 0);
    let produce = async |id| node.produce(Acks::All, id, batch(&world.seams, &["v"])).await.error;
    assert_eq!(produce(silent).await, ErrorCode::None);
    world.controller.alter_brokers("message.max.bytes", ConfigOp::Set("10".to_owned()));
    eventually(|| async { produce(silent).await == ErrorCode::MessageTooLarge }).await;
    assert_eq!(produce(own).await, ErrorCode::None);
    world.controller.alter_brokers("message.max.bytes", ConfigOp::Delete);
    eventually(|| async { produce(silent).await == ErrorCode::None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_ids_are_handed_out_once() {
    let world = World::new(8);
    let node = world.start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..2_500 {
        let request = InitProducerIdRequest {
            transactional_id: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
        };
        let given = node.storage.init_producer_id(context(), request).await.unwrap();
        assert_eq!(given.error, ErrorCode::None);
        assert!(ids.insert(given.producer_id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_full_is_emptied_while_producers_wait() {
    let mut world = World::new(9);
    world.config.sizes.journal_bytes = 1 << 20;
    let node = world.start().await;
    let topic = world.topic(&node, "t", 8, &[]).await;
    let value = "v".repeat(20_000);
    for round in 0..40 {
        let calls = (0..8).map(|p| {
            node.produce(Acks::All, topic_partition(topic, p), batch(&world.seams, &[&value]))
        });
        for result in futures::future::join_all(calls).await {
            assert_eq!((result.error, result.base_offset), (ErrorCode::None, Offset(round)));
        }
    }
    world.disk.crash();
    node.abandon();
    let node = world.start().await;
    for partition in 0..8 {
        assert_eq!(node.latest(topic_partition(topic, partition)).await.offset, Offset(40));
    }
}
