//! What the topics of a node ask of a batch before a shard sees it.
//!
//! Invariant: follows the settings that the shards are told. Deliberately does not know partitions.

use std::sync::Arc;

use ottla_types::TopicId;

use crate::local::CompactedTopics;
use crate::recompression::Recompression;
use crate::shard::topic_settings::TopicSettings;

/// The rules of all topics.
#[derive(Default)]
pub(crate) struct ProduceRules {
    /// Whose batches are stored with another compression.
    pub(crate) recompression: Recompression,
    /// Whose records need keys.
    pub(crate) compacted: CompactedTopics,
}

impl ProduceRules {
    /// A topic has these settings from now on.
    pub(crate) fn set(&self, topic: TopicId, settings: &TopicSettings) {
        self.recompression.targets().set(topic, settings.recompression);
        let name = settings.log.compact.then(|| Arc::clone(&settings.name));
        self.compacted.set(topic, name);
    }

    /// Forgets topics that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&TopicId) -> bool) {
        self.recompression.targets().retain(&is_there);
        self.compacted.retain(&is_there);
    }
}
