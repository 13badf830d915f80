//! What administrators ask, in every version.

use ottla_kafka_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_kafka_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_kafka_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_kafka_wire::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::describe_log_dirs_request::{
    DescribableLogDirTopic, DescribeLogDirsRequest,
};
use ottla_kafka_wire::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla_kafka_wire::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_types::{ErrorCode, Uuid};

use crate::apis::produce;
use crate::cluster::{Cluster, batch};

#[tokio::test]
async fn topics_are_deleted_by_name_and_by_id() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 1..=6 {
        let at = cluster.topic("t", 1).await;
        let by_name = |name: &str| match version {
            6 => DeleteTopicsRequest {
                topics: vec![DeleteTopicState { name: Some(name.into()), topic_id: Uuid::ZERO }],
                timeout_ms: 1_000,
                ..Default::default()
            },
            _ => DeleteTopicsRequest {
                topic_names: vec![name.into()],
                timeout_ms: 1_000,
                ..Default::default()
            },
        };
        let unknown = &client.ask(version, &by_name("nope")).await.responses[0];
        assert_eq!(unknown.error_code, ErrorCode::UnknownTopicOrPartition.code());
        assert_eq!(unknown.name.as_deref(), Some("nope"));
        let deleted = &client.ask(version, &by_name("t")).await.responses[0];
        assert_eq!((deleted.error_code, deleted.name.as_deref()), (0, Some("t")));
        let expected = if version == 6 { at.topic.0 } else { Uuid::ZERO };
        assert_eq!(deleted.topic_id, expected);
        assert!(cluster.controller.image().topic_by_name("t").is_none());
    }
    let at = cluster.topic("t", 1).await;
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let neither = DeleteTopicState { name: None, topic_id: Uuid::ZERO };
    let request = DeleteTopicsRequest {
        topics: vec![neither, by_id(at.topic.0), by_id(Uuid::from_random(9))],
        timeout_ms: 1_000,
        ..Default::default()
    };
    let responses = client.ask(6, &request).await.responses;
    let codes: Vec<i16> = responses.iter().map(|response| response.error_code).collect();
    let expected = [ErrorCode::InvalidRequest, ErrorCode::None, ErrorCode::UnknownTopicId];
    assert_eq!(codes, expected.map(ErrorCode::code));
    assert_eq!(responses[1].name.as_deref(), Some("t"));
}

#[tokio::test]
async fn partitions_are_added_and_can_be_used_at_once() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    for version in 0..=3 {
        let wish = |count, validate_only| CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: "t".into(), count, assignments: None }],
            timeout_ms: 1_000,
            validate_only,
        };
        let count = i32::from(version) + 2;
        let has = || cluster.controller.image().topic_by_name("t").unwrap().partitions.len();
        let before = has();
        let checked = client.ask(version, &wish(count, true)).await;
        assert_eq!((checked.results[0].error_code, has()), (0, before));
        let added = client.ask(version, &wish(count, false)).await;
        assert_eq!((added.results[0].error_code, has()), (0, before + 1));
        let refused = client.ask(version, &wish(count, false)).await;
        assert_eq!(refused.results[0].error_code, ErrorCode::InvalidPartitions.code());
        assert!(refused.results[0].error_message.is_some());
    }
}

#[tokio::test]
async fn the_cluster_is_described_in_every_version() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 0..=2 {
        let response = client.ask(version, &DescribeClusterRequest::default()).await;
        assert_eq!((response.error_code, response.cluster_id.as_str()), (0, "test-cluster"));
        assert_eq!((response.controller_id, response.brokers[0].broker_id), (1, 1));
        assert_eq!(response.brokers[0].port, i32::from(cluster.address.port));
        assert_eq!(response.cluster_authorized_operations, i32::MIN);
    }
    for (endpoint_type, code) in
        [(2, ErrorCode::MismatchedEndpointType), (3, ErrorCode::UnsupportedEndpointType)]
    {
        let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
        assert_eq!(client.ask(1, &request).await.error_code, code.code());
    }
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let cluster = Cluster::start().await;
    cluster.topic("a", 3).await;
    cluster.topic("b", 2).await;
    let mut client = cluster.client().await;
    let mut seen = Vec::new();
    let mut cursor = None;
    let topics = ["b", "a", "zz"].map(|name| TopicRequest { name: name.into() });
    loop {
        let request = DescribeTopicPartitionsRequest {
            topics: topics.to_vec(),
            response_partition_limit: 2,
            cursor: cursor.take(),
        };
        let response = client.ask(0, &request).await;
        for topic in &response.topics {
            let name = topic.name.clone().unwrap();
            if topic.error_code != 0 {
                assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition.code());
                seen.push((name.clone(), -1));
            }
            assert!(topic.partitions.len() <= 2);
            seen.extend(topic.partitions.iter().map(|p| (name.clone(), p.partition_index)));
        }
        let Some(next) = response.next_cursor else { break };
        cursor =
            Some(Cursor { topic_name: next.topic_name, partition_index: next.partition_index });
    }
    let expected = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("zz", -1)];
    assert_eq!(seen, expected.map(|(name, index)| (name.to_owned(), index)));
    let all = client.ask(0, &DescribeTopicPartitionsRequest::default()).await;
    assert_eq!(all.topics.len(), 2);
}

