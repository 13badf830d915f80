//! What a scrape wants to know of the groups of one coordinator.
//!
//! Invariant: taken at once between two turns, so that its parts fit each other; bounded, whatever the groups hold.

use std::collections::BTreeMap;

use ottla_coordinator::{Durable, GroupId, GroupState, Soft, TopicName};
use ottla_types::{Offset, PartitionIndex};

/// Committed offsets that one scrape is told of, at most; the sums count all.
pub(crate) const MAX_PICTURED_OFFSETS: usize = 10_000;
/// Groups whose members one scrape is told of, at most.
pub(crate) const MAX_PICTURED_GROUPS: usize = 10_000;

/// The groups of one coordinator at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    /// Groups by state.
    pub(crate) states: BTreeMap<GroupState, usize>,
    /// Members of each group.
    pub(crate) members: Vec<(GroupId, usize)>,
    /// Committed offsets.
    pub(crate) offsets: Vec<CommittedAt>,
    /// Groups in all.
    pub(crate) group_count: usize,
    /// Offsets in all.
    pub(crate) offset_count: usize,
}

/// How far a group is.
#[derive(Clone, Debug)]
pub(crate) struct CommittedAt {
    pub(crate) group: GroupId,
    pub(crate) topic: TopicName,
    pub(crate) partition: PartitionIndex,
    pub(crate) offset: Offset,
}

impl Picture {
    /// What is there now.
    pub(super) fn take(durable: &Durable, soft: &Soft) -> Self {
        let mut states = soft.count_by_state();
        let living: usize = states.values().sum();
        *states.entry(GroupState::Empty).or_default() +=
            durable.group_count().saturating_sub(living);
        let groups = durable.groups_after(None).take(MAX_PICTURED_GROUPS);
        let offsets = durable.offsets_after(None).flat_map(|(group, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(partition, committed)| CommittedAt {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    offset: committed.offset,
                })
            })
        });
        Self {
            states,
            members: groups.map(|(group, _)| (group.clone(), soft.member_count(group))).collect(),
            offsets: offsets.take(MAX_PICTURED_OFFSETS).collect(),
            group_count: durable.group_count(),
            offset_count: durable.offset_count(),
        }
    }
}
