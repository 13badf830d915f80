//! Replay of what concerns topics: creation, deletion, more partitions, configs.
//!
//! Invariant: names and ids are in bijection; every partition has a non-empty ISR out of its replicas, without duplicates.

use std::sync::Arc;

use ottla_types::{PartitionIndex, TopicId};

use super::{Changes, Image, Partition, Topic, partition};
use crate::event::{Assignment, Event};

impl Image {
    pub(super) fn replay_topic_created(&mut self, event: &Event, changes: &mut Changes) {
        let Event::TopicCreated { id, name, configs, assignments, .. } = event else { return };
        let taken = self.topics.contains_key(id)
            || self.topic_ids.contains_key(name)
            || self.index.collision(name).is_some();
        if taken || assignments.is_empty() {
            return;
        }
        let Some(partitions) = self.new_partitions(assignments) else { return };
        let configs = configs.iter().cloned().collect();
        self.insert_topic(Topic { id: *id, name: name.clone(), configs, partitions });
        changes.topics.insert(*id);
    }

    pub(super) fn replay_topic_deleted(&mut self, id: TopicId, changes: &mut Changes) {
        let Some(topic) = self.topics.remove(&id) else { return };
        self.topic_ids.remove(&topic.name);
        self.sum.topic(Some(&topic), None);
        for (at, partition) in indexed(&topic.partitions, 0) {
            self.sum.partition((id, at), Some(partition), None);
        }
        self.index.remove_name(&topic.name);
        self.index.remove_topic(id, &topic.partitions);
        changes.topic_gone(id, topic.name.clone());
    }

    pub(super) fn replay_partitions_added(
        &mut self,
        id: TopicId,
        assignments: &[Assignment],
        changes: &mut Changes,
    ) {
        let Some(added) = self.new_partitions(assignments) else { return };
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let first = topic.partitions.len();
        if added.is_empty() || i32::try_from(first + added.len()).is_err() {
            return;
        }
        self.sum.topic(Some(topic), None);
        let topic = Arc::make_mut(topic);
        topic.partitions.extend(added.iter().cloned());
        self.sum.topic(None, Some(topic));
        for (at, partition) in indexed(&added, first) {
            self.sum.partition((id, at), None, Some(partition));
        }
        self.index.add_partitions(id, &added);
        changes.topics.insert(id);
    }

    pub(super) fn replay_topic_configs_changed(
        &mut self,
        id: TopicId,
        configs: &[(String, Option<String>)],
        changes: &mut Changes,
    ) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        self.sum.topic(Some(topic), None);
        let topic = Arc::make_mut(topic);
        for (name, value) in configs {
            match value {
                Some(value) => topic.configs.insert(name.clone(), value.clone()),
                None => topic.configs.remove(name),
            };
        }
        self.sum.topic(None, Some(topic));
        changes.topics.insert(id);
    }

    /// Puts a topic that is not there yet into the maps, the sum and the index.
    pub(super) fn insert_topic(&mut self, topic: Topic) {
        self.sum.topic(None, Some(&topic));
        for (at, partition) in indexed(&topic.partitions, 0) {
            self.sum.partition((topic.id, at), None, Some(partition));
        }
        self.index.add_name(&topic.name, topic.id);
        self.index.add_partitions(topic.id, &topic.partitions);
        self.topic_ids.insert(topic.name.clone(), topic.id);
        self.topics.insert(topic.id, Arc::new(topic));
    }

    /// The first state of partitions; `None` if an assignment makes no sense.
    fn new_partitions(&self, assignments: &[Assignment]) -> Option<Vec<Arc<Partition>>> {
        let new = |assignment| Some(Arc::new(partition::new(self, assignment)?));
        assignments.iter().map(new).collect()
    }
}

fn indexed(
    partitions: &[Arc<Partition>],
    first: usize,
) -> impl Iterator<Item = (PartitionIndex, &Partition)> {
    let index = move |at: usize| PartitionIndex(i32::try_from(first + at).unwrap_or(i32::MAX));
    partitions.iter().enumerate().map(move |(at, partition)| (index(at), &**partition))
}
