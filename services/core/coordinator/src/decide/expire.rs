//! Offsets that nobody read on from for `offsets.retention.minutes` expire, and so do groups without members and offsets.
//!
//! Invariant: an offset of a topic that a member reads never expires. In an empty group retention counts since it became
//! empty, in a stable one since the commit; while a group rebalances nothing expires (KIP-211).

use ottla_types::TimestampMs;

use super::desk::Desk;
use crate::command::Command;
use crate::event::{CommittedOffset, Event, OffsetKey};
use crate::names::GroupId;
use crate::reply::GroupState;
use crate::soft::{Live, RetentionBase, Soft};

/// Most groups that one decision looks at.
const MAX_GROUPS_PER_DECISION: usize = 10_000;

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, after: Option<GroupId>) {
    let durable = desk.durable;
    let mut done = after;
    for (seen, (id, _)) in durable.groups_after(done.clone().as_ref()).enumerate() {
        if seen == MAX_GROUPS_PER_DECISION || !desk.has_room() {
            return desk.next(Command::Expire { after: done });
        }
        let Some(live) = soft.take(durable, id, desk.context()) else { continue };
        let all = match expire_offsets(desk, &live) {
            Expired::NoRoom => {
                soft.put(live);
                return desk.next(Command::Expire { after: done });
            }
            Expired::All => true,
            Expired::Some => false,
        };
        let is_empty = live.state() == GroupState::Empty;
        soft.put(live);
        if all && is_empty {
            desk.push(Event::GroupRemoved { group: id.clone() });
            soft.forget(id);
        }
        done = Some(id.clone());
    }
}

/// How much of a group expired.
enum Expired {
    /// All offsets, perhaps none.
    All,
    /// Not all.
    Some,
    /// There may be more than fits into one batch.
    NoRoom,
}

fn expire_offsets(desk: &mut Desk<'_>, live: &Live) -> Expired {
    let Some(topics) = desk.durable.offsets(&live.id) else { return Expired::All };
    let Some(base) = live.retention_base() else { return Expired::Some };
    let mut all = true;
    for (topic, partitions) in topics {
        if live.is_subscribed(topic) {
            all = false;
            continue;
        }
        for (partition, offset) in partitions {
            if !is_expired(desk, base, offset) {
                all = false;
                continue;
            }
            if !desk.has_room() {
                return Expired::NoRoom;
            }
            let at =
                OffsetKey { group: live.id.clone(), topic: topic.clone(), partition: *partition };
            desk.push(Event::OffsetRemoved { at });
        }
    }
    if all { Expired::All } else { Expired::Some }
}

fn is_expired(desk: &Desk<'_>, base: RetentionBase, offset: &CommittedOffset) -> bool {
    let now = desk.now().wall;
    if offset.expires_at != TimestampMs::NONE {
        return now >= offset.expires_at;
    }
    let since = match base {
        RetentionBase::Commit => offset.committed_at,
        RetentionBase::At(since) => since,
    };
    now.since_ms(since) >= desk.settings().offsets_retention_ms()
}
