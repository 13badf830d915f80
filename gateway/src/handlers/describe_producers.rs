//! DescribeProducers: the idempotent producers that partitions remember.
//!
//! Invariant: an error has Kafka's message beside it. Deliberately does not know what a producer may write next.

use std::sync::Arc;

use ottla_api::Storage;
use ottla_api::storage::{
    DescribeProducersRequest as StorageRequest, DescribeProducersResult, ProducerState as Known,
    topic_partition,
};
use ottla_kafka_wire::messages::describe_producers_request::DescribeProducersRequest;
use ottla_kafka_wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, TopicPartition, Uuid};

use super::by_node::ask_nodes;
use super::{BACKEND_TIME, topics};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// The epoch of a transaction coordinator that never wrote here.
const NO_COORDINATOR: i32 = -1;

/// The handler.
pub(crate) struct DescribeProducers;

impl Handle for DescribeProducers {
    type Request = DescribeProducersRequest;

    async fn handle(call: Call, request: DescribeProducersRequest) -> Answer {
        let image = call.gateway.image();
        let mut results = run(&call, &image, &request).await.into_iter();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| TopicResponse {
                partitions: topic
                    .partition_indexes
                    .iter()
                    .zip(&mut results)
                    .map(|(index, result)| partition_response(*index, result))
                    .collect(),
                name: topic.name,
            })
            .collect();
        call.answer(&DescribeProducersResponse { topics, ..Default::default() })
    }
}

async fn run(
    call: &Call,
    image: &Image,
    request: &DescribeProducersRequest,
) -> Vec<DescribeProducersResult> {
    let count = request.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    let mut plan = FanOut::with_capacity(count);
    for topic in &request.topics {
        let found = match topics::is_legal_name(&topic.name) {
            true => topics::find(image, false, &topic.name, Uuid::ZERO),
            false => Err(ErrorCode::InvalidTopicException),
        };
        for index in &topic.partition_indexes {
            let place = found.and_then(|found| topics::partition(found, *index));
            match place.map(|(id, state)| (id, target(&call.peer, state))) {
                Ok((id, Some(node))) => plan.ask(node, id),
                Ok((_, None)) => plan.answer(refusal(ErrorCode::NotLeaderOrFollower)),
                Err(error) => plan.answer(refusal(error)),
            }
        }
    }
    let ask = |_, storage: Arc<dyn Storage>, partitions: Vec<TopicPartition>| {
        let context = call.context(BACKEND_TIME);
        async move {
            let told = storage.describe_producers(context, StorageRequest { partitions }).await;
            told.map(|told| told.partitions).map_err(|error| errors::for_partition(&error))
        }
    };
    ask_nodes((call, image), plan, ask, refusal).await
}

fn refusal(error: ErrorCode) -> DescribeProducersResult {
    DescribeProducersResult::of(topic_partition(Default::default(), -1), Err(error))
}

fn partition_response(partition_index: i32, result: DescribeProducersResult) -> PartitionResponse {
    let one = |producer: Known| ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.last_sequence.0,
        last_timestamp: producer.last_timestamp.0,
        coordinator_epoch: NO_COORDINATOR,
        current_txn_start_offset: producer.transaction_start.0,
    };
    PartitionResponse {
        partition_index,
        error_code: result.error.code(),
        error_message: (result.error != ErrorCode::None).then(|| result.error.to_string()),
        active_producers: result.producers.into_iter().map(one).collect(),
    }
}
