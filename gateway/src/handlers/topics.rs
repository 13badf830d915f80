//! Topics and partitions in the image, found as clients name them.
//!
//! Invariant: from version to version a topic goes by name or by id, never by both. Deliberately asks nobody.

use std::iter::repeat;
use std::sync::Arc;

use ottla_coordinator::reply::PartitionCodes;
use ottla_metadata::Image;
use ottla_metadata::image::{Partition, Topic};
use ottla_types::limits::MAX_TOPIC_NAME_BYTES;
use ottla_types::{ErrorCode, PartitionIndex, TopicId, TopicPartition, Uuid};

/// The topic that a request names by id (where the version has ids) or by name.
///
/// # Errors
/// Kafka's code for a topic that does not exist.
pub(super) fn find<'a>(
    image: &'a Image,
    by_id: bool,
    name: &str,
    id: Uuid,
) -> Result<&'a Arc<Topic>, ErrorCode> {
    if by_id {
        image.topics.get(&TopicId(id)).ok_or(ErrorCode::UnknownTopicId)
    } else {
        image.topic_by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
    }
}

/// A partition of a topic.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION.
pub(super) fn partition(
    topic: &Topic,
    index: i32,
) -> Result<(TopicPartition, &Partition), ErrorCode> {
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let at = usize::try_from(index).map_err(|_| unknown)?;
    let found = topic.partitions.get(at).ok_or(unknown)?;
    Ok((TopicPartition { topic: topic.id, partition: PartitionIndex(index) }, found))
}

/// The codes of the partitions of a request, in its order, of which some are known before a coordinator is asked.
#[derive(Debug, Default)]
pub(super) struct Codes(Vec<ErrorCode>);

impl Codes {
    /// The next partition was looked for; whether the coordinator is to be asked about it.
    pub(super) fn check<T>(&mut self, found: Result<T, ErrorCode>) -> bool {
        self.0.push(found.as_ref().err().copied().unwrap_or(ErrorCode::None));
        found.is_ok()
    }

    /// With the codes of those that the coordinator was asked about, or the one for all of them.
    pub(super) fn with(mut self, told: Result<Vec<ErrorCode>, ErrorCode>) -> Vec<ErrorCode> {
        let asked = self.0.iter_mut().filter(|code| code.is_none());
        match told {
            Err(error) => asked.for_each(|code| *code = error),
            Ok(told) => {
                let told = told.into_iter().chain(repeat(ErrorCode::UnknownServerError));
                asked.zip(told).for_each(|(code, told)| *code = told);
            }
        }
        self.0
    }
}

/// A coordinator's codes, one after the other.
pub(super) fn flat(topics: Vec<PartitionCodes>) -> Vec<ErrorCode> {
    topics.iter().flat_map(|topic| &topic.partitions).map(|(_, code)| *code).collect()
}

/// Kafka's rule for topic names.
pub(super) fn is_legal_name(name: &str) -> bool {
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_TOPIC_NAME_BYTES
        && name.bytes().all(is_legal)
}
