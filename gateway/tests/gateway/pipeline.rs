//! Requests of one connection overlap, answers do not.

use std::sync::Arc;

use ottla_kafka_wire::messages::fetch_request::FetchRequest;
use ottla_kafka_wire::messages::metadata_request::MetadataRequest;
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_runtime::seams::OpenMode;
use ottla_types::ErrorCode;
use tokio::io::AsyncWriteExt;

use crate::apis::{fetch, produce};
use crate::cluster::{Cluster, batch};

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests_while_requests_overlap() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    cluster.storage.close_gate();
    let mut client = cluster.client().await;
    let first = client.send(9, &produce(9, at, 1, batch(b"a"))).await;
    let second = client.send(9, &produce(9, at, 1, batch(b"b"))).await;
    let third = client.send(9, &MetadataRequest::default()).await;
    // Both reached the storage node although the first is not answered.
    while cluster.storage.batches(at).len() < 2 {
        tokio::task::yield_now().await;
    }
    cluster.storage.gate.add_permits(2);
    let first = client.receive::<ProduceRequest>(9, first).await;
    let second = client.receive::<ProduceRequest>(9, second).await;
    client.receive::<MetadataRequest>(9, third).await;
    let offset = |response: &ottla_kafka_wire::messages::produce_response::ProduceResponse| {
        response.responses[0].partition_responses[0].base_offset
    };
    assert_eq!((offset(&first), offset(&second)), (0, 1));
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_answers_before_it() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let metadata = client.send(9, &MetadataRequest::default()).await;
    let waiting = client.send(12, &fetch(12, at, 0, 60_000)).await;
    client.receive::<MetadataRequest>(9, metadata).await;
    let mut producer = cluster.client().await;
    producer.ask(9, &produce(9, at, 1, batch(b"news"))).await;
    let fetched = client.receive::<FetchRequest>(12, waiting).await;
    assert!(fetched.responses[0].partitions[0].records.as_ref().unwrap().len() > 60);
}

#[tokio::test]
async fn many_requests_in_one_write_are_all_answered_in_order() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let mut all = Vec::new();
    for id in 0..1_000 {
        let frame = ottla_kafka_wire::frames::encode_request(
            9,
            id,
            None,
            &produce(9, at, 1, batch(&id.to_be_bytes())),
        );
        all.extend_from_slice(&frame.unwrap().into_contiguous().unwrap());
    }
    client.stream.write_all(&all).await.unwrap();
    for id in 0..1_000 {
        let response = client.receive::<ProduceRequest>(9, id).await;
        assert_eq!(response.responses[0].partition_responses[0].base_offset, i64::from(id));
    }
}

#[tokio::test]
async fn a_client_that_sends_without_reading_is_read_no_further() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    cluster.storage.close_gate();
    let mut client = cluster.client().await;
    for id in 0..400 {
        client.send(9, &produce(9, at, 1, batch(&[u8::try_from(id % 256).unwrap()]))).await;
    }
    while cluster.storage.batches(at).len() < 128 {
        tokio::task::yield_now().await;
    }
    let mut another = cluster.client().await;
    for _ in 0..10 {
        another.ask(9, &MetadataRequest::default()).await;
    }
    assert_eq!(cluster.storage.batches(at).len(), 128, "in flight");
    cluster.storage.gate.add_permits(400);
    for id in 1..=400 {
        client.receive::<ProduceRequest>(9, id).await;
    }
}

#[tokio::test]
async fn acks_0_is_never_answered_and_a_failure_closes_the_connection() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    client.send(9, &produce(9, at, 0, batch(b"a"))).await;
    let next = client.send(9, &MetadataRequest::default()).await;
    client.receive::<MetadataRequest>(9, next).await;
    assert_eq!(cluster.storage.batches(at).len(), 1);
    *cluster.storage.failure.lock().unwrap() = Some(ErrorCode::NotLeaderOrFollower);
    client.send(9, &produce(9, at, 0, batch(b"b"))).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_region_of_a_file_is_sent_as_it_lies_there() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let dir = tempfile::tempdir().unwrap();
    let file = cluster.seams.disk.open(&dir.path().join("log"), OpenMode::CreateNew).unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    file.write_all_at(&[std::io::IoSlice::new(&content)], 0).unwrap();
    // As much of it as the kernel is willing to forget is read by a thread first.
    file.sync_data().unwrap();
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(file.as_fd().unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut client = cluster.client().await;
    for (position, len) in [(0, 10), (7, 31_000), (11, 70_000), (1_000, 2_900_000)] {
        *cluster.storage.region.lock().unwrap() = Some((Arc::clone(&file), position, len));
        // Three answers at once, so that regions stand between bytes.
        let ids = [
            client.send(12, &fetch(12, at, 0, 0)).await,
            client.send(12, &fetch(12, at, 0, 0)).await,
            client.send(12, &fetch(12, at, 0, 0)).await,
        ];
        for id in ids {
            let fetched = client.receive::<FetchRequest>(12, id).await;
            let records = fetched.responses[0].partitions[0].records.as_ref().unwrap();
            let position = usize::try_from(position).unwrap();
            assert!(records[..] == content[position..position + len]);
        }
    }
}

#[tokio::test]
async fn a_gateway_that_stops_leaves_the_answers_and_finishes_what_it_has() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    cluster.storage.close_gate();
    let mut client = cluster.client().await;
    let id = client.send(9, &produce(9, at, 1, batch(b"a"))).await;
    while cluster.storage.batches(at).is_empty() {
        tokio::task::yield_now().await;
    }
    let Cluster { gateway, storage, controller, process, .. } = cluster;
    process.shutdown.trigger();
    let finishing = async {
        while controller.image().gateways.values().any(|gateway| !gateway.draining) {
            tokio::task::yield_now().await;
        }
        storage.gate.add_permits(1);
        client.receive::<ProduceRequest>(9, id).await;
        assert!(client.is_closed().await);
    };
    tokio::join!(gateway.ended(), finishing);
    assert!(controller.image().gateways.is_empty());
}
