//! Configs that change while the cluster runs and belong to no topic: those of brokers, groups and client metrics.
//!
//! Invariant: messages of refusals are Kafka's (`DynamicBrokerConfig`, `GroupConfig`, `ClientMetricsConfigs`).
//! Deliberately does not know who obeys a config.

use std::collections::BTreeMap;

use ottla_types::ErrorCode;

use crate::command::Refusal;
use crate::event::ConfigResource;
use crate::topic_config::value::{self, Check};
use crate::topic_config::{self, ConfigError, Kind};

mod brokers;
mod client_metrics;
mod groups;

pub use brokers::BROKER_KEYS;
pub use client_metrics::CLIENT_METRICS_KEYS;
pub use groups::{GROUP_KEYS, broker_synonym};

/// A config that changes while the cluster runs.
#[derive(Clone, Copy, Debug)]
pub struct DynamicKey {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Its value where nobody set it; `None`: it has none.
    pub default: Option<&'static str>,
    /// What it means, in a sentence; empty where Kafka says it.
    pub documentation: &'static str,
    check: Check,
}

/// A table of keys.
macro_rules! dynamic_keys {
    ($(#[$doc:meta])* $table:ident: $($name:literal: $kind:ident = $default:expr, $check:expr $(, $text:literal)?;)*) => {
        $(#[$doc])*
        pub static $table: &[DynamicKey] = &[$(DynamicKey {
            name: $name,
            kind: $kind,
            default: $default,
            documentation: concat!("" $(, $text)?),
            check: $check,
        },)*];
    };
}
use dynamic_keys;

/// The dynamic config of brokers with this name, as one node or all may have it.
pub fn broker_key(name: &str) -> Option<&'static DynamicKey> {
    find(BROKER_KEYS, name)
}

/// Checks all configs that a resource would have.
///
/// # Errors
/// The first that is wrong, with Kafka's code and message.
pub fn validate(of: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let invalid = |error: ConfigError| Refusal::new(ErrorCode::InvalidConfig, error.to_string());
    match of {
        ConfigResource::Topic(_) => topic_config::validate(configs).map_err(invalid),
        ConfigResource::Broker(node) => brokers::validate(*node, configs),
        ConfigResource::Group(_) => groups::validate(configs),
        ConfigResource::ClientMetrics(_) => client_metrics::validate(configs),
    }
}

/// The default of a list, empty where it has none; `None` for what is no list.
pub fn default_list(of: &ConfigResource, name: &str) -> Option<&'static str> {
    let keys = match of {
        ConfigResource::Topic(_) => {
            let key = topic_config::key(name).filter(|key| key.kind == Kind::List)?;
            return Some(key.default.unwrap_or_default());
        }
        ConfigResource::Broker(_) => BROKER_KEYS,
        ConfigResource::Group(_) => GROUP_KEYS,
        ConfigResource::ClientMetrics(_) => CLIENT_METRICS_KEYS,
    };
    let key = find(keys, name).filter(|key| key.kind == Kind::List)?;
    Some(key.default.unwrap_or_default())
}

fn find(keys: &'static [DynamicKey], name: &str) -> Option<&'static DynamicKey> {
    keys.iter().find(|key| key.name == name)
}

impl DynamicKey {
    /// Checks one value.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] or [`ConfigError::EmptyItem`].
    pub fn validate(&self, text: &str) -> Result<(), ConfigError> {
        value::check(self.name, self.kind, self.check, text)
    }
}

#[cfg(test)]
mod tests;
