//! Offsets of logs by time, asked of the leaders of their partitions.
//!
//! Invariant: every partition that is asked for gets exactly one result. Deliberately knows no group.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use ottla_api::storage::{IsolationLevel, ListOffsetsPartition, ListOffsetsRequest};
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, TopicPartition};
use tracing::Span;

use super::super::{AdminServices, context};

/// How long one storage node may take: a search by time reads batches.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);
/// Kafka's timestamp of the first record.
pub(super) const EARLIEST: i64 = -2;
/// Kafka's timestamp of the end.
pub(super) const LATEST: i64 = -1;

/// An offset, or none where no record is so new; or why it is not known.
pub(super) type Found = Result<Option<i64>, ErrorCode>;

/// The offsets of partitions at a time, in milliseconds since 1970 or Kafka's special ones.
pub(super) async fn at(
    services: &AdminServices,
    span: &Span,
    partitions: &[TopicPartition],
    timestamp: i64,
) -> BTreeMap<TopicPartition, Found> {
    let image = services.image();
    let mut found: BTreeMap<TopicPartition, Found> = BTreeMap::new();
    let mut by_node: BTreeMap<NodeId, Vec<TopicPartition>> = BTreeMap::new();
    for partition in partitions {
        let state = image.partition(partition.topic, partition.partition);
        let leader = match state {
            Some(state) => state.leader.ok_or(ErrorCode::LeaderNotAvailable),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        };
        match leader {
            Ok(node) => by_node.entry(node).or_default().push(*partition),
            Err(error) => _ = found.insert(*partition, Err(error)),
        }
    }
    let asked = by_node.into_iter().map(|(node, partitions)| {
        let storage = services.storage.get(node, &image);
        let context = context(span.clone(), LIST_TIMEOUT);
        async move {
            let Some(storage) = storage else { return failed(partitions) };
            match storage.list_offsets(context, request(&partitions, timestamp)).await {
                Ok(response) => response.partitions.iter().map(one).collect(),
                Err(_) => failed(partitions),
            }
        }
    });
    found.extend(join_all(asked).await.into_iter().flatten());
    for partition in partitions {
        found.entry(*partition).or_insert(Err(ErrorCode::NotLeaderOrFollower));
    }
    found
}

fn request(partitions: &[TopicPartition], timestamp: i64) -> ListOffsetsRequest {
    let one = |partition: &TopicPartition| ListOffsetsPartition {
        partition: *partition,
        current_leader_epoch: LeaderEpoch::NONE,
        timestamp,
    };
    ListOffsetsRequest {
        isolation: IsolationLevel::ReadUncommitted,
        partitions: partitions.iter().map(one).collect(),
    }
}

fn one(result: &ottla_api::storage::ListOffsetsPartitionResult) -> (TopicPartition, Found) {
    let found = match result.error {
        ErrorCode::None => Ok(Some(result.offset.0).filter(|offset| *offset >= 0)),
        error => Err(error),
    };
    (result.partition, found)
}

fn failed(partitions: Vec<TopicPartition>) -> Vec<(TopicPartition, Found)> {
    partitions.into_iter().map(|one| (one, Err(ErrorCode::NotLeaderOrFollower))).collect()
}
