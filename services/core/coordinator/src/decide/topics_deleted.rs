//! Topics are gone: so are the offsets that groups committed for them.
//!
//! Invariant: an offset that names another topic id belongs to a topic that was made anew under the same name, and stays.

use ottla_types::TopicId;

use super::desk::Desk;
use crate::command::Command;
use crate::durable::Offsets;
use crate::event::{Event, OffsetKey};
use crate::names::{GroupId, TopicName};

/// Most groups that one decision looks at.
const MAX_GROUPS_PER_DECISION: usize = 10_000;

pub(super) fn decide(
    desk: &mut Desk<'_>,
    topics: Vec<(TopicName, TopicId)>,
    after: Option<GroupId>,
) {
    let durable = desk.durable;
    let mut done = after;
    for (seen, (group, offsets)) in durable.offsets_after(done.clone().as_ref()).enumerate() {
        if seen == MAX_GROUPS_PER_DECISION || !remove(desk, gone(group, offsets, &topics)) {
            // Begins with this group again: what is gone by then is not found twice.
            return desk.next(Command::TopicsDeleted { topics, after: done });
        }
        done = Some(group.clone());
    }
}

/// Removes these offsets as long as there is room. False if there is no more.
fn remove(desk: &mut Desk<'_>, gone: impl Iterator<Item = OffsetKey>) -> bool {
    for at in gone {
        if !desk.has_room() {
            return false;
        }
        desk.push(Event::OffsetRemoved { at });
    }
    true
}

fn gone<'a>(
    group: &'a GroupId,
    offsets: &'a Offsets,
    topics: &'a [(TopicName, TopicId)],
) -> impl Iterator<Item = OffsetKey> + 'a {
    topics.iter().flat_map(move |(topic, id)| {
        let partitions = offsets.get(topic).into_iter().flatten();
        let gone = partitions
            .filter(move |(_, offset)| offset.topic_id.0.is_zero() || offset.topic_id == *id);
        gone.map(move |(partition, _)| OffsetKey {
            group: group.clone(),
            topic: topic.clone(),
            partition: *partition,
        })
    })
}
