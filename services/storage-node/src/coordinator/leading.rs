//! Which coordinators run on this node: one for each partition of `__consumer_offsets` that it leads, in the epoch in which it does.
//!
//! Invariant: of one partition at most one actor runs: the one of an earlier epoch has ended before the next begins. When this is
//! dropped, all end.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use ottla_coordinator::{OFFSETS_TOPIC, TopicName};
use ottla_metadata::image::Topic;
use ottla_metadata::topic_config::{ClusterDefaults, TopicConfig};
use ottla_metadata::{Changes, Image};
use ottla_runtime::Seams;
use ottla_runtime::seams::TaskHandle;
use ottla_types::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};
use tokio::sync::Semaphore;
use tracing::error;

use super::Coordinators;
use super::actor::Actor;
use super::inbox::{Inbox, inbox};
use super::offsets_log::OffsetsLog;
use crate::config::GroupConfig;
use crate::local::LocalStorage;
use crate::mutant::Mutation;

/// Coordinators that load at a time.
const LOADS_AT_A_TIME: usize = 4;

/// What coordinators are made of.
pub(crate) struct LeadingParts {
    pub(crate) node: NodeId,
    pub(crate) seams: Seams,
    pub(crate) storage: LocalStorage,
    pub(crate) config: GroupConfig,
    /// What the configuration file says of topics.
    pub(crate) defaults: ClusterDefaults,
    /// Where they are found.
    pub(crate) coordinators: Arc<Coordinators>,
    pub(crate) mutation: Mutation,
}

/// Begins and ends coordinators.
pub(crate) struct Leading {
    parts: LeadingParts,
    loads: Arc<Semaphore>,
    led: BTreeMap<PartitionIndex, Led>,
}

/// In which term a partition is led.
type Term = (TopicId, LeaderEpoch);

struct Led {
    term: Term,
    inbox: Inbox,
    /// Completes when the actor has.
    ended: Shared<BoxFuture<'static, ()>>,
}

impl Drop for Led {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

impl Leading {
    pub(crate) fn new(parts: LeadingParts) -> Self {
        let loads = Arc::new(Semaphore::new(LOADS_AT_A_TIME));
        Self { parts, loads, led: BTreeMap::new() }
    }

    /// Acts on one image, once the shards have.
    pub(crate) async fn act(&mut self, image: &Image, changes: &Changes) {
        let topic = image.topic_by_name(OFFSETS_TOPIC);
        let terms = topic.map(|topic| self.terms(topic)).unwrap_or_default();
        self.end_others(&terms).await;
        if let Some(topic) = topic {
            let defaults = image.topic_defaults(&self.parts.defaults, Some(self.parts.node));
            let config = TopicConfig::resolve(&topic.configs, &defaults);
            for (partition, term) in terms {
                match self.led.get(&partition) {
                    Some(led) => led.inbox.set_max_batch_bytes(config.max_message_bytes),
                    None => self.begin(partition, term, config.max_message_bytes),
                }
            }
        }
        self.tell_deletions(changes);
    }

    /// What this node leads, and since when.
    fn terms(&self, topic: &Topic) -> BTreeMap<PartitionIndex, Term> {
        let led = topic.partitions.iter().enumerate();
        let led = led.filter(|(_, partition)| partition.leader == Some(self.parts.node));
        led.map(|(index, partition)| {
            let index = PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX));
            (index, (topic.id, partition.leader_epoch))
        })
        .collect()
    }

    /// Ends what is not led any more, or not in the same term; waits until that is so.
    async fn end_others(&mut self, terms: &BTreeMap<PartitionIndex, Term>) {
        let over: Vec<_> =
            self.led.extract_if(.., |at, led| terms.get(at) != Some(&led.term)).collect();
        for (partition, led) in &over {
            self.parts.coordinators.remove(*partition);
            led.inbox.stop();
        }
        let ended: Vec<_> = over.into_iter().map(|(_, led)| led.ended.clone()).collect();
        join_all(ended).await;
    }

    fn begin(&mut self, partition: PartitionIndex, term: Term, max_batch_bytes: usize) {
        let (inbox, taker) = inbox(max_batch_bytes);
        let LeadingParts { seams, storage, config, coordinators, .. } = &self.parts;
        let actor = Actor {
            seams: seams.clone(),
            config: config.clone(),
            log: OffsetsLog {
                storage: storage.clone(),
                partition: TopicPartition { topic: term.0, partition },
                leader_epoch: term.1,
                read_bytes: config.load_bytes,
                append_timeout: config.append_timeout,
            },
            inbox: taker,
            loads: Arc::clone(&self.loads),
            mutation: self.parts.mutation,
        };
        let task = seams.tasks.spawn("group-coordinator", Box::pin(actor.run()));
        coordinators.set(partition, inbox.clone());
        let ended = ended(partition, task).boxed().shared();
        self.led.insert(partition, Led { term, inbox, ended });
    }

    /// Offsets of topics that are gone go too.
    fn tell_deletions(&self, changes: &Changes) {
        if changes.deleted_topics.is_empty() {
            return;
        }
        let deleted: Vec<_> = changes
            .deleted_topics
            .iter()
            .filter_map(|(id, name)| Some((TopicName::new(name).ok()?, *id)))
            .collect();
        for led in self.led.values() {
            led.inbox.topics_deleted(deleted.iter().cloned());
        }
    }
}

/// Completes when the actor ended; a panic is told.
async fn ended(partition: PartitionIndex, task: TaskHandle) {
    if let Err(cause) = task.join().await {
        error!(%partition, "a group coordinator ended: {cause}; report this as a bug");
    }
}
