//! OffsetForLeaderEpoch (KIP-320): where leader epochs end, by which a consumer finds out that the log it has read was cut.
//!
//! Invariant: -1 and -1 stand for an epoch that the log does not know. Replicas do not ask here: replication has a service of its own.

use std::sync::Arc;

use ottla_api::Storage;
use ottla_api::storage::{
    EpochEndPartition as StoragePartition, EpochEndRequest as StorageRequest, EpochEndResult,
    topic_partition,
};
use ottla_kafka_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use ottla_kafka_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, Uuid};

use super::by_node::ask_nodes;
use super::{BACKEND_TIME, topics};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct OffsetForLeaderEpoch;

impl Handle for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    async fn handle(call: Call, request: OffsetForLeaderEpochRequest) -> Answer {
        let image = call.gateway.image();
        let mut results = run(&call, &image, &request).await.into_iter();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| OffsetForLeaderTopicResult {
                partitions: topic
                    .partitions
                    .iter()
                    .zip(&mut results)
                    .map(|(asked, result)| EpochEndOffset {
                        error_code: result.error.code(),
                        partition: asked.partition,
                        leader_epoch: result.leader_epoch.0,
                        end_offset: result.end_offset.0,
                    })
                    .collect(),
                topic: topic.topic,
            })
            .collect();
        call.answer(&OffsetForLeaderEpochResponse { topics, ..Default::default() })
    }
}

async fn run(
    call: &Call,
    image: &Image,
    request: &OffsetForLeaderEpochRequest,
) -> Vec<EpochEndResult> {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut plan = FanOut::with_capacity(count);
    for topic in &request.topics {
        let found = topics::find(image, false, &topic.topic, Uuid::ZERO);
        for asked in &topic.partitions {
            match found.and_then(|found| destination(call, found, asked)) {
                Ok((node, item)) => plan.ask(node, item),
                Err(error) => plan.answer(refusal(error)),
            }
        }
    }
    let ask = |_, storage: Arc<dyn Storage>, partitions: Vec<StoragePartition>| {
        let context = call.context(BACKEND_TIME);
        async move {
            let told = storage.epoch_ends(context, StorageRequest { partitions }).await;
            told.map(|told| told.partitions).map_err(|error| errors::for_partition(&error))
        }
    };
    ask_nodes((call, image), plan, ask, refusal).await
}

fn destination(
    call: &Call,
    topic: &Topic,
    asked: &OffsetForLeaderPartition,
) -> Result<(NodeId, StoragePartition), ErrorCode> {
    let (partition, state) = topics::partition(topic, asked.partition)?;
    let node = target(&call.peer, state).ok_or(ErrorCode::LeaderNotAvailable)?;
    let item = StoragePartition {
        partition,
        current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
        leader_epoch: LeaderEpoch(asked.leader_epoch),
    };
    Ok((node, item))
}

fn refusal(error: ErrorCode) -> EpochEndResult {
    EpochEndResult::of(topic_partition(Default::default(), -1), Err(error))
}
