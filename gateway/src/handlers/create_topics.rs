//! CreateTopics, and the creation of topics that a Metadata request names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_kafka_wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_metadata::command::NewTopic;
use ottla_metadata::topic_config::describe;
use ottla_metadata::{Command, Image, Refusal};
use ottla_types::{ErrorCode, NodeId, PartitionIndex};

use super::topic_command::{Outcome, Until, submit};
use super::{config_source, offsets_topic, wait_of};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// How long a Metadata request waits for topics that it creates.
const CREATION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a Metadata request waits for topics that somebody else has just created.
const CREATION_BY_ANOTHER: Duration = Duration::from_secs(1);
/// Kafka's "as the cluster has it" for counts.
const DEFAULT_COUNT: i32 = -1;
/// First version that tells the topic's configs.
const FIRST_WITH_CONFIGS: i16 = 5;

/// The handler.
pub(crate) struct CreateTopics;

impl Handle for CreateTopics {
    type Request = CreateTopicsRequest;

    async fn handle(call: Call, request: CreateTopicsRequest) -> Answer {
        let timeout = wait_of(request.timeout_ms);
        let CreateTopicsRequest { topics, validate_only, .. } = request;
        let asked: Vec<NewTopic> = topics.iter().map(new_topic).collect();
        let outcomes = create(&call, &topics, asked.clone(), (validate_only, timeout)).await;
        let results = asked.into_iter().zip(outcomes);
        let topics = results.map(|(topic, outcome)| result(&call, topic, outcome)).collect();
        call.answer(&CreateTopicsResponse { topics, ..Default::default() })
    }
}

/// One outcome a topic, in their order.
async fn create(
    call: &Call,
    asked: &[CreatableTopic],
    topics: Vec<NewTopic>,
    (validate_only, timeout): (bool, Duration),
) -> Vec<Outcome> {
    let count = topics.len();
    let flaws: Vec<Option<Refusal>> = asked.iter().map(flaw).collect();
    let topics: Vec<NewTopic> = topics
        .into_iter()
        .zip(&flaws)
        .filter_map(|(topic, flaw)| flaw.is_none().then_some(topic))
        .collect();
    let until = if validate_only { Until::Decided } else { Until::Served };
    let accepted = topics.len();
    let command = Command::CreateTopics { topics, validate_only };
    let mut decided = submit(call, (command, accepted), until, timeout).await.into_iter();
    let mut outcomes = Vec::with_capacity(count);
    for flaw in flaws {
        match flaw {
            Some(refusal) => outcomes.push(Err(refusal)),
            None => outcomes.extend(decided.next()),
        }
    }
    outcomes
}

/// Counts beside an assignment by hand: the controller no longer sees that both were given.
fn flaw(topic: &CreatableTopic) -> Option<Refusal> {
    let refuse = |what: &str| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Some(Refusal::new(ErrorCode::InvalidRequest, message))
    };
    match topic.assignments.is_empty() {
        true => None,
        false if topic.replication_factor != -1 => refuse("replication factor"),
        false if topic.num_partitions != DEFAULT_COUNT => refuse("numPartitions"),
        false => None,
    }
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    let configs = topic.configs.iter();
    NewTopic {
        name: topic.name.clone(),
        partitions: (topic.num_partitions != DEFAULT_COUNT).then_some(topic.num_partitions),
        replication_factor: (topic.replication_factor != -1).then_some(topic.replication_factor),
        assignments: topic
            .assignments
            .iter()
            .map(|by_hand| (PartitionIndex(by_hand.partition_index), nodes(&by_hand.broker_ids)))
            .collect(),
        configs: configs.map(|config| (config.name.clone(), config.value.clone())).collect(),
    }
}

fn result(call: &Call, topic: NewTopic, outcome: Outcome) -> CreatableTopicResult {
    match outcome {
        Ok(outcome) => CreatableTopicResult {
            topic_id: outcome.id.0,
            error_code: ErrorCode::None.code(),
            error_message: None,
            num_partitions: outcome.partitions,
            replication_factor: outcome.replication_factor,
            configs: (call.version >= FIRST_WITH_CONFIGS).then(|| configs(call, topic.configs)),
            name: topic.name,
            ..Default::default()
        },
        Err(refusal) => CreatableTopicResult {
            name: topic.name,
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..Default::default()
        },
    }
}

/// All configs of a topic that was made with these.
fn configs(call: &Call, set: Vec<(String, Option<String>)>) -> Vec<CreatableTopicConfigs> {
    let set: BTreeMap<String, String> =
        set.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let described = describe(&set, &call.topic_defaults(&call.gateway.image()));
    let told = described.into_iter().map(|config| CreatableTopicConfigs {
        name: config.name.to_owned(),
        value: config.value,
        read_only: config.read_only,
        config_source: config_source(config.source),
        is_sensitive: config.sensitive,
    });
    told.collect()
}

/// Another client that was faster is no refusal.
fn tell_refused(call: &Call, names: &[String], outcomes: &[Outcome]) {
    let now = call.gateway.seams.clock.monotonic();
    for (name, outcome) in names.iter().zip(outcomes) {
        if let Err(refusal) = outcome
            && refusal.code != ErrorCode::TopicAlreadyExists
        {
            call.gateway.refused_creations.note(now, name, refusal);
        }
    }
}

/// Creates topics with the cluster's defaults, and the topic of groups as that is to be; returns the image that has those that
/// could be created, and what became of each.
pub(super) async fn create_missing(call: &Call, names: Vec<String>) -> (Arc<Image>, Vec<Outcome>) {
    let topic = |name: &String| match name.as_str() {
        offsets_topic::NAME => offsets_topic::new(&call.gateway.config.offsets_topic),
        _ => NewTopic {
            name: name.clone(),
            partitions: None,
            replication_factor: None,
            assignments: Vec::new(),
            configs: Vec::new(),
        },
    };
    let topics: Vec<NewTopic> = names.iter().map(topic).collect();
    let command = Command::CreateTopics { topics, validate_only: false };
    // What was refused is missing in the image, and the answer says so; only the log can say why.
    let outcomes = submit(call, (command, names.len()), Until::Served, CREATION_TIMEOUT).await;
    tell_refused(call, &names, &outcomes);
    let by_another = |(name, outcome): (&String, &Outcome)| {
        let refusal = outcome.as_ref().err()?;
        (refusal.code == ErrorCode::TopicAlreadyExists).then(|| name.clone())
    };
    // Another client was faster, and this gateway has not replayed it yet.
    let by_others: Vec<String> = names.iter().zip(&outcomes).filter_map(by_another).collect();
    if !by_others.is_empty() {
        let are_known =
            |image: &Image| by_others.iter().all(|name| image.topic_by_name(name).is_some());
        // Those that do not come are answered as unknown.
        _ = call.gateway.wait_until(CREATION_BY_ANOTHER, are_known).await;
    }
    (call.gateway.image(), outcomes)
}
