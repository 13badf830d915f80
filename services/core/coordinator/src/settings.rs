//! What decisions depend on and an operator sets.
//!
//! Invariant: replay never looks at these, so that nodes with different settings still agree on what is stored.

/// The settings of decisions, by Kafka's names where Kafka has one; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `group.min.session.timeout.ms`
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`; never more than [`crate::MAX_GROUP_MEMBERS`] count.
    pub group_max_size: i32,
    /// `offset.metadata.max.bytes`; counted in UTF-16 units, as Kafka does.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`
    pub offsets_retention_minutes: i32,
    /// Most bytes of one decision's events (`max.message.bytes` of `__consumer_offsets`): they are one batch of that log.
    pub max_batch_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_minutes: 10_080,
            max_batch_bytes: ottla_types::limits::DEFAULT_MAX_MESSAGE_BYTES,
        }
    }
}

impl Settings {
    /// `offsets.retention.minutes` in milliseconds.
    pub(crate) fn offsets_retention_ms(&self) -> i64 {
        i64::from(self.offsets_retention_minutes).saturating_mul(60_000)
    }
}
