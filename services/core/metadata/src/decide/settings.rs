//! What decisions depend on and an operator sets.
//!
//! Invariant: every member of the quorum should have the same settings; one that differs only decides differently while it
//! is active: replay never looks at them.

use crate::topic_config::ClusterDefaults;

/// The settings of decisions, by Kafka's names where Kafka has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `delete.topic.enable`
    pub is_topic_deletion_allowed: bool,
    /// `broker.session.timeout.ms`
    pub broker_session_timeout_ms: u64,
    /// How long a storage node may be without its control stream until it is fenced, in milliseconds.
    pub control_stream_grace_ms: u64,
    /// How long a gateway lives on after its last heartbeat, in milliseconds.
    pub gateway_lease_ms: u64,
    /// Largest replication factor that is accepted; 1 until replication is there.
    pub max_replication_factor: i16,
    /// Defaults of topic configs from the broker's own configuration.
    pub topic_defaults: ClusterDefaults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            num_partitions: 1,
            default_replication_factor: 1,
            is_topic_deletion_allowed: true,
            broker_session_timeout_ms: 9_000,
            control_stream_grace_ms: 500,
            gateway_lease_ms: 2_000,
            max_replication_factor: 1,
            topic_defaults: ClusterDefaults::default(),
        }
    }
}
