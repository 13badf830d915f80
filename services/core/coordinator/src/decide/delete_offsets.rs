//! OffsetDelete: some offsets of a group go (KIP-496).
//!
//! Invariant: offsets that a member reads on from stay. Of a group whose members' subscriptions cannot be read none goes.

use ottla_types::{ErrorCode, TopicId};

use super::desk::Desk;
use crate::command::DeleteOffsets;
use crate::event::{Event, OffsetKey};
use crate::reply::{GroupState, PartitionCodes, Reply};
use crate::soft::{Live, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &mut Soft, delete: DeleteOffsets) {
    let token = delete.token;
    let outcome = if delete.group.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if let Some(live) = soft.take(desk.durable, &delete.group, desk.context()) {
        let outcome = check(&live).and_then(|()| remove(desk, &live, delete));
        soft.put(live);
        outcome
    } else {
        Err(ErrorCode::GroupIdNotFound)
    };
    desk.reply(token, Reply::DeleteOffsets(outcome));
}

fn check(live: &Live) -> Result<(), ErrorCode> {
    match live.state() != GroupState::Empty && !live.is_of_consumers() {
        true => Err(ErrorCode::NonEmptyGroup),
        false => Ok(()),
    }
}

fn remove(
    desk: &mut Desk<'_>,
    live: &Live,
    delete: DeleteOffsets,
) -> Result<Vec<PartitionCodes>, ErrorCode> {
    let mut events = Vec::new();
    let mut codes = Vec::with_capacity(delete.topics.len());
    for (topic, partitions) in delete.topics {
        let code = match live.is_subscribed(&topic) {
            true => ErrorCode::GroupSubscribedToTopic,
            false => ErrorCode::None,
        };
        let mut of_topic = Vec::with_capacity(partitions.len());
        for partition in partitions {
            of_topic.push((partition, code));
            let committed = desk.durable.offset(&delete.group, &topic, partition);
            if code.is_none() && committed.is_some() {
                let (group, topic) = (delete.group.clone(), topic.clone());
                events.push(Event::OffsetRemoved { at: OffsetKey { group, topic, partition } });
            }
        }
        codes.push(PartitionCodes { name: topic, id: TopicId::default(), partitions: of_topic });
    }
    desk.push_all(&delete.group, events)?;
    Ok(codes)
}
