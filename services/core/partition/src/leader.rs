//! What a replica knows only while it leads: its epoch, its followers' progress, who waits for an acknowledgement.
//!
//! Invariant: everything here was learned in the present leader epoch and is dropped with it. Whoever waits is answered exactly
//! once: acknowledged when its end offset counts, refused when leadership goes.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::{LeaderEpoch, NodeId, Offset, PartitionEpoch, TimestampMs};

use crate::effect::{Effect, Ticket};
use crate::isr::{FollowerProgress, IsrProposal, PeerStanding, maximal_isr, r5_may_join};
use crate::replica::Assignment;

/// The state of a leader.
/// Entered when the metadata name this node as leader of a new leader epoch; answers produces, fetches, offsets; leaves to
/// follower with the next epoch, to offline on a disk error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The epoch that this replica leads.
    pub epoch: LeaderEpoch,
    /// The partition's epoch, for the next ISR change (R3).
    pub partition_epoch: PartitionEpoch,
    /// LESO: the log's end when the epoch began (R5, R6).
    pub epoch_start: Offset,
    /// When the epoch began here: a follower that has not spoken yet lags from then on.
    pub since: TimestampMs,
    /// Committed in-sync replicas.
    pub isr: Vec<NodeId>,
    /// An ISR that the controller has not answered yet.
    pub proposed: Option<Vec<NodeId>>,
    /// Followers that spoke in this epoch.
    pub followers: BTreeMap<NodeId, FollowerProgress>,
    waiting_for_own_end: BTreeSet<(Offset, Ticket)>,
    waiting_for_watermark: BTreeSet<(Offset, Ticket)>,
}

impl Leader {
    pub(crate) fn new(to: &Assignment, epoch_start: Offset, since: TimestampMs) -> Self {
        Self {
            epoch: to.leader_epoch,
            partition_epoch: to.partition_epoch,
            epoch_start,
            since,
            isr: to.isr.clone(),
            proposed: None,
            followers: BTreeMap::new(),
            waiting_for_own_end: BTreeSet::new(),
            waiting_for_watermark: BTreeSet::new(),
        }
    }

    /// A newer image of the same leader epoch: an ISR change was committed.
    pub(crate) fn isr_committed(&mut self, partition_epoch: PartitionEpoch, isr: Vec<NodeId>) {
        self.partition_epoch = partition_epoch;
        self.isr = isr;
        self.proposed = None;
    }

    /// Counting ends of the maximal ISR; `own` is this node's and its end.
    pub(crate) fn counting_ends(
        &self,
        own: (NodeId, Offset),
    ) -> impl Iterator<Item = Option<Offset>> + '_ {
        maximal_isr(&self.isr, self.proposed.as_deref()).map(move |node| {
            if node == own.0 {
                Some(own.1)
            } else {
                self.followers.get(&node).map(|p| p.counting_end)
            }
        })
    }

    pub(crate) fn wait(&mut self, ticket: Ticket, end: Offset, for_watermark: bool) {
        let waiting = if for_watermark {
            &mut self.waiting_for_watermark
        } else {
            &mut self.waiting_for_own_end
        };
        waiting.insert((end, ticket));
    }

    pub(crate) fn stop_waiting(&mut self, ticket: Ticket, end: Offset) -> bool {
        self.waiting_for_watermark.remove(&(end, ticket))
            || self.waiting_for_own_end.remove(&(end, ticket))
    }

    /// How many produces wait.
    pub fn waiting(&self) -> usize {
        self.waiting_for_own_end.len() + self.waiting_for_watermark.len()
    }

    /// R7. Answers those whose end offset is reached: by this log for `acks=1`, by the watermark for `acks=all`.
    pub(crate) fn r7_acknowledge(
        &mut self,
        own_end: Offset,
        high_watermark: Offset,
        effects: &mut Vec<Effect>,
    ) {
        for (waiting, reached) in [
            (&mut self.waiting_for_own_end, own_end),
            (&mut self.waiting_for_watermark, high_watermark),
        ] {
            while let Some(&(end, ticket)) = waiting.first() {
                if end > reached {
                    break;
                }
                waiting.pop_first();
                effects.push(Effect::Acknowledge(ticket));
            }
        }
    }

    pub(crate) fn refuse_all(self, code: ottla_types::ErrorCode, effects: &mut Vec<Effect>) {
        let tickets = self.waiting_for_own_end.into_iter().chain(self.waiting_for_watermark);
        effects.extend(tickets.map(|(_, ticket)| Effect::Refuse(ticket, code)));
    }

    /// The ISR that should be, given the time and how the metadata see the peers; `None` if the present one is right, or a
    /// proposal is out already. Members that lag longer than `max_lag_ms` leave; others join as R5 and R6 allow.
    pub(crate) fn propose_isr(
        &mut self,
        own: (NodeId, Offset),
        high_watermark: Offset,
        peers: &[PeerStanding],
        limits: (TimestampMs, i64),
    ) -> Option<IsrProposal> {
        if self.proposed.is_some() {
            return None;
        }
        let (now, max_lag_ms) = limits;
        let (me, end) = own;
        let keeps_up = |node: &NodeId| {
            let progress = self.followers.get(node);
            let caught_up_at = progress.map_or(self.since, |p| p.caught_up_at);
            *node == me
                || progress.is_some_and(|p| p.counting_end >= end)
                || now.since_ms(caught_up_at) <= max_lag_ms
        };
        let mut isr: Vec<_> = self.isr.iter().copied().filter(keeps_up).collect();
        // R6: nobody joins before the watermark is trusted again.
        if high_watermark >= self.epoch_start {
            let joins = peers.iter().filter(|peer| {
                !self.isr.contains(&peer.node)
                    && r5_may_join(
                        self.followers.get(&peer.node),
                        **peer,
                        high_watermark,
                        self.epoch_start,
                    )
            });
            isr.extend(joins.map(|peer| peer.node));
        }
        if isr == self.isr {
            return None;
        }
        self.proposed = Some(isr.clone());
        Some(IsrProposal { isr, leader_epoch: self.epoch, partition_epoch: self.partition_epoch })
    }
}
