//! What follows from the image and is looked up often: topics by storage node, preferred leaders, names that collide.
//!
//! Invariant: an index is a function of the image's topics; a node or name without entries is not in it, so equal images
//! have equal indexes. Neither hashed nor stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use ottla_types::{NodeId, TopicId};

use super::Partition;

/// What is where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    nodes: OrdMap<NodeId, NodeIndex>,
    /// Topics whose names have a `.` or `_`, by name with every `.` made `_`.
    collisions: OrdMap<String, TopicId>,
}

/// What is on one storage node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NodeIndex {
    topics: OrdSet<TopicId>,
    preferred: u64,
}

impl Index {
    pub(super) fn topics_on(&self, node: NodeId) -> impl Iterator<Item = &TopicId> {
        self.nodes.get(&node).into_iter().flat_map(|index| index.topics.iter())
    }

    pub(super) fn preferred_on(&self, node: NodeId) -> u64 {
        self.nodes.get(&node).map_or(0, |index| index.preferred)
    }

    pub(super) fn collision(&self, name: &str) -> Option<TopicId> {
        self.collisions.get(&unified(name)?).copied()
    }

    pub(super) fn add_name(&mut self, name: &str, id: TopicId) {
        if let Some(unified) = unified(name) {
            self.collisions.insert(unified, id);
        }
    }

    pub(super) fn remove_name(&mut self, name: &str) {
        if let Some(unified) = unified(name) {
            self.collisions.remove(&unified);
        }
    }

    /// Partitions of a topic came.
    pub(super) fn add_partitions(&mut self, id: TopicId, partitions: &[Arc<Partition>]) {
        for (node, preferred) in preferred_by_node(partitions) {
            let entry = self.nodes.entry(node).or_default();
            entry.topics.insert(id);
            entry.preferred += preferred;
        }
    }

    /// A topic went, with all its partitions.
    pub(super) fn remove_topic(&mut self, id: TopicId, partitions: &[Arc<Partition>]) {
        for (node, preferred) in preferred_by_node(partitions) {
            let Some(mut entry) = self.nodes.remove(&node) else { continue };
            entry.topics.remove(&id);
            entry.preferred = entry.preferred.saturating_sub(preferred);
            if !entry.topics.is_empty() {
                self.nodes.insert(node, entry);
            }
        }
    }
}

/// Every node with a replica, and how many of the partitions prefer it as leader.
fn preferred_by_node(partitions: &[Arc<Partition>]) -> BTreeMap<NodeId, u64> {
    let mut nodes = BTreeMap::new();
    for partition in partitions {
        for (position, &node) in partition.replicas.iter().enumerate() {
            *nodes.entry(node).or_default() += u64::from(position == 0);
        }
    }
    nodes
}

/// The name with every `.` made `_`, if it has either: Kafka's metric names cannot tell the two apart.
fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}
