//! OffsetFetch: what a group has committed.
//!
//! Invariant: a group that does not exist has committed nothing, which is not an error. An offset of a topic that was deleted
//! and made anew under the same name is not the new one's.

use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::desk::Desk;
use crate::command::{FetchOffsets, FetchTopic};
use crate::durable::Offsets;
use crate::event::CommittedOffset;
use crate::names::Text;
use crate::reply::{FetchedOffset, FetchedTopic, Reply};

pub(super) fn decide(desk: &mut Desk<'_>, fetch: FetchOffsets) {
    let exists = desk.durable.group(&fetch.group).is_some();
    let offsets = desk.durable.offsets(&fetch.group).filter(|_| exists);
    let topics = match fetch.topics {
        Some(topics) => topics.into_iter().map(|topic| some(offsets, topic)).collect(),
        None => offsets.map(all).unwrap_or_default(),
    };
    desk.reply(fetch.token, Reply::FetchOffsets(Ok(topics)));
}

fn some(offsets: Option<&Offsets>, topic: FetchTopic) -> FetchedTopic {
    let committed = offsets.and_then(|offsets| offsets.get(&topic.name));
    let fetched = |partition: PartitionIndex| {
        let offset = committed.and_then(|partitions| partitions.get(&partition));
        fetched(partition, offset.filter(|offset| is_same_topic(offset.topic_id, topic.id)))
    };
    let partitions = topic.partitions.iter().copied().map(fetched).collect();
    FetchedTopic { name: topic.name, id: topic.id, partitions }
}

fn all(offsets: &Offsets) -> Vec<FetchedTopic> {
    let topics = offsets.iter().map(|(name, partitions)| FetchedTopic {
        name: name.clone(),
        id: TopicId::default(),
        partitions: partitions.iter().map(|(at, offset)| fetched(*at, Some(offset))).collect(),
    });
    topics.collect()
}

/// Ids that are not given are those of any topic.
fn is_same_topic(committed: TopicId, asked: TopicId) -> bool {
    committed.0.is_zero() || asked.0.is_zero() || committed == asked
}

fn fetched(partition: PartitionIndex, offset: Option<&CommittedOffset>) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: offset.map_or(Offset::NONE, |offset| offset.offset),
        leader_epoch: offset.map_or(LeaderEpoch::NONE, |offset| offset.leader_epoch),
        metadata: offset.map_or_else(Text::empty, |offset| offset.metadata.clone()),
        error: ErrorCode::None,
    }
}
