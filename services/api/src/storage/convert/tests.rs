//! Everything that the storage API says survives its encoding.

use bytes::Bytes;
use ottla_proto::storage::v1 as wire;
use ottla_types::{
    DirectoryId, ErrorCode, LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TimestampMs,
    TopicId, TopicPartition, Uuid,
};
use proptest::prelude::*;
use prost::Message;

use super::{fetch, node_configs_from_wire, node_configs_to_wire};
use crate::storage::*;

fn at(bits: u128, partition: i32) -> TopicPartition {
    topic_partition(TopicId(Uuid::from_bytes(bits.to_be_bytes())), partition)
}

/// Through bytes, as another process would see it.
fn travelled<W: Message + Default>(wire: W) -> W {
    W::decode(wire.encode_to_vec().as_slice()).unwrap()
}

#[test]
fn a_produce_travels() {
    let request = ProduceRequest {
        acks: Acks::All,
        timeout_ms: -1,
        transactional_id: Some(String::new()),
        partitions: vec![ProducePartition {
            partition: at(u128::MAX - 7, 3),
            records: Bytes::from_static(b"records"),
        }],
    };
    let back: ProduceRequest =
        travelled::<wire::ProduceRequest>(request.clone().into()).try_into().unwrap();
    assert_eq!(format!("{back:?}"), format!("{request:?}"));

    let result = ProducePartitionResult {
        partition: at(9, 0),
        error: ErrorCode::NotLeaderOrFollower,
        error_message: Some("elsewhere".to_owned()),
        base_offset: Offset::NONE,
        log_append_time: TimestampMs::NONE,
        log_start_offset: Offset(5),
        record_errors: vec![(3, "too old".to_owned())],
        current_leader: Some((NodeId(4), LeaderEpoch(8))),
    };
    let response = ProduceResponse { partitions: vec![result.clone()] };
    let back: ProduceResponse =
        travelled::<wire::ProduceResponse>(response.into()).try_into().unwrap();
    assert_eq!(back.partitions, [result]);
}

#[test]
fn a_fetch_travels() {
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: i32::MAX,
        isolation: IsolationLevel::ReadCommitted,
        rack: "a".to_owned(),
        partitions: vec![FetchPartition {
            partition: at(1, 2),
            current_leader_epoch: LeaderEpoch::NONE,
            fetch_offset: Offset(i64::MAX),
            last_fetched_epoch: LeaderEpoch(0),
            max_bytes: 1,
        }],
    };
    let back: FetchRequest =
        travelled::<wire::FetchRequest>(request.clone().into()).try_into().unwrap();
    assert_eq!(format!("{back:?}"), format!("{request:?}"));

    let result = FetchPartitionResult {
        partition: at(1, 2),
        error: ErrorCode::None,
        high_watermark: Offset(9),
        last_stable_offset: Offset(8),
        log_start_offset: Offset(0),
        aborted: Some(vec![(ProducerId(4), Offset(2))]),
        diverging_epoch: Some((LeaderEpoch(3), Offset(7))),
        current_leader: None,
        preferred_read_replica: Some(NodeId(0)),
        records: FetchedRecords::empty(),
    };
    let pieces = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let sent = wire::FetchResponse {
        partitions: vec![fetch::fetched_to_wire(result.clone(), pieces.clone())],
    };
    let back: FetchResponse = travelled(sent).try_into().unwrap();
    let expected =
        FetchPartitionResult { records: FetchedRecords::Bytes(pieces.clone()), ..result };
    assert_eq!(format!("{:?}", back.partitions[0]), format!("{expected:?}"));
    let FetchedRecords::Bytes(arrived) = &back.partitions[0].records else { panic!("bytes") };
    assert_eq!(*arrived, pieces);
}

#[test]
fn no_aborted_transactions_differ_from_none_asked_for() {
    for aborted in [None, Some(Vec::new())] {
        let result = FetchPartitionResult {
            partition: at(1, 2),
            error: ErrorCode::None,
            high_watermark: Offset(0),
            last_stable_offset: Offset(0),
            log_start_offset: Offset(0),
            aborted: aborted.clone(),
            diverging_epoch: None,
            current_leader: None,
            preferred_read_replica: None,
            records: FetchedRecords::empty(),
        };
        let sent = wire::FetchResponse { partitions: vec![fetch::fetched_to_wire(result, vec![])] };
        let back: FetchResponse = travelled(sent).try_into().unwrap();
        assert_eq!(back.partitions[0].aborted, aborted);
    }
}

