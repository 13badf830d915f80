//! JoinGroup: answered when the whole group has come together, which may take as long as its slowest member is allowed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_coordinator::command::{Join, Protocol};
use ottla_coordinator::decide::NEW_MEMBER_JOIN_TIMEOUT_MS;
use ottla_coordinator::reply::{JoinRefused, Joined, JoinedMember};
use ottla_coordinator::{Command, MemberId, Reply, Text};
use ottla_kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_kafka_wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use ottla_types::ErrorCode;

use super::LONGEST_REBALANCE;
use super::coordinators::{ANY_TOKEN, Coordinators, caller, client_host, not_the_answer, too_long};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version in which a new member is given an id to join again with (KIP-394).
const FIRST_WITH_REQUIRED_ID: i16 = 4;
/// First version in which there may be no protocol; before, that is an empty text.
const FIRST_WITHOUT_PROTOCOL: i16 = 7;
/// First version in which a static leader can be told not to assign (KIP-814).
const FIRST_WITH_SKIPPED_ASSIGNMENT: i16 = 9;

/// The handler.
pub(crate) struct JoinGroup;

impl Handle for JoinGroup {
    type Request = JoinGroupRequest;

    async fn handle(call: Call, request: JoinGroupRequest) -> Answer {
        let response = match join(&call, request).await {
            Ok(joined) => accepted(&call, joined),
            Err(JoinRefused { error, member }) => JoinGroupResponse {
                error_code: error.code(),
                member_id: member.as_str().to_owned(),
                ..Default::default()
            },
        };
        call.answer(&response)
    }
}

async fn join(call: &Call, request: JoinGroupRequest) -> Result<Joined, JoinRefused> {
    let refused = |error| JoinRefused { error, member: MemberId::empty() };
    let coordinators = Coordinators::for_wait(call, longest_wait(&request));
    let join = command(call, request).map_err(refused)?;
    let group = join.caller.group.clone();
    match coordinators.ask_about(&group, Command::Join(join)).await.map_err(refused)? {
        Reply::Join(outcome) => outcome,
        other => not_the_answer(other).map_err(refused),
    }
}

/// As long as the member says that a rebalance may take, and no less than the coordinator lets new members wait: a client that
/// is less patient closes its connection.
fn longest_wait(request: &JoinGroupRequest) -> Duration {
    let said = request.rebalance_timeout_ms.max(request.session_timeout_ms);
    let longest = said.max(NEW_MEMBER_JOIN_TIMEOUT_MS);
    Duration::from_millis(u64::try_from(longest).unwrap_or(0)).min(LONGEST_REBALANCE)
}

fn command(call: &Call, request: JoinGroupRequest) -> Result<Join, ErrorCode> {
    let text = |text: &str| Text::new(text).map_err(too_long);
    let instance = request.group_instance_id.as_deref();
    Ok(Join {
        token: ANY_TOKEN,
        caller: caller(&request.group_id, &request.member_id, instance)?,
        client_id: text(call.client_id.as_deref().unwrap_or_default())?,
        client_host: text(&client_host(call.peer.address.ip()))?,
        protocol_type: text(&request.protocol_type)?,
        protocols: request.protocols.iter().map(protocol).collect::<Result<_, _>>()?,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        requires_member_id: call.version >= FIRST_WITH_REQUIRED_ID,
        may_skip_assignment: call.version >= FIRST_WITH_SKIPPED_ASSIGNMENT,
        reason: request.reason.as_deref().map(text).transpose()?,
    })
}

fn protocol(offered: &JoinGroupRequestProtocol) -> Result<Protocol, ErrorCode> {
    Ok(Protocol {
        name: Text::new(&offered.name).map_err(too_long)?,
        metadata: Arc::from(&offered.metadata[..]),
    })
}

fn accepted(call: &Call, joined: Joined) -> JoinGroupResponse {
    let owned = |text: Text| text.as_str().to_owned();
    let none = (call.version < FIRST_WITHOUT_PROTOCOL).then(String::new);
    JoinGroupResponse {
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type.map(owned),
        protocol_name: joined.protocol.map(owned).or(none),
        leader: joined.leader.as_str().to_owned(),
        skip_assignment: joined.skip_assignment,
        member_id: joined.member.as_str().to_owned(),
        members: joined.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

fn member(member: JoinedMember) -> JoinGroupResponseMember {
    JoinGroupResponseMember {
        member_id: member.member.as_str().to_owned(),
        group_instance_id: member.instance.map(|instance| instance.as_str().to_owned()),
        metadata: Bytes::copy_from_slice(&member.metadata),
    }
}
