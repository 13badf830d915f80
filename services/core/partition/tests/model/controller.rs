//! The controller of the model: one partition, elections from the ISR, compare-and-swap of ISR changes (R3, R11).

use ottla_partition::Assignment;
use ottla_partition::isr::{IsrProposal, PeerStanding};
use ottla_types::{BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch};

pub(crate) struct Controller {
    pub(crate) assignment: Assignment,
    pub(crate) fenced: [bool; 3],
    pub(crate) broker_epochs: [i64; 3],
}

pub(crate) fn index(node: NodeId) -> usize {
    node.0 as usize
}

impl Controller {
    pub(crate) fn new() -> Self {
        let assignment = Assignment {
            leader: Some(NodeId(0)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            isr: vec![NodeId(0), NodeId(1), NodeId(2)],
        };
        Self { assignment, fenced: [false; 3], broker_epochs: [1; 3] }
    }

    pub(crate) fn standing(&self, node: usize) -> PeerStanding {
        PeerStanding {
            node: NodeId(node as i32),
            broker_epoch: BrokerEpoch(self.broker_epochs[node]),
            fenced: self.fenced[node],
        }
    }

    /// R2: a fenced broker leads nothing and is in no ISR but where it is the last member.
    pub(crate) fn fence(&mut self, node: usize) {
        self.fenced[node] = true;
        let id = NodeId(node as i32);
        if self.assignment.isr.len() > 1 {
            self.assignment.isr.retain(|member| *member != id);
        }
        if self.assignment.leader == Some(id) {
            self.elect();
        } else {
            self.assignment.partition_epoch = self.assignment.partition_epoch.next();
        }
    }

    pub(crate) fn unfence(&mut self, node: usize) {
        self.fenced[node] = false;
        self.broker_epochs[node] += 1;
        if self.assignment.leader.is_none() {
            self.elect();
        }
    }

    pub(crate) fn elect(&mut self) {
        let live = |node: &&NodeId| !self.fenced[index(**node)];
        let leader = self.assignment.isr.iter().find(live).copied();
        self.become_leader(leader);
    }

    pub(crate) fn become_leader(&mut self, leader: Option<NodeId>) {
        self.assignment.leader = leader;
        self.assignment.leader_epoch = self.assignment.leader_epoch.next();
        self.assignment.partition_epoch = self.assignment.partition_epoch.next();
    }

    /// R3.
    pub(crate) fn change_isr(&mut self, proposal: &IsrProposal) -> bool {
        let current = proposal.partition_epoch == self.assignment.partition_epoch
            && proposal.leader_epoch == self.assignment.leader_epoch;
        let live = proposal.isr.iter().all(|node| !self.fenced[index(*node)]);
        if current && live {
            self.assignment.isr = proposal.isr.clone();
            self.assignment.partition_epoch = self.assignment.partition_epoch.next();
        }
        current && live
    }
}
