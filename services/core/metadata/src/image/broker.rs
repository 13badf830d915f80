//! Replay of what concerns storage nodes: registration, fencing, unfencing, the end of a registration.
//!
//! Invariant: a fenced node leads nothing and is in no ISR but where it is the last member (R2); a node registers only
//! while its old registration is fenced (R1). A fencing is one event: the partitions follow here, and only topics that have
//! a replica on the node are looked at.

use std::sync::Arc;

use ottla_types::{BrokerEpoch, NodeId, PartitionIndex, TopicId};

use super::{Broker, Changes, Image, Partition, PartitionChange, Topic};
use crate::election;
use crate::event::{BrokerRegistration, ElectionRules};

impl Image {
    pub(super) fn replay_broker_registered(
        &mut self,
        registration: &BrokerRegistration,
        changes: &mut Changes,
    ) {
        let node = registration.node;
        if self.is_live(node) {
            return;
        }
        let epoch = BrokerEpoch(i64::try_from(self.offset.0).unwrap_or(i64::MAX));
        self.put_broker(Broker { registration: registration.clone(), epoch, fenced: true });
        changes.brokers.insert(node);
    }

    pub(super) fn replay_broker_unfenced(
        &mut self,
        node: NodeId,
        broker_epoch: BrokerEpoch,
        rules: ElectionRules,
        changes: &mut Changes,
    ) {
        if self.set_fenced(node, broker_epoch, false) {
            changes.brokers.insert(node);
            self.elect_on(node, changes, |image, partition| {
                election::after_unfencing(rules, partition, node, |node| image.is_live(node))
            });
        }
    }

    pub(super) fn replay_broker_fenced(
        &mut self,
        node: NodeId,
        broker_epoch: BrokerEpoch,
        rules: ElectionRules,
        changes: &mut Changes,
    ) {
        if self.set_fenced(node, broker_epoch, true) {
            changes.brokers.insert(node);
            self.elect_on(node, changes, |image, partition| {
                election::after_fencing(rules, partition, node, |node| image.is_live(node))
            });
        }
    }

    /// Only a fenced node goes: what it led is led by others already.
    pub(super) fn replay_broker_unregistered(
        &mut self,
        node: NodeId,
        broker_epoch: BrokerEpoch,
        changes: &mut Changes,
    ) {
        let goes = |broker: &&Arc<Broker>| broker.epoch == broker_epoch && broker.fenced;
        let Some(broker) = self.brokers.get(&node).filter(goes) else { return };
        self.sum.broker(Some(broker), None);
        self.brokers.remove(&node);
        changes.brokers.insert(node);
    }

    /// Fences or unfences a registration; false where there is none of this epoch or it is so already.
    fn set_fenced(&mut self, node: NodeId, epoch: BrokerEpoch, fenced: bool) -> bool {
        let Some(broker) = self.brokers.get(&node) else { return false };
        if broker.epoch != epoch || broker.fenced == fenced {
            return false;
        }
        let broker = Broker { fenced, ..Broker::clone(broker) };
        self.put_broker(broker);
        true
    }

    fn put_broker(&mut self, broker: Broker) {
        let node = broker.registration.node;
        let broker = Arc::new(broker);
        self.sum.broker(self.brokers.get(&node).map(Arc::as_ref), Some(&broker));
        self.brokers.insert(node, broker);
    }

    /// Applies an election to every partition with a replica on a node.
    fn elect_on(
        &mut self,
        node: NodeId,
        changes: &mut Changes,
        elect: impl Fn(&Self, &Partition) -> Option<Partition>,
    ) {
        let topics: Vec<TopicId> = self.index.topics_on(node).copied().collect();
        for id in topics {
            let Some(topic) = self.topics.get(&id) else { continue };
            let moved: Vec<(usize, Arc<Partition>)> = topic
                .partitions
                .iter()
                .enumerate()
                .filter_map(|(at, partition)| Some((at, Arc::new(elect(self, partition)?))))
                .collect();
            self.put_partitions(id, moved, changes);
        }
    }

    /// Puts new states of some partitions of one topic.
    pub(super) fn put_partitions(
        &mut self,
        id: TopicId,
        moved: Vec<(usize, Arc<Partition>)>,
        changes: &mut Changes,
    ) {
        if moved.is_empty() {
            return;
        }
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let topic: &mut Topic = Arc::make_mut(topic);
        for (at, after) in moved {
            let Some(slot) = topic.partitions.get_mut(at) else { continue };
            let before = std::mem::replace(slot, after.clone());
            let partition = PartitionIndex(i32::try_from(at).unwrap_or(i32::MAX));
            self.sum.partition((id, partition), Some(&before), Some(&after));
            let offset = self.offset;
            changes.partition_moved(PartitionChange {
                offset,
                topic: id,
                partition,
                before,
                after,
            });
        }
    }
}
