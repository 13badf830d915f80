//! The cluster as it is after some number of events.
//!
//! Invariant: an image is a function of the events before its offset and of nothing else. A clone costs a few pointers:
//! the maps share structure, each topic and each partition is behind an `Arc`. Only [`Image::replay`] and decoding a
//! snapshot make images. Deliberately does not know who decided the events, nor whether they are committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use ottla_types::{
    BrokerEpoch, ClusterId, LeaderEpoch, MetadataOffset, NodeId, PartitionEpoch, PartitionIndex,
    ProducerId, TopicId,
};
use serde::{Deserialize, Serialize};

use crate::event::{BrokerRegistration, ConfigResource, Event, GatewayRegistration};

mod broker;
mod changes;
mod cluster;
mod configs;
mod gateway;
mod hash;
mod index;
mod partition;
mod stored;
mod topic;

pub use changes::{Changes, HashMismatch, MAX_PARTITION_CHANGES, PartitionChange};
pub use stored::BrokenImage;
pub(crate) use stored::{StoredImage, StoredImageV1};

use hash::EntitySum;
use index::Index;

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredImage", into = "StoredImage")]
pub struct Image {
    /// Offset of the last event replayed; 0 for an empty image.
    pub offset: MetadataOffset,
    /// The cluster's id, once formatted.
    pub cluster_id: Option<ClusterId>,
    /// Storage nodes by id.
    pub brokers: OrdMap<NodeId, Arc<Broker>>,
    /// Gateways by id.
    pub gateways: OrdMap<NodeId, Arc<Gateway>>,
    /// Topics by id.
    pub topics: OrdMap<TopicId, Arc<Topic>>,
    /// Topic ids by name.
    pub topic_ids: OrdMap<String, TopicId>,
    /// The first producer id that nobody owns.
    pub next_producer_id: ProducerId,
    /// Configs of everything but topics, by Kafka's names; what has none is not here.
    pub configs: OrdMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    /// Sum of the hashes of all entities.
    sum: EntitySum,
    /// What is where; follows from the rest.
    index: Index,
}

/// A storage node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// What it said of itself.
    pub registration: BrokerRegistration,
    /// The offset of its registration.
    pub epoch: BrokerEpoch,
    /// Whether it may lead and be in ISRs.
    pub fenced: bool,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// What it said of itself.
    pub registration: GatewayRegistration,
    /// Whether it takes no new clients.
    pub draining: bool,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Configs that differ from the defaults, by Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// Partitions by index; each behind its own `Arc`, so that a change of one does not copy the others.
    pub partitions: Vec<Arc<Partition>>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Storage nodes in assignment order.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas; never empty.
    pub isr: Vec<NodeId>,
    /// The leader; `None` while no member of the ISR lives.
    pub leader: Option<NodeId>,
    /// Grows with each election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change (R3).
    pub partition_epoch: PartitionEpoch,
}

impl Image {
    /// Replays the event that follows [`Image::offset`], and notes in `changes` what it touched. Cannot fail: an event that
    /// makes no sense in this image (a deed to something that does not exist, an epoch that is not the current one) only
    /// moves the offset, on every member alike.
    pub fn replay(&mut self, event: &Event, changes: &mut Changes) {
        let before = self.offset;
        self.offset = before.next();
        match event {
            Event::ClusterFormatted { cluster_id } => self.replay_formatted(cluster_id),
            Event::BrokerRegistered(registration) => {
                self.replay_broker_registered(registration, changes);
            }
            Event::BrokerUnfenced { node, broker_epoch, rules } => {
                self.replay_broker_unfenced(*node, *broker_epoch, *rules, changes);
            }
            Event::BrokerFenced { node, broker_epoch, rules, .. } => {
                self.replay_broker_fenced(*node, *broker_epoch, *rules, changes);
            }
            Event::GatewayRegistered(registration) => {
                self.replay_gateway_registered(registration, changes);
            }
            Event::GatewayDraining { node, incarnation } => {
                self.replay_gateway_draining(*node, *incarnation, changes);
            }
            Event::GatewayGone { node, incarnation } => {
                self.replay_gateway_gone(*node, *incarnation, changes);
            }
            Event::TopicCreated { .. } => self.replay_topic_created(event, changes),
            Event::TopicDeleted { id, .. } => self.replay_topic_deleted(*id, changes),
            Event::PartitionsAdded { id, assignments } => {
                self.replay_partitions_added(*id, assignments, changes);
            }
            Event::TopicConfigsChanged { id, changes: configs } => {
                self.replay_topic_configs_changed(*id, configs, changes);
            }
            Event::PartitionChanged { .. } => self.replay_partition_changed(event, changes),
            Event::ProducerIdsAllocated { first, count, .. } => {
                self.replay_producer_ids_allocated(*first, *count);
            }
            Event::StateHash { hash } => self.replay_state_hash(before, *hash, changes),
            Event::ResourceConfigsChanged { resource, changes: configs } => {
                self.replay_resource_configs_changed(resource, configs, changes);
            }
            Event::BrokerUnregistered { node, broker_epoch, .. } => {
                self.replay_broker_unregistered(*node, *broker_epoch, changes);
            }
        }
    }

    /// The topic of a name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// A partition of a topic.
    pub fn partition(&self, topic: TopicId, partition: PartitionIndex) -> Option<&Arc<Partition>> {
        let index = usize::try_from(partition.0).ok()?;
        self.topics.get(&topic)?.partitions.get(index)
    }

    /// Whether a storage node is registered and not fenced.
    pub fn is_live(&self, node: NodeId) -> bool {
        self.brokers.get(&node).is_some_and(|broker| !broker.fenced)
    }

    /// Topics that have a replica on a storage node, in the order of their ids.
    pub fn topics_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Topic>> {
        self.index.topics_on(node).filter_map(|id| self.topics.get(id))
    }

    /// How many partitions name a storage node as their preferred leader.
    pub fn preferred_leaders_on(&self, node: NodeId) -> u64 {
        self.index.preferred_on(node)
    }

    /// The topic whose name differs from this one at most in `.` and `_`, if both have such a character.
    pub fn colliding_topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(&self.index.collision(name)?)
    }

    /// A 64-bit hash of everything: equal on all members that replayed the same events. Computed incrementally; the
    /// function is frozen by a golden test, because members of different releases compare it.
    pub fn hash(&self) -> u64 {
        self.sum.with_globals(self, self.offset)
    }
}
