//! Produce: batches go to the storage nodes as they came; nothing of them is copied or looked at here.
//!
//! `acks=0` is never answered; an error then closes the connection, which is the only sign that Kafka gives too.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use ottla_api::Storage;
use ottla_api::storage::{
    Acks, ProducePartition, ProducePartitionResult, ProduceRequest as StorageRequest,
};
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_kafka_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use ottla_kafka_wire::produce::{PartitionBatches, Produce as Batches, TopicBatches};
use ottla_kafka_wire::{DecodeError, Reader, Request};
use ottla_metadata::Image;
use ottla_metadata::addresses::NodeAddress;
use ottla_metadata::image::Topic;
use ottla_types::{ErrorCode, NodeId, Offset, TimestampMs, TopicPartition};

use super::by_node::ask_nodes;
use super::nodes::new_leaders;
use super::{BACKEND_TIME, LONGEST_WAIT, is_internal, topics, wait_of};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::{Body, Handle};

mod producers;

pub(crate) use producers::producers;

/// First version in which topics go by id.
const FIRST_WITH_TOPIC_IDS: i16 = 13;
/// First version in which an error names the new leader.
const FIRST_WITH_LEADER: i16 = 10;

/// The handler.
pub(crate) struct Produce;

/// The request, its batches and names being slices of the frame.
pub(crate) struct ProduceBody(Batches);

impl Body for ProduceBody {
    const KEY: i16 = <ProduceRequest as Request>::KEY;
    const VERSIONS: RangeInclusive<i16> = <ProduceRequest as Request>::VERSIONS;

    fn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Batches::decode(reader, version).map(Self)
    }
}

impl Handle for Produce {
    type Request = ProduceBody;

    async fn handle(call: Call, ProduceBody(mut request): ProduceBody) -> Answer {
        let image = call.gateway.image();
        let acks = match request.acks {
            0 => Ok(Acks::None),
            1 => Ok(Acks::Leader),
            -1 => Ok(Acks::All),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        };
        let plan = plan(&call, &image, &mut request, acks.err());
        let results = run(&call, &image, plan, (acks.unwrap_or(Acks::All), &mut request)).await;
        if request.acks == 0 {
            return silence(&results);
        }
        call.answer(&response(&call, &image, request, results))
    }
}

type Plan = FanOut<ProducePartition, ProducePartitionResult>;

