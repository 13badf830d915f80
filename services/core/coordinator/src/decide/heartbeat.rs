//! Heartbeat: a member lives, and hears whether it has to join again.
//!
//! Invariant: only a member of the present generation extends its session.

use ottla_types::ErrorCode;

use super::desk::Desk;
use super::{rebalance, removal};
use crate::command::Heartbeat;
use crate::reply::{GroupState, Reply};
use crate::soft::{Live, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, heartbeat: &Heartbeat) {
    let group = &heartbeat.caller.group;
    let code = if group.is_empty() {
        ErrorCode::InvalidGroupId
    } else if let Some(mut live) = soft.take(desk.durable, group, desk.context()) {
        let code = hear(desk, &mut live, heartbeat);
        soft.put(live);
        code
    } else {
        ErrorCode::UnknownMemberId
    };
    desk.reply(heartbeat.token, Reply::Heartbeat(code));
}

fn hear(desk: &Desk<'_>, live: &mut Live, heartbeat: &Heartbeat) -> ErrorCode {
    if let Err(error) = removal::check_member(live, &heartbeat.caller) {
        return error;
    }
    if heartbeat.generation != live.generation {
        return ErrorCode::IllegalGeneration;
    }
    match live.state() {
        GroupState::Empty | GroupState::Dead => ErrorCode::UnknownMemberId,
        GroupState::PreparingRebalance => {
            rebalance::extend_session(desk, live, &heartbeat.caller.member);
            ErrorCode::RebalanceInProgress
        }
        GroupState::CompletingRebalance | GroupState::Stable => {
            rebalance::extend_session(desk, live, &heartbeat.caller.member);
            ErrorCode::None
        }
    }
}
