//! One file for each API: what Kafka 4.3.1 answers, in all its versions.
//!
//! Invariant: a handler keeps nothing between requests. Deliberately knows no socket and no storage: it asks the roles through
//! their traits.

mod alter_configs;
mod alter_replica_log_dirs;
mod api_versions;
mod by_node;
mod config_command;
mod config_resources;
mod coordinators;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod nodes;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets_topic;
mod produce;
mod readiness;
mod refused_creations;
mod sync_group;
mod topic_command;
mod topics;
mod unregister_broker;

use std::time::Duration;

use ottla_metadata::topic_config::{ConfigSource, Kind};

pub(crate) use alter_configs::AlterConfigs;
pub(crate) use alter_replica_log_dirs::AlterReplicaLogDirs;
pub(crate) use api_versions::{ApiVersions, unsupported_api_versions};
pub(crate) use create_partitions::CreatePartitions;
pub(crate) use create_topics::CreateTopics;
pub(crate) use delete_groups::DeleteGroups;
pub(crate) use delete_records::DeleteRecords;
pub(crate) use delete_topics::DeleteTopics;
pub(crate) use describe_cluster::DescribeCluster;
pub(crate) use describe_configs::DescribeConfigs;
pub(crate) use describe_groups::DescribeGroups;
pub(crate) use describe_log_dirs::DescribeLogDirs;
pub(crate) use describe_producers::DescribeProducers;
pub(crate) use describe_quorum::DescribeQuorum;
pub(crate) use describe_topic_partitions::DescribeTopicPartitions;
pub(crate) use fetch::Fetch;
pub(crate) use find_coordinator::FindCoordinator;
pub(crate) use heartbeat::Heartbeat;
pub(crate) use incremental_alter_configs::IncrementalAlterConfigs;
pub(crate) use init_producer_id::InitProducerId;
pub(crate) use join_group::JoinGroup;
pub(crate) use leave_group::LeaveGroup;
pub(crate) use list_config_resources::ListConfigResources;
pub(crate) use list_groups::ListGroups;
pub(crate) use list_offsets::ListOffsets;
pub(crate) use metadata::Metadata;
pub(crate) use nodes::AddressBook;
pub(crate) use offset_commit::OffsetCommit;
pub(crate) use offset_delete::OffsetDelete;
pub(crate) use offset_fetch::OffsetFetch;
pub(crate) use offset_for_leader_epoch::OffsetForLeaderEpoch;
pub(crate) use produce::{Produce, producers};
pub(crate) use refused_creations::RefusedCreations;
pub(crate) use sync_group::SyncGroup;
pub(crate) use unregister_broker::UnregisterBroker;

/// The longest wait that a request may ask for; more is cut to this.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest that a member of a group waits for the others, whatever `max.poll.interval.ms` they have; then it has to join
/// again.
pub(crate) const LONGEST_REBALANCE: Duration = Duration::from_secs(3_600);
/// Time that a backend gets besides the wait that the request asks for.
const BACKEND_TIME: Duration = Duration::from_secs(10);
/// Kafka's node id of an ordinary consumer.
const CONSUMER: i32 = -1;
/// Kafka's topics of its own; clients read but do not write them.
const INTERNAL_TOPICS: [&str; 3] =
    [offsets_topic::NAME, "__transaction_state", "__share_group_state"];
/// "No operations told" in fields of authorized operations.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS as Kafka's bits.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS as Kafka's bits.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE as Kafka's bits.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// A client's wait in milliseconds, within bounds.
fn wait_of(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LONGEST_WAIT)
}

fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

/// Kafka's number of a config's source (`DescribeConfigsResponse.ConfigSource`).
const fn config_source(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::DynamicTopic => 1,
        ConfigSource::DynamicBroker => 2,
        ConfigSource::DynamicDefaultBroker => 3,
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
    }
}

/// Kafka's number of a config's type (`DescribeConfigsResponse.ConfigType`).
const fn config_kind(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
    }
}
