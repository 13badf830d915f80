//! DeleteRecords, OffsetForLeaderEpoch, DescribeProducers and AlterReplicaLogDirs in every version.

use ottla_kafka_wire::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_kafka_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_kafka_wire::messages::describe_producers_request::{
    DescribeProducersRequest, TopicRequest,
};
use ottla_kafka_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_types::ErrorCode;

use crate::apis::produce;
use crate::cluster::{Cluster, batch};

#[tokio::test]
async fn records_are_deleted_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 2).await;
    cluster.topic("__consumer_offsets", 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    let topic = |name: &str, partitions: &[(i32, i64)]| DeleteRecordsTopic {
        name: name.into(),
        partitions: partitions
            .iter()
            .map(|&(partition_index, offset)| DeleteRecordsPartition { partition_index, offset })
            .collect(),
    };
    for version in 0..=2 {
        let request = DeleteRecordsRequest {
            topics: vec![
                topic("t", &[(0, -1), (1, 5), (7, 0), (0, 0)]),
                topic("absent", &[(0, 0)]),
                topic("__consumer_offsets", &[(0, 0)]),
            ],
            timeout_ms: 1_000,
        };
        let answer = client.ask(version, &request).await;
        let told: Vec<Vec<_>> = answer
            .topics
            .iter()
            .map(|topic| {
                let told = topic.partitions.iter();
                told.map(|part| (part.partition_index, part.low_watermark, part.error_code))
                    .collect()
            })
            .collect();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        let beyond = ErrorCode::OffsetOutOfRange.code();
        let twice = ErrorCode::InvalidRequest.code();
        assert_eq!(told[0], [(0, 1, 0), (1, -1, beyond), (7, -1, unknown), (0, -1, twice)]);
        assert_eq!(told[1], [(0, -1, unknown)]);
        assert_eq!(told[2], [(0, -1, ErrorCode::InvalidTopicException.code())]);
    }
}

#[tokio::test]
async fn ends_of_epochs_are_told_in_every_version() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    let topic = |topic: &str, partitions: &[(i32, i32)]| OffsetForLeaderTopic {
        topic: topic.into(),
        partitions: partitions
            .iter()
            .map(|&(partition, current_leader_epoch)| OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch: 4,
            })
            .collect(),
    };
    for version in 2..=4 {
        let topics = vec![topic("t", &[(0, -1), (0, 100), (3, -1)]), topic("absent", &[(0, -1)])];
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
        let answer = client.ask(version, &request).await;
        let told: Vec<_> = answer.topics.iter().flat_map(|topic| &topic.partitions).collect();
        let told: Vec<_> =
            told.iter().map(|end| (end.error_code, end.leader_epoch, end.end_offset)).collect();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        let future = ErrorCode::UnknownLeaderEpoch.code();
        assert_eq!(told, [(0, 4, 1), (future, -1, -1), (unknown, -1, -1), (unknown, -1, -1)]);
    }
}

#[tokio::test]
async fn producers_are_described() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let topic = |name: &str, partitions: &[i32]| TopicRequest {
        name: name.into(),
        partition_indexes: partitions.to_vec(),
    };
    let topics = vec![topic("t", &[0, 1]), topic("a b", &[0]), topic("absent", &[0])];
    let answer = client.ask(0, &DescribeProducersRequest { topics }).await;
    let found = &answer.topics[0].partitions[0];
    assert_eq!((found.error_code, found.error_message.as_deref()), (0, None));
    let producer = &found.active_producers[0];
    assert_eq!((producer.producer_id, producer.producer_epoch), (77, 3));
    assert_eq!((producer.last_sequence, producer.last_timestamp), (9, 1_000));
    assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
    let code = |topic: usize, at: usize| answer.topics[topic].partitions[at].error_code;
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!((code(0, 1), code(2, 0)), (unknown, unknown));
    assert_eq!(code(1, 0), ErrorCode::InvalidTopicException.code());
}

#[tokio::test]
async fn a_replica_is_said_to_be_moved_only_where_it_is_already() {
    let cluster = Cluster::start().await;
    let at = cluster.topic("t", 2).await;
    let long = "l".repeat(240);
    cluster.topic(&long, 1).await;
    let mut client = cluster.client().await;
    client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    let topic = |name: &str, partitions: &[i32]| AlterReplicaLogDirTopic {
        name: name.into(),
        partitions: partitions.to_vec(),
    };
    let names = [topic("t", &[0, 1, 5]), topic("absent", &[0]), topic(&long, &[0])];
    for version in 1..=2 {
        let dir = |path: &str| AlterReplicaLogDir { path: path.into(), topics: names.to_vec() };
        let dirs = vec![dir("/data"), dir("/other"), dir("/nowhere")];
        let answer = client.ask(version, &AlterReplicaLogDirsRequest { dirs }).await;
        let told: Vec<_> = answer
            .results
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| ErrorCode::from_code(partition.error_code))
            .collect();
        let (unknown, long) =
            (ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidTopicException);
        let nowhere = ErrorCode::ReplicaNotAvailable;
        assert_eq!(told[..5], [ErrorCode::None, nowhere, unknown, unknown, long]);
        assert_eq!(told[5..10], [ErrorCode::UnsupportedVersion, nowhere, unknown, unknown, long]);
        assert!(told[10..14].iter().all(|code| *code == ErrorCode::LogDirNotFound));
    }
}
