//! Tick: time has passed. Sessions end, members that were given an id and did not use it are forgotten, join and sync phases
//! are over.
//!
//! Invariant: after a tick every timer is in the future, unless there was more to do than fits in one batch: then the next
//! tick is due at once.

use std::time::Duration;

use super::desk::Desk;
use super::{rebalance, removal};
use crate::names::MemberId;
use crate::reply::GroupState;
use crate::soft::{JoinTimer, Live, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft) {
    let now = desk.now().monotonic;
    while let Some(group) = soft.due(now).filter(|_| desk.has_room()) {
        let Some(mut live) = soft.take(desk.durable, &group, desk.context()) else {
            return debug_assert!(false, "only groups that are there want to be looked at");
        };
        run_due(desk, &mut live, now);
        live.wake = live.earliest_timer();
        soft.put(live);
    }
}

fn run_due(desk: &mut Desk<'_>, live: &mut Live, now: Duration) {
    let pending = live.pending.iter().filter(|(_, ends)| **ends <= now);
    let pending: Vec<MemberId> = pending.map(|(id, _)| id.clone()).collect();
    for id in pending {
        live.pending.remove(&id);
        end_phase_if_nobody_is_missing(desk, live);
    }
    let ended = live.roster.iter().filter(|(_, m)| m.session_ends.is_some_and(|at| at <= now));
    let ended: Vec<MemberId> = ended.map(|(id, _)| id.clone()).collect();
    for id in ended {
        session_ended(desk, live, &id, now);
    }
    if live.join_timer.map(JoinTimer::at).is_some_and(|at| at <= now) {
        rebalance::join_time_is_up(desk, live);
    }
    if live.sync_ends.is_some_and(|at| at <= now) {
        sync_time_is_up(desk, live);
    }
}

fn session_ended(desk: &mut Desk<'_>, live: &mut Live, id: &MemberId, now: Duration) {
    // What ended before it may have begun a generation, and given it a new session.
    let Some(member) = live.roster.get_mut(id) else { return };
    if member.session_ends.is_none_or(|at| at > now) {
        return;
    }
    member.session_ends = None;
    if member.is_excused() {
        return;
    }
    removal::remove_member(desk, live, id, "its session ended");
    match live.state() {
        GroupState::Stable | GroupState::CompletingRebalance => {
            rebalance::prepare(desk, live, &format!("the session of member {id} ended"));
        }
        _ => end_phase_if_nobody_is_missing(desk, live),
    }
}

/// When somebody is gone for good, even the first join phase need not wait for others.
fn end_phase_if_nobody_is_missing(desk: &mut Desk<'_>, live: &mut Live) {
    if live.state() == GroupState::PreparingRebalance && live.all_joined() {
        rebalance::complete(desk, live);
    }
}

/// Members that did not ask for their assignment in time are out.
fn sync_time_is_up(desk: &mut Desk<'_>, live: &mut Live) {
    live.sync_ends = None;
    if live.pending_sync.is_empty() {
        return;
    }
    for id in std::mem::take(&mut live.pending_sync) {
        removal::remove_member(desk, live, &id, "it did not sync in time");
    }
    rebalance::prepare(desk, live, "members did not sync in time");
}
