//! Replay of what concerns one partition: its first state, and changes decided for it alone.
//!
//! Invariant: epochs only grow; the leader is live and in the ISR, or there is none; the ISR is never empty and names
//! replicas only, each once.

use std::sync::Arc;

use ottla_types::limits::MAX_STORAGE_NODES;
use ottla_types::{LeaderEpoch, NodeId, PartitionEpoch};

use super::{Changes, Image, Partition};
use crate::election;
use crate::event::{Assignment, Event};

/// The first state of a partition; `None` if the assignment makes no sense.
pub(super) fn new(image: &Image, assignment: &Assignment) -> Option<Partition> {
    let Assignment { replicas, isr } = assignment;
    is_isr_of(replicas, isr).then(|| Partition {
        replicas: replicas.clone(),
        isr: isr.clone(),
        leader: election::r11_first_live(replicas, isr, |node| image.is_live(node)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
    })
}

/// Whether `isr` is a non-empty subset of `replicas`, and neither names a node twice.
pub(super) fn is_isr_of(replicas: &[NodeId], isr: &[NodeId]) -> bool {
    !isr.is_empty()
        && replicas.len() <= MAX_STORAGE_NODES
        && isr.len() <= replicas.len()
        && isr.iter().all(|node| replicas.contains(node))
        && is_distinct(replicas)
        && is_distinct(isr)
}

fn is_distinct(nodes: &[NodeId]) -> bool {
    nodes.iter().enumerate().all(|(at, node)| !nodes[..at].contains(node))
}

impl Image {
    pub(super) fn replay_partition_changed(&mut self, event: &Event, changes: &mut Changes) {
        let Event::PartitionChanged {
            id,
            partition: index,
            leader,
            leader_epoch,
            isr,
            partition_epoch,
            ..
        } = event
        else {
            return;
        };
        let Some(current) = self.partition(*id, *index) else { return };
        let next = Partition {
            replicas: current.replicas.clone(),
            isr: isr.clone(),
            leader: *leader,
            leader_epoch: *leader_epoch,
            partition_epoch: *partition_epoch,
        };
        if let (true, Ok(at)) = (self.r3_may_follow(current, &next), usize::try_from(index.0)) {
            self.put_partitions(*id, vec![(at, Arc::new(next))], changes);
        }
    }

    /// R3: whether one state of a partition may follow another: its epoch is newer, and what it says can be.
    fn r3_may_follow(&self, current: &Partition, next: &Partition) -> bool {
        let leads = |node| next.isr.contains(&node) && self.is_live(node);
        let elected = next.leader != current.leader;
        is_isr_of(&next.replicas, &next.isr)
            && next.leader.is_none_or(leads)
            && next.partition_epoch > current.partition_epoch
            && next.leader_epoch >= current.leader_epoch
            && (!elected || next.leader_epoch > current.leader_epoch)
    }
}
