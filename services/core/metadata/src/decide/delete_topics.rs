//! DeleteTopics: each topic, by name or by id, is deleted or refused by itself.
//!
//! Invariant: a topic that is named twice is not deleted by accident of order: duplicates are refused, as in Kafka.

use std::collections::BTreeMap;

use ottla_types::ErrorCode;

use super::Context;
use super::create_topics::MAX_TOPICS_PER_REQUEST;
use super::draft::Draft;
use crate::command::{Refusal, Reply, TopicOutcome, TopicRef};
use crate::event::Event;
use crate::image::{Image, Topic};

pub(super) fn decide(draft: &mut Draft<'_>, topics: &[TopicRef], context: &Context<'_>) -> Reply {
    if topics.len() > MAX_TOPICS_PER_REQUEST {
        let message = format!("At most {MAX_TOPICS_PER_REQUEST} topics per request.");
        return Reply::Refused(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    if !context.settings.is_topic_deletion_allowed {
        return Reply::Topics(vec![Err(disabled()); topics.len()]);
    }
    let base = draft.image().clone();
    let mut times_named = BTreeMap::new();
    for topic in topics.iter().filter_map(|topic| find(&base, topic).ok()) {
        *times_named.entry(topic.id).or_insert(0_usize) += 1;
    }
    let mut outcomes = Vec::with_capacity(topics.len());
    for reference in topics {
        let outcome = find(&base, reference).and_then(|topic| {
            if times_named.get(&topic.id) != Some(&1) {
                return Err(duplicate(reference));
            }
            draft.push_and_see(Event::TopicDeleted { id: topic.id, at: context.now.wall })?;
            Ok(outcome_of(topic))
        });
        outcomes.push(outcome);
    }
    Reply::Topics(outcomes)
}

/// The topic of a reference, or Kafka's refusal.
pub(super) fn find<'a>(image: &'a Image, reference: &TopicRef) -> Result<&'a Topic, Refusal> {
    let (topic, code, what) = match reference {
        TopicRef::Name(name) => {
            (image.topic_by_name(name), ErrorCode::UnknownTopicOrPartition, "topic-partition")
        }
        TopicRef::Id(id) => (image.topics.get(id), ErrorCode::UnknownTopicId, "topic ID"),
    };
    let unknown = || Refusal::new(code, format!("This server does not host this {what}."));
    topic.map(AsRef::as_ref).ok_or_else(unknown)
}

/// What is answered about a topic as it is.
pub(super) fn outcome_of(topic: &Topic) -> TopicOutcome {
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    TopicOutcome {
        id: topic.id,
        name: topic.name.clone(),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
    }
}

fn disabled() -> Refusal {
    let message =
        "Topic deletion is disabled: delete.topic.enable is false on the active controller.";
    Refusal::new(ErrorCode::TopicDeletionDisabled, message)
}

fn duplicate(reference: &TopicRef) -> Refusal {
    let message = match reference {
        TopicRef::Name(_) => "Duplicate topic name.",
        TopicRef::Id(_) => "Duplicate topic id.",
    };
    Refusal::new(ErrorCode::InvalidRequest, message)
}
