//! A later disk of a node takes the place of the one before it (P7, P8, P13).
//!
//! Only the active controller changes members, one change at a time: the later disk joins as a learner; when it has caught up, one
//! joint change makes it a voter and removes the old disk. What is to be done next is read off the present members each time, so
//! a change that was dropped or overtaken is simply proposed again, and what counts is what is applied (P7).
//!
//! Invariant: a disk is replaced only after it was silent for [`SILENCE_BEFORE_REPLACEMENT`]: two processes with the same node id
//! do not push each other out.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_types::{DirectoryId, NodeId};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry};

use super::{Driver, Stop};
use crate::quorum::peers::later_id;

/// A voter's disk that was not heard for this long may be replaced by a later one of the same node.
pub(super) const SILENCE_BEFORE_REPLACEMENT: Duration = Duration::from_secs(30);
/// A newcomer that was not heard for this long has gone away.
const NEWCOMER_LIMIT: Duration = Duration::from_secs(5);
/// A learner that lacks no more entries than this has caught up.
const CAUGHT_UP_ENTRIES: u64 = 100;

/// Later disks that want to become members. At most one a voter.
#[derive(Default)]
pub(super) struct Membership {
    newcomers: BTreeMap<NodeId, (DirectoryId, Duration)>,
    leading_since: Option<(u64, Duration)>,
}

impl Membership {
    pub(super) fn newcomer(&mut self, node: NodeId, directory: DirectoryId, now: Duration) {
        self.newcomers.insert(node, (directory, now));
    }

    /// Since when this member leads in this term.
    fn leading_since(&mut self, term: u64, now: Duration) -> Duration {
        match self.leading_since {
            Some((known, since)) if known == term => since,
            _ => self.leading_since.insert((term, now)).1,
        }
    }
}

impl Driver {
    /// Makes this disk known to those that do not know it; one that wants to join does not stop before it is a member.
    pub(super) fn greet_strangers(&mut self) {
        let wants_to_join = self.peers.is_later() && !self.is_member(self.peers.own_id());
        let others = self.peers.voters().iter().filter(|node| **node != self.config.node);
        let greeted =
            if wants_to_join { others.copied().collect() } else { self.peers.strangers() };
        greeted.into_iter().for_each(|node| self.greet(node));
    }

    /// P8: a peer knows this node with another disk. If this one has no log, it is new.
    pub(super) fn p8_our_disk_is_new(&mut self) -> Result<(), Stop> {
        if self.peers.is_later() || self.raft.raft.raft_log.last_index() > 0 {
            return Ok(());
        }
        self.peers.mark_later()?;
        Err(Stop::NewDisk(SILENCE_BEFORE_REPLACEMENT))
    }

    /// P7, P8: proposes the next change of members, if there is one to make.
    pub(super) fn tend_members(&mut self) -> Result<(), Stop> {
        let now = self.seams.clock.monotonic();
        let is_busy = self.raft.raft.has_pending_conf();
        let members = self.raft.raft.prs().conf().to_conf_state();
        if !self.can_decide() || is_busy || !members.voters_outgoing.is_empty() {
            return Ok(());
        }
        let since = self.membership.leading_since(self.raft.raft.term, now);
        match members.learners.first() {
            Some(learner) => self.promote(*learner, &members),
            None => self.take_in_newcomer(&members, since, now),
        }
    }

    fn take_in_newcomer(
        &mut self,
        members: &ConfState,
        leading_since: Duration,
        now: Duration,
    ) -> Result<(), Stop> {
        self.membership.newcomers.retain(|_, (_, heard)| now < *heard + NEWCOMER_LIMIT);
        let is_silent = |id: &u64| {
            let heard = self.health.last_heard(*id).unwrap_or_default().max(leading_since);
            now >= heard + SILENCE_BEFORE_REPLACEMENT
        };
        let has_place = |node: &NodeId| {
            let old = members.voters.iter().find(|id| self.peers.node(**id) == Some(*node));
            old.is_some_and(is_silent)
        };
        let newcomer = self.membership.newcomers.iter().find(|(node, _)| has_place(node));
        let Some((node, (directory, _))) = newcomer else { return Ok(()) };
        let (node, directory) = (*node, *directory);
        tracing::warn!(%node, %directory, "takes a new metadata directory of a controller in, in place of a silent one");
        let change = (ConfChangeType::AddLearnerNode, later_id(node, directory));
        self.propose_members(&[change], Some((node, directory)))
    }

    fn promote(&mut self, learner: u64, members: &ConfState) -> Result<(), Stop> {
        let raft = &self.raft.raft;
        let lacks = raft.prs().get(learner).map(|progress| {
            raft.raft_log.committed.saturating_sub(progress.matched)
                + u64::from(!progress.recent_active)
        });
        if lacks.is_none_or(|lacks| lacks > CAUGHT_UP_ENTRIES) {
            return Ok(());
        }
        let node = self.peers.node(learner);
        let mut changes = vec![(ConfChangeType::AddNode, learner)];
        let old = members.voters.iter().filter(|id| self.peers.node(**id) == node);
        changes.extend(old.map(|id| (ConfChangeType::RemoveNode, *id)));
        self.propose_members(&changes, None)
    }

    fn propose_members(
        &mut self,
        changes: &[(ConfChangeType, u64)],
        newcomer: Option<(NodeId, DirectoryId)>,
    ) -> Result<(), Stop> {
        let single = |(kind, raft_id): &(ConfChangeType, u64)| {
            let mut single = ConfChangeSingle { node_id: *raft_id, ..ConfChangeSingle::default() };
            single.set_change_type(*kind);
            single
        };
        let mut change = ConfChangeV2::default();
        change.set_changes(changes.iter().map(single).collect::<Vec<_>>().into());
        let context = newcomer
            .map(|newcomer| postcard::to_stdvec(&newcomer).expect("plain values serialize"));
        match self.raft.propose_conf_change(context.unwrap_or_default(), change) {
            // One that is dropped is proposed again.
            Ok(()) | Err(raft::Error::ProposalDropped) => Ok(()),
            Err(error) => Err(Stop::Raft(error.to_string())),
        }
    }

    /// P7: members change when the change is applied.
    pub(super) fn p7_apply_members(&mut self, entry: &Entry) -> Result<(), Stop> {
        let unknown = |_| Stop::UnknownEntry { index: entry.index };
        let change = ConfChangeV2::parse_from_bytes(&entry.data).map_err(|_| unknown(()))?;
        if !entry.context.is_empty() {
            let (node, directory) =
                postcard::from_bytes(&entry.context).map_err(|_| unknown(()))?;
            self.peers.learn(node, directory)?;
        }
        let was_member = self.is_member(self.peers.own_id());
        let members = match self.raft.apply_conf_change(&change) {
            Ok(members) => members,
            // A change that no longer fits has no effect, on every member alike.
            Err(error) => {
                tracing::warn!(
                    index = entry.index,
                    "a change of the quorum's members has no effect: {error}"
                );
                return Ok(());
            }
        };
        let name = |id: &u64| self.peers.node(*id).map_or(id.to_string(), |node| node.to_string());
        let voters: Vec<_> = members.voters.iter().map(name).collect();
        let learners: Vec<_> = members.learners.iter().map(name).collect();
        tracing::info!(?voters, ?learners, "the members of the quorum changed");
        if was_member && !self.is_member(self.peers.own_id()) {
            self.peers.p13_mark_removed()?;
            return Err(Stop::Removed);
        }
        Ok(())
    }

    fn is_member(&self, raft_id: u64) -> bool {
        self.raft.raft.prs().get(raft_id).is_some()
    }
}
