//! Topic configs: every name of Kafka's, what values it takes, and what Ottla makes of it.
//!
//! Invariant: what [`validate`] accepts, [`TopicConfig::resolve`] can use; the messages of refusals are Kafka's
//! (`ConfigDef`, `LogConfig`). Deliberately does not know who obeys a config, only whether somebody does.

use std::collections::BTreeMap;

mod cluster_defaults;
mod describe;
mod resolved;
mod table;
pub(crate) mod value;

pub use cluster_defaults::{ClusterDefault, ClusterDefaults};
pub use describe::{ConfigSource, DescribedConfig, Synonym, describe};
pub use resolved::{Cleanup, StoredCompression, TimestampType, TopicConfig};
pub use table::KEYS;
pub use value::Kind;

use value::Check;

/// Longest value of a topic config, in bytes (the longest string of Kafka's protocol).
pub const MAX_CONFIG_VALUE_BYTES: usize = 32_767;

/// One topic config.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Its value where neither the topic nor the broker's configuration has one; `None`: no value.
    pub default: Option<&'static str>,
    /// Names in the broker's configuration that give the default, highest priority first.
    pub synonyms: &'static [&'static str],
    /// Whether it has an effect.
    pub served: Served,
    /// What it means, in a sentence.
    pub documentation: &'static str,
    /// Which values are right.
    check: Check,
}

/// What Ottla makes of a topic config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It has its effect.
    Obeyed,
    /// It is validated, stored and shown, and has no effect yet.
    Stored,
    /// Like [`Served::Stored`], and shown only where it is set: Kafka keeps it for its own tests.
    Internal,
}

/// A config that is refused, with Kafka's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No topic config has this name.
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    /// The value is not one of this config.
    #[error("Invalid value {value} for configuration {name}: {why}")]
    Invalid {
        /// The config.
        name: String,
        /// The value, as Kafka prints it.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A list has an empty item.
    #[error("Configuration '{0}' values must not be empty.")]
    EmptyItem(String),
    /// Records are kept nowhere but in `log.dirs` (KIP-405 is not served).
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    TieredStorage,
    /// Two values contradict each other.
    #[error("conflict topic config setting {lower} ({lower_value}) > {upper} ({upper_value})")]
    Conflict {
        /// The config that must not be larger.
        lower: &'static str,
        /// Its value.
        lower_value: i64,
        /// The config that must not be smaller.
        upper: &'static str,
        /// Its value.
        upper_value: i64,
    },
}

/// The config of a name.
pub fn key(name: &str) -> Option<&'static ConfigKey> {
    let at = KEYS.binary_search_by(|key| key.name.cmp(name)).ok()?;
    KEYS.get(at)
}

/// Checks all configs of a topic: names, values, and that they fit each other. Errors: the first that is wrong, names
/// before values.
pub fn validate(configs: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    if let Some(unknown) = configs.keys().find(|name| key(name).is_none()) {
        return Err(ConfigError::Unknown(unknown.clone()));
    }
    for (name, text) in configs {
        if let Some(key) = key(name) {
            key.validate(text)?;
        }
    }
    if configs.get("remote.storage.enable").and_then(|text| value::boolean(text.trim()))
        == Some(true)
    {
        return Err(ConfigError::TieredStorage);
    }
    let lag = |name| value::long_or(configs.get(name).map(String::as_str), key(name));
    let (lower, upper) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
    let (lower_value, upper_value) = (lag(lower), lag(upper));
    if lower_value > upper_value {
        return Err(ConfigError::Conflict { lower, lower_value, upper, upper_value });
    }
    Ok(())
}

impl ConfigKey {
    /// Checks one value. Errors: [`ConfigError::Invalid`] or [`ConfigError::EmptyItem`].
    pub fn validate(&self, text: &str) -> Result<(), ConfigError> {
        value::check(self.name, self.kind, self.check, text)
    }
}

#[cfg(test)]
mod tests;
