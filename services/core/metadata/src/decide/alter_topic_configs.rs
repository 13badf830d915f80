//! AlterTopicConfigs: some configs of one topic are set or reset.
//!
//! Invariant: the configs that a topic has after the change are valid together; what does not change makes no event.

use std::collections::BTreeMap;

use ottla_types::ErrorCode;

use super::create_topics::MAX_CONFIGS_PER_TOPIC;
use super::delete_topics::{find, outcome_of};
use super::draft::Draft;
use crate::command::{Refusal, Reply, TopicOutcome, TopicRef};
use crate::event::Event;
use crate::topic_config;

pub(super) fn decide(
    draft: &mut Draft<'_>,
    topic: &TopicRef,
    changes: BTreeMap<String, Option<String>>,
    validate_only: bool,
) -> Reply {
    let outcome = alter(draft, topic, changes);
    if validate_only {
        draft.forget();
    }
    Reply::Topics(vec![outcome])
}

fn alter(
    draft: &mut Draft<'_>,
    topic: &TopicRef,
    changes: BTreeMap<String, Option<String>>,
) -> Result<TopicOutcome, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
    let topic = find(draft.image(), topic)?;
    if changes.len() > MAX_CONFIGS_PER_TOPIC {
        return Err(invalid(format!("At most {MAX_CONFIGS_PER_TOPIC} configs per request.")));
    }
    let differs =
        |(name, value): &(String, Option<String>)| topic.configs.get(name) != value.as_ref();
    let changes: Vec<_> = changes.into_iter().filter(differs).collect();
    let mut configs = topic.configs.clone();
    for (name, value) in changes.iter().cloned() {
        match value {
            Some(value) => configs.insert(name, value),
            None => configs.remove(&name),
        };
    }
    topic_config::validate(&configs).map_err(|error| invalid(error.to_string()))?;
    let (id, outcome) = (topic.id, outcome_of(topic));
    if !changes.is_empty() {
        draft.push_and_see(Event::TopicConfigsChanged { id, changes })?;
    }
    Ok(outcome)
}
