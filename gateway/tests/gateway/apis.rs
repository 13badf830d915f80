//! Each API in each version, as Kafka's clients would read the answers.

use bytes::Bytes;
use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use ottla_kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_kafka_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_types::{ErrorCode, TopicPartition, Uuid};

use crate::cluster::{Cluster, batch};

pub(crate) fn produce(
    version: i16,
    at: TopicPartition,
    acks: i16,
    records: Bytes,
) -> ProduceRequest {
    let partition_data =
        vec![PartitionProduceData { index: at.partition.0, records: Some(records) }];
    let by_id = version >= 13;
    ProduceRequest {
        acks,
        timeout_ms: 1_000,
        topic_data: vec![TopicProduceData {
            name: if by_id { String::new() } else { "t".into() },
            topic_id: if by_id { at.topic.0 } else { Uuid::ZERO },
            partition_data,
        }],
        ..Default::default()
    }
}

pub(crate) fn fetch(
    version: i16,
    at: TopicPartition,
    offset: i64,
    max_wait_ms: i32,
) -> FetchRequest {
    let by_id = version >= 13;
    let partition = FetchPartition {
        partition: at.partition.0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: if by_id { String::new() } else { "t".into() },
            topic_id: if by_id { at.topic.0 } else { Uuid::ZERO },
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn api_versions_tells_the_table_in_every_version() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 0..=4 {
        let request = ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1.0".into(),
        };
        let response = client.ask(version, &request).await;
        assert_eq!(response.error_code, 0);
        let range = |key: i16| {
            let row = response.api_keys.iter().find(|row| row.api_key == key).unwrap();
            (row.min_version, row.max_version)
        };
        assert_eq!((range(0), range(1), range(18)), ((0, 13), (4, 18), (0, 4)));
        assert_eq!((range(8), range(9), range(10), range(11)), ((2, 10), (1, 10), (0, 6), (0, 9)));
        // Transactions are not served yet, so clients must not believe they are.
        assert!(response.api_keys.iter().all(|row| ![24, 25, 26, 28].contains(&row.api_key)));
    }
    let bad = ApiVersionsRequest { client_software_name: "-".into(), ..Default::default() };
    assert_eq!(client.ask(3, &bad).await.error_code, ErrorCode::InvalidRequest.code());
}

#[tokio::test]
async fn metadata_tells_nodes_and_topics_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 3).await;
    let mut client = cluster.client().await;
    for version in 0..=13 {
        let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let response = client.ask(version, &request).await;
        let broker = &response.brokers[0];
        assert_eq!((response.brokers.len(), broker.node_id), (1, 1));
        assert_eq!(
            (broker.host.as_str(), broker.port),
            ("127.0.0.1", i32::from(cluster.address.port))
        );
        let topic = &response.topics[0];
        assert_eq!((topic.error_code, topic.name.as_deref()), (0, Some("t")));
        assert_eq!((topic.partitions.len(), topic.partitions[2].leader_id), (3, 1));
        if version >= 1 {
            assert_eq!(response.controller_id, 1);
            assert_eq!(broker.rack.as_deref(), Some("r1"));
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_deref(), Some("test-cluster"));
        }
        if version >= 10 {
            assert_eq!(topic.topic_id, at.topic.0);
        }
    }
}

#[tokio::test]
async fn metadata_for_all_topics_is_asked_as_each_version_asks_it() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    cluster.topic("u", 1).await;
    let mut client = cluster.client().await;
    let all = MetadataRequest { topics: None, ..Default::default() };
    let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    assert_eq!(client.ask(0, &none).await.topics.len(), 2);
    for version in 1..=13 {
        assert_eq!(client.ask(version, &all).await.topics.len(), 2);
        assert_eq!(client.ask(version, &none).await.topics.len(), 0);
    }
}

#[tokio::test]
async fn a_topic_that_is_asked_for_is_created_when_that_is_allowed() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let asked = |name: &str, allowed| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(name.into()), ..Default::default() }]),
        allow_auto_topic_creation: allowed,
        ..Default::default()
    };
    let refused = client.ask(12, &asked("t", false)).await;
    assert_eq!(refused.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let created = client.ask(12, &asked("t", true)).await;
    assert_eq!((created.topics[0].error_code, created.topics[0].partitions.len()), (0, 1));
    for name in ["", "a b", ".."] {
        let invalid = client.ask(12, &asked(name, true)).await;
        assert_eq!(invalid.topics[0].error_code, ErrorCode::InvalidTopicException.code());
    }
}

#[tokio::test]
async fn a_topic_goes_by_id_from_version_12_on() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let asked = |id: Uuid| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: None, topic_id: id }]),
        ..Default::default()
    };
    for version in 10..=13 {
        let found = &client.ask(version, &asked(at.topic.0)).await.topics[0];
        let unknown = &client.ask(version, &asked(Uuid::from_random(9))).await.topics[0];
        if version < 12 {
            assert_eq!(found.error_code, ErrorCode::InvalidRequest.code());
        } else {
            assert_eq!((found.error_code, found.name.as_deref()), (0, Some("t")));
            assert_eq!(unknown.error_code, ErrorCode::UnknownTopicId.code());
        }
    }
}

