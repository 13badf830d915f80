//! Defaults of topic configs that the broker's configuration sets, its file and what was set while the cluster runs, under other
//! names and units.
//!
//! Invariant: each value here is valid for its topic config. Of several synonyms the one of the highest priority counts.

use std::collections::BTreeMap;

use super::{ConfigError, ConfigKey, ConfigSource, KEYS, Synonym};

/// The defaults that a broker's configuration gives to topic configs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterDefaults(BTreeMap<&'static str, ClusterDefault>);

/// One default out of the broker's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDefault {
    /// Where it is set, under names such as `log.retention.hours`; the one that counts first. Never empty.
    pub synonyms: Vec<Synonym>,
    /// What that means for the topic config, in its unit.
    pub value: String,
}

impl ClusterDefault {
    /// Where the value comes from.
    pub fn source(&self) -> ConfigSource {
        self.synonyms.first().map_or(ConfigSource::Default, |first| first.source)
    }
}

impl ClusterDefaults {
    /// Picks the defaults out of a broker's configuration; names that give none are left alone. Errors: the first value that
    /// is wrong, under the broker's name for it.
    pub fn from_broker_configs(configs: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut defaults = BTreeMap::new();
        for key in KEYS {
            let set = |name: &&'static str| Some((*name, configs.get(*name)?));
            if let Some((synonym, raw)) = key.synonyms.iter().find_map(set) {
                let value = in_unit_of_topic(synonym, raw.trim())
                    .ok_or_else(|| not_a_number(synonym, raw))?;
                key.validate(&value).map_err(|error| under_name(error, key, synonym))?;
                let source = ConfigSource::StaticBroker;
                let place = Synonym { name: synonym, value: Some(raw.clone()), source };
                defaults.insert(key.name, ClusterDefault { synonyms: vec![place], value });
            }
        }
        Ok(Self(defaults))
    }

    /// These defaults under those that were set dynamically, the layer of the highest priority first. A value that this release
    /// cannot read (written by a later one) counts as not set.
    #[must_use]
    pub fn with_dynamic<'a>(
        &self,
        layers: impl Iterator<Item = (ConfigSource, &'a BTreeMap<String, String>)>,
    ) -> Self {
        let layers: Vec<_> = layers.collect();
        let mut defaults = self.0.clone();
        for key in KEYS {
            let set = layers.iter().filter_map(|(source, layer)| {
                let (name, raw) =
                    key.synonyms.iter().find_map(|name| Some((*name, layer.get(*name)?)))?;
                let value = in_unit_of_topic(name, raw.trim())?;
                key.validate(&value).ok()?;
                Some((Synonym { name, value: Some(raw.clone()), source: *source }, value))
            });
            let (mut synonyms, values): (Vec<Synonym>, Vec<String>) = set.unzip();
            let Some(value) = values.into_iter().next() else { continue };
            synonyms.extend(self.get(key.name).into_iter().flat_map(|own| own.synonyms.clone()));
            defaults.insert(key.name, ClusterDefault { synonyms, value });
        }
        Self(defaults)
    }

    /// The default of a topic config, by its name.
    pub fn get(&self, name: &str) -> Option<&ClusterDefault> {
        self.0.get(name)
    }
}

/// The value in the unit of the topic config: milliseconds where the synonym counts hours or minutes.
fn in_unit_of_topic(synonym: &str, raw: &str) -> Option<String> {
    let factor: i64 = match synonym {
        _ if synonym.ends_with(".hours") => 3_600_000,
        _ if synonym.ends_with(".minutes") => 60_000,
        _ => return Some(raw.to_owned()),
    };
    let number: i32 = raw.parse().ok()?;
    // Below zero means without limit, in every unit.
    let ms = if number < 0 { -1 } else { i64::from(number) * factor };
    Some(ms.to_string())
}

fn not_a_number(synonym: &str, raw: &str) -> ConfigError {
    let why = "Not a number of type INT".to_owned();
    ConfigError::Invalid { name: synonym.to_owned(), value: raw.to_owned(), why }
}

/// The same error, told of the name that the operator used.
fn under_name(error: ConfigError, key: &ConfigKey, synonym: &str) -> ConfigError {
    match error {
        ConfigError::Invalid { value, why, .. } => {
            let why = why.replace(key.name, synonym);
            ConfigError::Invalid { name: synonym.to_owned(), value, why }
        }
        ConfigError::EmptyItem(_) => ConfigError::EmptyItem(synonym.to_owned()),
        other => other,
    }
}
