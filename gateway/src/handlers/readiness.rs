//! Waits until the leaders of new partitions serve them.
//!
//! Invariant: asks the leaders, not the image: a leader serves a partition only once it has replayed the creation itself.
//! Deliberately does not know who created the topics.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use ottla_api::CallError;
use ottla_api::storage::{IsolationLevel, ListOffsetsPartition, ListOffsetsRequest};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};

use crate::request::Call;

/// First and longest pause between two questions to a leader.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Kafka's timestamp for the end offset: the cheapest question.
const LATEST: i64 = -1;

/// Waits until every partition of the topics is served by its leader, or has none (then waiting is of no use).
pub(crate) async fn wait(
    call: &Call,
    topics: &[TopicId],
    deadline: Duration,
) -> Result<(), CallError> {
    let clock = &call.gateway.seams.clock;
    let mut waiting: Vec<TopicPartition> = Vec::new();
    let image = call.gateway.image();
    for id in topics {
        let count = image.topics.get(id).map_or(0, |topic| topic.partitions.len());
        let indexes = (0..).take(count).map(PartitionIndex);
        waiting.extend(indexes.map(|partition| TopicPartition { topic: *id, partition }));
    }
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_sub(clock.monotonic());
        let image = call.gateway.image();
        waiting = unserved(call, &image, waiting, left).await;
        if waiting.is_empty() {
            return Ok(());
        }
        if left.is_zero() {
            return Err(CallError::TimedOut(deadline));
        }
        clock.sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The partitions of these that their leaders do not serve yet.
async fn unserved(
    call: &Call,
    image: &Image,
    partitions: Vec<TopicPartition>,
    left: Duration,
) -> Vec<TopicPartition> {
    let mut by_leader: BTreeMap<NodeId, Vec<TopicPartition>> = BTreeMap::new();
    for partition in partitions {
        let state = image.partition(partition.topic, partition.partition);
        if let Some(leader) = state.and_then(|state| state.leader) {
            by_leader.entry(leader).or_default().push(partition);
        }
    }
    let questions = by_leader.into_iter().map(|(leader, partitions)| async move {
        match call.gateway.backends.get(leader, image) {
            Some(storage) => {
                let request = question(&partitions);
                let answer = storage.list_offsets(call.context(left), request).await;
                let results = answer.map(|answer| answer.partitions).unwrap_or_default();
                let is_served = |at: usize| {
                    results.get(at).is_some_and(|result| result.error == ErrorCode::None)
                };
                let unserved = partitions.iter().enumerate().filter(|(at, _)| !is_served(*at));
                unserved.map(|(_, partition)| *partition).collect()
            }
            None => partitions,
        }
    });
    join_all(questions).await.concat()
}

fn question(partitions: &[TopicPartition]) -> ListOffsetsRequest {
    let asked = |partition: &TopicPartition| ListOffsetsPartition {
        partition: *partition,
        current_leader_epoch: LeaderEpoch::NONE,
        timestamp: LATEST,
    };
    ListOffsetsRequest {
        isolation: IsolationLevel::ReadUncommitted,
        partitions: partitions.iter().map(asked).collect(),
    }
}