#[tokio::test]
async fn what_is_produced_is_fetched_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    for version in 3..=13 {
        let value = vec![version as u8; 2_000];
        let response = client.ask(version, &produce(version, at, -1, batch(&value))).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, i64::from(version) - 3));
    }
    let stored = cluster.storage.batches(at).concat();
    for version in 4..=18 {
        let response = client.ask(version, &fetch(version, at, 0, 0)).await;
        let partition = &response.responses[0].partitions[0];
        assert_eq!((response.session_id, partition.error_code), (0, 0));
        assert_eq!(partition.high_watermark, 11);
        assert!(partition.records.as_deref() == Some(&*stored));
    }
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_told_apart_by_kafkas_codes() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let beyond = TopicPartition { partition: ottla_types::PartitionIndex(1), ..at };
    let gone = TopicPartition { topic: ottla_types::TopicId(Uuid::from_random(5)), ..at };
    for (version, at, code) in [
        (12, beyond, ErrorCode::UnknownTopicOrPartition),
        (13, beyond, ErrorCode::UnknownTopicOrPartition),
        (13, gone, ErrorCode::UnknownTopicId),
    ] {
        let produced = client.ask(version, &produce(version, at, 1, batch(b"x"))).await;
        assert_eq!(produced.responses[0].partition_responses[0].error_code, code.code());
        let fetched = client.ask(version, &fetch(version, at, 0, 0)).await;
        let partition = &fetched.responses[0].partitions[0];
        assert_eq!(partition.error_code, code.code());
        assert_eq!(partition.records.as_deref(), Some(&b""[..]), "empty, never null");
    }
}

#[tokio::test]
async fn a_new_leader_is_named_where_the_version_can_say_it() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    *cluster.storage.failure.lock().unwrap() = Some(ErrorCode::NotLeaderOrFollower);
    let mut client = cluster.client().await;
    for version in 3..=13 {
        let response = client.ask(version, &produce(version, at, 1, batch(b"x"))).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::NotLeaderOrFollower.code());
        let expected = if version >= 10 { 2 } else { -1 };
        assert_eq!(partition.current_leader.leader_id, expected);
    }
}

#[tokio::test]
async fn wrong_acks_and_missing_records_are_refused() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let wrong_acks = client.ask(9, &produce(9, at, 7, batch(b"x"))).await;
    let code = wrong_acks.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::InvalidRequiredAcks.code());
    let empty = client.ask(9, &produce(9, at, 1, Bytes::new())).await;
    let code = empty.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::InvalidRecord.code());
    let mut twice = produce(9, at, 1, batch(b"x"));
    twice.topic_data.push(twice.topic_data[0].clone());
    let twice = client.ask(9, &twice).await;
    assert_eq!(twice.responses[0].partition_responses[0].error_code, 0);
    let code = twice.responses[1].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::InvalidRequest.code());
    assert_eq!(cluster.storage.batches(at).len(), 1);
}

#[tokio::test]
async fn a_replica_and_a_session_that_is_not_known_are_refused_by_fetch() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let mut replica = fetch(12, at, 0, 0);
    replica.replica_id = 2;
    let code = client.ask(12, &replica).await.error_code;
    assert_eq!(code, ErrorCode::ClusterAuthorizationFailed.code());
    let code = client.ask(4, &replica).await.responses[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::ClusterAuthorizationFailed.code());
    let mut new = fetch(17, at, 0, 0);
    new.replica_state.replica_id = 0;
    let code = client.ask(17, &new).await.error_code;
    assert_eq!(code, ErrorCode::ClusterAuthorizationFailed.code());
    let mut session = fetch(17, at, 0, 0);
    (session.session_id, session.session_epoch) = (5, 1);
    let code = client.ask(17, &session).await.error_code;
    assert_eq!(code, ErrorCode::FetchSessionIdNotFound.code());
}

#[tokio::test]
async fn offsets_are_listed_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    for version in 1..=11 {
        for (timestamp, first) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 99)]
        {
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![ListOffsetsTopic {
                    name: "t".into(),
                    partitions: vec![ListOffsetsPartition {
                        partition_index: 0,
                        timestamp,
                        ..Default::default()
                    }],
                }],
                ..Default::default()
            };
            let response = client.ask(version, &request).await;
            let partition = &response.topics[0].partitions[0];
            let expected = if version >= first { 0 } else { ErrorCode::UnsupportedVersion.code() };
            assert_eq!(partition.error_code, expected, "version {version}, timestamp {timestamp}");
            match timestamp {
                -1 => assert_eq!(partition.offset, 1),
                -2 => assert_eq!(partition.offset, 0),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn topics_are_created_in_every_version_and_used_at_once() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 2..=7 {
        let topic = CreatableTopic {
            name: format!("v{version}"),
            num_partitions: 2,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
        let response = client.ask(version, &request).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
        let again = client.ask(version, &request).await;
        assert_eq!(again.topics[0].error_code, ErrorCode::TopicAlreadyExists.code());
        if version >= 5 {
            assert_eq!(response.topics[0].num_partitions, 2);
        }
        let asked = MetadataRequestTopic {
            name: Some(request.topics[0].name.clone()),
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
        let metadata = client.ask(9, &request).await;
        assert_eq!(metadata.topics[0].partitions.len(), 2);
    }
    let duplicate = CreatableTopic {
        name: "d".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![duplicate.clone(), duplicate],
        timeout_ms: 5_000,
        ..Default::default()
    };
    let codes: Vec<i16> =
        client.ask(7, &request).await.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [ErrorCode::InvalidRequest.code(); 2]);
}