/// Who is asked what; what is refused here has its result at once.
fn plan(call: &Call, image: &Image, request: &mut Batches, refused: Option<ErrorCode>) -> Plan {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut plan = Plan::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    for topic in &mut request.topics {
        let by_id = call.version >= FIRST_WITH_TOPIC_IDS;
        let found = match refused {
            Some(error) => Err(error),
            None => topics::find(image, by_id, &topic.name, topic.topic_id),
        };
        let found = found.and_then(|found| match is_internal(&found.name) {
            true => Err(ErrorCode::InvalidTopicException),
            false => Ok(found),
        });
        for data in &mut topic.partitions {
            let destination = found.and_then(|topic| destination(call, topic, data, &mut seen));
            match destination {
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
    data: &mut PartitionBatches,
    seen: &mut HashSet<TopicPartition>,
) -> Result<(NodeId, ProducePartition), ErrorCode> {
    let (partition, state) = topics::partition(topic, data.index)?;
    let records = data.records.take().filter(|records: &Bytes| !records.is_empty());
    let records = records.ok_or(ErrorCode::InvalidRecord)?;
    if !seen.insert(partition) {
        return Err(ErrorCode::InvalidRequest);
    }
    let node = target(&call.peer, state).ok_or(ErrorCode::NotLeaderOrFollower)?;
    Ok((node, ProducePartition { partition, records }))
}

async fn run(
    call: &Call,
    image: &Arc<Image>,
    plan: Plan,
    (acks, request): (Acks, &mut Batches),
) -> Vec<ProducePartitionResult> {
    let timeout_ms = i32::try_from(wait_of(request.timeout_ms).as_millis()).unwrap_or(i32::MAX);
    let transactional_id = request.transactional_id.take().map(|id| id.as_str().to_owned());
    let ask = |_, storage: Arc<dyn Storage>, partitions: Vec<ProducePartition>| {
        let context = call.context(wait_of(timeout_ms).min(LONGEST_WAIT) + BACKEND_TIME);
        let transactional_id = transactional_id.clone();
        let request = StorageRequest { acks, timeout_ms, transactional_id, partitions };
        async move {
            let told = storage.produce(context, request).await;
            told.map(|told| told.partitions).map_err(|error| errors::for_produce(&error))
        }
    };
    ask_nodes((call, image), plan, ask, refusal).await
}

/// The end of an `acks=0` request: silence, or the end of the connection.
fn silence(results: &[ProducePartitionResult]) -> Answer {
    match results.iter().find(|result| !result.error.is_none()) {
        None => Answer::Silent,
        Some(result) => Answer::Close(format!(
            "a Produce with acks=0 failed with {}; closing is the only answer that such a producer sees",
            result.error
        )),
    }
}

fn refusal(error: ErrorCode) -> ProducePartitionResult {
    ProducePartitionResult {
        partition: ottla_api::storage::topic_partition(Default::default(), -1),
        error,
        error_message: None,
        base_offset: Offset::NONE,
        log_append_time: TimestampMs::NONE,
        log_start_offset: Offset::NONE,
        record_errors: Vec::new(),
        current_leader: None,
    }
}

fn response(
    call: &Call,
    image: &Image,
    request: Batches,
    results: Vec<ProducePartitionResult>,
) -> ProduceResponse {
    let node_endpoints = endpoints(call, image, &results);
    let mut results = results.into_iter();
    let responses =
        request.topics.into_iter().map(|topic| topic_response(call, topic, &mut results)).collect();
    ProduceResponse { responses, node_endpoints, ..Default::default() }
}

fn topic_response(
    call: &Call,
    topic: TopicBatches,
    results: &mut impl Iterator<Item = ProducePartitionResult>,
) -> TopicProduceResponse {
    let partitions = topic.partitions.iter().zip(results);
    TopicProduceResponse {
        partition_responses: partitions
            .map(|(data, result)| partition_response(call, data.index, result))
            .collect(),
        name: topic.name.as_str().to_owned(),
        topic_id: topic.topic_id,
    }
}

fn partition_response(
    call: &Call,
    index: i32,
    result: ProducePartitionResult,
) -> PartitionProduceResponse {
    let record_error = |(batch_index, message)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(message),
    };
    PartitionProduceResponse {
        index,
        // No client goes on after UNKNOWN_SERVER_ERROR here.
        error_code: match result.error {
            ErrorCode::UnknownServerError => ErrorCode::KafkaStorageError.code(),
            other => other.code(),
        },
        base_offset: result.base_offset.0,
        log_append_time_ms: result.log_append_time.0,
        log_start_offset: result.log_start_offset.0,
        record_errors: result.record_errors.into_iter().map(record_error).collect(),
        error_message: result.error_message,
        current_leader: match result.current_leader {
            Some((leader, epoch)) if call.version >= FIRST_WITH_LEADER => {
                LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 }
            }
            _ => LeaderIdAndEpoch::default(),
        },
    }
}

/// Where the new leaders are that the results name.
fn endpoints(call: &Call, image: &Image, results: &[ProducePartitionResult]) -> Vec<NodeEndpoint> {
    let named = results.iter().filter_map(|result| result.current_leader);
    let named = named.filter(|_| call.version >= FIRST_WITH_LEADER).map(|(leader, _)| leader);
    let endpoint = |node: NodeAddress| NodeEndpoint {
        node_id: node.node.0,
        host: node.endpoint.host,
        port: i32::from(node.endpoint.port),
        rack: node.rack,
    };
    new_leaders(call, image, named).into_iter().map(endpoint).collect()
}
