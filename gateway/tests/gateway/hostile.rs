//! What hostile clients send ends their own connection and nothing else.

use std::sync::Arc;

use ottla_gateway::ConnectionLimits;
use ottla_kafka_wire::frames::encode_request;
use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use ottla_kafka_wire::messages::api_versions_response::ApiVersionsResponse;
use ottla_kafka_wire::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_kafka_wire::messages::describe_configs_request::DescribeConfigsRequest;
use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use ottla_kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_kafka_wire::messages::join_group_request::JoinGroupRequest;
use ottla_kafka_wire::messages::leave_group_request::LeaveGroupRequest;
use ottla_kafka_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_kafka_wire::messages::list_offsets_request::ListOffsetsRequest;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_kafka_wire::{ApiKey, Message, Reader, Request};
use ottla_runtime::Seams;
use ottla_runtime::seams::SimClock;
use ottla_types::TopicPartition;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::apis::{fetch, produce};
use crate::client::LIMIT;
use crate::cluster::{Cluster, batch};
use crate::offsets::{commit, fetch_offsets};

async fn still_serves(cluster: &Cluster) {
    let mut client = cluster.client().await;
    assert!(!client.ask(9, &MetadataRequest::default()).await.brokers.is_empty());
}

#[tokio::test]
async fn a_frame_of_an_impossible_length_closes_the_connection() {
    let cluster = Cluster::start().await;
    for prefix in [[0xff; 4], [0x80, 0, 0, 0], [0x7f, 0xff, 0xff, 0xff]] {
        let mut client = cluster.client().await;
        client.stream.write_all(&prefix).await.unwrap();
        assert!(client.is_closed().await);
    }
    still_serves(&cluster).await;
}

#[tokio::test]
async fn a_request_above_the_limit_is_refused_before_it_is_read() {
    let limits = ConnectionLimits { max_request_bytes: 1_000, ..Default::default() };
    let cluster = Cluster::with_limits(Seams::real(), limits).await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(&[7; 500]))).await;
    client.send(9, &produce(9, at, 1, batch(&[7; 2_000]))).await;
    assert!(client.is_closed().await);
    assert_eq!(cluster.storage.batches(at).len(), 1);
}

