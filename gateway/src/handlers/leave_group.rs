//! LeaveGroup: a member goes; from version 3 on many at a time, static ones by their instance ids (KIP-345).

use ottla_coordinator::command::{Leave, LeavingMember};
use ottla_coordinator::reply::Left;
use ottla_coordinator::{Command, GroupId, InstanceId, MemberId, Reply, Text};
use ottla_kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_kafka_wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use ottla_types::ErrorCode;

use super::coordinators::{ANY_TOKEN, Coordinators, not_the_answer, too_long};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version in which many may leave.
const FIRST_WITH_MANY: i16 = 3;

/// The handler.
pub(crate) struct LeaveGroup;

impl Handle for LeaveGroup {
    type Request = LeaveGroupRequest;

    async fn handle(call: Call, request: LeaveGroupRequest) -> Answer {
        let outcome = leave(&call, request).await;
        let response = match outcome {
            Ok(left) if call.version >= FIRST_WITH_MANY => LeaveGroupResponse {
                members: left.into_iter().map(member).collect(),
                ..Default::default()
            },
            // The only one there is.
            Ok(left) => whole(left.first().map_or(ErrorCode::None, |left| left.error)),
            Err(error) => whole(error),
        };
        call.answer(&response)
    }
}

fn whole(error: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: error.code(), ..Default::default() }
}

async fn leave(call: &Call, request: LeaveGroupRequest) -> Result<Vec<Left>, ErrorCode> {
    let members = match call.version >= FIRST_WITH_MANY {
        true => request.members,
        false => vec![MemberIdentity { member_id: request.member_id, ..Default::default() }],
    };
    let group = GroupId::new(&request.group_id).map_err(too_long)?;
    let members = members.iter().map(leaving).collect::<Result<_, _>>()?;
    let leave = Leave { token: ANY_TOKEN, group: group.clone(), members };
    match Coordinators::of(call).ask_about(&group, Command::Leave(leave)).await? {
        Reply::Leave(outcome) => outcome,
        other => not_the_answer(other),
    }
}

fn leaving(member: &MemberIdentity) -> Result<LeavingMember, ErrorCode> {
    let instance = member.group_instance_id.as_deref().map(InstanceId::new);
    Ok(LeavingMember {
        member: MemberId::new(&member.member_id).map_err(too_long)?,
        instance: instance.transpose().map_err(too_long)?,
        reason: member.reason.as_deref().map(Text::new).transpose().map_err(too_long)?,
    })
}

fn member(left: Left) -> MemberResponse {
    MemberResponse {
        member_id: left.member.as_str().to_owned(),
        group_instance_id: left.instance.map(|instance| instance.as_str().to_owned()),
        error_code: left.error.code(),
    }
}
