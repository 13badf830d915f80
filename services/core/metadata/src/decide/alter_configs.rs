//! AlterConfigs: configs of topics, brokers, groups and client metrics are set and reset, item by item or as a whole.
//!
//! Invariant: the configs that a resource has after the change are valid together; what does not change makes no event.
//! Messages are Kafka's. Deliberately does not know which of Kafka's two APIs asked.

use std::collections::BTreeMap;

use ottla_types::{ErrorCode, TopicId};

use super::create_topics::MAX_CONFIGS_PER_TOPIC;
use super::draft::Draft;
use crate::command::{ConfigAlteration, ConfigOp, Refusal, Reply};
use crate::dynamic_config;
use crate::event::{ConfigResource, Event};
use crate::image::Image;

/// Most resources of one request.
pub const MAX_CONFIG_RESOURCES_PER_REQUEST: usize = 10_000;
/// Most resources, but topics, that have configs.
pub const MAX_CONFIG_RESOURCES: usize = 20_000;
/// Longest name of a group or of client metrics, in bytes.
pub const MAX_RESOURCE_NAME_BYTES: usize = 1_024;

type Configs = BTreeMap<String, String>;

pub(super) fn decide(
    draft: &mut Draft<'_>,
    resources: &[ConfigAlteration],
    validate_only: bool,
) -> Reply {
    if resources.len() > MAX_CONFIG_RESOURCES_PER_REQUEST {
        let message = format!("At most {MAX_CONFIG_RESOURCES_PER_REQUEST} resources per request.");
        return Reply::Refused(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    let outcomes = resources.iter().map(|wish| alter(draft, wish)).collect();
    if validate_only {
        draft.forget();
    }
    Reply::Configs(outcomes)
}

fn alter(draft: &mut Draft<'_>, wish: &ConfigAlteration) -> Result<(), Refusal> {
    if wish.changes.len() > MAX_CONFIGS_PER_TOPIC {
        let message = format!("At most {MAX_CONFIGS_PER_TOPIC} configs per resource.");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    }
    let (topic, before) = current(draft.image(), &wish.resource)?;
    let after = altered(wish, &before)?;
    dynamic_config::validate(&wish.resource, &after)?;
    let changes = difference(&before, &after);
    if changes.is_empty() {
        return Ok(());
    }
    draft.push_and_see(match topic {
        Some(id) => Event::TopicConfigsChanged { id, changes },
        None => Event::ResourceConfigsChanged { resource: wish.resource.clone(), changes },
    })
}

/// What a resource has now, and which topic it is, if it is one.
fn current(image: &Image, of: &ConfigResource) -> Result<(Option<TopicId>, Configs), Refusal> {
    match of {
        ConfigResource::Topic(name) => {
            let topic = image.topic_by_name(name).ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
            })?;
            return Ok((Some(topic.id), topic.configs.clone()));
        }
        ConfigResource::Broker(Some(node)) if !image.brokers.contains_key(node) => {
            let message = format!("No broker with id {node} found.");
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        ConfigResource::Broker(_) => {}
        ConfigResource::Group(name) => check_name("group", name)?,
        ConfigResource::ClientMetrics(name) => check_name("client metrics", name)?,
    }
    let configs = image.configs_of(of);
    if configs.is_none() && image.configs.len() >= MAX_CONFIG_RESOURCES {
        let message = format!(
            "{MAX_CONFIG_RESOURCES} groups, brokers and client metrics have configs, the most that \
             may. Delete the configs of some."
        );
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    Ok((None, configs.cloned().unwrap_or_default()))
}

fn check_name(kind: &str, name: &str) -> Result<(), Refusal> {
    let message = match name.len() {
        0 => format!("Default {kind} resources are not allowed."),
        1..=MAX_RESOURCE_NAME_BYTES => return Ok(()),
        _ => format!("A name has at most {MAX_RESOURCE_NAME_BYTES} bytes."),
    };
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}

fn altered(wish: &ConfigAlteration, before: &Configs) -> Result<Configs, Refusal> {
    let mut after = if wish.replaces { Configs::new() } else { before.clone() };
    for (name, op) in &wish.changes {
        let value = match op {
            ConfigOp::Set(value) => Some(value.clone()),
            ConfigOp::Delete => None,
            ConfigOp::Append(items) => {
                let mut list = items_of(&wish.resource, name, &after, "APPEND")?;
                for item in items.split(',') {
                    if !list.iter().any(|old| old == item) {
                        list.push(item.to_owned());
                    }
                }
                Some(list.join(","))
            }
            ConfigOp::Subtract(items) => {
                let mut list = items_of(&wish.resource, name, &after, "SUBTRACT")?;
                list.retain(|old| !items.split(',').any(|item| item == old));
                Some(list.join(","))
            }
        };
        match value {
            Some(value) => after.insert(name.clone(), value),
            None => after.remove(name),
        };
    }
    Ok(after)
}

/// The items that a list has now, or by default.
fn items_of(
    of: &ConfigResource,
    name: &str,
    configs: &Configs,
    operation: &str,
) -> Result<Vec<String>, Refusal> {
    let default = dynamic_config::default_list(of, name).ok_or_else(|| {
        let message = format!("Can't {operation} to key {name} because its type is not LIST.");
        Refusal::new(ErrorCode::InvalidConfig, message)
    })?;
    let text = configs.get(name).map_or(default, String::as_str);
    Ok(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

fn difference(before: &Configs, after: &Configs) -> Vec<(String, Option<String>)> {
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let set = set.map(|(name, value)| (name.clone(), Some(value.clone())));
    let reset = before.keys().filter(|name| !after.contains_key(*name));
    set.chain(reset.map(|name| (name.clone(), None))).collect()
}
