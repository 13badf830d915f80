//! What some run of events touched.
//!
//! Invariant: whoever acts on the final state of the things named here misses nothing (R15). Deliberately holds no state
//! of its own: the image has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_types::{MetadataOffset, NodeId, PartitionIndex, TopicId};

use super::Partition;
use crate::event::ConfigResource;

/// Most entries of [`Changes::partitions`]; a fencing of a million partitions names the first ones and counts the rest.
pub const MAX_PARTITION_CHANGES: usize = 100_000;

/// What some run of events touched: whoever follows the image acts on the final state of these things only (R15).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Topics made or changed (and not deleted since).
    pub topics: BTreeSet<TopicId>,
    /// Topics deleted, with their names.
    pub deleted_topics: BTreeMap<TopicId, String>,
    /// Storage nodes registered, fenced, unfenced or unregistered.
    pub brokers: BTreeSet<NodeId>,
    /// Gateways that came, drain or went.
    pub gateways: BTreeSet<NodeId>,
    /// Whose configs changed, but topics, which are in `topics`.
    pub configs: BTreeSet<ConfigResource>,
    /// Leaders and ISRs that moved, in the order of events: for the history. Bounded by [`MAX_PARTITION_CHANGES`].
    pub partitions: Vec<PartitionChange>,
    /// How many more there were than `partitions` holds.
    pub partitions_left_off: u64,
    /// The first event that said another hash than this image has. Whoever sees it must stop.
    pub mismatch: Option<HashMismatch>,
}

/// One partition's leader or ISR moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChange {
    /// Offset of the event that it follows from.
    pub offset: MetadataOffset,
    /// The topic.
    pub topic: TopicId,
    /// The index.
    pub partition: PartitionIndex,
    /// As it was.
    pub before: Arc<Partition>,
    /// As it is.
    pub after: Arc<Partition>,
}

/// This member's image is not what the active controller's was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "state hash after metadata offset {offset} is {found:016x} here and {expected:016x} on the active controller"
)]
pub struct HashMismatch {
    /// After this event.
    pub offset: MetadataOffset,
    /// What the event says.
    pub expected: u64,
    /// What this image has.
    pub found: u64,
}

impl Changes {
    /// Whether nothing that a follower acts on was touched.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
            && self.deleted_topics.is_empty()
            && self.brokers.is_empty()
            && self.gateways.is_empty()
            && self.configs.is_empty()
            && self.mismatch.is_none()
    }

    /// Whether the configs of brokers changed: what topics have where they say nothing themselves may have, too.
    pub fn broker_configs_changed(&self) -> bool {
        self.configs.iter().any(|resource| matches!(resource, ConfigResource::Broker(_)))
    }

    pub(super) fn partition_moved(&mut self, change: PartitionChange) {
        self.topics.insert(change.topic);
        if self.partitions.len() < MAX_PARTITION_CHANGES {
            self.partitions.push(change);
        } else {
            self.partitions_left_off = self.partitions_left_off.saturating_add(1);
        }
    }

    pub(super) fn topic_gone(&mut self, id: TopicId, name: String) {
        self.topics.remove(&id);
        self.deleted_topics.insert(id, name);
    }
}
