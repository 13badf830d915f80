//! ListOffsets: offsets by timestamp, and Kafka's special timestamps where the version has them.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_api::Storage;
use ottla_api::storage::{
    IsolationLevel, ListOffsetsPartition as StoragePartition, ListOffsetsPartitionResult,
    ListOffsetsRequest as StorageRequest,
};
use ottla_kafka_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use ottla_kafka_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, Offset, TimestampMs, TopicPartition, Uuid};

use super::by_node::ask_nodes;
use super::{BACKEND_TIME, topics, wait_of};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// First version that tells the time that the client waits.
const FIRST_WITH_TIMEOUT: i16 = 10;
/// Kafka's special timestamps with the first version that has each: latest, earliest, largest timestamp, earliest local,
/// latest tiered, earliest not yet tiered.
const SPECIAL_TIMESTAMPS: [(i64, i16); 6] = [(-1, 0), (-2, 0), (-3, 7), (-4, 8), (-5, 9), (-6, 11)];
/// The earliest offset that is not tiered yet: there are no tiers, so there is none.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The handler.
pub(crate) struct ListOffsets;

impl Handle for ListOffsets {
    type Request = ListOffsetsRequest;

    async fn handle(call: Call, request: ListOffsetsRequest) -> Answer {
        let image = call.gateway.image();
        let results = run(&call, &image, &request).await;
        let mut results = results.into_iter();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| ListOffsetsTopicResponse {
                partitions: topic
                    .partitions
                    .iter()
                    .zip(&mut results)
                    .map(|(asked, result)| partition_response(&call, asked, result))
                    .collect(),
                name: topic.name,
            })
            .collect();
        call.answer(&ListOffsetsResponse { topics, ..Default::default() })
    }
}

async fn run(
    call: &Call,
    image: &Image,
    request: &ListOffsetsRequest,
) -> Vec<ListOffsetsPartitionResult> {
    let isolation = match request.isolation_level {
        0 => IsolationLevel::ReadUncommitted,
        _ => IsolationLevel::ReadCommitted,
    };
    let timeout = if call.version >= FIRST_WITH_TIMEOUT {
        wait_of(request.timeout_ms).max(BACKEND_TIME)
    } else {
        BACKEND_TIME
    };
    let ask = |_, storage: Arc<dyn Storage>, partitions: Vec<StoragePartition>| {
        let context = call.context(timeout);
        async move {
            let told =
                storage.list_offsets(context, StorageRequest { isolation, partitions }).await;
            told.map(|told| told.partitions).map_err(|error| errors::for_partition(&error))
        }
    };
    ask_nodes((call, image), plan(call, image, request), ask, refusal).await
}

fn plan(
    call: &Call,
    image: &Image,
    request: &ListOffsetsRequest,
) -> FanOut<StoragePartition, ListOffsetsPartitionResult> {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut plan = FanOut::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    for topic in &request.topics {
        let found = topics::find(image, false, &topic.name, Uuid::ZERO);
        for asked in &topic.partitions {
            match found.and_then(|topic| destination(call, topic, asked)) {
                Ok((_, item)) if !seen.insert(item.partition) => {
                    plan.answer(refusal(ErrorCode::InvalidRequest));
                }
                Ok((_, item)) if item.timestamp == EARLIEST_PENDING_UPLOAD => {
                    plan.answer(nothing_found(item.partition));
                }
                Ok((node, item)) => plan.ask(node, item),
                Err(error) => plan.answer(refusal(error)),
            }
        }
    }
    plan
}

fn destination(
    call: &Call,
    topic: &Topic,
    asked: &ListOffsetsPartition,
) -> Result<(NodeId, StoragePartition), ErrorCode> {
    let (partition, state) = topics::partition(topic, asked.partition_index)?;
    let is_known = asked.timestamp >= 0
        || SPECIAL_TIMESTAMPS
            .iter()
            .any(|(special, first)| asked.timestamp == *special && call.version >= *first);
    if !is_known {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let node = target(&call.peer, state).ok_or(ErrorCode::LeaderNotAvailable)?;
    let item = StoragePartition {
        partition,
        current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
        timestamp: asked.timestamp,
    };
    Ok((node, item))
}

fn refusal(error: ErrorCode) -> ListOffsetsPartitionResult {
    let nowhere = ottla_api::storage::topic_partition(Default::default(), -1);
    ListOffsetsPartitionResult { error, ..nothing_found(nowhere) }
}

fn nothing_found(partition: TopicPartition) -> ListOffsetsPartitionResult {
    ListOffsetsPartitionResult {
        partition,
        error: ErrorCode::None,
        timestamp: TimestampMs::NONE,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
    }
}

fn partition_response(
    call: &Call,
    asked: &ListOffsetsPartition,
    result: ListOffsetsPartitionResult,
) -> ListOffsetsPartitionResponse {
    // Before version 4 there is no epoch on the wire, and one that is set could not be said.
    let has_epoch = call.version >= 4;
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: result.error.code(),
        timestamp: result.timestamp.0,
        offset: result.offset.0,
        leader_epoch: if has_epoch { result.leader_epoch.0 } else { LeaderEpoch::NONE.0 },
    }
}
