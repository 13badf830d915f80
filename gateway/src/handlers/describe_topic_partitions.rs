//! DescribeTopicPartitions: topics page by page, in the order of their names.
//!
//! Invariant: a page has at most `max.request.partition.size.limit` partitions, and the cursor names the first that is not in it.
//! Eligible leader replicas are not kept here, so none are told.

use std::collections::BTreeSet;

use ottla_kafka_wire::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use ottla_kafka_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use ottla_metadata::Image;
use ottla_metadata::image::{Partition, Topic};
use ottla_types::{ErrorCode, NodeId};

use super::{TOPIC_OPERATIONS, is_internal, topics};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct DescribeTopicPartitions;

impl Handle for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    async fn handle(call: Call, request: DescribeTopicPartitionsRequest) -> Answer {
        let image = call.gateway.image();
        let most = call.gateway.config.max_partitions_per_describe;
        let limit = request.response_partition_limit.clamp(1, most.max(1));
        let (start_topic, start_partition) = match &request.cursor {
            Some(cursor) if cursor.partition_index < 0 => {
                return call.answer(&bad_cursor(&request));
            }
            Some(cursor) => (cursor.topic_name.as_str(), cursor.partition_index),
            None => ("", 0),
        };
        let mut page = Page {
            image: &image,
            left: usize::try_from(limit).unwrap_or(1),
            response: DescribeTopicPartitionsResponse::default(),
        };
        for name in wanted(&image, &request).range(start_topic..) {
            let first = if *name == start_topic { start_partition } else { 0 };
            if !page.add(name, first) {
                break;
            }
        }
        call.answer(&page.response)
    }
}

/// The names asked for, or all; in order.
fn wanted<'a>(image: &'a Image, request: &'a DescribeTopicPartitionsRequest) -> BTreeSet<&'a str> {
    if request.topics.is_empty() {
        return image.topic_ids.keys().map(String::as_str).collect();
    }
    request.topics.iter().map(|topic| topic.name.as_str()).collect()
}

fn bad_cursor(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let refused = |topic: &str| unknown(topic, ErrorCode::InvalidRequest);
    let topics = request.topics.iter().map(|topic| refused(&topic.name)).collect();
    DescribeTopicPartitionsResponse { topics, ..Default::default() }
}

/// A page that is being filled.
struct Page<'a> {
    image: &'a Image,
    /// Partitions that still fit.
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from a partition on; false: the page is full.
    fn add(&mut self, name: &str, first: i32) -> bool {
        let Some(topic) = self.image.topic_by_name(name) else {
            let code = match topics::is_legal_name(name) {
                true => ErrorCode::UnknownTopicOrPartition,
                false => ErrorCode::InvalidTopicException,
            };
            self.response.topics.push(unknown(name, code));
            return true;
        };
        if self.left == 0 {
            self.response.next_cursor = Some(cursor(name, first));
            return false;
        }
        let from = usize::try_from(first).unwrap_or(0);
        let partitions: Vec<_> = (topic.partitions.iter().enumerate().skip(from))
            .take(self.left)
            .map(|(at, partition)| described(self.image, at, partition))
            .collect();
        let end = from.min(topic.partitions.len()) + partitions.len();
        self.left -= partitions.len();
        self.response.topics.push(with_partitions(topic, partitions));
        if end < topic.partitions.len() {
            let next = i32::try_from(end).unwrap_or(i32::MAX);
            self.response.next_cursor = Some(cursor(name, next));
            return false;
        }
        true
    }
}

fn cursor(topic: &str, partition_index: i32) -> Cursor {
    Cursor { topic_name: topic.to_owned(), partition_index }
}

fn unknown(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.to_owned()),
        is_internal: is_internal(name),
        ..Default::default()
    }
}

fn with_partitions(
    topic: &Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.clone()),
        topic_id: topic.id.0,
        is_internal: is_internal(&topic.name),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
    }
}

fn described(
    image: &Image,
    index: usize,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let offline = partition.replicas.iter().filter(|node| !image.is_live(**node));
    DescribeTopicPartitionsResponsePartition {
        error_code: match partition.leader {
            Some(_) => ErrorCode::None.code(),
            None => ErrorCode::LeaderNotAvailable.code(),
        },
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: partition.leader.unwrap_or(NodeId::NONE).0,
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: offline.map(|node| node.0).collect(),
    }
}
