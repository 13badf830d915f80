//! CreatePartitions: more partitions for topics that exist; answered when the leaders serve them.

use ottla_kafka_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_kafka_wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use ottla_metadata::Command;
use ottla_metadata::command::NewPartitions;
use ottla_types::{ErrorCode, NodeId};

use super::topic_command::{Outcome, Until, submit};
use super::wait_of;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct CreatePartitions;

impl Handle for CreatePartitions {
    type Request = CreatePartitionsRequest;

    async fn handle(call: Call, request: CreatePartitionsRequest) -> Answer {
        let timeout = wait_of(request.timeout_ms);
        let validate_only = request.validate_only;
        let topics: Vec<NewPartitions> = request.topics.into_iter().map(wish).collect();
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let until = if validate_only { Until::Decided } else { Until::Served };
        let command = Command::CreatePartitions { topics, validate_only };
        let outcomes = submit(&call, (command, names.len()), until, timeout).await;
        let results = names.into_iter().zip(outcomes).map(|(name, outcome)| result(name, outcome));
        let results = results.collect();
        call.answer(&CreatePartitionsResponse { results, ..Default::default() })
    }
}

fn wish(topic: CreatePartitionsTopic) -> NewPartitions {
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
    let by_hand = topic.assignments;
    NewPartitions {
        name: topic.name,
        count: topic.count,
        assignments: by_hand
            .map(|list| list.into_iter().map(|replicas| nodes(replicas.broker_ids)).collect()),
    }
}

fn result(name: String, outcome: Outcome) -> CreatePartitionsTopicResult {
    match outcome {
        Ok(_) => CreatePartitionsTopicResult {
            name,
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        Err(refusal) => CreatePartitionsTopicResult {
            name,
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
        },
    }
}
