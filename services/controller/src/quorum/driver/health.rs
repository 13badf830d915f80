//! The health of the quorum, as this member sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_api::controller::{QuorumMember, QuorumObserver, QuorumRole, QuorumStatus};
use ottla_metadata::decide::Follower;
use ottla_types::{NodeId, Term};
use raft::StateRole;

use super::Driver;

/// A peer's refused messages are logged once in this time.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What was heard, and when.
#[derive(Default)]
pub(super) struct Health {
    /// By raft id.
    last_heard: BTreeMap<u64, Duration>,
    /// When a member was heard and held all that there was, by raft id.
    caught_up: BTreeMap<u64, Duration>,
    last_complaint: BTreeMap<NodeId, Duration>,
    leader: Option<(NodeId, u64)>,
    elections: u64,
}

impl Health {
    pub(super) fn heard(&mut self, raft_id: u64, now: Duration) {
        self.last_heard.insert(raft_id, now);
    }

    pub(super) fn may_complain(&mut self, about: NodeId, now: Duration) -> bool {
        let last = self.last_complaint.get(&about);
        let may = last.is_none_or(|last| now >= *last + COMPLAINT_INTERVAL);
        // Nodes that are no voters share one place: the table stays small.
        let is_room = self.last_complaint.len() < 64 || self.last_complaint.contains_key(&about);
        if may && is_room {
            self.last_complaint.insert(about, now);
        }
        may && is_room
    }

    pub(super) fn note_leader(&mut self, leader: Option<NodeId>, term: u64) {
        if let Some(leader) = leader
            && self.leader != Some((leader, term))
        {
            self.leader = Some((leader, term));
            self.elections += 1;
        }
    }

    /// When a member was last heard.
    pub(super) fn last_heard(&self, raft_id: u64) -> Option<Duration> {
        self.last_heard.get(&raft_id).copied()
    }

    /// When the last of the latest `count` peers was heard.
    fn heard_from(&self, count: usize) -> Duration {
        let mut times: Vec<_> = self.last_heard.values().copied().collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        count.checked_sub(1).and_then(|nth| times.get(nth).copied()).unwrap_or_default()
    }
}

impl Driver {
    /// A member was heard. What it is known to hold is of the message before: it is caught up at most one message late.
    pub(super) fn note_heard(&mut self, raft_id: u64) {
        let now = self.seams.clock.monotonic();
        self.health.heard(raft_id, now);
        let last_index = self.raft.raft.raft_log.last_index();
        let matched = self.raft.raft.prs().get(raft_id).map(|progress| progress.matched);
        if matched.is_some_and(|matched| matched >= last_index) {
            self.health.caught_up.insert(raft_id, now);
        }
    }

    /// The answer to `QuorumStatus`.
    pub(super) fn status(&self) -> QuorumStatus {
        let raft = &self.raft.raft;
        let pending = self.leadership.as_ref().map_or(0, |leadership| leadership.pending_count());
        QuorumStatus {
            node: self.config.node,
            cluster_id: self.committed.cluster_id.clone(),
            role: self.role(),
            term: Term(raft.term),
            leader: self.peers.node(raft.leader_id),
            last_contact_ms: self.last_contact_ms(),
            proposals_outstanding: (pending + self.waiting.len()) as u64,
            last_index: raft.raft_log.last_index(),
            committed_index: raft.raft_log.committed,
            applied_index: self.applied_index,
            metadata_offset: self.committed.offset,
            state_hash: self.committed.hash(),
            elections: self.health.elections,
            members: self.members(),
            observers: self.observers(),
        }
    }

    fn role(&self) -> QuorumRole {
        match self.raft.raft.state {
            StateRole::Leader => QuorumRole::Leader,
            StateRole::Candidate | StateRole::PreCandidate => QuorumRole::Candidate,
            StateRole::Follower if self.raft.raft.promotable() => QuorumRole::Follower,
            StateRole::Follower => QuorumRole::Learner,
        }
    }

