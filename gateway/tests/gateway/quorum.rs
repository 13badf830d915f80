//! What is asked about the cluster's own parts: the quorum, registrations, and what may have configs.

use ottla_kafka_wire::messages::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use ottla_kafka_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_kafka_wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use ottla_kafka_wire::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_types::{ErrorCode, NodeId};

use crate::cluster::Cluster;

#[tokio::test]
async fn the_quorum_is_told_as_its_leader_sees_it() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let topic = |name: &str, index| TopicData {
        topic_name: name.to_owned(),
        partitions: vec![PartitionData { partition_index: index }],
    };
    let request = DescribeQuorumRequest {
        topics: vec![topic("__cluster_metadata", 0), topic("__cluster_metadata", 1), topic("t", 0)],
    };
    for version in 0..=2 {
        let before = cluster.seams.clock.wall().0;
        let told = client.ask(version, &request).await;
        let partition = &told.topics[0].partitions[0];
        assert_eq!((told.error_code, partition.error_code), (0, 0));
        assert_eq!((partition.leader_id, partition.leader_epoch), (7, 3));
        assert_eq!(partition.high_watermark, 39);
        let ends =
            |replicas: &[ottla_kafka_wire::messages::describe_quorum_response::ReplicaState]| {
                replicas.iter().map(|one| (one.replica_id, one.log_end_offset)).collect::<Vec<_>>()
            };
        assert_eq!(ends(&partition.current_voters), [(7, 40), (8, 30)]);
        assert_eq!(ends(&partition.observers), [(1, 38)]);
        if version >= 1 {
            let voter = &partition.current_voters[0];
            assert!(voter.last_fetch_timestamp >= before);
            assert!(voter.last_caught_up_timestamp >= before);
            assert_eq!(partition.current_voters[1].last_caught_up_timestamp, -1);
        }
        if version == 2 {
            let listener = &told.nodes[0].listeners[0];
            let address = (listener.name.as_str(), listener.host.as_str(), listener.port);
            assert_eq!((told.nodes[0].node_id, address), (7, ("CONTROLLER", "controller-7", 9093)));
        }
        for other in &told.topics[1..] {
            let code = other.partitions[0].error_code;
            assert_eq!(code, ErrorCode::UnknownTopicOrPartition.code());
        }
    }
}

#[tokio::test]
async fn a_node_is_unregistered_once() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let request = UnregisterBrokerRequest { broker_id: 1 };
    assert_eq!(client.ask(0, &request).await.error_code, 0);
    assert!(!cluster.controller.image().brokers.contains_key(&NodeId(1)));
    let again = client.ask(0, &request).await;
    assert_eq!(again.error_code, ErrorCode::BrokerIdNotRegistered.code());
    let text = "Broker ID 1 is not currently registered";
    assert_eq!(again.error_message.as_deref(), Some(text));
}

#[tokio::test]
async fn what_may_have_configs_is_listed_by_kind() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let resource = |kind, name: &str, config: &str, value: &str| AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: vec![AlterableConfig {
            name: config.to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
        }],
    };
    let alter = IncrementalAlterConfigsRequest {
        resources: vec![
            resource(32, "g", "share.isolation.level", "read_committed"),
            resource(16, "m", "interval.ms", "1000"),
            resource(4, "", "log.roll.ms", "1000"),
        ],
        ..Default::default()
    };
    client.ask(1, &alter).await;
    let of = |resource_types: Vec<i8>| ListConfigResourcesRequest { resource_types };
    for (version, asked, expected) in [
        (0, vec![], vec![("m", 16)]),
        (1, vec![], vec![("t", 2), ("1", 4), ("1", 8), ("m", 16), ("g", 32)]),
        (1, vec![32, 2], vec![("t", 2), ("g", 32)]),
    ] {
        let told = client.ask(version, &of(asked)).await;
        let listed = told.config_resources.iter();
        let listed: Vec<_> =
            listed.map(|one| (one.resource_name.as_str(), one.resource_type)).collect();
        assert_eq!((told.error_code, listed), (0, expected));
    }
    let unknown = client.ask(1, &of(vec![3])).await;
    assert_eq!(unknown.error_code, ErrorCode::UnsupportedVersion.code());
}
