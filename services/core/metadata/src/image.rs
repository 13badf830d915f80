//! The cluster as it is after some number of events.
//!
//! Invariant: an image is a function of the events before its offset and of nothing else. A clone costs a few pointers:
//! the maps share structure, each topic is behind an `Arc`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use ottla_types::{
    BrokerEpoch, ClusterId, LeaderEpoch, MetadataOffset, NodeId, PartitionEpoch, ProducerId,
    TopicId,
};
use serde::{Deserialize, Serialize};

use crate::event::{BrokerRegistration, GatewayRegistration};

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// What some run of events touched: whoever follows the image acts on the final state of these things only (R15).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Topics made or changed (and not deleted since).
    pub topics: BTreeSet<TopicId>,
    /// Topics deleted, with their names.
    pub deleted_topics: BTreeMap<TopicId, String>,
    /// Storage nodes registered, fenced or unfenced.
    pub brokers: BTreeSet<NodeId>,
    /// Gateways that came, drain or went.
    pub gateways: BTreeSet<NodeId>,
}

impl Image {
    /// The topic of a name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.topic_ids.get(name)?)
    }
}
