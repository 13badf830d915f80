//! DeleteGroups: groups without members go, with all their offsets.
//!
//! Invariant: a group goes as a whole or stays as a whole.

use std::collections::BTreeSet;

use ottla_types::ErrorCode;

use super::desk::Desk;
use crate::command::{MAX_GROUPS_PER_REQUEST, Token};
use crate::durable::Offsets;
use crate::event::{Event, OffsetKey};
use crate::names::GroupId;
use crate::reply::{GroupState, Reply};
use crate::soft::Soft;

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, token: Token, groups: Vec<GroupId>) {
    if groups.len() > MAX_GROUPS_PER_REQUEST {
        return desk.reply(token, Reply::DeleteGroups(Err(ErrorCode::InvalidRequest)));
    }
    let mut deleted = BTreeSet::new();
    let mut codes = Vec::with_capacity(groups.len());
    for group in groups {
        // A group that is named twice is deleted once, and both are told so.
        let outcome = match deleted.contains(&group) {
            true => Ok(()),
            false => delete(desk, soft, &group),
        };
        if outcome.is_ok() {
            deleted.insert(group.clone());
        }
        codes.push((group, outcome.err().unwrap_or(ErrorCode::None)));
    }
    desk.reply(token, Reply::DeleteGroups(Ok(codes)));
}

fn delete(desk: &mut Desk<'_>, soft: &mut Soft, group: &GroupId) -> Result<(), ErrorCode> {
    if desk.durable.group(group).is_none() {
        return Err(ErrorCode::GroupIdNotFound);
    }
    if soft.get(group).is_some_and(|live| live.state() != GroupState::Empty) {
        return Err(ErrorCode::NonEmptyGroup);
    }
    let mut events =
        desk.durable.offsets(group).map(|all| removals(group, all)).unwrap_or_default();
    events.push(Event::GroupRemoved { group: group.clone() });
    desk.push_all(group, events)?;
    soft.forget(group);
    Ok(())
}

fn removals(group: &GroupId, offsets: &Offsets) -> Vec<Event> {
    let keys = offsets.iter().flat_map(|(topic, partitions)| {
        partitions.keys().map(|partition| OffsetKey {
            group: group.clone(),
            topic: topic.clone(),
            partition: *partition,
        })
    });
    keys.map(|at| Event::OffsetRemoved { at }).collect()
}
