//! How a replica takes, changes and loses its role, and what followers and leaders tell each other.
//!
//! Invariant: a role is taken from the final image of a metadata update (R15); an older leader or partition epoch changes nothing.

use ottla_types::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionEpoch, TimestampMs};

use super::Replica;
use crate::append::{Batch, Placement};
use crate::effect::Effect;
use crate::fetch::{FetchRefusal, r13_check_epoch};
use crate::follower::{Follower, FollowerFault, r9_check_cut};
use crate::isr::{FollowerProgress, IsrProposal, PeerStanding};
use crate::leader::Leader;
use crate::producers::Producers;

/// What a replica is at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaRole {
    /// Entered at start, before the metadata said anything; answers NOT_LEADER_OR_FOLLOWER; leaves with the first assignment.
    Unassigned,
    /// See [`Leader`].
    Leader(Leader),
    /// See [`Follower`].
    Follower(Follower),
    /// Entered on an error of the disk (R16); answers KAFKA_STORAGE_ERROR; leaves with a restart only.
    Offline,
}

/// What the metadata say of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The leader; `None`: nobody.
    pub leader: Option<NodeId>,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition's epoch.
    pub partition_epoch: PartitionEpoch,
    /// Committed in-sync replicas.
    pub isr: Vec<NodeId>,
}

/// What a follower tells its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressReport {
    /// The follower, as the metadata see it.
    pub from: PeerStanding,
    /// The leader epoch that it speaks in.
    pub epoch: LeaderEpoch,
    /// Up to where its log counts.
    pub counting_end: Offset,
}

impl Replica {
    /// R15. Acts on the final image: leads, follows, or only takes a committed ISR.
    pub fn r15_assign(
        &mut self,
        assignment: Assignment,
        now: TimestampMs,
        effects: &mut Vec<Effect>,
    ) {
        let epoch = assignment.leader_epoch;
        let known = match &self.role {
            ReplicaRole::Offline => return,
            ReplicaRole::Unassigned => LeaderEpoch::NONE,
            ReplicaRole::Leader(leader) => leader.epoch,
            ReplicaRole::Follower(follower) => follower.epoch,
        };
        let leads = assignment.leader == Some(self.me);
        match &mut self.role {
            _ if epoch < known => return,
            ReplicaRole::Leader(leader) if epoch == known && leads => {
                if assignment.partition_epoch > leader.partition_epoch {
                    leader.isr_committed(assignment.partition_epoch, assignment.isr);
                }
            }
            ReplicaRole::Follower(follower) if epoch == known && !leads => {
                follower.leader = assignment.leader;
            }
            _ => self.change_role(leads, assignment, now, effects),
        }
        self.settle(effects);
    }

    fn change_role(
        &mut self,
        leads: bool,
        to: Assignment,
        now: TimestampMs,
        effects: &mut Vec<Effect>,
    ) {
        let next = if leads {
            ReplicaRole::Leader(Leader::new(&to, self.end, now))
        } else {
            ReplicaRole::Follower(Follower { leader: to.leader, epoch: to.leader_epoch })
        };
        if let ReplicaRole::Leader(old) = std::mem::replace(&mut self.role, next) {
            old.refuse_all(ErrorCode::NotLeaderOrFollower, effects);
        }
        if leads {
            self.epochs.assign(to.leader_epoch, self.end);
        }
    }

    /// R16. The disk failed: nothing is known of what it holds, so nothing is answered from it any more.
    pub fn r16_stop(&mut self, effects: &mut Vec<Effect>) {
        if let ReplicaRole::Leader(old) = std::mem::replace(&mut self.role, ReplicaRole::Offline) {
            old.refuse_all(ErrorCode::KafkaStorageError, effects);
        }
    }

    /// A follower told, in this leader epoch (R13), up to where its log counts.
    pub fn follower_progress(
        &mut self,
        report: ProgressReport,
        now: TimestampMs,
        effects: &mut Vec<Effect>,
    ) -> Result<(), FetchRefusal> {
        let end = self.end;
        let ReplicaRole::Leader(leader) = &mut self.role else {
            return Err(FetchRefusal::NotLeader);
        };
        r13_check_epoch(report.epoch, leader.epoch)?;
        // A restarted follower may have lost a tail that did not count as durable: take what it says.
        let (from, counting_end) = (report.from, report.counting_end);
        let caught_up_at = match leader.followers.get(&from.node) {
            Some(before) if counting_end < end => before.caught_up_at,
            _ => now,
        };
        let broker_epoch = from.broker_epoch;
        let progress = FollowerProgress { broker_epoch, counting_end, caught_up_at };
        leader.followers.insert(from.node, progress);
        self.settle(effects);
        Ok(())
    }

    /// The ISR that the leader should ask the controller for (R3), if it differs from the present one.
    pub fn propose_isr(
        &mut self,
        peers: &[PeerStanding],
        now: TimestampMs,
        max_lag_ms: i64,
    ) -> Option<IsrProposal> {
        let (own, high_watermark) = ((self.me, self.end), self.high_watermark);
        match &mut self.role {
            ReplicaRole::Leader(leader) => {
                leader.propose_isr(own, high_watermark, peers, (now, max_lag_ms))
            }
            _ => None,
        }
    }

    /// The controller refused the proposal: the maximal ISR is the committed one again.
    pub fn proposal_refused(&mut self, effects: &mut Vec<Effect>) {
        if let ReplicaRole::Leader(leader) = &mut self.role {
            leader.proposed = None;
        }
        self.settle(effects);
    }

    /// A batch of the leader arrived at this follower; appended if it is of the present epoch's leader and follows the end.
    /// Returns whether it was taken.
    pub fn replicate(
        &mut self,
        sent_in: LeaderEpoch,
        batch: &Batch,
        place: &Placement,
        now: TimestampMs,
    ) -> bool {
        let ReplicaRole::Follower(follower) = &self.role else { return false };
        if follower.epoch != sent_in || place.base_offset != self.end {
            return false;
        }
        self.replay(batch, place, now);
        true
    }

    /// The leader told its watermark; the follower's own is never above its end and never goes back.
    pub fn leader_watermark(&mut self, sent_in: LeaderEpoch, high_watermark: Offset) {
        if let ReplicaRole::Follower(follower) = &self.role
            && follower.epoch == sent_in
        {
            self.high_watermark = self.high_watermark.max(high_watermark.min(self.end));
        }
    }

    /// R8, R9. The follower's log was cut, and what `producers` wrote was read anew from what is left: a producer whose newest
    /// epoch was cut away is known by its older one again. Transactions and epochs are cut at the same point.
    pub fn r8_cut(&mut self, end: Offset, producers: Producers) -> Result<(), FollowerFault> {
        r9_check_cut(end, self.high_watermark)?;
        self.end = self.end.min(end);
        self.written = self.written.min(end);
        self.durable = self.durable.min(end);
        self.epochs.truncate_from_end(end);
        self.producers = producers;
        self.open_transactions.truncate_from_end(end);
        Ok(())
    }
}
