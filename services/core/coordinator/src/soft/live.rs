//! One classic group as it lives: its generation, its state, its timers.
//!
//! Invariant: [`Live::wake`] is never later than the group's earliest timer. A generation runs ahead of what is stored from the
//! end of a join until the leader's sync; after a load it is what was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_types::TimestampMs;

use super::{Member, Roster};
use crate::decide::Now;
use crate::event::{StoredGroup, StoredMember};
use crate::names::{Generation, GroupId, MemberId, Text, TopicName};
use crate::reply::GroupState;
use crate::subscription::subscribed_topics;

/// A live group.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: GroupId,
    state: GroupState,
    /// When it came to its state.
    since: TimestampMs,
    pub(crate) generation: Generation,
    pub(crate) protocol_type: Option<Text>,
    pub(crate) protocol: Option<Text>,
    pub(crate) roster: Roster,
    /// Members that have an id and have not joined with it, and when that ends.
    pub(crate) pending: BTreeMap<MemberId, Duration>,
    /// Members that have not asked for the assignment of this generation.
    pub(crate) pending_sync: BTreeSet<MemberId>,
    pub(crate) join_timer: Option<JoinTimer>,
    /// When members that are in `pending_sync` are removed.
    pub(crate) sync_ends: Option<Duration>,
    /// What the members of this generation subscribed to; `None` if that cannot be told.
    subscribed: Option<BTreeSet<TopicName>>,
    /// When to look at it.
    pub(crate) wake: Option<Duration>,
    /// What the index of wakes says.
    pub(super) indexed: Option<Duration>,
}

/// The end of a join phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinTimer {
    /// The first rebalance of an empty group: others get some time to come as well
    /// (`group.initial.rebalance.delay.ms`).
    Initial {
        /// When it ends, or goes on.
        at: Duration,
        /// How long this round is, in milliseconds.
        round_ms: i32,
        /// How long all further rounds may be, in milliseconds.
        remaining_ms: i32,
        /// Whether somebody came in this round, so that another one is worth it.
        came: bool,
    },
    /// Any other: it ends at once when all have joined, else then.
    Rebalance {
        /// When.
        at: Duration,
    },
}

impl JoinTimer {
    pub(crate) fn at(self) -> Duration {
        match self {
            Self::Initial { at, .. } | Self::Rebalance { at } => at,
        }
    }
}

/// The point in time some milliseconds from now; always in the future, so that no timer can keep a coordinator busy.
pub(crate) fn deadline_after(now: Now, ms: i32) -> Duration {
    now.monotonic + Duration::from_millis(u64::try_from(ms.max(1)).unwrap_or(1))
}

impl Live {
    /// A group that comes to be.
    pub(crate) fn fresh(id: GroupId, now: Now) -> Self {
        Self::stored(id, &StoredGroup::memberless(now.wall), now)
    }

    /// A group as it is stored; its members get a full session.
    pub(crate) fn stored(id: GroupId, stored: &StoredGroup, now: Now) -> Self {
        let mut roster = Roster::default();
        for member in &stored.members {
            let mut live = Member::stored(member, stored.protocol.as_ref());
            live.session_ends = Some(deadline_after(now, live.session_timeout_ms));
            roster.add(member.id.clone(), live);
        }
        roster.restore_leader(stored.leader.as_ref());
        let state = if roster.is_empty() { GroupState::Empty } else { GroupState::Stable };
        let mut live = Self {
            id,
            state,
            since: stored.state_timestamp,
            generation: stored.generation,
            protocol_type: stored.protocol_type.clone(),
            protocol: stored.protocol.clone(),
            roster,
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            join_timer: None,
            sync_ends: None,
            subscribed: None,
            wake: None,
            indexed: None,
        };
        live.subscribed = live.topics_of_members();
        live.wake = live.earliest_timer();
        live
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn enter(&mut self, state: GroupState, now: Now) {
        self.state = state;
        self.since = now.wall;
    }

    /// Whether the join phase is the first after the group was empty.
    pub(crate) fn is_initial(&self) -> bool {
        matches!(self.join_timer, Some(JoinTimer::Initial { .. }))
    }

    /// Whether there is nothing that [`crate::Durable`] does not say.
    pub(super) fn is_idle(&self) -> bool {
        self.state == GroupState::Empty && self.roster.is_empty() && self.pending.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.roster.waiting()
    }

    /// Whether everybody who is expected has joined.
    pub(crate) fn all_joined(&self) -> bool {
        self.roster.all_await_join() && self.pending.is_empty()
    }

    /// Whether a joining member of this type with these protocols fits in.
    pub(crate) fn fits(
        &self,
        protocol_type: &Text,
        protocols: &[crate::command::Protocol],
    ) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(protocol_type) && self.roster.supports(protocols)
    }

    /// Begins the next generation: with the protocol that its members elect, or empty.
    pub(crate) fn next_generation(&mut self, now: Now) {
        self.generation = self.generation.next();
        self.protocol = self.roster.elect_protocol();
        self.subscribed = self.topics_of_members();
        self.pending_sync.clear();
        self.sync_ends = None;
        let empty = self.roster.is_empty();
        self.enter(if empty { GroupState::Empty } else { GroupState::CompletingRebalance }, now);
    }

    /// Whether this is a group of consumers, whose subscriptions can be read.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_ref().is_some_and(|name| name.as_str() == "consumer")
    }

    fn topics_of_members(&self) -> Option<BTreeSet<TopicName>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.roster.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = Some(self.protocol.as_ref()?);
        let mut topics = BTreeSet::new();
        for (_, member) in self.roster.iter() {
            topics.extend(subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// Whether a member reads this topic, or might.
    pub(crate) fn is_subscribed(&self, topic: &TopicName) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// From when an offset's retention counts; `None`: offsets do not expire now.
    pub(crate) fn retention_base(&self) -> Option<RetentionBase> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(RetentionBase::Commit),
            (Some(_), GroupState::Empty) if self.since == TimestampMs::NONE => {
                Some(RetentionBase::Commit)
            }
            (Some(_), GroupState::Empty) => Some(RetentionBase::At(self.since)),
            (Some(_), GroupState::Stable) if self.subscribed.is_some() => {
                Some(RetentionBase::Commit)
            }
            _ => None,
        }
    }

    /// The group as a record holds it.
    pub(crate) fn to_stored(&self) -> StoredGroup {
        let member = |(id, member): (&MemberId, &Member)| StoredMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_ref()),
            assignment: member.assignment.clone(),
        };
        StoredGroup {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.roster.leader().cloned(),
            state_timestamp: self.since,
            members: self.roster.iter().map(member).collect(),
        }
    }

    /// Makes sure that the group is looked at by then.
    pub(crate) fn wake_by(&mut self, at: Duration) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// The earliest of all timers.
    pub(crate) fn earliest_timer(&self) -> Option<Duration> {
        let sessions = self.roster.iter().filter_map(|(_, member)| member.session_ends);
        let pending = self.pending.values().copied();
        let phases = [self.join_timer.map(JoinTimer::at), self.sync_ends];
        sessions.chain(pending).chain(phases.into_iter().flatten()).min()
    }
}

/// From when the retention of an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetentionBase {
    /// Since it was committed.
    Commit,
    /// Since the group became empty.
    At(TimestampMs),
}
