//! OffsetCommit: a group's offsets move.
//!
//! Invariant: offsets of a group with members are written by a member of its present generation only; those of one without by
//! anybody outside of any generation. One note that is too long refuses its own partition, not the others.

use ottla_types::{ErrorCode, LeaderEpoch, TimestampMs, TopicId};

use super::desk::Desk;
use super::{rebalance, removal};
use crate::command::{CommitOffsets, CommitPartition, CommitTopic};
use crate::event::{CommittedOffset, Event, OffsetKey};
use crate::names::Text;
use crate::reply::{GroupState, PartitionCodes, Reply};
use crate::soft::{Live, Soft};

use super::join::MAX_GROUPS;

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, commit: CommitOffsets) {
    let token = commit.token;
    let live = soft.take(desk.durable, &commit.caller.group, desk.context());
    let outcome = match live {
        None => check_without_group(desk, &commit),
        Some(mut live) => {
            let outcome = check(&live, &commit);
            let state = live.state();
            if outcome.is_ok()
                && matches!(state, GroupState::Stable | GroupState::PreparingRebalance)
            {
                rebalance::extend_session(desk, &mut live, &commit.caller.member);
            }
            soft.put(live);
            outcome
        }
    };
    let outcome = outcome.and_then(|()| write(desk, commit));
    desk.reply(token, Reply::CommitOffsets(outcome));
}

/// A caller outside of any generation makes a simple group.
fn check_without_group(desk: &Desk<'_>, commit: &CommitOffsets) -> Result<(), ErrorCode> {
    if !commit.generation.is_none() {
        return Err(match commit.knows_group_id_not_found {
            true => ErrorCode::GroupIdNotFound,
            false => ErrorCode::IllegalGeneration,
        });
    }
    match desk.durable.group_count() < MAX_GROUPS {
        true => Ok(()),
        false => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

fn check(live: &Live, commit: &CommitOffsets) -> Result<(), ErrorCode> {
    if commit.generation.is_none() && live.state() == GroupState::Empty {
        return Ok(());
    }
    let caller = &commit.caller;
    if commit.generation.is_none() && caller.member.is_empty() && caller.instance.is_none() {
        return Err(ErrorCode::UnknownMemberId);
    }
    removal::check_member(live, caller)?;
    if commit.generation != live.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    match live.state() {
        // It knows the generation, but not what it may read in it.
        GroupState::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
        _ => Ok(()),
    }
}

fn write(desk: &mut Desk<'_>, commit: CommitOffsets) -> Result<Vec<PartitionCodes>, ErrorCode> {
    let group = commit.caller.group;
    let now = desk.now().wall;
    let expires_at = match commit.retention_ms {
        -1 => TimestampMs::NONE,
        retention_ms => now.plus_ms(retention_ms),
    };
    let longest = desk.settings().offset_metadata_max_bytes;
    let mut events = Vec::new();
    let mut codes = Vec::with_capacity(commit.topics.len());
    for CommitTopic { name, id, partitions } in commit.topics {
        let mut of_topic = Vec::with_capacity(partitions.len());
        for CommitPartition { partition, offset, leader_epoch, metadata } in partitions {
            let Some(metadata) = metadata.filter(|note| fits(note, longest)) else {
                of_topic.push((partition, ErrorCode::OffsetMetadataTooLarge));
                continue;
            };
            let at = OffsetKey { group: group.clone(), topic: name.clone(), partition };
            let offset = CommittedOffset {
                offset,
                leader_epoch,
                metadata,
                committed_at: now,
                expires_at,
                topic_id: id,
            };
            events.push(Event::OffsetCommitted { at, offset: as_stored(offset) });
            of_topic.push((partition, ErrorCode::None));
        }
        codes.push(PartitionCodes { name, id, partitions: of_topic });
    }
    desk.push_all(&group, events)?;
    Ok(codes)
}

/// A record with an expiry of its own has no room for the leader epoch and the topic's id: what is not there after the next
/// load must not be there now.
fn as_stored(offset: CommittedOffset) -> CommittedOffset {
    match offset.expires_at {
        TimestampMs::NONE => offset,
        _ => CommittedOffset {
            leader_epoch: LeaderEpoch::NONE,
            topic_id: TopicId::default(),
            ..offset
        },
    }
}

/// Kafka counts UTF-16 units, though the setting is named after bytes.
fn fits(note: &Text, longest: i32) -> bool {
    let longest = usize::try_from(longest).unwrap_or(0);
    note.as_str().len() <= longest || note.as_str().encode_utf16().count() <= longest
}
