//! SyncGroup: the leader says who gets what; everybody asks for its own.
//!
//! Invariant: an assignment is stored before anybody is told it. One that is too large to store is refused to all, and the
//! group rebalances.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_types::ErrorCode;

use super::desk::Desk;
use super::{rebalance, removal};
use crate::command::Sync;
use crate::event::Event;
use crate::names::{MemberId, Text};
use crate::reply::{GroupState, Reply};
use crate::soft::{Live, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, sync: Sync) {
    let token = sync.token;
    let group = &sync.caller.group;
    if group.is_empty() {
        return desk.reply(token, Reply::Sync(Err(ErrorCode::InvalidGroupId)));
    }
    let Some(mut live) = soft.take(desk.durable, group, desk.context()) else {
        return desk.reply(token, Reply::Sync(Err(ErrorCode::UnknownMemberId)));
    };
    if let Err(error) = enter(desk, &mut live, sync) {
        desk.reply(token, Reply::Sync(Err(error)));
    }
    soft.put(live);
}

fn check(live: &Live, sync: &Sync) -> Result<(), ErrorCode> {
    removal::check_member(live, &sync.caller)?;
    if sync.generation != live.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    let differ = |said: &Option<Text>, is: &Option<Text>| {
        said.as_ref().zip(is.as_ref()).is_some_and(|(said, is)| said != is)
    };
    if differ(&sync.protocol_type, &live.protocol_type) || differ(&sync.protocol, &live.protocol) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

fn enter(desk: &mut Desk<'_>, live: &mut Live, sync: Sync) -> Result<(), ErrorCode> {
    check(live, &sync)?;
    let id = sync.caller.member;
    match live.state() {
        GroupState::Empty | GroupState::Dead => Err(ErrorCode::UnknownMemberId),
        GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
        GroupState::CompletingRebalance => {
            if let Some(old) = live.roster.park_sync(&id, sync.token) {
                // The client gave up on its last request. Whoever still listens to it may join again.
                desk.reply(old, Reply::Sync(Err(ErrorCode::RebalanceInProgress)));
            }
            has_synced(live, &id);
            if live.roster.is_leader(&id) {
                assign(desk, live, sync.assignments);
            }
            Ok(())
        }
        GroupState::Stable => {
            has_synced(live, &id);
            desk.reply(sync.token, Reply::Sync(Ok(rebalance::synced(live, &id))));
            Ok(())
        }
    }
}

fn has_synced(live: &mut Live, id: &MemberId) {
    live.pending_sync.remove(id);
    if live.pending_sync.is_empty() {
        live.sync_ends = None;
    }
}

/// The leader has assigned: a member that it left out gets nothing.
fn assign(desk: &mut Desk<'_>, live: &mut Live, assignments: Vec<(MemberId, Arc<[u8]>)>) {
    let mut assignments: BTreeMap<_, _> = assignments.into_iter().collect();
    for (id, member) in live.roster.iter_mut() {
        member.assignment = assignments.remove(id).unwrap_or_default();
    }
    let event = Event::GroupStored { group: live.id.clone(), stored: live.to_stored() };
    match desk.push_all(&live.id, vec![event]) {
        Ok(()) => {
            live.enter(GroupState::Stable, desk.now());
            rebalance::answer_syncs(desk, live, None);
        }
        Err(error) => {
            rebalance::answer_syncs(desk, live, Some(error));
            rebalance::prepare(desk, live, "the assignment is too large to store");
        }
    }
}
