//! DescribeQuorum: the controllers' quorum as its leader sees it, under the name of Kafka's metadata topic.
//!
//! Invariant: offsets count entries of the quorum's log. Storage nodes tell events, of which an entry may hold many: their end is
//! the high watermark less the events that they have not replayed.

use ottla_api::controller::{QuorumMember, QuorumObserver, QuorumRole, QuorumStatus};
use ottla_kafka_wire::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_kafka_wire::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_types::{ErrorCode, TimestampMs};

use crate::answer::Answer;
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// Kafka's name of the topic of the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// The name of the quorum's listener.
const LISTENER: &str = "CONTROLLER";
/// First version that tells disks and addresses.
const FIRST_WITH_DISKS: i16 = 2;
/// Kafka's sign for "not known".
const UNKNOWN: i64 = -1;

/// The handler.
pub(crate) struct DescribeQuorum;

impl Handle for DescribeQuorum {
    type Request = DescribeQuorumRequest;

    async fn handle(call: Call, request: DescribeQuorumRequest) -> Answer {
        let status = match call.gateway.controller.leader_status().await {
            Ok(status) if status.role == QuorumRole::Leader => for_version(status, call.version),
            Ok(_) => {
                return refused(&call, ErrorCode::NotLeaderOrFollower, "The quorum has no leader.");
            }
            Err(error) => {
                return refused(&call, errors::for_quorum(&error), &error.to_string());
            }
        };
        let now = call.gateway.seams.clock.wall();
        let topics = request.topics.into_iter().map(|topic| TopicData {
            partitions: topic
                .partitions
                .iter()
                .map(|asked| match (topic.topic_name.as_str(), asked.partition_index) {
                    (METADATA_TOPIC, 0) => partition(&status, now),
                    (_, partition_index) => unknown(partition_index),
                })
                .collect(),
            topic_name: topic.topic_name,
        });
        let response = DescribeQuorumResponse {
            topics: topics.collect(),
            nodes: match call.version {
                ..FIRST_WITH_DISKS => Vec::new(),
                _ => status.members.iter().filter_map(node).collect(),
            },
            ..Default::default()
        };
        call.answer(&response)
    }
}

/// Without what the version cannot tell.
fn for_version(mut status: QuorumStatus, version: i16) -> QuorumStatus {
    if version < FIRST_WITH_DISKS {
        status.members.iter_mut().for_each(|member| member.directory = None);
    }
    status
}

fn refused(call: &Call, error: ErrorCode, message: &str) -> Answer {
    call.answer(&DescribeQuorumResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    })
}

fn unknown(partition_index: i32) -> PartitionData {
    let error = ErrorCode::UnknownTopicOrPartition;
    PartitionData {
        partition_index,
        error_code: error.code(),
        error_message: Some("This server does not host this topic-partition.".to_owned()),
        ..Default::default()
    }
}

fn partition(status: &QuorumStatus, now: TimestampMs) -> PartitionData {
    PartitionData {
        partition_index: 0,
        error_code: ErrorCode::None.code(),
        error_message: None,
        leader_id: status.node.0,
        leader_epoch: i32::try_from(status.term.0).unwrap_or(i32::MAX),
        high_watermark: offset(status.committed_index),
        current_voters: status.members.iter().map(|member| voter(member, now)).collect(),
        observers: status.observers.iter().map(|one| observer(status, one, now)).collect(),
    }
}

fn voter(member: &QuorumMember, now: TimestampMs) -> ReplicaState {
    ReplicaState {
        replica_id: member.node.0,
        replica_directory_id: member.directory.map(|id| id.0).unwrap_or_default(),
        log_end_offset: member.match_index.map_or(UNKNOWN, offset),
        last_fetch_timestamp: before(now, member.silent_ms),
        last_caught_up_timestamp: before(now, member.behind_ms),
    }
}

fn observer(status: &QuorumStatus, observer: &QuorumObserver, now: TimestampMs) -> ReplicaState {
    let behind = |at: ottla_types::MetadataOffset| status.metadata_offset.0.saturating_sub(at.0);
    let end = observer.metadata_offset.map(|at| status.committed_index.saturating_sub(behind(at)));
    ReplicaState {
        replica_id: observer.node.0,
        log_end_offset: end.map_or(UNKNOWN, offset),
        last_fetch_timestamp: before(now, observer.silent_ms),
        last_caught_up_timestamp: before(now, observer.behind_ms),
        ..Default::default()
    }
}

/// Where the quorum reaches a member.
fn node(member: &QuorumMember) -> Option<Node> {
    let (host, port) = member.endpoint.rsplit_once(':')?;
    let listener =
        Listener { name: LISTENER.to_owned(), host: host.to_owned(), port: port.parse().ok()? };
    Some(Node { node_id: member.node.0, listeners: vec![listener] })
}

fn offset(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// The time so many milliseconds before now.
fn before(now: TimestampMs, ms: Option<i64>) -> i64 {
    ms.map_or(UNKNOWN, |ms| now.0.saturating_sub(ms))
}
