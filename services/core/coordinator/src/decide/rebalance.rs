//! The course of a rebalance: everybody joins again, a generation begins, its leader assigns.
//!
//! Invariant: a generation ends before the next begins; a join that waits is answered when its generation begins, a sync that
//! waits when the leader has assigned or the next rebalance is prepared. An empty generation is stored.

use std::sync::Arc;

use ottla_types::ErrorCode;

use super::desk::Desk;
use super::{Note, join, removal};
use crate::event::Event;
use crate::names::MemberId;
use crate::reply::{GroupState, JoinedMember, Reply, Synced};
use crate::soft::{JoinTimer, Live, Member, deadline_after};

/// How long at least until a join phase in which nobody joined is looked at again, in milliseconds.
const MIN_POSTPONED_JOIN_MS: i32 = 1_000;

/// A member came, changed or went: a rebalance is prepared, or the one that is on the way may be complete.
pub(super) fn prepare_or_complete(desk: &mut Desk<'_>, live: &mut Live, reason: &str) {
    match live.state() {
        GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => {
            prepare(desk, live, reason);
        }
        GroupState::PreparingRebalance | GroupState::Dead => complete_if_all_joined(desk, live),
    }
}

/// Calls all members to join again.
pub(super) fn prepare(desk: &mut Desk<'_>, live: &mut Live, reason: &str) {
    if live.state() == GroupState::CompletingRebalance {
        for (_, member) in live.roster.iter_mut() {
            member.assignment = Arc::default();
        }
        answer_syncs(desk, live, Some(ErrorCode::RebalanceInProgress));
    }
    live.pending_sync.clear();
    live.sync_ends = None;
    let is_initial = live.state() == GroupState::Empty;
    live.enter(GroupState::PreparingRebalance, desk.now());
    desk.note(Note::RebalanceBegan {
        group: live.id.clone(),
        generation: live.generation,
        reason: reason.to_owned(),
    });
    if is_initial {
        let delay_ms = desk.settings().group_initial_rebalance_delay_ms;
        let rest_ms = live.roster.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
        wait_for_others(desk, live, delay_ms, rest_ms);
    } else if live.all_joined() {
        complete(desk, live);
    } else {
        wait_for_members(desk, live, 1);
    }
}

/// The members of an empty group come one after the other: gives them a round of time.
fn wait_for_others(desk: &mut Desk<'_>, live: &mut Live, round_ms: i32, remaining_ms: i32) {
    let at = deadline_after(desk.now(), round_ms);
    live.join_timer = Some(JoinTimer::Initial { at, round_ms, remaining_ms, came: false });
    live.wake_by(at);
}

fn wait_for_members(desk: &mut Desk<'_>, live: &mut Live, min_ms: i32) {
    let at = deadline_after(desk.now(), live.roster.rebalance_timeout_ms().max(min_ms));
    live.join_timer = Some(JoinTimer::Rebalance { at });
    live.wake_by(at);
}

/// The time of a join phase is up: it ends, or goes on if it is the first one and somebody came.
pub(super) fn join_time_is_up(desk: &mut Desk<'_>, live: &mut Live) {
    match live.join_timer {
        Some(JoinTimer::Initial { round_ms, remaining_ms, came: true, .. })
            if remaining_ms != 0 =>
        {
            let next_ms = desk.settings().group_initial_rebalance_delay_ms.min(remaining_ms);
            let rest_ms = remaining_ms.saturating_sub(round_ms.max(1)).max(0);
            wait_for_others(desk, live, next_ms, rest_ms);
        }
        _ => complete(desk, live),
    }
}

/// Ends the join phase if nobody is missing. The first one of a group always takes its time.
pub(super) fn complete_if_all_joined(desk: &mut Desk<'_>, live: &mut Live) {
    let preparing = live.state() == GroupState::PreparingRebalance;
    if preparing && !live.is_initial() && live.all_joined() {
        complete(desk, live);
    }
}

/// Ends the join phase: dynamic members that did not join are out, the others are the next generation.
pub(super) fn complete(desk: &mut Desk<'_>, live: &mut Live) {
    live.join_timer = None;
    let is_missing = |member: &Member| !member.awaits_join() && member.instance.is_none();
    let missing = live.roster.iter().filter(|(_, member)| is_missing(member));
    let missing: Vec<MemberId> = missing.map(|(id, _)| id.clone()).collect();
    for id in &missing {
        removal::remove_member(desk, live, id, "it did not join again in time");
    }
    if !live.roster.elect_joined_leader() && !live.roster.is_empty() {
        // Only static members are left, and none came: wait until one does, or their sessions end.
        return wait_for_members(desk, live, MIN_POSTPONED_JOIN_MS);
    }
    live.next_generation(desk.now());
    desk.note(Note::GenerationBegan {
        group: live.id.clone(),
        generation: live.generation,
        members: live.roster.len(),
    });
    if live.state() == GroupState::Empty {
        desk.push(Event::GroupStored { group: live.id.clone(), stored: live.to_stored() });
    } else {
        begin_generation(desk, live);
    }
}

fn begin_generation(desk: &mut Desk<'_>, live: &mut Live) {
    for id in live.roster.ids() {
        let joined = join::joined(live, &id);
        if let Some(token) = live.roster.take_join(&id) {
            desk.reply(token, Reply::Join(Ok(joined)));
        }
        if let Some(member) = live.roster.get_mut(&id) {
            member.is_new = false;
        }
        extend_session(desk, live, &id);
        live.pending_sync.insert(id);
    }
    let at = deadline_after(desk.now(), live.roster.rebalance_timeout_ms());
    live.sync_ends = Some(at);
    live.wake_by(at);
}

/// A sign of life: a full session from now on.
pub(super) fn extend_session(desk: &Desk<'_>, live: &mut Live, id: &MemberId) {
    let Some(member) = live.roster.get_mut(id) else { return };
    let ends = deadline_after(desk.now(), member.session_timeout_ms);
    member.session_ends = Some(ends);
    live.wake_by(ends);
}

/// Answers all syncs that wait: with each member's assignment, or with an error.
pub(super) fn answer_syncs(desk: &mut Desk<'_>, live: &mut Live, error: Option<ErrorCode>) {
    for id in live.roster.ids() {
        let Some(token) = live.roster.take_sync(&id) else { continue };
        let reply = error.map_or_else(|| Ok(synced(live, &id)), Err);
        desk.reply(token, Reply::Sync(reply));
        // If its session ended while it waited, nothing else would begin a new one.
        extend_session(desk, live, &id);
    }
}

/// A member's assignment in the present generation.
pub(super) fn synced(live: &Live, id: &MemberId) -> Synced {
    let member = live.roster.get(id);
    Synced {
        protocol_type: live.protocol_type.clone(),
        protocol: live.protocol.clone(),
        assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
    }
}

/// All members, for the leader.
pub(super) fn joined_members(live: &Live) -> Vec<JoinedMember> {
    let joined = |(id, member): (&MemberId, &Member)| JoinedMember {
        member: id.clone(),
        instance: member.instance.clone(),
        metadata: member.metadata(live.protocol.as_ref()),
    };
    live.roster.iter().map(joined).collect()
}
