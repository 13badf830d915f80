//! OffsetCommit: a group's offsets move. From version 10 on topics go by id.
//!
//! Invariant: offsets of topics and partitions that do not exist are refused here, and never reach a coordinator; what is
//! committed keeps the order of the request.

use ottla_coordinator::command::{CommitOffsets, CommitPartition, CommitTopic};
use ottla_coordinator::{Command, Generation, Reply, Text, TopicName};
use ottla_kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_kafka_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::coordinators::{ANY_TOKEN, Coordinators, caller, not_the_answer, too_long};
use super::topics;
use super::topics::Codes;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version in which topics go by id.
const FIRST_WITH_TOPIC_IDS: i16 = 10;
/// First version that knows GROUP_ID_NOT_FOUND.
const FIRST_WITH_GROUP_NOT_FOUND: i16 = 9;

/// The handler.
pub(crate) struct OffsetCommit;

impl Handle for OffsetCommit {
    type Request = OffsetCommitRequest;

    async fn handle(call: Call, request: OffsetCommitRequest) -> Answer {
        let coordinators = Coordinators::of(&call);
        let mut codes = Codes::default();
        let asked = plan(&call, coordinators.image(), &request, &mut codes);
        let outcome = match asked {
            Ok(topics) if topics.is_empty() => Ok(Vec::new()),
            Ok(topics) => commit(&call, &coordinators, &request, topics).await,
            Err(error) => Err(error),
        };
        let mut codes = codes.with(outcome).into_iter();
        let topics = request.topics.into_iter().map(|topic| told(topic, &mut codes)).collect();
        call.answer(&OffsetCommitResponse { topics, ..Default::default() })
    }
}

/// What the coordinator is asked; what is refused here has its code at once.
fn plan(
    call: &Call,
    image: &Image,
    request: &OffsetCommitRequest,
    codes: &mut Codes,
) -> Result<Vec<CommitTopic>, ErrorCode> {
    let by_id = call.version >= FIRST_WITH_TOPIC_IDS;
    let mut asked = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = topics::find(image, by_id, &topic.name, topic.topic_id);
        let is_there = |partition: &&OffsetCommitRequestPartition| {
            let index = partition.partition_index;
            codes.check(found.and_then(|found| topics::partition(found, index)))
        };
        let partitions: Vec<_> = topic.partitions.iter().filter(is_there).map(partition).collect();
        if let (Ok(found), false) = (found, partitions.is_empty()) {
            let name = TopicName::new(&found.name).map_err(too_long)?;
            // By name as well: Kafka stores whose offset it is, and a later topic of this name does not get it.
            asked.push(CommitTopic { name, id: found.id, partitions });
        }
    }
    Ok(asked)
}

fn partition(asked: &OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(asked.partition_index),
        offset: Offset(asked.committed_offset),
        leader_epoch: LeaderEpoch(asked.committed_leader_epoch),
        metadata: match &asked.committed_metadata {
            Some(note) => Text::new(note).ok(),
            None => Some(Text::empty()),
        },
    }
}

async fn commit(
    call: &Call,
    coordinators: &Coordinators<'_>,
    request: &OffsetCommitRequest,
    topics: Vec<CommitTopic>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let instance = request.group_instance_id.as_deref();
    let caller = caller(&request.group_id, &request.member_id, instance)?;
    let group = caller.group.clone();
    let command = Command::CommitOffsets(CommitOffsets {
        token: ANY_TOKEN,
        caller,
        generation: Generation(request.generation_id_or_member_epoch),
        retention_ms: request.retention_time_ms,
        knows_group_id_not_found: call.version >= FIRST_WITH_GROUP_NOT_FOUND,
        topics,
    });
    match coordinators.ask_about(&group, command).await? {
        Reply::CommitOffsets(outcome) => outcome.map(topics::flat),
        other => not_the_answer(other),
    }
}

fn told(
    topic: OffsetCommitRequestTopic,
    codes: &mut impl Iterator<Item = ErrorCode>,
) -> OffsetCommitResponseTopic {
    let partition = |(asked, code): (&OffsetCommitRequestPartition, ErrorCode)| {
        let partition_index = asked.partition_index;
        OffsetCommitResponsePartition { partition_index, error_code: code.code() }
    };
    OffsetCommitResponseTopic {
        partitions: topic.partitions.iter().zip(codes).map(partition).collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    }
}
