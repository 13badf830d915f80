//! A static member comes back without an id (KIP-345): it takes the place of its former self under a new one.
//!
//! Invariant: whoever still uses the old id is fenced from now on; the new id is stored before it is told. The group stays
//! stable if its protocol does, and then the leader does not assign again (KIP-814).

use ottla_types::ErrorCode;

use super::desk::Desk;
use super::{Note, join, rebalance};
use crate::command::Join;
use crate::event::Event;
use crate::names::MemberId;
use crate::reply::{GroupState, JoinRefused, Joined, Reply};
use crate::soft::Live;

/// Replaces the old id by the new one (`ids`), and joins with it. Errors: the group would be too large to store.
pub(super) fn replace(
    desk: &mut Desk<'_>,
    live: &mut Live,
    ids: (MemberId, MemberId),
    join: Join,
) -> Result<(), ErrorCode> {
    let (old, new) = ids;
    fence(desk, live, &old);
    let led_before = live.roster.leader().cloned();
    live.roster.rename(&old, new.clone());
    if live.pending_sync.remove(&old) {
        live.pending_sync.insert(new.clone());
    }
    if let Some(member) = live.roster.get_mut(&new) {
        member.is_new = false;
    }
    // By its former timeout; the next heartbeat goes by the one that it asks for now.
    rebalance::extend_session(desk, live, &new);
    let (token, may_skip) = (join.token, join.may_skip_assignment);
    let reason = format!("static member {new} replaces {old}");
    join::update_member(desk, live, &new, join);
    match live.state() {
        GroupState::Stable if live.roster.elect_protocol() == live.protocol => {
            live.roster.take_join(&new);
            store(desk, live, &reason)?;
            let led_before = led_before.unwrap_or_else(MemberId::empty);
            let joined = stays(live, &new, led_before, may_skip);
            desk.reply(token, Reply::Join(Ok(joined)));
        }
        // The leader may have been told the old id: what it assigns to that would be lost.
        GroupState::Stable | GroupState::CompletingRebalance => {
            rebalance::prepare(desk, live, &reason);
        }
        _ => rebalance::complete_if_all_joined(desk, live),
    }
    Ok(())
}

fn fence(desk: &mut Desk<'_>, live: &mut Live, old: &MemberId) {
    if let Some(token) = live.roster.take_join(old) {
        let refused = JoinRefused { error: ErrorCode::FencedInstanceId, member: old.clone() };
        desk.reply(token, Reply::Join(Err(refused)));
    }
    if let Some(token) = live.roster.take_sync(old) {
        desk.reply(token, Reply::Sync(Err(ErrorCode::FencedInstanceId)));
    }
    let reason = "its instance came back under a new id".to_owned();
    desk.note(Note::MemberGone { group: live.id.clone(), member: old.clone(), reason });
}

fn store(desk: &mut Desk<'_>, live: &mut Live, reason: &str) -> Result<(), ErrorCode> {
    let event = Event::GroupStored { group: live.id.clone(), stored: live.to_stored() };
    let stored = desk.push_all(&live.id, vec![event]);
    if stored.is_err() {
        // What lives must be storable: the members try again, with other metadata perhaps.
        rebalance::prepare(desk, live, reason);
    }
    stored
}

/// A client that cannot be told to skip the assignment is told the leader's old id instead, so that it does not assign.
fn stays(live: &Live, new: &MemberId, led_before: MemberId, may_skip: bool) -> Joined {
    let joined = join::joined(live, new);
    if may_skip {
        Joined { skip_assignment: live.roster.is_leader(new), ..joined }
    } else {
        Joined { leader: led_before, members: Vec::new(), ..joined }
    }
}
