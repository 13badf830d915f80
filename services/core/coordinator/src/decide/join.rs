//! JoinGroup: somebody wants to be in a group, or in its next generation.
//!
//! Invariant: a refusal changes nothing but, in a full group, that the refused member is out. A group comes to be with its first
//! member, or the first id it gives away. The order of checks is Kafka's (`GroupMetadataManager.classicGroupJoin`).

use ottla_types::ErrorCode;
use ottla_types::limits::MAX_CLIENT_ID_BYTES;

use super::desk::Desk;
use super::{rebalance, removal, static_join};
use crate::command::{Join, MAX_PROTOCOLS_PER_MEMBER};
use crate::event::{Event, StoredGroup};
use crate::names::MemberId;
use crate::reply::{GroupState, JoinRefused, Joined, Reply};
use crate::settings::Settings;
use crate::soft::{
    JoinTimer, Live, MAX_GROUP_MEMBERS, MAX_PENDING_MEMBERS, Member, Soft, deadline_after,
    rebalance_timeout_ms,
};

/// How long a new member's join may wait, in milliseconds: it cannot send heartbeats yet.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1_000;
/// Most bytes of the protocols that one member offers, names and metadata.
pub const MAX_MEMBER_METADATA_BYTES: usize = 1024 * 1024;
/// Most groups of one coordinator; new ones are refused beyond.
pub const MAX_GROUPS: usize = 1_000_000;

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, join: Join) {
    let (token, asked_as) = (join.token, join.caller.member.clone());
    let group = join.caller.group.clone();
    if let Err(error) = check(desk.settings(), &join) {
        return desk.reply(token, refused(error, asked_as));
    }
    let present = soft.take(desk.durable, &group, desk.context());
    let is_new = present.is_none();
    let mut live = match present {
        Some(live) => live,
        None if !asked_as.is_empty() => {
            return desk.reply(token, refused(ErrorCode::UnknownMemberId, asked_as));
        }
        None if desk.durable.group_count() >= MAX_GROUPS => {
            return desk.reply(token, refused(ErrorCode::CoordinatorNotAvailable, asked_as));
        }
        None => Live::fresh(group.clone(), desk.now()),
    };
    match enter(desk, &mut live, join) {
        Ok(()) if is_new && desk.is_clean() => {
            let stored = StoredGroup::memberless(desk.now().wall);
            desk.push(Event::GroupStored { group, stored });
        }
        Ok(()) => {}
        Err(ErrorCode::GroupMaxSizeReached) => {
            desk.reply(token, refused(ErrorCode::GroupMaxSizeReached, MemberId::empty()));
        }
        Err(error) => desk.reply(token, refused(error, asked_as)),
    }
    // A new group that let nobody in is idle, so that nothing of it is kept.
    soft.put(live);
}

fn refused(error: ErrorCode, member: MemberId) -> Reply {
    Reply::Join(Err(JoinRefused { error, member }))
}

