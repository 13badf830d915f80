//! Changes of several updates as one, and changes that no event told of.
//!
//! Invariant: acting on the merged changes with the newest image comes to the same as acting on each (R15). The history of
//! partitions is not merged: followers have no use for it, and it would not be bounded.

use std::sync::Arc;

use ottla_metadata::{Changes, Image};

/// Adds what a later run of events touched.
pub(super) fn absorb(merged: &mut Changes, later: &Changes) {
    merged.topics.extend(&later.topics);
    for (id, name) in &later.deleted_topics {
        merged.topics.remove(id);
        merged.deleted_topics.insert(*id, name.clone());
    }
    merged.brokers.extend(&later.brokers);
    merged.gateways.extend(&later.gateways);
    merged.configs.extend(later.configs.iter().cloned());
}

/// What differs between two images, when a snapshot took the place of events.
pub(super) fn difference(old: &Image, new: &Image) -> Changes {
    let mut changes = Changes::default();
    for (id, topic) in &new.topics {
        if !old.topics.get(id).is_some_and(|before| Arc::ptr_eq(before, topic) || before == topic) {
            changes.topics.insert(*id);
        }
    }
    for (id, topic) in &old.topics {
        if !new.topics.contains_key(id) {
            changes.deleted_topics.insert(*id, topic.name.clone());
        }
    }
    let nodes = new.brokers.keys().chain(old.brokers.keys());
    changes.brokers =
        nodes.filter(|n| old.brokers.get(*n) != new.brokers.get(*n)).copied().collect();
    let nodes = new.gateways.keys().chain(old.gateways.keys());
    changes.gateways =
        nodes.filter(|n| old.gateways.get(*n) != new.gateways.get(*n)).copied().collect();
    let resources = new.configs.keys().chain(old.configs.keys());
    changes.configs =
        resources.filter(|of| old.configs.get(*of) != new.configs.get(*of)).cloned().collect();
    changes
}
