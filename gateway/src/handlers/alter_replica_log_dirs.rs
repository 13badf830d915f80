//! AlterReplicaLogDirs: moving a replica to another log directory of its node. What is there already is there; a move is refused.
//!
//! Invariant: "done" is said only of a replica that is in the directory that was asked for. A directory or replica that is not there
//! gets Kafka's code; a move that would be one gets UNSUPPORTED_VERSION, since replicas stay where they were made.

use std::collections::BTreeSet;

use ottla_api::storage::{DescribeLogDirsRequest as StorageRequest, LogDirectory};
use ottla_kafka_wire::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_kafka_wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, TopicPartition, Uuid};

use super::{BACKEND_TIME, topics};
use crate::answer::Answer;
use crate::backend::any_target;
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// Kafka moves into a folder with these many more characters in its name: a dot, an id and `-future`.
const FUTURE_SUFFIX_BYTES: usize = 40;
/// Longest name of a folder.
const MAX_FOLDER_BYTES: usize = 255;

/// The handler.
pub(crate) struct AlterReplicaLogDirs;

impl Handle for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;

    async fn handle(call: Call, request: AlterReplicaLogDirsRequest) -> Answer {
        let image = call.gateway.image();
        let node = describe(&call, &image, &request).await.map(Node::new);
        let mut results = Vec::new();
        for dir in request.dirs {
            for topic in dir.topics {
                let code = |partition| match &node {
                    Ok(node) => node.check(&image, &dir.path, &topic.name, partition),
                    Err(error) => *error,
                };
                let partitions =
                    topic.partitions.iter().map(|partition| AlterReplicaLogDirPartitionResult {
                        partition_index: *partition,
                        error_code: code(*partition).code(),
                    });
                let partitions = partitions.collect();
                results.push(AlterReplicaLogDirTopicResult { topic_name: topic.name, partitions });
            }
        }
        call.answer(&AlterReplicaLogDirsResponse { results, ..Default::default() })
    }
}

/// The directories of the node that the client addressed, with those of the replicas that are asked about.
async fn describe(
    call: &Call,
    image: &Image,
    request: &AlterReplicaLogDirsRequest,
) -> Result<Vec<LogDirectory>, ErrorCode> {
    let node = any_target(&call.peer, call.gateway.backends.own(), image);
    let storage = node.and_then(|node| call.gateway.backends.get(node, image));
    let storage = storage.ok_or(ErrorCode::KafkaStorageError)?;
    let ids = |topic: &AlterReplicaLogDirTopic| {
        let id = |partition: &i32| find(image, &topic.name, *partition).ok();
        topic.partitions.iter().filter_map(id).collect::<Vec<_>>()
    };
    let asked: BTreeSet<_> =
        request.dirs.iter().flat_map(|dir| &dir.topics).flat_map(ids).collect();
    let request = StorageRequest { partitions: Some(asked.into_iter().collect()) };
    let described = storage.describe_log_dirs(call.context(BACKEND_TIME), request).await;
    described.map(|answer| answer.directories).map_err(|error| errors::for_log_dirs(&error))
}

fn find(image: &Image, topic: &str, partition: i32) -> Result<TopicPartition, ErrorCode> {
    let topic = topics::find(image, false, topic, Uuid::ZERO)?;
    topics::partition(topic, partition).map(|(id, _)| id)
}

/// What lies where.
struct Node {
    directories: Vec<(LogDirectory, BTreeSet<TopicPartition>)>,
}

impl Node {
    fn new(directories: Vec<LogDirectory>) -> Self {
        let held = |dir: &LogDirectory| dir.partitions.iter().map(|held| held.partition).collect();
        let directories = directories.into_iter().map(|dir| (held(&dir), dir));
        Self { directories: directories.map(|(held, dir)| (dir, held)).collect() }
    }

    /// Whether a replica is in this directory, in the order of Kafka's checks.
    fn check(&self, image: &Image, path: &str, topic: &str, partition: i32) -> ErrorCode {
        if topic.len() + 1 + partition.to_string().len() + FUTURE_SUFFIX_BYTES > MAX_FOLDER_BYTES {
            return ErrorCode::InvalidTopicException;
        }
        let wanted = self.directories.iter().find(|(dir, _)| dir.path == path);
        let Some((dir, held)) = wanted else { return ErrorCode::LogDirNotFound };
        if dir.error != ErrorCode::None {
            return ErrorCode::KafkaStorageError;
        }
        match find(image, topic, partition) {
            Ok(id) if held.contains(&id) => ErrorCode::None,
            Ok(id) if self.directories.iter().any(|(_, held)| held.contains(&id)) => {
                ErrorCode::UnsupportedVersion
            }
            Ok(_) => ErrorCode::ReplicaNotAvailable,
            Err(error) => error,
        }
    }
}
