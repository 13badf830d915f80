//! The memory of answers: bounded for a connection and for the gateway, whatever clients ask for and leave unread.

use std::sync::Arc;

use ottla_gateway::ConnectionLimits;
use ottla_kafka_wire::messages::fetch_request::FetchRequest;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_runtime::Seams;
use ottla_runtime::metrics::Format;
use ottla_runtime::seams::SimClock;
use ottla_types::TopicPartition;

use crate::apis::{fetch, produce};
use crate::client::Client;
use crate::cluster::{Cluster, batch};

const MIB: usize = 1 << 20;

/// Bytes of answers that the gateway holds, as it tells operators.
fn held(cluster: &Cluster) -> usize {
    let figures = cluster.process.metrics.write(Format::OpenMetrics);
    let line =
        figures.lines().find_map(|line| line.strip_prefix("ottla_gateway_held_answer_bytes "));
    line.unwrap().parse().unwrap()
}

/// Waits until the gateway holds so much.
async fn holds(cluster: &Cluster, is_so: impl Fn(usize) -> bool) {
    while !is_so(held(cluster)) {
        cluster.seams.clock.sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// So little memory that a test can fill it, and sockets that take little.
fn tight() -> ConnectionLimits {
    ConnectionLimits {
        answer_bytes: 4 * MIB,
        max_request_bytes: 3 * MIB,
        send_buffer_bytes: Some(128 << 10),
        ..Default::default()
    }
}

/// Asks for everything from an offset on.
fn greedy(at: TopicPartition, offset: i64, wait_ms: i32) -> FetchRequest {
    let mut request = fetch(12, at, offset, wait_ms);
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    request
}

async fn fill(client: &mut Client, at: TopicPartition, batches: usize, bytes: usize) {
    for _ in 0..batches {
        client.ask(9, &produce(9, at, 1, batch(&vec![7; bytes]))).await;
    }
}

fn about(topic: &str, times: usize) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
    MetadataRequest { topics: Some(vec![topic; times]), ..Default::default() }
}

#[tokio::test]
async fn a_connection_is_not_read_while_its_answers_wait_behind_a_long_poll() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    cluster.topic("wide", 2_000).await;
    let mut client = cluster.client().await;
    let poll = client.send(12, &fetch(12, at, 0, 60_000)).await;
    for _ in 0..127 {
        client.send(9, &MetadataRequest { topics: None, ..Default::default() }).await;
    }
    holds(&cluster, |bytes| bytes >= MIB).await;
    let mut another = cluster.client().await;
    for _ in 0..10 {
        another.ask(9, &about("t", 1)).await;
    }
    let bytes = held(&cluster);
    assert!(bytes < MIB + MIB / 4, "{bytes} bytes");
    another.ask(9, &produce(9, at, 1, batch(b"news"))).await;
    client.receive::<FetchRequest>(12, poll).await;
    for id in 2..=128 {
        client.receive::<MetadataRequest>(9, id).await;
    }
    holds(&cluster, |bytes| bytes == 0).await;
}

#[tokio::test]
async fn fetches_of_clients_that_do_not_read_take_no_more_than_the_memory_for_answers() {
    let cluster = Cluster::apart(tight()).await;
    let at = cluster.topic("t", 1).await;
    let mut producer = cluster.client().await;
    fill(&mut producer, at, 16, MIB / 2).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = cluster.client().await;
        client.send(12, &greedy(at, 0, 0)).await;
        clients.push(client);
    }
    let mut most = 0;
    // Every one that found no memory is answered without records in the end.
    let fetches = || cluster.storage.calls.lock().unwrap().get("fetch").copied();
    while fetches() < Some(20) {
        most = most.max(held(&cluster));
        cluster.seams.clock.sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!((MIB..=4 * MIB + MIB / 8).contains(&most), "{most} bytes");
    let mut responses = Vec::new();
    for client in &mut clients {
        responses.push(client.receive::<FetchRequest>(12, 1).await);
    }
    for (client, mut response) in clients.iter_mut().zip(responses) {
        let mut offset = 0;
        while offset < 16 {
            let partition = &response.responses[0].partitions[0];
            assert_eq!((partition.error_code, partition.high_watermark), (0, 16));
            let bytes = partition.records.as_ref().map_or(0, |records| records.len());
            offset += i64::try_from(bytes / (MIB / 2)).unwrap();
            if offset < 16 {
                response = client.ask(12, &greedy(at, offset, 0)).await;
            }
        }
    }
    holds(&cluster, |bytes| bytes == 0).await;
}

#[tokio::test]
async fn fetches_that_wait_for_records_hold_no_memory_and_keep_nobody_from_reading() {
    let cluster = Cluster::apart(tight()).await;
    let at = cluster.topic("t", 1).await;
    let mut producer = cluster.client().await;
    fill(&mut producer, at, 2, MIB).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut client = cluster.client().await;
        client.send(12, &greedy(at, 2, 60_000)).await;
        waiting.push(client);
    }
    let fetches = || cluster.storage.calls.lock().unwrap().get("fetch").copied();
    while fetches() < Some(100) {
        tokio::task::yield_now().await;
    }
    holds(&cluster, |bytes| bytes == 0).await;
    let mut behind = cluster.client().await;
    let response = behind.ask(12, &greedy(at, 1, 60_000)).await;
    assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > MIB);
    fill(&mut producer, at, 1, MIB).await;
    for mut client in waiting {
        let response = client.receive::<FetchRequest>(12, 1).await;
        assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > MIB);
    }
}

#[tokio::test]
async fn a_batch_larger_than_what_was_asked_for_is_given_whole() {
    let cluster = Cluster::apart(tight()).await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    fill(&mut client, at, 1, 2 * MIB).await;
    let response = client.ask(12, &fetch(12, at, 0, 0)).await;
    assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > 2 * MIB);
    holds(&cluster, |bytes| bytes == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_off_when_others_wait_for_the_memory_of_its_answer() {
    let seams = Seams { clock: Arc::new(SimClock::new()), ..Seams::real() };
    let cluster = Cluster::with_limits(seams, tight()).await;
    let at = cluster.topic("t", 1).await;
    let mut honest = cluster.client().await;
    fill(&mut honest, at, 2, 5 * MIB / 2).await;
    let mut slow = cluster.client().await;
    slow.send(12, &greedy(at, 0, 0)).await;
    holds(&cluster, |bytes| bytes > 4 * MIB).await;
    let before = cluster.seams.clock.monotonic();
    honest.ask(9, &about("t", 1)).await;
    let took = cluster.seams.clock.monotonic() - before;
    assert!((10..20).contains(&took.as_secs()), "{took:?}");
    assert_eq!(cluster.gateway.connections(), 1);
}

#[tokio::test]
async fn a_topic_that_is_named_many_times_is_told_once() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 3).await;
    let response = cluster.client().await.ask(9, &about("t", 1_000)).await;
    assert_eq!(response.topics.len(), 1);
}
