//! The configs of groups and of client metrics: they are in the image, and nowhere else.
//!
//! Invariant: a group has all configs of groups, set or not; client metrics have those that are set. Neither need exist.

use ottla_kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};
use ottla_metadata::dynamic_config::{CLIENT_METRICS_KEYS, DynamicKey, GROUP_KEYS, broker_synonym};
use ottla_metadata::event::ConfigResource;
use ottla_metadata::{Image, Refusal};
use ottla_types::ErrorCode;

use super::Described;
use crate::handlers::config_kind;

/// Kafka's number for defaults.
const DEFAULT_CONFIG: i8 = 5;
/// Kafka's number for what was set for client metrics.
const CLIENT_METRICS_CONFIG: i8 = 7;
/// Kafka's number for what was set for a group.
const GROUP_CONFIG: i8 = 8;

pub(super) fn group(image: &Image, name: &str) -> Described {
    check_name(name, "Group name must not be empty")?;
    let resource = ConfigResource::Group(name.to_owned());
    let set = image.configs_of(&resource);
    let described = GROUP_KEYS.iter().map(|key| {
        let own = set.and_then(|set| set.get(key.name)).map(|own| DescribeConfigsSynonym {
            name: key.name.to_owned(),
            value: Some(own.clone()),
            source: GROUP_CONFIG,
        });
        let default = DescribeConfigsSynonym {
            name: broker_synonym(key.name),
            value: key.default.map(str::to_owned),
            source: DEFAULT_CONFIG,
        };
        result(key, own.into_iter().chain([default]).collect())
    });
    Ok(described.collect())
}

pub(super) fn client_metrics(image: &Image, name: &str) -> Described {
    check_name(name, "Client metrics subscription name must not be empty")?;
    let resource = ConfigResource::ClientMetrics(name.to_owned());
    let set = image.configs_of(&resource);
    let described = CLIENT_METRICS_KEYS.iter().filter_map(|key| {
        let own = DescribeConfigsSynonym {
            name: key.name.to_owned(),
            value: Some(set?.get(key.name)?.clone()),
            source: CLIENT_METRICS_CONFIG,
        };
        Some(result(key, vec![own]))
    });
    Ok(described.collect())
}

fn check_name(name: &str, message: &str) -> Result<(), Refusal> {
    if name.is_empty() { Err(Refusal::new(ErrorCode::InvalidRequest, message)) } else { Ok(()) }
}

/// A config with all the places where it is set, the one that counts first.
fn result(
    key: &DynamicKey,
    synonyms: Vec<DescribeConfigsSynonym>,
) -> DescribeConfigsResourceResult {
    let first = synonyms.first();
    DescribeConfigsResourceResult {
        name: key.name.to_owned(),
        value: first.and_then(|first| first.value.clone()),
        config_source: first.map_or(DEFAULT_CONFIG, |first| first.source),
        config_type: config_kind(key.kind),
        documentation: (!key.documentation.is_empty()).then(|| key.documentation.to_owned()),
        synonyms,
        ..Default::default()
    }
}
