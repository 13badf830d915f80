//! Groups as the admin API shows them.

use std::collections::BTreeSet;

use ottla_coordinator::reply::{DescribedGroup, DescribedMember, ListedGroup};
use ottla_coordinator::{GroupId, GroupState, GroupType, Text, TopicName, assigned_partitions};
use ottla_proto::admin::v1 as wire;
use ottla_types::{ErrorCode, NodeId, PartitionIndex};

use super::super::errors::AdminError;
use super::coordinators::Place;

/// A group's id; an empty one is none.
pub(super) fn group_id(id: &str) -> Result<GroupId, AdminError> {
    if id.is_empty() {
        return Err(AdminError::of_group(id, ErrorCode::InvalidGroupId));
    }
    GroupId::new(id).map_err(|error| AdminError::invalid(format!("id: {error}; give another")))
}

/// A token of a list of groups: the partition of a coordinator and the last id of the page before.
pub(super) fn group_token(token: &str) -> Result<Option<(PartitionIndex, GroupId)>, AdminError> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed = token.split_once(':').and_then(|(partition, id)| {
        Some((PartitionIndex(partition.parse().ok()?), GroupId::new(id).ok()?))
    });
    parsed.map(Some).ok_or_else(|| {
        AdminError::invalid(
            "page_token is none of this list; take next_page_token of the page before",
        )
    })
}

/// Kafka's names of states.
pub(super) fn state_names(states: &[i32]) -> Result<Vec<Text>, AdminError> {
    let name = |state: &i32| {
        let state = match wire::GroupState::try_from(*state) {
            Ok(wire::GroupState::Empty) => GroupState::Empty,
            Ok(wire::GroupState::PreparingRebalance) => GroupState::PreparingRebalance,
            Ok(wire::GroupState::CompletingRebalance) => GroupState::CompletingRebalance,
            Ok(wire::GroupState::Stable) => GroupState::Stable,
            Ok(wire::GroupState::Dead) => GroupState::Dead,
            Ok(wire::GroupState::Unspecified) | Err(_) => {
                return Err(AdminError::invalid(
                    "states has one that does not exist; name it, such as GROUP_STATE_STABLE",
                ));
            }
        };
        Text::new(state.name()).map_err(|error| AdminError::invalid(error.to_string()))
    };
    states.iter().map(name).collect()
}

/// A group in brief.
pub(super) fn group(listed: &ListedGroup, place: Place) -> wire::Group {
    wire::Group {
        id: listed.group.as_str().to_owned(),
        state: state(listed.state).into(),
        r#type: group_type(listed.group_type).into(),
        protocol_type: listed.protocol_type.as_str().to_owned(),
        coordinator_partition: place.partition.0,
        coordinator_node_id: place.node.unwrap_or(NodeId::NONE).0,
    }
}

/// The same of one that was described: only classic groups are.
pub(super) fn described(found: &DescribedGroup, place: Place) -> wire::Group {
    wire::Group {
        id: found.group.as_str().to_owned(),
        state: state(found.state).into(),
        r#type: wire::GroupType::Classic.into(),
        protocol_type: found.protocol_type.as_str().to_owned(),
        coordinator_partition: place.partition.0,
        coordinator_node_id: place.node.unwrap_or(NodeId::NONE).0,
    }
}

/// A member with what it reads.
pub(super) fn member(found: &DescribedMember) -> wire::GroupMember {
    let assignment = assigned_partitions(&found.assignment).unwrap_or_default();
    let topic =
        |(topic, partitions): (TopicName, BTreeSet<PartitionIndex>)| wire::TopicPartitions {
            topic: topic.as_str().to_owned(),
            partitions: partitions.into_iter().map(|partition| partition.0).collect(),
        };
    wire::GroupMember {
        id: found.member.as_str().to_owned(),
        instance_id: found.instance.as_ref().map(ToString::to_string).unwrap_or_default(),
        client_id: found.client_id.as_str().to_owned(),
        client_host: found.client_host.as_str().to_owned(),
        assignment: assignment.into_iter().map(topic).collect(),
    }
}

fn state(state: GroupState) -> wire::GroupState {
    match state {
        GroupState::Empty => wire::GroupState::Empty,
        GroupState::PreparingRebalance => wire::GroupState::PreparingRebalance,
        GroupState::CompletingRebalance => wire::GroupState::CompletingRebalance,
        GroupState::Stable => wire::GroupState::Stable,
        GroupState::Dead => wire::GroupState::Dead,
    }
}

fn group_type(group_type: GroupType) -> wire::GroupType {
    match group_type {
        GroupType::Classic => wire::GroupType::Classic,
        GroupType::Consumer => wire::GroupType::Consumer,
        GroupType::Share => wire::GroupType::Share,
        GroupType::Streams => wire::GroupType::Streams,
    }
}
