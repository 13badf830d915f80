//! DescribeLogDirs: the log directories of the storage node that the client addressed.

use std::collections::BTreeMap;

use ottla_api::storage::{DescribeLogDirsRequest as StorageRequest, LogDirectory};
use ottla_kafka_wire::messages::describe_log_dirs_request::{
    DescribableLogDirTopic, DescribeLogDirsRequest,
};
use ottla_kafka_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, PartitionIndex, TopicPartition};

use super::BACKEND_TIME;
use crate::answer::Answer;
use crate::backend::any_target;
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct DescribeLogDirs;

impl Handle for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    async fn handle(call: Call, request: DescribeLogDirsRequest) -> Answer {
        let image = call.gateway.image();
        let response = match describe(&call, &image, request).await {
            Ok(directories) => DescribeLogDirsResponse {
                results: directories.into_iter().map(|dir| result(&image, dir)).collect(),
                ..Default::default()
            },
            Err(error) => {
                DescribeLogDirsResponse { error_code: error.code(), ..Default::default() }
            }
        };
        call.answer(&response)
    }
}

async fn describe(
    call: &Call,
    image: &Image,
    request: DescribeLogDirsRequest,
) -> Result<Vec<LogDirectory>, ErrorCode> {
    let node = any_target(&call.peer, call.gateway.backends.own(), image);
    let storage = node.and_then(|node| call.gateway.backends.get(node, image));
    let storage = storage.ok_or(ErrorCode::KafkaStorageError)?;
    let partitions = request.topics.map(|topics| {
        topics.into_iter().flat_map(|topic| partitions(image, topic)).collect::<Vec<_>>()
    });
    let request = StorageRequest { partitions };
    let described = storage.describe_log_dirs(call.context(BACKEND_TIME), request).await;
    described.map(|answer| answer.directories).map_err(|error| errors::for_log_dirs(&error))
}

/// The partitions asked for, as far as the topic exists.
fn partitions(image: &Image, topic: DescribableLogDirTopic) -> Vec<TopicPartition> {
    let Some(found) = image.topic_by_name(&topic.topic) else { return Vec::new() };
    let partition = |index| TopicPartition { topic: found.id, partition: PartitionIndex(index) };
    topic.partitions.into_iter().map(partition).collect()
}

/// Partitions of topics that are deleted, and on disk for a moment longer, are left out: they have no name any more.
fn result(image: &Image, directory: LogDirectory) -> DescribeLogDirsResult {
    let mut by_topic: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in &directory.partitions {
        let Some(topic) = image.topics.get(&partition.partition.topic) else { continue };
        by_topic.entry(&topic.name).or_default().push(DescribeLogDirsPartition {
            partition_index: partition.partition.partition.0,
            partition_size: partition.size_bytes,
            offset_lag: partition.offset_lag,
            is_future_key: false,
        });
    }
    let topics = by_topic.into_iter();
    DescribeLogDirsResult {
        error_code: directory.error.code(),
        topics: topics
            .map(|(name, partitions)| DescribeLogDirsTopic { name: name.to_owned(), partitions })
            .collect(),
        log_dir: directory.path,
        total_bytes: directory.total_bytes,
        usable_bytes: directory.usable_bytes,
        is_cordoned: false,
    }
}
