//! LeaveGroup: members go, or an administrator removes static ones by their instance ids (KIP-345).
//!
//! Invariant: each member of the request has its own code; the group rebalances once, after all of them.

use ottla_types::ErrorCode;

use super::desk::Desk;
use super::{rebalance, removal};
use crate::command::{Caller, Leave, LeavingMember};
use crate::reply::{GroupState, Left, Reply};
use crate::soft::{Live, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, leave: Leave) {
    if leave.group.is_empty() {
        return desk.reply(leave.token, Reply::Leave(Err(ErrorCode::InvalidGroupId)));
    }
    let mut live = soft.take(desk.durable, &leave.group, desk.context());
    let mut left = Vec::with_capacity(leave.members.len());
    for leaving in leave.members {
        let outcome = match &mut live {
            Some(live) => remove(desk, live, &leaving),
            None => Err(ErrorCode::UnknownMemberId),
        };
        let error = outcome.err().unwrap_or(ErrorCode::None);
        left.push(Left { member: leaving.member, instance: leaving.instance, error });
    }
    if let Some(mut live) = live {
        if left.iter().any(|left| left.error.is_none()) {
            after_removal(desk, &mut live);
        }
        soft.put(live);
    }
    desk.reply(leave.token, Reply::Leave(Ok(left)));
}

fn remove(desk: &mut Desk<'_>, live: &mut Live, leaving: &LeavingMember) -> Result<(), ErrorCode> {
    let client = leaving.reason.as_ref().map_or("not provided", |reason| reason.as_str());
    let reason = format!("it left; client reason: {client}");
    if leaving.member.is_empty() {
        let instance = leaving.instance.as_ref().and_then(|i| live.roster.of_instance(i)).cloned();
        let id = instance.ok_or(ErrorCode::UnknownMemberId)?;
        removal::remove_member(desk, live, &id, &reason);
        return Ok(());
    }
    if live.pending.remove(&leaving.member).is_some() {
        return Ok(());
    }
    let caller = Caller {
        group: live.id.clone(),
        member: leaving.member.clone(),
        instance: leaving.instance.clone(),
    };
    removal::check_member(live, &caller)?;
    removal::remove_member(desk, live, &leaving.member, &reason);
    Ok(())
}

fn after_removal(desk: &mut Desk<'_>, live: &mut Live) {
    match live.state() {
        GroupState::Stable | GroupState::CompletingRebalance => {
            rebalance::prepare(desk, live, "members left");
        }
        GroupState::PreparingRebalance => rebalance::complete_if_all_joined(desk, live),
        GroupState::Empty | GroupState::Dead => {}
    }
}
