//! Who is a member, and how one ceases to be.
//!
//! Invariant: whatever a member waited for is answered when it goes.

use ottla_types::ErrorCode;

use super::Note;
use super::desk::Desk;
use crate::command::Caller;
use crate::names::MemberId;
use crate::reply::{JoinRefused, Reply};
use crate::soft::Live;

/// Whether the caller is the member that it says. Errors: `UNKNOWN_MEMBER_ID`, or `FENCED_INSTANCE_ID` if its instance id
/// belongs to another member by now.
pub(super) fn check_member(live: &Live, caller: &Caller) -> Result<(), ErrorCode> {
    if let Some(instance) = &caller.instance {
        match live.roster.of_instance(instance) {
            None => return Err(ErrorCode::UnknownMemberId),
            Some(id) if *id != caller.member => return Err(ErrorCode::FencedInstanceId),
            Some(_) => {}
        }
    }
    match live.roster.contains(&caller.member) {
        true => Ok(()),
        false => Err(ErrorCode::UnknownMemberId),
    }
}

/// Removes a member, if it is one. Its requests are answered so that a client that still lives joins anew.
pub(super) fn remove_member(desk: &mut Desk<'_>, live: &mut Live, id: &MemberId, reason: &str) {
    if let Some(token) = live.roster.take_join(id) {
        let refused = JoinRefused { error: ErrorCode::UnknownMemberId, member: MemberId::empty() };
        desk.reply(token, Reply::Join(Err(refused)));
    }
    if let Some(token) = live.roster.take_sync(id) {
        desk.reply(token, Reply::Sync(Err(ErrorCode::UnknownMemberId)));
    }
    live.pending_sync.remove(id);
    if live.roster.remove(id).is_some() {
        desk.note(Note::MemberGone {
            group: live.id.clone(),
            member: id.clone(),
            reason: reason.to_owned(),
        });
    }
}
