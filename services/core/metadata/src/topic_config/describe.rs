//! A topic's configs as DescribeConfigs and the admin API show them.
//!
//! Invariant: every config of the table is there once, in the order of names, with the value that counts and where it
//! comes from. Deliberately does not know the numbers of Kafka's protocol for sources and types.

use std::collections::BTreeMap;

use super::{ClusterDefaults, ConfigKey, KEYS, Kind, Served};

/// One config of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// The value that counts; `None`: none is set and there is no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Its type.
    pub kind: Kind,
    /// A sentence.
    pub documentation: &'static str,
    /// Whether it cannot be changed.
    pub read_only: bool,
    /// Whether its value is a secret.
    pub sensitive: bool,
    /// Whether the value has an effect.
    pub served: Served,
    /// All the places where it is set, the one that counts first.
    pub synonyms: Vec<Synonym>,
}

/// A place where a config is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// Its name there.
    pub name: &'static str,
    /// Its value there.
    pub value: Option<String>,
    /// Which place.
    pub source: ConfigSource,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigSource {
    /// Set on the topic (`DYNAMIC_TOPIC_CONFIG`).
    DynamicTopic,
    /// Set for one storage node while the cluster runs (`DYNAMIC_BROKER_CONFIG`).
    DynamicBroker,
    /// Set for all storage nodes while the cluster runs (`DYNAMIC_DEFAULT_BROKER_CONFIG`).
    DynamicDefaultBroker,
    /// Set in the broker's configuration (`STATIC_BROKER_CONFIG`).
    StaticBroker,
    /// Set nowhere (`DEFAULT_CONFIG`).
    Default,
}

/// All configs of a topic.
pub fn describe(
    configs: &BTreeMap<String, String>,
    defaults: &ClusterDefaults,
) -> Vec<DescribedConfig> {
    let shown = |key: &&ConfigKey| key.served != Served::Internal || configs.contains_key(key.name);
    KEYS.iter().filter(shown).map(|key| describe_one(key, configs, defaults)).collect()
}

fn describe_one(
    key: &ConfigKey,
    configs: &BTreeMap<String, String>,
    defaults: &ClusterDefaults,
) -> DescribedConfig {
    let own = configs.get(key.name);
    let cluster = defaults.get(key.name);
    let (value, source) = match (own, cluster) {
        (Some(own), _) => (Some(own.clone()), ConfigSource::DynamicTopic),
        (None, Some(cluster)) => (Some(cluster.value.clone()), cluster.source()),
        (None, None) => (key.default.map(str::to_owned), ConfigSource::Default),
    };
    let dynamic = own.map(|own| Synonym {
        name: key.name,
        value: Some(own.clone()),
        source: ConfigSource::DynamicTopic,
    });
    let broker = cluster.map(|cluster| cluster.synonyms.as_slice()).unwrap_or_default();
    DescribedConfig {
        name: key.name,
        served: key.served,
        value,
        source,
        kind: key.kind,
        documentation: key.documentation,
        read_only: false,
        sensitive: false,
        synonyms: dynamic
            .into_iter()
            .chain(broker.iter().cloned())
            .chain(default_synonym(key))
            .collect(),
    }
}

/// The default under the broker's name. Like Kafka, only where there is one name: where units differ, the name of the
/// highest priority has no default of its own.
fn default_synonym(key: &ConfigKey) -> Option<Synonym> {
    let [name] = key.synonyms else { return None };
    let value = Some(key.default?.to_owned());
    Some(Synonym { name, value, source: ConfigSource::Default })
}
