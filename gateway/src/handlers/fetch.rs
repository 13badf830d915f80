//! Fetch: records leave as the storage nodes give them, from memory or from a region of a file.
//!
//! In a fetch session (KIP-227) the request's partitions are those of the session, and the answer has those that changed.
//! Replicas do not fetch here: replication has a service of its own.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use ottla_api::storage::{
    FetchPartition as StoragePartition, FetchPartitionResult, FetchRequest as StorageRequest,
    IsolationLevel,
};
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest};
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, Offset, TopicPartition};

use super::by_node::ask_nodes;
use super::{CONSUMER, LONGEST_WAIT, topics, wait_of};
use crate::answer::Answer;
use crate::backend::{FanOut, target};
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

mod memory;
mod response;

use memory::{Kept, Source};

/// First version in which topics go by id.
const FIRST_WITH_TOPIC_IDS: i16 = 13;
/// First version in which a replica says who it is in a tagged field.
const FIRST_WITH_REPLICA_STATE: i16 = 15;
/// The longest wait of a fetch from several nodes at once, which only clients of the bootstrap port send.
const LONGEST_WAIT_AT_SEVERAL: Duration = Duration::from_millis(500);

/// The handler.
pub(crate) struct Fetch;

impl Handle for Fetch {
    type Request = FetchRequest;

    async fn handle(call: Call, mut request: FetchRequest) -> Answer {
        if is_replica(&call, &request) {
            return response::refusal(&call, &request, ErrorCode::ClusterAuthorizationFailed);
        }
        let (gateway, by_id) = (&call.gateway, call.version >= FIRST_WITH_TOPIC_IDS);
        let now = gateway.seams.clock.monotonic();
        let turn = match gateway.fetch_sessions.open(&mut request, by_id, now) {
            Ok(turn) => turn,
            Err(error) => return response::refusal(&call, &request, error),
        };
        let image = gateway.image();
        let kept = Kept::default();
        let results = run(&call, &image, &request, &kept).await;
        let told = gateway.fetch_sessions.settle(&turn, &request, &results, now);
        // The answer is counted before what was reserved for it is given back.
        response::answer(&call, &image, request, (results, told))
    }
}

fn is_replica(call: &Call, request: &FetchRequest) -> bool {
    let replica = match call.version {
        FIRST_WITH_REPLICA_STATE.. => request.replica_state.replica_id,
        _ => request.replica_id,
    };
    replica > CONSUMER
}

async fn run(
    call: &Call,
    image: &Image,
    request: &FetchRequest,
    kept: &Kept,
) -> Vec<FetchPartitionResult> {
    let (plan, is_at_several) = plan(call, image, request);
    // Nobody knows when several nodes have enough between them, and what came from one is kept until the others answer.
    let longest = if is_at_several { LONGEST_WAIT_AT_SEVERAL } else { LONGEST_WAIT };
    let wait = wait_of(request.max_wait_ms).min(longest);
    let isolation = match request.isolation_level {
        0 => IsolationLevel::ReadUncommitted,
        _ => IsolationLevel::ReadCommitted,
    };
    let max_bytes = request.max_bytes.min(call.gateway.config.max_fetch_bytes).max(1);
    let ask = |node, storage, partitions: Vec<StoragePartition>| {
        let is_own = call.gateway.backends.own() == Some(node);
        let request = StorageRequest {
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: request.min_bytes,
            max_bytes,
            isolation,
            rack: request.rack_id.clone(),
            partitions,
        };
        async move {
            let source = Source { call, storage };
            let found = match is_own {
                // It gives regions of files, which take no memory.
                true => source.ask(request).await,
                false => source.ask_with_memory(request, kept).await,
            };
            found.map_err(|error| errors::for_fetch(&error))
        }
    };
    ask_nodes((call, image), plan, ask, refusal).await
}

/// Who is asked what, and whether that is more than one node.
fn plan(
    call: &Call,
    image: &Image,
    request: &FetchRequest,
) -> (FanOut<StoragePartition, FetchPartitionResult>, bool) {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut plan = FanOut::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    let mut nodes = BTreeSet::new();
    for topic in &request.topics {
        let by_id = call.version >= FIRST_WITH_TOPIC_IDS;
        let found = topics::find(image, by_id, &topic.topic, topic.topic_id);
        for asked in &topic.partitions {
            match found.and_then(|topic| destination(call, topic, asked, &mut seen)) {
                Ok((node, item)) => {
                    nodes.insert(node);
                    plan.ask(node, item);
                }
                Err(error) => plan.answer(refusal(error)),
            }
        }
    }
    (plan, nodes.len() > 1)
}

fn destination(
    call: &Call,
    topic: &Topic,
    asked: &FetchPartition,
    seen: &mut HashSet<TopicPartition>,
) -> Result<(NodeId, StoragePartition), ErrorCode> {
    let (partition, state) = topics::partition(topic, asked.partition)?;
    if !seen.insert(partition) {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let node = target(&call.peer, state).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let item = StoragePartition {
        partition,
        current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
        fetch_offset: Offset(asked.fetch_offset),
        last_fetched_epoch: LeaderEpoch(asked.last_fetched_epoch),
        max_bytes: asked.partition_max_bytes.max(0),
    };
    Ok((node, item))
}

/// What Kafka says beside an error.
fn refusal(error: ErrorCode) -> FetchPartitionResult {
    let nowhere = ottla_api::storage::topic_partition(Default::default(), -1);
    FetchPartitionResult::without_records(nowhere, error)
}
