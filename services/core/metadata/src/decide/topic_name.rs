//! Kafka's rules for topic names (`org.apache.kafka.common.internals.Topic`).
//!
//! Invariant: a name that passes is a legal file name and a legal metric name.

use ottla_types::ErrorCode;
use ottla_types::limits::MAX_TOPIC_NAME_BYTES;

use crate::command::Refusal;
use crate::image::Image;

/// The topic of Kafka's own metadata quorum: nobody may create it.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Refuses a name that no topic may have, or that another topic has already.
pub(super) fn check_new(image: &Image, name: &str) -> Result<(), Refusal> {
    if image.topic_ids.contains_key(name) {
        let message = format!("Topic '{name}' already exists.");
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
    }
    if let Some(flaw) = flaw(name) {
        let message = format!("Topic name is invalid: {flaw}");
        return Err(Refusal::new(ErrorCode::InvalidTopicException, message));
    }
    if name == CLUSTER_METADATA_TOPIC {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    match image.colliding_topic(name) {
        Some(existing) => Err(Refusal::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {}", existing.name),
        )),
        None => Ok(()),
    }
}

fn flaw(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Some("the empty string is not allowed".to_owned()),
        "." | ".." => Some(format!("'{name}' is not allowed")),
        _ if name.len() > MAX_TOPIC_NAME_BYTES => Some(format!(
            "the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME_BYTES}"
        )),
        _ if !name.chars().all(legal) => Some(format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )),
        _ => None,
    }
}
