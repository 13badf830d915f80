//! What a produce asks of its topics before a shard is asked, by topic id.
//!
//! Invariant: one task changes it, the one that follows the metadata; readers never wait for it. Holds only topics of which there is
//! something to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use ottla_types::TopicId;

/// A value for some topics.
pub(crate) struct ByTopic<T>(ArcSwap<BTreeMap<TopicId, T>>);

impl<T> Default for ByTopic<T> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<T: Clone + PartialEq> ByTopic<T> {
    /// The values as they are now.
    pub(crate) fn load(&self) -> Guard<Arc<BTreeMap<TopicId, T>>> {
        self.0.load()
    }

    /// A topic has this value from now on.
    pub(crate) fn set(&self, topic: TopicId, value: Option<T>) {
        let known = self.0.load();
        if known.get(&topic) == value.as_ref() {
            return;
        }
        let mut topics = BTreeMap::clone(&known);
        match value {
            Some(value) => _ = topics.insert(topic, value),
            None => _ = topics.remove(&topic),
        }
        self.0.store(Arc::new(topics));
    }

    /// Forgets topics that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&TopicId) -> bool) {
        let known = self.0.load();
        if known.keys().all(&is_there) {
            return;
        }
        let mut topics = BTreeMap::clone(&known);
        topics.retain(|topic, _| is_there(topic));
        self.0.store(Arc::new(topics));
    }
}
