//! A topic's configs as the storage node uses them: typed, with all defaults filled in.
//!
//! Invariant: resolving cannot fail. A value that this release cannot read (written by a later one) counts as not set.

use std::collections::BTreeMap;

use super::{ClusterDefaults, key, value};

/// The configs of one topic that have an effect. Units are in the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// `segment.bytes`
    pub segment_bytes: u64,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `retention.ms`; `None`: without limit
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None`: without limit
    pub retention_bytes: Option<u64>,
    /// `index.interval.bytes`
    pub index_interval_bytes: u64,
    /// `segment.index.bytes`
    pub segment_index_bytes: u64,
    /// `max.message.bytes`
    pub max_message_bytes: usize,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `flush.messages`; 1: an offset counts when it is on disk
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `min.insync.replicas`
    pub min_insync_replicas: usize,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election: bool,
    /// `cleanup.policy`
    pub cleanup: Cleanup,
    /// `compression.type` with its level
    pub compression: StoredCompression,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `preallocate`
    pub preallocate: bool,
    /// `min.cleanable.dirty.ratio`, in millionths
    pub min_cleanable_millionths: u32,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
}

/// `compression.type`: how batches are stored; each with its `compression.*.level`, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer sent them.
    Producer,
    /// Not at all.
    Uncompressed,
    /// gzip, 1 to 9; -1 is the codec's own default.
    Gzip(i32),
    /// snappy.
    Snappy,
    /// LZ4, 1 to 17.
    Lz4(i32),
    /// Zstandard, -131072 to 22.
    Zstd(i32),
}

/// `message.timestamp.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's time.
    CreateTime,
    /// The time of the append.
    LogAppendTime,
}

/// `cleanup.policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// Segments are deleted by time and size.
    pub delete: bool,
    /// Only the last value of a key is kept.
    pub compact: bool,
}

impl TopicConfig {
    /// The effective configs of a topic: its own, else the cluster's defaults, else Ottla's.
    pub fn resolve(configs: &BTreeMap<String, String>, defaults: &ClusterDefaults) -> Self {
        let effective = Effective { configs, defaults };
        let cleanup = effective.text("cleanup.policy");
        let cleanup = value::list(cleanup);
        let is_append_time = effective.text("message.timestamp.type") == "LogAppendTime";
        Self {
            segment_bytes: effective.size("segment.bytes"),
            segment_ms: effective.long("segment.ms"),
            retention_ms: Some(effective.long("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(effective.long("retention.bytes")).ok(),
            index_interval_bytes: effective.size("index.interval.bytes"),
            segment_index_bytes: effective.size("segment.index.bytes"),
            max_message_bytes: effective.size("max.message.bytes") as usize,
            timestamp_type: if is_append_time {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            timestamp_before_max_ms: effective.long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: effective.long("message.timestamp.after.max.ms"),
            flush_messages: effective.long("flush.messages"),
            flush_ms: effective.long("flush.ms"),
            file_delete_delay_ms: effective.long("file.delete.delay.ms"),
            min_insync_replicas: effective.size("min.insync.replicas") as usize,
            unclean_leader_election: value::boolean(
                effective.text("unclean.leader.election.enable"),
            )
            .unwrap_or(false),
            cleanup: Cleanup {
                delete: cleanup.contains(&"delete"),
                compact: cleanup.contains(&"compact"),
            },
            compression: effective.compression(),
            segment_jitter_ms: effective.long("segment.jitter.ms"),
            preallocate: value::boolean(effective.text("preallocate")).unwrap_or(false),
            min_cleanable_millionths: effective.millionths("min.cleanable.dirty.ratio"),
            delete_retention_ms: effective.long("delete.retention.ms"),
            min_compaction_lag_ms: effective.long("min.compaction.lag.ms"),
            max_compaction_lag_ms: effective.long("max.compaction.lag.ms"),
        }
    }
}

/// Looks a config up where it is set.
struct Effective<'a> {
    configs: &'a BTreeMap<String, String>,
    defaults: &'a ClusterDefaults,
}

impl<'a> Effective<'a> {
    fn text(&self, name: &str) -> &'a str {
        let valid = |text: &&str| key(name).is_some_and(|key| key.validate(text).is_ok());
        let own = self.configs.get(name).map(String::as_str).filter(valid);
        let cluster = || self.defaults.get(name).map(|default| default.value.as_str());
        let ottla = || key(name).and_then(|key| key.default);
        own.or_else(cluster).or_else(ottla).unwrap_or("").trim()
    }

    fn long(&self, name: &str) -> i64 {
        value::long_or(Some(self.text(name)), key(name))
    }

    fn compression(&self) -> StoredCompression {
        let level = |name| i32::try_from(self.long(name)).unwrap_or_default();
        match self.text("compression.type") {
            "uncompressed" => StoredCompression::Uncompressed,
            "gzip" => StoredCompression::Gzip(level("compression.gzip.level")),
            "snappy" => StoredCompression::Snappy,
            "lz4" => StoredCompression::Lz4(level("compression.lz4.level")),
            "zstd" => StoredCompression::Zstd(level("compression.zstd.level")),
            _ => StoredCompression::Producer,
        }
    }

    /// A fraction between 0 and 1.
    fn millionths(&self, name: &str) -> u32 {
        let ratio = value::double(self.text(name)).unwrap_or(0.0);
        (ratio * 1_000_000.0).clamp(0.0, 1_000_000.0) as u32
    }

    fn size(&self, name: &str) -> u64 {
        u64::try_from(self.long(name)).unwrap_or(0)
    }
}