#[tokio::test]
async fn garbage_truncation_and_unknown_apis_close_the_connection() {
    let cluster = Cluster::start().await;
    let unknown_api = [0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let unserved_api = [0, 0, 0, 10, 0, 24, 0, 3, 0, 0, 0, 1, 0xff, 0xff];
    let unknown_version = [0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff];
    let old_produce = [0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff];
    let empty = [0, 0, 0, 0];
    for frame in [&unknown_api[..], &unserved_api, &unknown_version, &old_produce, &empty] {
        let mut client = cluster.client().await;
        client.stream.write_all(frame).await.unwrap();
        assert!(client.is_closed().await, "{frame:?}");
    }
    let mut truncated = cluster.client().await;
    truncated.stream.write_all(&[0, 0, 1, 0, 5]).await.unwrap();
    truncated.stream.shutdown().await.unwrap();
    assert!(truncated.is_closed().await);
    still_serves(&cluster).await;
}

#[tokio::test]
async fn a_count_of_two_billion_closes_the_connection_in_every_api_and_version() {
    let cluster = Cluster::start().await;
    for key in ApiKey::all() {
        for version in key.versions() {
            let mut body = vec![];
            body.extend_from_slice(&key.code().to_be_bytes());
            body.extend_from_slice(&version.to_be_bytes());
            body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0]);
            body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07].repeat(20));
            body.extend_from_slice(&i32::MAX.to_be_bytes().repeat(20));
            let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
            frame.extend_from_slice(&body);
            let mut client = cluster.client().await;
            client.stream.write_all(&frame).await.unwrap();
            // Some versions of some requests can be read out of these bytes: an answer is as good as the end.
            client.stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            client.stream.read_to_end(&mut rest).await.ok();
        }
    }
    still_serves(&cluster).await;
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let frame = [0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0];
    client.stream.write_all(&frame).await.unwrap();
    let answer = client.frame().await.unwrap();
    assert_eq!(answer[..4], [0, 0, 0, 7]);
    let mut reader = Reader::new(answer.slice(4..));
    let response = ApiVersionsResponse::decode(&mut reader, 0).unwrap();
    reader.expect_end().unwrap();
    assert_eq!((response.error_code, response.api_keys.len()), (35, 1));
    // The client asks again on the same connection.
    client.ask(0, &ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn a_flooded_gateway_refuses_more_and_serves_those_it_has() {
    let limits = ConnectionLimits { max_connections: 3, ..Default::default() };
    let cluster = Cluster::with_limits(Seams::real(), limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = cluster.client().await;
        client.ask(9, &MetadataRequest::default()).await;
        held.push(client);
    }
    let mut refused = cluster.client().await;
    assert!(refused.is_closed().await);
    held[0].ask(9, &MetadataRequest::default()).await;
}

fn with_paused_time() -> Seams {
    Seams { clock: Arc::new(SimClock::new()), ..Seams::real() }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_is_given_up() {
    let cluster = Cluster::with_limits(with_paused_time(), ConnectionLimits::default()).await;
    let before = cluster.seams.clock.monotonic();
    let mut client = cluster.client().await;
    client.stream.write_all(&[0, 0, 1, 0, 5]).await.unwrap();
    let mut end = Vec::new();
    client.stream.read_to_end(&mut end).await.unwrap();
    let took = cluster.seams.clock.monotonic() - before;
    assert!(end.is_empty() && (30..60).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let cluster = Cluster::with_limits(with_paused_time(), ConnectionLimits::default()).await;
    let mut client = cluster.client().await;
    let before = cluster.seams.clock.monotonic();
    let mut end = Vec::new();
    client.stream.read_to_end(&mut end).await.unwrap();
    let took = cluster.seams.clock.monotonic() - before;
    assert!((600..1_300).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let cluster = Cluster::with_limits(with_paused_time(), ConnectionLimits::default()).await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    // More than the buffers of both sockets hold.
    let records = batch(&vec![7; 30 << 20]);
    client.ask(9, &produce(9, at, 1, records)).await;
    let mut stuck = cluster.client().await;
    stuck.send(12, &fetch(12, at, 0, 0)).await;
    while cluster.gateway.connections() < 2 {
        tokio::task::yield_now().await;
    }
    client.stream.shutdown().await.unwrap();
    let before = cluster.seams.clock.monotonic();
    while cluster.gateway.connections() > 0 {
        cluster.seams.clock.sleep(std::time::Duration::from_secs(1)).await;
    }
    let took = cluster.seams.clock.monotonic() - before;
    assert!((600..700).contains(&took.as_secs()), "{took:?}");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed >> 33).unwrap() % limit
    }
}

fn frames_of<R: Request>(make: impl Fn(i16) -> R) -> Vec<Vec<u8>> {
    let frame = |version| {
        let list = encode_request(version, 1, Some("c"), &make(version)).unwrap();
        list.into_contiguous().unwrap()[4..].to_vec()
    };
    R::VERSIONS.map(frame).collect()
}

fn group_frames(at: TopicPartition) -> Vec<Vec<u8>> {
    let mut frames = frames_of(|version| commit(version, at, "g", 1));
    frames.extend(frames_of(|version| fetch_offsets(version, at, "g")));
    // So little patience that no mutation of it waits for long.
    frames.extend(frames_of(|_| JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 1,
        rebalance_timeout_ms: 1,
        ..Default::default()
    }));
    frames.extend(frames_of(|_| HeartbeatRequest::default()));
    frames.extend(frames_of(|_| LeaveGroupRequest::default()));
    frames.extend(frames_of(|_| DescribeGroupsRequest {
        groups: vec!["g".into()],
        ..Default::default()
    }));
    frames.extend(frames_of(|_| ListGroupsRequest::default()));
    frames.extend(frames_of(|_| DeleteGroupsRequest { groups_names: vec!["g".into()] }));
    frames.extend(frames_of(|_| OffsetDeleteRequest::default()));
    frames
}

/// Requests as clients send them, without the length in front.
fn honest_frames(at: TopicPartition) -> Vec<Vec<u8>> {
    let topic = || MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let mut frames = frames_of(|version| produce(version, at, 1, batch(b"value")));
    frames.extend(frames_of(|version| fetch(version, at, 0, 0)));
    frames.extend(frames_of(|_| MetadataRequest {
        topics: Some(vec![topic()]),
        ..Default::default()
    }));
    frames.extend(frames_of(|_| ApiVersionsRequest::default()));
    frames.extend(frames_of(|_| ListOffsetsRequest::default()));
    frames.extend(frames_of(|_| DescribeConfigsRequest::default()));
    frames.extend(frames_of(|_| DescribeLogDirsRequest::default()));
    frames.extend(group_frames(at));
    frames
}

#[tokio::test]
async fn mutated_requests_end_at_most_their_connection() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    cluster.topic("__consumer_offsets", 4).await;
    let honest = honest_frames(at);
    let mut dice = Dice(1);
    for _ in 0..400 {
        let mut client = cluster.client().await;
        let mut sent = Vec::new();
        for _ in 0..16 {
            let mut frame = honest[dice.below(honest.len())].clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(frame.len());
                match dice.below(4) {
                    0 => frame[at] = 0xff,
                    1 => frame[at] ^= 1 << dice.below(8),
                    2 => frame.truncate(at.max(1)),
                    _ => frame.insert(at, u8::try_from(dice.below(256)).unwrap()),
                }
            }
            sent.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            sent.extend_from_slice(&frame);
        }
        // The gateway may have closed before all is sent.
        client.stream.write_all(&sent).await.ok();
        client.stream.shutdown().await.ok();
        let mut answers = Vec::new();
        let read = client.stream.read_to_end(&mut answers);
        tokio::time::timeout(LIMIT, read).await.expect("an end").ok();
    }
    still_serves(&cluster).await;
    while cluster.gateway.connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_may_be_idle_for_ever() {
    let limits = ConnectionLimits { max_idle: std::time::Duration::MAX, ..Default::default() };
    let cluster = Cluster::with_limits(Seams::real(), limits).await;
    still_serves(&cluster).await;
}
