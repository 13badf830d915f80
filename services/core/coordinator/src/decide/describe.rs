//! DescribeGroups: groups in full.
//!
//! Invariant: what members offer is shown of a stable group only, as in Kafka: in between it is not agreed on.

use std::sync::Arc;

use ottla_types::ErrorCode;

use super::desk::Desk;
use crate::command::{MAX_GROUPS_PER_REQUEST, Token};
use crate::durable::Group;
use crate::names::{GroupId, MemberId, Text};
use crate::reply::{DescribedGroup, DescribedMember, GroupState, Reply};
use crate::soft::{Live, Member, Soft};

pub(super) fn decide(desk: &mut Desk<'_>, soft: &Soft, token: Token, groups: Vec<GroupId>) {
    if groups.len() > MAX_GROUPS_PER_REQUEST {
        return desk.reply(token, Reply::Describe(Err(ErrorCode::InvalidRequest)));
    }
    let described = groups.into_iter().map(|group| describe(desk, soft, group)).collect();
    desk.reply(token, Reply::Describe(Ok(described)));
}

fn describe(desk: &Desk<'_>, soft: &Soft, group: GroupId) -> DescribedGroup {
    if let Some(live) = soft.get(&group) {
        return describe_live(group, live);
    }
    let (state, error, protocol_type) = match desk.durable.group(&group) {
        Some(Group::Classic(stored)) => {
            (GroupState::Empty, ErrorCode::None, stored.protocol_type.clone())
        }
        None => (GroupState::Dead, ErrorCode::GroupIdNotFound, None),
    };
    DescribedGroup {
        group,
        error,
        state,
        protocol_type: protocol_type.unwrap_or_else(Text::empty),
        protocol: Text::empty(),
        members: Vec::new(),
    }
}

fn describe_live(group: GroupId, live: &Live) -> DescribedGroup {
    let protocol = live.protocol.clone().filter(|_| live.state() == GroupState::Stable);
    let member = |(id, member): (&MemberId, &Member)| DescribedMember {
        member: id.clone(),
        instance: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: match &protocol {
            Some(protocol) => member.metadata(Some(protocol)),
            None => Arc::default(),
        },
        assignment: member.assignment.clone(),
    };
    DescribedGroup {
        group,
        error: ErrorCode::None,
        state: live.state(),
        protocol_type: live.protocol_type.clone().unwrap_or_else(Text::empty),
        members: live.roster.iter().map(member).collect(),
        protocol: protocol.unwrap_or_else(Text::empty),
    }
}
