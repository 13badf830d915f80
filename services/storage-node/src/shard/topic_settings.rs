//! A topic's name and configuration, as log and replica use them; one value is shared by all partitions of a topic.
//!
//! Invariant: made from the image and the broker's defaults only, so that equal inputs give equal settings.

use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::image::Topic;
use ottla_metadata::topic_config::{ClusterDefaults, TimestampType, TopicConfig};
use ottla_partition::{Durability, ReplicaConfig, TimestampPolicy};

use crate::log::LogConfig;
use crate::recompression::Target;

/// What of a topic a shard obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    pub(crate) name: Arc<str>,
    pub(crate) log: Arc<LogConfig>,
    pub(crate) replica: ReplicaConfig,
    /// `flush.messages` where it is not 1: so many records may be unsynced.
    pub(crate) flush_records: Option<i64>,
    /// `flush.ms` where `flush.messages` is not 1: for so long records may be unsynced.
    pub(crate) flush_interval: Option<Duration>,
    /// `file.delete.delay.ms`.
    pub(crate) file_delete_delay: Duration,
    /// `compression.type`; `None`: as the producer sends them.
    pub(crate) recompression: Option<Target>,
    /// `cleanup.policy` is `compact` without `delete`: DeleteRecords is refused.
    pub(crate) keeps_all_keys: bool,
}

impl TopicSettings {
    pub(crate) fn of(
        topic: &Topic,
        defaults: &ClusterDefaults,
        producer_expiration_ms: i64,
    ) -> Self {
        let config = TopicConfig::resolve(&topic.configs, defaults);
        let timestamps = match config.timestamp_type {
            TimestampType::LogAppendTime => TimestampPolicy::LogAppendTime,
            TimestampType::CreateTime => TimestampPolicy::CreateTime {
                before_max_ms: config.timestamp_before_max_ms,
                after_max_ms: config.timestamp_after_max_ms,
            },
        };
        let durable = config.flush_messages == 1;
        let interval = u64::try_from(config.flush_ms).unwrap_or(u64::MAX);
        let delay = u64::try_from(config.file_delete_delay_ms).unwrap_or(0);
        Self {
            name: topic.name.as_str().into(),
            replica: ReplicaConfig {
                durability: if durable { Durability::Synced } else { Durability::Written },
                min_insync_replicas: config.min_insync_replicas,
                max_message_bytes: config.max_message_bytes,
                timestamps,
                producer_expiration_ms,
            },
            flush_records: (!durable).then_some(config.flush_messages),
            flush_interval: (!durable && config.flush_ms < i64::MAX)
                .then(|| Duration::from_millis(interval)),
            file_delete_delay: Duration::from_millis(delay),
            recompression: Target::of(config.compression, config.max_message_bytes),
            keeps_all_keys: config.cleanup.compact && !config.cleanup.delete,
            log: Arc::new(log_config(&config, durable)),
        }
    }
}

fn log_config(config: &TopicConfig, durable: bool) -> LogConfig {
    let u32_of = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    LogConfig {
        segment_bytes: u32_of(config.segment_bytes),
        // As Kafka does: what must be compacted in time must be closed in time.
        segment_ms: if config.cleanup.compact {
            config.segment_ms.min(config.max_compaction_lag_ms)
        } else {
            config.segment_ms
        },
        segment_jitter_ms: config.segment_jitter_ms,
        preallocate: config.preallocate,
        segment_index_bytes: u32_of(config.segment_index_bytes),
        index_interval_bytes: u32_of(config.index_interval_bytes),
        retention_ms: config.retention_ms.unwrap_or(-1),
        retention_bytes: config
            .retention_bytes
            .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        delete: config.cleanup.delete,
        compact: config.cleanup.compact,
        min_cleanable_millionths: config.min_cleanable_millionths,
        delete_retention_ms: config.delete_retention_ms,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        durable,
    }
}