fn check(settings: &Settings, join: &Join) -> Result<(), ErrorCode> {
    if join.caller.group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let sessions = settings.group_min_session_timeout_ms..=settings.group_max_session_timeout_ms;
    if !sessions.contains(&join.session_timeout_ms) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    let sizes = join.protocols.iter().map(|p| p.name.as_str().len() + p.metadata.len());
    if join.protocols.len() > MAX_PROTOCOLS_PER_MEMBER
        || sizes.sum::<usize>() > MAX_MEMBER_METADATA_BYTES
    {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

/// `group.max.size`, within our own bound.
pub(super) fn max_members(settings: &Settings) -> usize {
    usize::try_from(settings.group_max_size).unwrap_or(0).clamp(1, MAX_GROUP_MEMBERS)
}

/// Whether there is room for this caller. Among those who join again, those who come first stay.
fn has_room(desk: &Desk<'_>, live: &Live, id: &MemberId) -> bool {
    let max = max_members(desk.settings());
    match live.state() {
        GroupState::Empty | GroupState::Dead => true,
        GroupState::PreparingRebalance => {
            let waits = live.roster.get(id).is_some_and(Member::awaits_join);
            waits || live.roster.awaiting_join() < max
        }
        GroupState::CompletingRebalance | GroupState::Stable => {
            live.roster.contains(id) || live.roster.len() < max
        }
    }
}

fn enter(desk: &mut Desk<'_>, live: &mut Live, join: Join) -> Result<(), ErrorCode> {
    if !has_room(desk, live, &join.caller.member) {
        let id = &join.caller.member;
        live.pending.remove(id);
        removal::remove_member(desk, live, id, "the group has its largest size");
        return Err(ErrorCode::GroupMaxSizeReached);
    }
    if !live.fits(&join.protocol_type, &join.protocols) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    if join.caller.member.is_empty() {
        return enter_new(desk, live, join);
    }
    if live.pending.contains_key(&join.caller.member) {
        if join.caller.instance.is_some() {
            // Only dynamic members are given an id to join again with. Kafka, too, calls this its own error.
            return Err(ErrorCode::UnknownServerError);
        }
        let id = join.caller.member.clone();
        add_member(desk, live, id, join);
        return Ok(());
    }
    removal::check_member(live, &join.caller)?;
    enter_again(desk, live, join)
}

fn enter_new(desk: &mut Desk<'_>, live: &mut Live, join: Join) -> Result<(), ErrorCode> {
    let id = new_member_id(&join, desk.context().seed)?;
    let present = join.caller.instance.as_ref().and_then(|i| live.roster.of_instance(i)).cloned();
    if let Some(old) = present {
        return static_join::replace(desk, live, (old, id), join);
    }
    if join.requires_member_id && join.caller.instance.is_none() {
        if live.pending.len() >= MAX_PENDING_MEMBERS.min(max_members(desk.settings())) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        let ends = deadline_after(desk.now(), join.session_timeout_ms);
        live.pending.insert(id.clone(), ends);
        live.wake_by(ends);
        desk.reply(join.token, refused(ErrorCode::MemberIdRequired, id));
        return Ok(());
    }
    add_member(desk, live, id, join);
    Ok(())
}

/// The instance id or the client id, a dash, and a random UUID in its usual text form.
fn new_member_id(join: &Join, seed: u128) -> Result<MemberId, ErrorCode> {
    let prefix = match &join.caller.instance {
        Some(instance) => instance.as_str(),
        None => &join.client_id.as_str()
            [..join.client_id.as_str().floor_char_boundary(MAX_CLIENT_ID_BYTES)],
    };
    let uuid = ottla_types::Uuid::from_random(seed);
    let digits = u128::from_be_bytes(*uuid.as_bytes());
    let digits = format!("{digits:032x}");
    let (a, b, c, d, e) =
        (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    MemberId::new(format!("{prefix}-{a}-{b}-{c}-{d}-{e}")).map_err(|_| ErrorCode::InvalidRequest)
}

fn add_member(desk: &mut Desk<'_>, live: &mut Live, id: MemberId, join: Join) {
    live.pending.remove(&id);
    if let Some(JoinTimer::Initial { came, .. }) = &mut live.join_timer {
        *came = true;
    }
    if live.roster.is_empty() {
        live.protocol_type = Some(join.protocol_type.clone());
    }
    let mut member = Member::new(&join);
    let ends = deadline_after(desk.now(), NEW_MEMBER_JOIN_TIMEOUT_MS);
    member.session_ends = Some(ends);
    live.wake_by(ends);
    live.roster.add(id.clone(), member);
    live.roster.park_join(&id, join.token);
    let reason = reason(&join, &format!("new member {id}"));
    rebalance::prepare_or_complete(desk, live, &reason);
}

fn reason(join: &Join, what: &str) -> String {
    let client = join.reason.as_ref().map_or("not provided", |reason| reason.as_str());
    format!("{what}; client reason: {client}")
}

/// A member joins that is one already.
fn enter_again(desk: &mut Desk<'_>, live: &mut Live, join: Join) -> Result<(), ErrorCode> {
    let id = join.caller.member.clone();
    let unchanged = live.roster.get(&id).is_some_and(|member| member.offers(&join.protocols));
    let leads = live.roster.is_leader(&id);
    let stays = match live.state() {
        GroupState::PreparingRebalance => false,
        // It may have missed the answer to its first join.
        GroupState::CompletingRebalance => unchanged,
        // A leader rebalances by joining again: it knows of changes that no metadata shows.
        GroupState::Stable => unchanged && !leads,
        GroupState::Empty | GroupState::Dead => return Err(ErrorCode::UnknownMemberId),
    };
    if stays {
        let joined = joined(live, &id);
        desk.reply(join.token, Reply::Join(Ok(joined)));
        return Ok(());
    }
    let reason = reason(&join, &format!("member {id} joins again"));
    update_member(desk, live, &id, join);
    rebalance::prepare_or_complete(desk, live, &reason);
    Ok(())
}

/// A member offers something else from now on, and its join waits.
pub(super) fn update_member(desk: &mut Desk<'_>, live: &mut Live, id: &MemberId, join: Join) {
    if let Some(member) = live.roster.get_mut(id) {
        member.session_timeout_ms = join.session_timeout_ms;
        member.rebalance_timeout_ms = rebalance_timeout_ms(&join);
    }
    live.roster.set_protocols(id, join.protocols);
    if let Some(old) = live.roster.park_join(id, join.token) {
        // The client gave up on its last request. Whoever still listens to it may ask again.
        desk.reply(old, refused(ErrorCode::RebalanceInProgress, id.clone()));
    }
}

/// What a member of the present generation is told.
pub(super) fn joined(live: &Live, id: &MemberId) -> Joined {
    let members = match live.roster.is_leader(id) {
        true => rebalance::joined_members(live),
        false => Vec::new(),
    };
    Joined {
        generation: live.generation,
        protocol_type: live.protocol_type.clone(),
        protocol: live.protocol.clone(),
        leader: live.roster.leader().cloned().unwrap_or_else(MemberId::empty),
        skip_assignment: false,
        member: id.clone(),
        members,
    }
}
