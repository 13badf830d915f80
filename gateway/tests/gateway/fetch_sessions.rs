//! Fetch sessions on the wire: first everything, then what changed, in every version that has them.

use ottla_kafka_wire::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic,
};
use ottla_types::{ErrorCode, TopicPartition, Uuid};

use crate::apis::{fetch, produce};
use crate::cluster::{Cluster, batch};

/// A request of a session with these partitions, each at an offset.
fn request(
    version: i16,
    at: TopicPartition,
    (session_id, session_epoch): (i32, i32),
    partitions: &[(i32, i64)],
) -> FetchRequest {
    let mut request = fetch(version, at, 0, 0);
    (request.session_id, request.session_epoch) = (session_id, session_epoch);
    let wanted = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    request.topics[0].partitions = partitions.iter().map(wanted).collect();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    request
}

#[tokio::test]
async fn a_session_tells_what_changed_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 3).await;
    let mut client = cluster.client().await;
    for version in 7..=18 {
        let end = i64::from(version) - 7;
        let all = [(0, end), (1, 0), (2, 0)];
        let first = client.ask(version, &request(version, at, (0, 0), &all)).await;
        assert!(first.session_id > 0 && first.responses[0].partitions.len() == 3);
        let id = first.session_id;
        let next = client.ask(version, &request(version, at, (id, 1), &[])).await;
        assert_eq!((next.error_code, next.session_id, next.responses.len()), (0, id, 0));
        client.ask(9, &produce(9, at, -1, batch(b"x"))).await;
        let news = client.ask(version, &request(version, at, (id, 2), &[])).await;
        let topic = &news.responses[0];
        let expected = if version >= 13 { at.topic.0 } else { Uuid::ZERO };
        assert_eq!((topic.topic_id, topic.topic.is_empty()), (expected, version >= 13));
        let [partition] = &topic.partitions[..] else { panic!("{topic:?}") };
        assert_eq!((partition.partition_index, partition.high_watermark), (0, end + 1));
        assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()));
        // Another connection goes on with it, gives one partition up and asks for one that is not there.
        let mut other = cluster.client().await;
        let mut change = request(version, at, (id, 3), &[(0, end + 1), (9, 0)]);
        let topic = &change.topics[0];
        let (name, topic_id) = (topic.topic.clone(), topic.topic_id);
        change.forgotten_topics_data =
            vec![ForgottenTopic { topic: name, topic_id, partitions: vec![1] }];
        let changed = other.ask(version, &change).await;
        let [partition] = &changed.responses[0].partitions[..] else { panic!("{changed:?}") };
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!((partition.partition_index, partition.error_code), (9, unknown));
        // A whole request closes it.
        let whole = client.ask(version, &request(version, at, (id, -1), &all)).await;
        assert_eq!((whole.session_id, whole.responses[0].partitions.len()), (0, 3));
        let late = client.ask(version, &request(version, at, (id, 4), &[])).await;
        assert_eq!(late.error_code, ErrorCode::FetchSessionIdNotFound.code());
        assert_eq!((late.session_id, late.responses.len()), (0, 0));
    }
}

#[tokio::test]
async fn a_request_out_of_turn_is_refused_with_kafkas_codes() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let id = client.ask(12, &request(12, at, (0, 0), &[(0, 0)])).await.session_id;
    let code = client.ask(12, &request(12, at, (id, 2), &[])).await.error_code;
    assert_eq!(code, ErrorCode::InvalidFetchSessionEpoch.code());
    let code = client.ask(13, &request(13, at, (id, 1), &[])).await.error_code;
    assert_eq!(code, ErrorCode::FetchSessionTopicIdError.code());
    let mut unknown = request(17, at, (0, 0), &[(0, 0)]);
    unknown.topics.push(FetchTopic {
        topic_id: Uuid::from_random(5),
        partitions: vec![FetchPartition::default()],
        ..Default::default()
    });
    let first = client.ask(17, &unknown).await;
    assert_eq!(first.responses[1].partitions[0].error_code, ErrorCode::UnknownTopicId.code());
    let next = client.ask(17, &request(17, at, (first.session_id, 1), &[])).await;
    let [topic] = &next.responses[..] else { panic!("{next:?}") };
    assert_eq!(topic.partitions[0].error_code, ErrorCode::UnknownTopicId.code());
}

#[tokio::test]
async fn without_a_slot_a_client_is_served_without_a_session() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    for slot in 0..6 {
        let first = client.ask(17, &request(17, at, (0, 0), &[(0, 0)])).await;
        assert_eq!((first.session_id > 0, first.error_code), (slot < 4, 0));
        assert_eq!(first.responses[0].partitions.len(), 1);
    }
}
