//! Offsets of a group: commits and what is committed, of one topic.
//!
//! Deliberately does not know members: a commit of nobody is what it makes.

use ottla_kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_kafka_wire::messages::offset_commit_response::OffsetCommitResponse;
use ottla_kafka_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_kafka_wire::messages::offset_fetch_response::OffsetFetchResponse;
use ottla_types::ErrorCode;

/// The OffsetCommit version in use: the newest with names of topics.
pub const COMMIT_VERSION: i16 = 9;
/// The OffsetFetch version in use: the newest with names of topics.
pub const FETCH_VERSION: i16 = 9;

/// Commits offsets of partitions, as nobody in particular.
pub fn commit_request(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition = |(index, offset): &(i32, i64)| OffsetCommitRequestPartition {
        partition_index: *index,
        committed_offset: *offset,
        committed_metadata: Some(String::new()),
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: offsets.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The first code of a commit's answer that is none of success, or success.
pub fn committed(answer: &OffsetCommitResponse) -> ErrorCode {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let refused = partitions.map(|partition| partition.error_code).find(|code| *code != 0);
    refused.map_or(ErrorCode::None, ErrorCode::from_code)
}

/// Asks what is committed of the first `partitions` partitions.
pub fn fetch_request(group: &str, topic: &str, partitions: i32) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: topic.to_owned(),
                partition_indexes: (0..partitions).collect(),
                ..Default::default()
            }]),
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    }
}

/// Partition and offset of all that was asked; -1 where nothing is committed.
///
/// # Errors
/// The code with which the group or a partition refused.
pub fn fetched(answer: &OffsetFetchResponse) -> Result<Vec<(i32, i64)>, ErrorCode> {
    let group = answer.groups.first().ok_or(ErrorCode::UnknownServerError)?;
    let partitions = || group.topics.iter().flat_map(|topic| &topic.partitions);
    let codes = std::iter::once(group.error_code).chain(partitions().map(|part| part.error_code));
    match codes.map(ErrorCode::from_code).find(|code| *code != ErrorCode::None) {
        Some(code) => Err(code),
        None => {
            Ok(partitions().map(|part| (part.partition_index, part.committed_offset)).collect())
        }
    }
}