#[tokio::test]
async fn configs_of_topics_and_nodes_are_described_in_every_version() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let config = CreatableTopicConfig { name: "retention.ms".into(), value: Some("5000".into()) };
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
    let created = client.ask(5, &request).await;
    let told = created.topics[0].configs.as_ref().unwrap();
    let retention = told.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5000"), 1));

    let resource = |resource_type, name: &str, keys: Option<Vec<String>>| DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys,
    };
    for version in 1..=4 {
        let request = DescribeConfigsRequest {
            resources: vec![
                resource(2, "t", Some(vec!["retention.ms".into()])),
                resource(2, "nope", None),
                resource(4, "1", None),
                resource(4, "9", None),
                resource(4, "x", None),
                resource(16, "m", None),
                resource(3, "z", None),
            ],
            include_synonyms: true,
            include_documentation: version >= 3,
        };
        let results = client.ask(version, &request).await.results;
        let codes: Vec<i16> = results.iter().map(|result| result.error_code).collect();
        let invalid = ErrorCode::InvalidRequest.code();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(codes, [0, unknown, 0, invalid, invalid, 0, invalid]);
        let retention = &results[0].configs[0];
        assert_eq!((results[0].configs.len(), retention.value.as_deref()), (1, Some("5000")));
        assert_eq!((retention.config_source, retention.synonyms[0].source), (1, 1));
        let [threads, secret] = &results[2].configs[..] else { panic!("{:?}", results[2]) };
        assert_eq!(
            (threads.name.as_str(), threads.value.as_deref()),
            ("num.io.threads", Some("4"))
        );
        let sources: Vec<i8> = threads.synonyms.iter().map(|synonym| synonym.source).collect();
        assert_eq!((threads.config_source, threads.read_only, sources), (4, false, vec![4, 5]));
        assert!(
            secret.is_sensitive && secret.value.is_none() && secret.synonyms[0].value.is_none()
        );
        if version >= 3 {
            let kinds = [retention.config_type, threads.config_type, secret.config_type];
            assert_eq!(kinds, [5, 3, 9]);
            assert!(retention.documentation.is_some() && threads.documentation.is_none());
            assert_eq!(secret.documentation.as_deref(), Some("Ottla: no effect yet."));
        }
    }
    // Each node is asked once a request, and only those that exist.
    assert_eq!(cluster.storage.calls.lock().unwrap()["describe_node_configs"], 4);
    let twice = DescribeConfigsRequest {
        resources: vec![resource(4, "1", None), resource(4, "1", Some(vec![]))],
        ..Default::default()
    };
    let results = client.ask(4, &twice).await.results;
    let told: Vec<usize> = results.iter().map(|result| result.configs.len()).collect();
    assert_eq!(told, [2], "what is named again is left out");
    assert_eq!(cluster.storage.calls.lock().unwrap()["describe_node_configs"], 5);
}

#[tokio::test]
async fn idempotent_producers_get_ids_and_transactional_ones_a_plain_refusal() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    for version in 0..=5 {
        let given = client
            .ask(version, &InitProducerIdRequest { transactional_id: None, ..Default::default() })
            .await;
        assert_eq!((given.error_code, given.producer_epoch), (0, 0));
        assert!(given.producer_id > 1_000);
        for (id, code) in [("", ErrorCode::InvalidRequest), ("tx", ErrorCode::UnsupportedVersion)] {
            let request =
                InitProducerIdRequest { transactional_id: Some(id.into()), ..Default::default() };
            assert_eq!(client.ask(version, &request).await.error_code, code.code());
        }
    }
}

#[tokio::test]
async fn log_directories_are_described_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    for version in 1..=5 {
        let asked = |name: &str| DescribeLogDirsRequest {
            topics: Some(vec![DescribableLogDirTopic { topic: name.into(), partitions: vec![0] }]),
        };
        for request in [asked("t"), DescribeLogDirsRequest { topics: None }] {
            let response = client.ask(version, &request).await;
            let dir = &response.results[0];
            assert_eq!((dir.error_code, dir.log_dir.as_str()), (0, "/data"));
            assert_eq!((dir.topics[0].name.as_str(), dir.topics[0].partitions.len()), ("t", 1));
            assert!(dir.topics[0].partitions[0].partition_size > 60);
            if version >= 4 {
                assert_eq!(dir.total_bytes, 1 << 40);
            }
        }
        let nothing = client.ask(version, &asked("nope")).await;
        assert!(nothing.results[0].topics.is_empty());
    }
}
