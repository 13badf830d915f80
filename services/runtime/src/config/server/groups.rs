//! Consumer groups: their coordinators, and the topic that holds their offsets.
//!
//! Invariant: each field is one key of the table. Deliberately does not know what a group is.

use std::time::Duration;

use super::sections::required_millis;
use crate::config::settings::Settings;

/// Groups and their offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsConfig {
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: i32,
    /// How much is read at a time when offsets are loaded (`offsets.load.buffer.size`).
    pub offsets_load_buffer_bytes: usize,
    /// How long a coordinator waits for the replicas of what it writes (`offsets.commit.timeout.ms`).
    pub offsets_commit_timeout: Duration,
    /// `offsets.retention.minutes`.
    pub offsets_retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval: Duration,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub max_size: i32,
}

impl GroupsConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        Self {
            offsets_topic_partitions: settings.required("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: settings.required("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: settings.required("offsets.topic.segment.bytes"),
            offsets_load_buffer_bytes: settings.required("offsets.load.buffer.size"),
            offsets_commit_timeout: required_millis(settings, "offsets.commit.timeout.ms"),
            offsets_retention_minutes: settings.required("offsets.retention.minutes"),
            offsets_retention_check_interval: required_millis(
                settings,
                "offsets.retention.check.interval.ms",
            ),
            offset_metadata_max_bytes: settings.required("offset.metadata.max.bytes"),
            min_session_timeout_ms: settings.required("group.min.session.timeout.ms"),
            max_session_timeout_ms: settings.required("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: settings.required("group.initial.rebalance.delay.ms"),
            max_size: settings.required("group.max.size"),
        }
    }
}
