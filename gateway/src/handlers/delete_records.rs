//! DeleteRecords: all records before an offset go, at once for readers and durably; their files later.
//!
//! Invariant: nothing of Kafka's own topics is deleted. Deliberately does not know what offsets a partition has.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_api::Storage;
use ottla_api::storage::{
    DeleteRecordsPartition as StoragePartition, DeleteRecordsRequest as StorageRequest,
    DeleteRecordsResult, topic_partition,
};
use ottla_kafka_wire::messages::delete_records_request::DeleteRecordsRequest;
use ottla_kafka_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, Offset, Uuid};

use super::by_node::ask_nodes;
use super::{BACKEND_TIME, is_internal, topics, wait_of};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct DeleteRecords;

impl Handle for DeleteRecords {
    type Request = DeleteRecordsRequest;

    async fn handle(call: Call, request: DeleteRecordsRequest) -> Answer {
        let image = call.gateway.image();
        let mut results = run(&call, &image, &request).await.into_iter();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| DeleteRecordsTopicResult {
                partitions: topic
                    .partitions
                    .iter()
                    .zip(&mut results)
                    .map(|(asked, result)| DeleteRecordsPartitionResult {
                        partition_index: asked.partition_index,
                        low_watermark: result.low_watermark.0,
                        error_code: result.error.code(),
                    })
                    .collect(),
                name: topic.name,
            })
            .collect();
        call.answer(&DeleteRecordsResponse { topics, ..Default::default() })
    }
}

async fn run(
    call: &Call,
    image: &Image,
    request: &DeleteRecordsRequest,
) -> Vec<DeleteRecordsResult> {
    let timeout = wait_of(request.timeout_ms).max(BACKEND_TIME);
    let ask = |_, storage: Arc<dyn Storage>, partitions: Vec<StoragePartition>| {
        let context = call.context(timeout);
        async move {
            let told = storage.delete_records(context, StorageRequest { partitions }).await;
            told.map(|told| told.partitions).map_err(|error| errors::for_partition(&error))
        }
    };
    ask_nodes((call, image), plan(call, image, request), ask, refusal).await
}

fn plan(
    call: &Call,
    image: &Image,
    request: &DeleteRecordsRequest,
) -> FanOut<StoragePartition, DeleteRecordsResult> {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut plan = FanOut::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    for topic in &request.topics {
        let found = topics::find(image, false, &topic.name, Uuid::ZERO);
        let found = found.and_then(|found| match is_internal(&topic.name) {
            true => Err(ErrorCode::InvalidTopicException),
            false => Ok(found),
        });
        for asked in &topic.partitions {
            let place = found.and_then(|found| topics::partition(found, asked.partition_index));
            let place = place.and_then(|(id, state)| {
                let node = target(&call.peer, state).ok_or(ErrorCode::LeaderNotAvailable)?;
                Ok((node, StoragePartition { partition: id, before: Offset(asked.offset) }))
            });
            match place {
                Ok((_, item)) if !seen.insert(item.partition) => {
                    plan.answer(refusal(ErrorCode::InvalidRequest));
                }
                Ok((node, item)) => plan.ask(node, item),
                Err(error) => plan.answer(refusal(error)),
            }
        }
    }
    plan
}

fn refusal(error: ErrorCode) -> DeleteRecordsResult {
    DeleteRecordsResult::of(topic_partition(Default::default(), -1), Err(error))
}
