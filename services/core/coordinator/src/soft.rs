//! What the coordinator knows and no event holds: who lives, who waits, until when.
//!
//! Invariant: dies with leadership; a new leader gives every member a full session. Only groups that have members, or pending
//! ones, are here: a group without costs nothing. What waits is bounded: one join and one sync for each member.
//! Deliberately does not know why a deadline was set: [`crate::decide`] does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::Context;
use crate::durable::{Durable, Group};
use crate::names::GroupId;
use crate::reply::GroupState;

mod live;
mod member;
mod roster;

pub(crate) use live::{JoinTimer, Live, RetentionBase, deadline_after};
pub(crate) use member::{Member, rebalance_timeout_ms};
pub(crate) use roster::Roster;

/// Most members of a group, whatever `group.max.size` says: a group is stored in one record.
pub const MAX_GROUP_MEMBERS: usize = 100_000;
/// Most members of one group that were given an id and have not joined with it.
pub const MAX_PENDING_MEMBERS: usize = 10_000;

/// The live groups of one coordinator.
#[derive(Clone, Debug, Default)]
pub struct Soft {
    groups: BTreeMap<GroupId, Live>,
    /// When each group wants to be looked at: never later than its earliest timer, perhaps earlier.
    wakes: BTreeSet<(Duration, GroupId)>,
}

impl Soft {
    /// The soft state of a coordinator that just loaded its log: every member has a full session from now on, and a group that
    /// is larger than the settings allow now rebalances. Nobody waits for anything yet.
    pub fn load(durable: &Durable, context: &Context<'_>) -> Self {
        let mut soft = Self::default();
        for (id, Group::Classic(stored)) in durable.groups_after(None) {
            if !stored.members.is_empty() {
                let mut live = Live::stored(id.clone(), stored, context.now);
                crate::decide::shrink_loaded(durable, &mut live, context);
                soft.put(live);
            }
        }
        soft
    }

    /// Takes a group out to decide about it; [`Soft::put`] brings it back.
    pub(crate) fn take(
        &mut self,
        durable: &Durable,
        group: &GroupId,
        context: &Context<'_>,
    ) -> Option<Live> {
        if let Some(live) = self.groups.remove(group) {
            return Some(live);
        }
        let Group::Classic(stored) = durable.group(group)?;
        Some(Live::stored(group.clone(), stored, context.now))
    }

    /// Brings a group back, unless there is nothing about it that [`Durable`] does not say.
    pub(crate) fn put(&mut self, mut live: Live) {
        let wanted = if live.is_idle() { None } else { live.wake };
        if live.indexed != wanted {
            if let Some(old) = live.indexed {
                self.wakes.remove(&(old, live.id.clone()));
            }
            if let Some(new) = wanted {
                self.wakes.insert((new, live.id.clone()));
            }
            live.indexed = wanted;
        }
        if !live.is_idle() {
            self.groups.insert(live.id.clone(), live);
        }
    }

    /// Drops a group that was deleted.
    pub(crate) fn forget(&mut self, group: &GroupId) {
        let Some(live) = self.groups.remove(group) else { return };
        if let Some(wake) = live.indexed {
            self.wakes.remove(&(wake, live.id));
        }
    }

    /// A group that has, or expects, members.
    pub(crate) fn get(&self, group: &GroupId) -> Option<&Live> {
        self.groups.get(group)
    }

    /// The group that wants to be looked at first, if its time has come.
    pub(crate) fn due(&self, now: Duration) -> Option<GroupId> {
        let (wake, group) = self.wakes.first()?;
        (*wake <= now).then(|| group.clone())
    }

    /// When the next group wants to be looked at, in monotonic time.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.wakes.first().map(|(wake, _)| *wake)
    }

    /// How many groups there are in each state, for metrics; groups that are not here are empty.
    pub fn count_by_state(&self) -> BTreeMap<GroupState, usize> {
        let mut counts = BTreeMap::new();
        for live in self.groups.values() {
            *counts.entry(live.state()).or_default() += 1;
        }
        counts
    }

    /// How many members a group has.
    pub fn member_count(&self, group: &GroupId) -> usize {
        self.groups.get(group).map_or(0, |live| live.roster.len())
    }

    /// How many requests wait for their reply here.
    pub fn waiting(&self) -> usize {
        self.groups.values().map(Live::waiting).sum()
    }
}
