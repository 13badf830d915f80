//! From the image to the shards: which partitions this node holds, where, and in which role.
//!
//! Invariant: acts on the final image of everything that changed (R15), and says up to which offset it did only when all shards
//! have. Only what the controller said to be deleted is taken away (R17).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_api::metadata_follower::MetadataSubscription;
use ottla_metadata::image::{Partition, Topic};
use ottla_metadata::topic_config::ClusterDefaults;
use ottla_metadata::{Changes, Image};
use ottla_partition::Assignment;
use ottla_types::{MetadataOffset, NodeId, PartitionIndex, TopicId, TopicPartition};
use tokio::sync::watch;
use tracing::error;

use crate::coordinator::Leading;
use crate::local::{Place, Places, shard_of};
use crate::produce_rules::ProduceRules;
use crate::shard::ShardHandle;
use crate::shard::failures::Failures;
use crate::shard::message::{AssignJob, Message};
use crate::shard::topic_settings::TopicSettings;

/// Hands out partitions.
pub(crate) struct Assignments {
    pub(crate) node: NodeId,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) dirs: usize,
    pub(crate) places: Arc<Places>,
    pub(crate) failures: Arc<Failures>,
    /// What the configuration file says of topics.
    pub(crate) defaults: ClusterDefaults,
    pub(crate) producer_expiration_ms: i64,
    /// What batches must be before the shards see them.
    pub(crate) rules: Arc<ProduceRules>,
    /// What the shards were told last of what all topics have in common.
    pub(crate) in_force: InForce,
    /// How far the shards have acted.
    pub(crate) acted: watch::Sender<MetadataOffset>,
    /// What the shards were told last: of a topic of many partitions only those that changed are told anew.
    pub(crate) told: BTreeMap<TopicId, ToldTopic>,
    /// The coordinators of groups: they follow the shards.
    pub(crate) groups: Leading,
}

/// What all topics have that say nothing themselves: the file's values, under those that were set while the node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    defaults: ClusterDefaults,
    producer_expiration_ms: i64,
}

/// A topic as the shards know it.
pub(crate) struct ToldTopic {
    settings: Arc<TopicSettings>,
    partitions: Vec<Arc<Partition>>,
}

/// Work by shard.
type ByShard<T> = BTreeMap<usize, Vec<T>>;

impl Assignments {
    /// Acts on everything that the subscription tells, until following ends.
    pub(crate) async fn follow(mut self, mut subscription: MetadataSubscription) {
        while let Some((image, changes)) = subscription.next().await {
            self.act(&image, &changes).await;
        }
    }

    /// Acts on one image; when it returns, all shards have.
    async fn act(&mut self, image: &Image, changes: &Changes) {
        let mut assigned = ByShard::new();
        let mut touched: BTreeSet<TopicId> = changes.topics.iter().copied().collect();
        let in_force = self.in_force(image);
        if in_force != self.in_force {
            touched.extend(self.told.keys());
            self.in_force = in_force;
        }
        for id in &touched {
            if let Some(topic) = image.topics.get(id) {
                self.assign_topic(topic, &mut assigned);
            }
        }
        self.told.retain(|id, _| image.topics.contains_key(id));
        self.rules.retain(|id| image.topics.contains_key(id));
        let removed = self.removals(|id| {
            changes.deleted_topics.contains_key(&id.topic) && !image.topics.contains_key(&id.topic)
        });
        self.send(assigned, removed).await;
        self.groups.act(image, changes).await;
        self.acted.send_replace(image.offset);
    }

    fn in_force(&self, image: &Image) -> InForce {
        let expiration = image.broker_config(self.node, "producer.id.expiration.ms");
        let expiration = expiration.and_then(|text| text.trim().parse().ok());
        InForce {
            defaults: image.topic_defaults(&self.defaults, Some(self.node)),
            producer_expiration_ms: expiration.unwrap_or(self.producer_expiration_ms),
        }
    }

    fn assign_topic(&mut self, topic: &Topic, assigned: &mut ByShard<AssignJob>) {
        let settings =
            TopicSettings::of(topic, &self.in_force.defaults, self.in_force.producer_expiration_ms);
        let before = self.told.remove(&topic.id).filter(|told| *told.settings == settings);
        if before.is_none() {
            self.rules.set(topic.id, &settings);
        }
        let (settings, told) = match before {
            Some(told) => (told.settings, told.partitions),
            None => (Arc::new(settings), Vec::new()),
        };
        for (index, partition) in topic.partitions.iter().enumerate() {
            let id = partition_id(topic.id, index);
            let is_news = told.get(index) != Some(partition);
            let is_held = partition.replicas.contains(&self.node);
            if !is_news || !is_held || self.places.is_quarantined(id) {
                continue;
            }
            let job = AssignJob {
                partition: id,
                settings: Arc::clone(&settings),
                assignment: assignment(partition),
            };
            assigned.entry(self.place(id).shard).or_default().push(job);
        }
        let partitions = topic.partitions.clone();
        self.told.insert(topic.id, ToldTopic { settings, partitions });
    }

    /// Where a partition is, or will be.
    fn place(&self, id: TopicPartition) -> Place {
        if let Some(place) = self.places.get(id) {
            return place;
        }
        let per_dir = self.shards.len() / self.dirs.max(1);
        let is_sound = |dir: usize| !self.failures.any_of(dir * per_dir..(dir + 1) * per_dir);
        let dir = self.places.emptiest_dir(self.dirs, is_sound);
        let place = shard_of(id, dir, per_dir);
        self.places.set(id, place);
        place
    }

    /// R17: only what the controller said to be deleted.
    fn removals(&self, is_deleted: impl Fn(&TopicPartition) -> bool) -> ByShard<TopicPartition> {
        let mut removed = ByShard::new();
        let held: Vec<_> = self.places.read().iter().map(|(id, place)| (*id, *place)).collect();
        for (id, place) in held {
            if is_deleted(&id) {
                self.places.remove(id);
                removed.entry(place.shard).or_default().push(id);
            }
        }
        for (id, place) in self.places.take_quarantined(&is_deleted) {
            removed.entry(place.shard).or_default().push(id);
        }
        removed
    }

    async fn send(&self, assigned: ByShard<AssignJob>, removed: ByShard<TopicPartition>) {
        let removals = removed
            .into_iter()
            .map(|(shard, ids)| self.shards[shard].ask(|done| Message::Remove(ids, done)));
        let removals = futures::future::join_all(removals).await;
        let assignments = assigned
            .into_iter()
            .map(|(shard, jobs)| self.shards[shard].ask(|done| Message::Assign(jobs, done)));
        let assignments = futures::future::join_all(assignments).await;
        if removals.iter().chain(&assignments).any(Result::is_err) {
            error!("a storage shard is gone: its partitions are not served; restart the node");
        }
    }
}

fn partition_id(topic: TopicId, index: usize) -> TopicPartition {
    let partition = PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX));
    TopicPartition { topic, partition }
}

fn assignment(partition: &Partition) -> Assignment {
    Assignment {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: partition.isr.clone(),
    }
}
