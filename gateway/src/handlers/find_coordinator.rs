//! FindCoordinator: which storage node coordinates a group. From version 4 on many groups at a time.
//!
//! The first client that asks has the topic of groups made, and is answered when its leaders serve it; Kafka makes it ask again.
//! Coordinators of transactions and of share groups do not exist yet: they are refused as Kafka refuses what it does not know.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use ottla_metadata::addresses::NodeAddress;
use ottla_metadata::{Image, Refusal};
use ottla_types::{ErrorCode, NodeId};
use tracing::warn;

use super::coordinators::partition_in;
use super::create_topics::create_missing;
use super::nodes::nodes_for;
use super::offsets_topic;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version that asks for many.
const FIRST_WITH_MANY: i16 = 4;
/// Kafka's number of groups as what is coordinated.
const GROUP: i8 = 0;
/// Kafka's number of transactions as what is coordinated.
const TRANSACTION: i8 = 1;
/// The port of no node.
const NO_PORT: i32 = -1;

/// The handler.
pub(crate) struct FindCoordinator;

impl Handle for FindCoordinator {
    type Request = FindCoordinatorRequest;

    async fn handle(call: Call, request: FindCoordinatorRequest) -> Answer {
        let is_for_many = call.version >= FIRST_WITH_MANY;
        let mut keys = match is_for_many {
            true => request.coordinator_keys,
            false => vec![request.key],
        };
        // What is named again is left out, lest a small request asks for a large answer.
        let mut named = HashSet::with_capacity(keys.len());
        keys.retain(|key| named.insert(key.clone()));
        let image = match request.key_type {
            _ if keys.is_empty() => Ok(call.gateway.image()),
            GROUP => image_with_topic(&call).await,
            other => Err(not_served(other)),
        };
        let mut found = keys.into_iter().map(|key| find(&call, &image, key));
        let response = match is_for_many {
            true => FindCoordinatorResponse { coordinators: found.collect(), ..Default::default() },
            false => found.next().map_or_else(Default::default, alone),
        };
        call.answer(&response)
    }
}

/// What there is no coordinator for.
fn not_served(key_type: i8) -> Refusal {
    let message = match key_type {
        TRANSACTION => "Transactions are not served yet.".to_owned(),
        other => format!("There is no coordinator of type {other}; of groups (0) there is."),
    };
    Refusal::new(ErrorCode::InvalidRequest, message)
}

/// The cluster with the topic of groups, which is made where it is missing.
async fn image_with_topic(call: &Call) -> Result<Arc<Image>, Refusal> {
    let image = call.gateway.image();
    if image.topic_by_name(offsets_topic::NAME).is_some() {
        return Ok(image);
    }
    let (image, outcomes) = create_missing(call, vec![offsets_topic::NAME.to_owned()]).await;
    match outcomes.into_iter().next() {
        // It exists, and serves or soon will.
        Some(Err(refusal)) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(image),
        Some(Err(refusal)) => {
            warn!(%refusal, "{} cannot be made, so there are no groups; see offsets.topic.replication.factor and offsets.topic.num.partitions", offsets_topic::NAME);
            Err(Refusal::new(ErrorCode::CoordinatorNotAvailable, refusal.message))
        }
        _ => Ok(image),
    }
}

fn find(call: &Call, image: &Result<Arc<Image>, Refusal>, key: String) -> Coordinator {
    let found = match image {
        Ok(image) => coordinator(call, image, &key).ok_or_else(|| {
            let message = "The coordinator is not available.".to_owned();
            Refusal::new(ErrorCode::CoordinatorNotAvailable, message)
        }),
        Err(refusal) => Err(refusal.clone()),
    };
    match found {
        Ok(node) => Coordinator {
            key,
            node_id: node.node.0,
            host: node.endpoint.host,
            port: i32::from(node.endpoint.port),
            ..Default::default()
        },
        Err(refusal) => Coordinator {
            key,
            node_id: NodeId::NONE.0,
            host: String::new(),
            port: NO_PORT,
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
        },
    }
}

/// The leader of the group's partition, where this client finds it.
fn coordinator(call: &Call, image: &Image, group: &str) -> Option<NodeAddress> {
    let topic = image.topic_by_name(offsets_topic::NAME)?;
    let leader = image.partition(topic.id, partition_in(topic, group))?.leader?;
    let nodes = nodes_for(call, image);
    let at = nodes.binary_search_by_key(&leader, |known| known.node).ok()?;
    nodes.get(at).cloned()
}

/// The answer of versions that ask for one only. Kafka says "NONE" there where all is well.
fn alone(found: Coordinator) -> FindCoordinatorResponse {
    let is_found = found.error_code == ErrorCode::None.code();
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: if is_found { Some("NONE".to_owned()) } else { found.error_message },
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}