    fn last_contact_ms(&self) -> i64 {
        let heard = match (self.raft.raft.state, self.peers.node(self.raft.raft.leader_id)) {
            (StateRole::Leader, _) => {
                let others_of_majority = self.config.voters.len() / 2;
                if others_of_majority == 0 {
                    return 0;
                }
                self.health.heard_from(others_of_majority)
            }
            (_, Some(_)) => self.health.last_heard(self.raft.raft.leader_id).unwrap_or_default(),
            (_, None) => self.health.heard_from(1),
        };
        let silence = self.seams.clock.monotonic().saturating_sub(heard);
        i64::try_from(silence.as_millis()).unwrap_or(i64::MAX)
    }

    /// How long each other voter was not heard, in milliseconds; without those that never were. Empty unless this member leads:
    /// followers hear the leader only.
    pub(super) fn silences(&self) -> BTreeMap<NodeId, i64> {
        if self.raft.raft.state != StateRole::Leader {
            return BTreeMap::new();
        }
        let now = self.seams.clock.monotonic();
        let silence = |voter: &super::Voter| {
            let ids = self.peers.ids_of(voter.node).into_iter();
            let heard = ids.filter_map(|id| self.health.last_heard(id)).max()?;
            let silence = now.saturating_sub(heard).as_millis();
            Some((voter.node, i64::try_from(silence).unwrap_or(i64::MAX)))
        };
        let others = self.config.voters.iter().filter(|voter| voter.node != self.config.node);
        others.filter_map(silence).collect()
    }

    fn members(&self) -> Vec<QuorumMember> {
        self.config.voters.iter().map(|voter| self.member(voter)).collect()
    }

    fn member(&self, voter: &super::Voter) -> QuorumMember {
        let raft = &self.raft.raft;
        let is_own = voter.node == self.config.node;
        let leads = raft.state == StateRole::Leader;
        let ids = self.peers.ids_of(voter.node).into_iter();
        let matched = |id: u64| Some((raft.prs().get(id)?.matched, id));
        let best = ids.filter_map(matched).max();
        let id = if is_own { Some(self.peers.own_id()) } else { best.map(|(_, id)| id) };
        let since = |times: &BTreeMap<u64, Duration>| {
            let at = *times.get(&id?)?;
            Some(self.ms_since(at))
        };
        let own = is_own.then_some(0);
        QuorumMember {
            node: voter.node,
            endpoint: voter.endpoint.to_string(),
            match_index: match is_own {
                true => Some(raft.raft_log.persisted),
                false => best.map(|(matched, _)| matched).filter(|_| leads),
            },
            directory: id.and_then(|id| self.peers.directory_of(id)),
            silent_ms: own.or_else(|| since(&self.health.last_heard).filter(|_| leads)),
            behind_ms: own.or_else(|| since(&self.health.caught_up).filter(|_| leads)),
        }
    }

    /// Storage nodes and gateways, but those in the process of a voter.
    fn observers(&self) -> Vec<QuorumObserver> {
        let Some(leadership) = &self.leadership else { return Vec::new() };
        let Some(decider) = &leadership.decider else { return Vec::new() };
        let observer = |follower: Follower| QuorumObserver {
            node: follower.node,
            metadata_offset: follower.caught_up_to,
            silent_ms: follower.last_heard.map(|at| self.ms_since(at)),
            behind_ms: follower.caught_up_at.map(|at| self.ms_since(at)),
        };
        let is_voter = |node: NodeId| self.config.voters.iter().any(|voter| voter.node == node);
        let followers = decider.soft.followers();
        followers.filter(|follower| !is_voter(follower.node)).map(observer).collect()
    }

    fn ms_since(&self, at: Duration) -> i64 {
        let passed = self.seams.clock.monotonic().saturating_sub(at);
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }
}