#[test]
fn short_questions_and_answers_travel() {
    let list = ListOffsetsRequest {
        isolation: IsolationLevel::ReadUncommitted,
        partitions: vec![ListOffsetsPartition {
            partition: at(3, 1),
            current_leader_epoch: LeaderEpoch(2),
            timestamp: -4,
        }],
    };
    let back: ListOffsetsRequest =
        travelled::<wire::ListOffsetsRequest>(list.clone().into()).try_into().unwrap();
    assert_eq!(format!("{back:?}"), format!("{list:?}"));

    let found = ListOffsetsPartitionResult {
        partition: at(3, 1),
        error: ErrorCode::UnknownTopicId,
        timestamp: TimestampMs::NONE,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
    };
    let listed = ListOffsetsResponse { partitions: vec![found] };
    let back: ListOffsetsResponse =
        travelled::<wire::ListOffsetsResponse>(listed.into()).try_into().unwrap();
    assert_eq!(back.partitions, [found]);

    let id = InitProducerIdResponse {
        error: ErrorCode::None,
        producer_id: ProducerId(i64::MAX),
        producer_epoch: ProducerEpoch(-1),
    };
    let back: InitProducerIdResponse =
        travelled::<wire::InitProducerIdResponse>(id.into()).try_into().unwrap();
    assert_eq!(back, id);
}

#[test]
fn directories_travel() {
    for partitions in [None, Some(vec![]), Some(vec![at(1, 1)])] {
        let request = DescribeLogDirsRequest { partitions };
        let back: DescribeLogDirsRequest =
            travelled::<wire::DescribeLogDirsRequest>(request.clone().into()).try_into().unwrap();
        assert_eq!(back.partitions, request.partitions);
    }
    let directory = LogDirectory {
        error: ErrorCode::KafkaStorageError,
        path: "/data".to_owned(),
        id: DirectoryId(Uuid::from_random(77)),
        total_bytes: -1,
        usable_bytes: 5,
        partitions: vec![LogDirectoryPartition {
            partition: at(8, 8),
            size_bytes: 10,
            offset_lag: 0,
        }],
    };
    let response = DescribeLogDirsResponse { directories: vec![directory.clone()] };
    let back: DescribeLogDirsResponse =
        travelled::<wire::DescribeLogDirsResponse>(response.into()).try_into().unwrap();
    assert_eq!(format!("{:?}", back.directories[0]), format!("{directory:?}"));
}

#[test]
fn a_nodes_configuration_travels_without_its_secrets() {
    let mut configs = crate::storage::tests::node_configs();
    let back = node_configs_from_wire(travelled(node_configs_to_wire(configs.clone())));
    assert_eq!(back, configs);
    let secret = configs.iter_mut().find(|config| config.is_sensitive).unwrap();
    secret.value = Some("hunter2".to_owned());
    let back = node_configs_from_wire(travelled(node_configs_to_wire(configs)));
    assert!(!format!("{back:?}").contains("hunter2"));
}

#[test]
fn a_message_without_its_parts_is_malformed() {
    let produce = wire::ProduceRequest {
        acks: wire::Acks::All.into(),
        partitions: vec![wire::ProducePartition::default()],
        ..Default::default()
    };
    assert!(ProduceRequest::try_from(produce).is_err());
    assert!(ProduceRequest::try_from(wire::ProduceRequest::default()).is_err());
    assert!(FetchRequest::try_from(wire::FetchRequest::default()).is_err());
    let init = wire::InitProducerIdRequest { producer_epoch: 1 << 20, ..Default::default() };
    assert!(InitProducerIdRequest::try_from(init).is_err());
    let command = wire::CoordinateRequest { partition: 0, command: Bytes::from_static(&[9, 9]) };
    assert!(CoordinateRequest::try_from(command).is_err());
    // No error and no reply: neither one nor the other.
    assert!(CoordinateResponse::try_from(wire::CoordinateResponse::default()).is_err());
    let directory = wire::LogDirectory { id: Bytes::from_static(b"short"), ..Default::default() };
    assert!(LogDirectory::try_from(directory).is_err());
}

proptest! {
    #[test]
    fn bytes_of_a_peer_never_panic(bytes: Vec<u8>) {
        if let Ok(frame) = wire::ExchangeRequest::decode(bytes.as_slice()) {
            match frame.request {
                Some(wire::exchange_request::Request::Produce(m)) => drop(ProduceRequest::try_from(m)),
                Some(wire::exchange_request::Request::Fetch(m)) => drop(FetchRequest::try_from(m)),
                Some(wire::exchange_request::Request::Coordinate(m)) => {
                    drop(CoordinateRequest::try_from(m));
                }
                _ => {}
            }
        }
    }
}
