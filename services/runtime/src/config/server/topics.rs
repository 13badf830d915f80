//! What a topic has unless it says otherwise: broker keys under the names of topic configs.
//!
//! Invariant: each topic config has one value here, from the first of its synonyms that is set (Kafka's order).

use std::collections::BTreeMap;

use crate::config::settings::{Settings, Source};

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_MINUTE: i64 = 60_000;

/// Topic configs that have one broker key of the same unit.
const SAME_UNIT: &[(&str, &str)] = &[
    ("cleanup.policy", "log.cleanup.policy"),
    ("compression.gzip.level", "compression.gzip.level"),
    ("compression.lz4.level", "compression.lz4.level"),
    ("compression.type", "compression.type"),
    ("compression.zstd.level", "compression.zstd.level"),
    ("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    ("flush.messages", "log.flush.interval.messages"),
    ("index.interval.bytes", "log.index.interval.bytes"),
    ("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    ("max.message.bytes", "message.max.bytes"),
    ("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    ("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    ("message.timestamp.type", "log.message.timestamp.type"),
    ("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    ("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    ("min.insync.replicas", "min.insync.replicas"),
    ("preallocate", "log.preallocate"),
    ("retention.bytes", "log.retention.bytes"),
    ("segment.bytes", "log.segment.bytes"),
    ("segment.index.bytes", "log.index.size.max.bytes"),
    ("unclean.leader.election.enable", "unclean.leader.election.enable"),
];

/// Topic configs that several broker keys set, highest first, with the milliseconds of their units.
const SEVERAL_UNITS: &[(&str, &[(&str, i64)])] = &[
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    (
        "retention.ms",
        &[
            ("log.retention.ms", 1),
            ("log.retention.minutes", MS_PER_MINUTE),
            ("log.retention.hours", MS_PER_HOUR),
        ],
    ),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", MS_PER_HOUR)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", MS_PER_HOUR)]),
];

/// Defaults of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub is_auto_created: bool,
    /// `delete.topic.enable`.
    pub is_deletion_allowed: bool,
    /// The value of each topic config, by its name.
    pub configs: BTreeMap<&'static str, String>,
    /// The broker key that each value comes from, where somebody set it.
    pub set_by: BTreeMap<&'static str, &'static str>,
}

impl TopicDefaults {
    pub(super) fn read(settings: &Settings) -> Self {
        let mut defaults = Self {
            partitions: settings.required("num.partitions"),
            replication_factor: settings.required("default.replication.factor"),
            is_auto_created: settings.is_true("auto.create.topics.enable"),
            is_deletion_allowed: settings.is_true("delete.topic.enable"),
            configs: BTreeMap::new(),
            set_by: BTreeMap::new(),
        };
        for (topic_key, key) in SAME_UNIT {
            defaults.configs.insert(topic_key, settings.text(key).unwrap_or_default().to_owned());
            defaults.note_source(settings, topic_key, key);
        }
        for (topic_key, synonyms) in SEVERAL_UNITS {
            let value = |&(key, unit): &(&'static str, i64)| {
                let value: i64 = settings.number(key)?;
                // Every negative time is "for ever", whatever its unit.
                Some((key, if value < 0 { -1 } else { value.saturating_mul(unit) }))
            };
            let (key, value) = synonyms.iter().find_map(value).unwrap_or((synonyms[0].0, i64::MAX));
            defaults.configs.insert(topic_key, value.to_string());
            defaults.note_source(settings, topic_key, key);
        }
        defaults
    }

    fn note_source(&mut self, settings: &Settings, topic_key: &'static str, key: &'static str) {
        if settings.source(key) != Source::Default {
            self.set_by.insert(topic_key, key);
        }
    }

    /// A topic config's default.
    pub fn get(&self, topic_key: &str) -> Option<&str> {
        self.configs.get(topic_key).map(String::as_str)
    }

    /// A topic config's default that is a number.
    pub fn number<T: std::str::FromStr>(&self, topic_key: &str) -> Option<T> {
        self.get(topic_key)?.parse().ok()
    }

    /// `message.max.bytes`.
    pub fn max_message_bytes(&self) -> i32 {
        self.number("max.message.bytes").unwrap_or(i32::MAX)
    }
}
