//! DescribeGroups: groups with their members and what these offer and got.

use std::collections::HashSet;

use bytes::Bytes;
use ottla_coordinator::reply::{DescribedGroup as Found, DescribedMember};
use ottla_coordinator::{Command, GroupId, Reply};
use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use ottla_types::ErrorCode;

use super::coordinators::{ANY_TOKEN, Coordinators, not_the_answer};
use super::{GROUP_OPERATIONS, OPERATIONS_NOT_ASKED};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version that says that a group does not exist; before, it is told as dead.
const FIRST_WITH_NOT_FOUND: i16 = 6;

/// The handler.
pub(crate) struct DescribeGroups;

impl Handle for DescribeGroups {
    type Request = DescribeGroupsRequest;

    async fn handle(call: Call, request: DescribeGroupsRequest) -> Answer {
        let operations = match request.include_authorized_operations {
            true => GROUP_OPERATIONS,
            false => OPERATIONS_NOT_ASKED,
        };
        // What is named again is left out, lest a small request asks for a large answer.
        let mut named = HashSet::with_capacity(request.groups.len());
        let ids = request.groups.iter().filter(|name| named.insert(name.as_str()));
        // The wire allows no name that is too long.
        let ids: Vec<GroupId> = ids.filter_map(|name| GroupId::new(name).ok()).collect();
        let described = Coordinators::of(&call).ask_about_each(&ids, question, answers).await;
        let groups = ids.iter().zip(described).map(|(id, found)| match found {
            Ok(found) => group(&call, found, operations),
            Err(error) => DescribedGroup {
                error_code: error.code(),
                group_id: id.as_str().to_owned(),
                ..Default::default()
            },
        });
        call.answer(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
    }
}

fn question(groups: Vec<GroupId>) -> Command {
    Command::Describe { token: ANY_TOKEN, groups }
}

fn answers(reply: Reply) -> Result<Vec<Found>, ErrorCode> {
    match reply {
        Reply::Describe(outcome) => outcome,
        other => not_the_answer(other),
    }
}

fn group(call: &Call, found: Found, operations: i32) -> DescribedGroup {
    let group_id = found.group.as_str().to_owned();
    let is_missing = found.error == ErrorCode::GroupIdNotFound;
    let (error, error_message) = match call.version >= FIRST_WITH_NOT_FOUND {
        true => (found.error, is_missing.then(|| format!("Group {group_id} not found."))),
        false if is_missing => (ErrorCode::None, None),
        false => (found.error, None),
    };
    DescribedGroup {
        error_code: error.code(),
        error_message,
        group_state: found.state.name().to_owned(),
        protocol_type: found.protocol_type.as_str().to_owned(),
        protocol_data: found.protocol.as_str().to_owned(),
        members: found.members.into_iter().map(member).collect(),
        authorized_operations: if error.is_none() { operations } else { OPERATIONS_NOT_ASKED },
        group_id,
    }
}

fn member(found: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: found.member.as_str().to_owned(),
        group_instance_id: found.instance.map(|instance| instance.as_str().to_owned()),
        client_id: found.client_id.as_str().to_owned(),
        client_host: found.client_host.as_str().to_owned(),
        member_metadata: Bytes::copy_from_slice(&found.metadata),
        member_assignment: Bytes::copy_from_slice(&found.assignment),
    }
}
