//! The groups and offsets of one partition of `__consumer_offsets`, as they are after some number of events.
//!
//! Invariant: a function of the replayed events and of nothing else; only [`Durable::replay`] changes it. Offsets and groups
//! are kept apart, as in Kafka: a tombstone of one does not touch the other.
//! Deliberately does not know who is alive, nor who waits for what.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use ottla_types::{PartitionIndex, TimestampMs};
use serde::{Deserialize, Serialize};

use crate::event::{CommittedOffset, Event, OffsetKey, StoredGroup};
use crate::names::{GroupId, TopicName};

/// A group's offsets.
pub type Offsets = BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>;

/// What the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    groups: BTreeMap<GroupId, Group>,
    offsets: BTreeMap<GroupId, Offsets>,
    offset_count: usize,
}

/// A group, by its type. Consumer (KIP-848), share and streams groups will be further variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// The classic protocol: the members' leader assigns. Also simple groups, which have offsets only.
    Classic(StoredGroup),
}

/// Kafka's types of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupType {
    /// Joined by JoinGroup and SyncGroup; simple groups too.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
}

impl GroupType {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }
}

impl Group {
    /// Its type.
    pub const fn group_type(&self) -> GroupType {
        match self {
            Self::Classic(_) => GroupType::Classic,
        }
    }
}

/// What some run of events touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Groups that came or changed (and are still there).
    pub groups: BTreeSet<GroupId>,
    /// Groups that went.
    pub removed_groups: BTreeSet<GroupId>,
    /// How many offsets were written.
    pub offsets_written: u64,
    /// How many offsets went.
    pub offsets_removed: u64,
}

impl Durable {
    /// Replays the next event of the log and notes in `changes` what it touched. Cannot fail: a tombstone of something that
    /// is not there changes nothing.
    pub fn replay(&mut self, event: &Event, changes: &mut Changes) {
        match event {
            Event::OffsetCommitted { at, offset } => self.put_offset(at, offset, changes),
            Event::OffsetRemoved { at } => self.remove_offset(at, changes),
            Event::GroupStored { group, stored } => {
                self.put_group(group, Group::Classic(stored.clone()), changes);
            }
            Event::GroupRemoved { group } => {
                if self.groups.remove(group).is_some() {
                    changes.groups.remove(group);
                    changes.removed_groups.insert(group.clone());
                }
            }
        }
    }

    fn put_group(&mut self, id: &GroupId, group: Group, changes: &mut Changes) {
        self.groups.insert(id.clone(), group);
        changes.removed_groups.remove(id);
        changes.groups.insert(id.clone());
    }

    fn put_offset(&mut self, at: &OffsetKey, offset: &CommittedOffset, changes: &mut Changes) {
        if !self.groups.contains_key(&at.group) {
            let simple = StoredGroup::memberless(TimestampMs::NONE);
            self.put_group(&at.group, Group::Classic(simple), changes);
        }
        // Names are shared with what is there, so that a commit over an old one costs no memory.
        let topics = match self.offsets.get_mut(&at.group) {
            Some(topics) => topics,
            None => self.offsets.entry(at.group.clone()).or_default(),
        };
        let partitions = match topics.get_mut(&at.topic) {
            Some(partitions) => partitions,
            None => topics.entry(at.topic.clone()).or_default(),
        };
        if partitions.insert(at.partition, offset.clone()).is_none() {
            self.offset_count += 1;
        }
        changes.offsets_written += 1;
    }

    fn remove_offset(&mut self, at: &OffsetKey, changes: &mut Changes) {
        let Some(topics) = self.offsets.get_mut(&at.group) else { return };
        let Some(partitions) = topics.get_mut(&at.topic) else { return };
        if partitions.remove(&at.partition).is_none() {
            return;
        }
        self.offset_count -= 1;
        changes.offsets_removed += 1;
        if partitions.is_empty() {
            topics.remove(&at.topic);
        }
        if topics.is_empty() {
            self.offsets.remove(&at.group);
        }
    }

    /// A group.
    pub fn group(&self, group: &GroupId) -> Option<&Group> {
        self.groups.get(group)
    }

    /// All groups in the order of their ids, behind `after` if it is given.
    pub fn groups_after(
        &self,
        after: Option<&GroupId>,
    ) -> impl Iterator<Item = (&GroupId, &Group)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.groups.range((from, Bound::Unbounded))
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The offsets of a group; `None` if it has none.
    pub fn offsets(&self, group: &GroupId) -> Option<&Offsets> {
        self.offsets.get(group)
    }

    /// The offsets of all groups in the order of their ids, behind `after` if it is given.
    pub fn offsets_after(
        &self,
        after: Option<&GroupId>,
    ) -> impl Iterator<Item = (&GroupId, &Offsets)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.offsets.range((from, Bound::Unbounded))
    }

    /// One offset.
    pub fn offset(
        &self,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Option<&CommittedOffset> {
        self.offsets.get(group)?.get(topic)?.get(&partition)
    }

    /// How many offsets there are in all groups.
    pub fn offset_count(&self) -> usize {
        self.offset_count
    }
}
