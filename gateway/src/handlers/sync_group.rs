//! SyncGroup: the leader of a group says who gets what, and every member hears what it got.

use std::sync::Arc;

use bytes::Bytes;
use ottla_coordinator::command::Sync;
use ottla_coordinator::reply::Synced;
use ottla_coordinator::{Command, Generation, MemberId, Reply, Text};
use ottla_kafka_wire::messages::sync_group_request::SyncGroupRequest;
use ottla_kafka_wire::messages::sync_group_response::SyncGroupResponse;
use ottla_types::ErrorCode;

use super::LONGEST_WAIT;
use super::coordinators::{ANY_TOKEN, Coordinators, caller, not_the_answer, too_long};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version in which a member says which protocol it believes in, and must.
const FIRST_WITH_PROTOCOL: i16 = 5;

/// The handler.
pub(crate) struct SyncGroup;

impl Handle for SyncGroup {
    type Request = SyncGroupRequest;

    async fn handle(call: Call, request: SyncGroupRequest) -> Answer {
        let owned = |text: Text| text.as_str().to_owned();
        let response = match sync(&call, request).await {
            Ok(synced) => SyncGroupResponse {
                protocol_type: synced.protocol_type.map(owned),
                protocol_name: synced.protocol.map(owned),
                assignment: Bytes::copy_from_slice(&synced.assignment),
                ..Default::default()
            },
            Err(error) => SyncGroupResponse { error_code: error.code(), ..Default::default() },
        };
        call.answer(&response)
    }
}

async fn sync(call: &Call, request: SyncGroupRequest) -> Result<Synced, ErrorCode> {
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= FIRST_WITH_PROTOCOL && !says_protocol {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    let sync = command(&request)?;
    let group = sync.caller.group.clone();
    // Clients give up much earlier than this.
    let coordinators = Coordinators::for_wait(call, LONGEST_WAIT);
    match coordinators.ask_about(&group, Command::Sync(sync)).await {
        Ok(Reply::Sync(outcome)) => outcome,
        Ok(other) => not_the_answer(other),
        // What was joined is forgotten; old clients do not know that code here, and join again after this one.
        Err(ErrorCode::CoordinatorLoadInProgress) => Err(ErrorCode::RebalanceInProgress),
        Err(error) => Err(error),
    }
}

fn command(request: &SyncGroupRequest) -> Result<Sync, ErrorCode> {
    let text = |text: &str| Text::new(text).map_err(too_long);
    let instance = request.group_instance_id.as_deref();
    let mut assignments = Vec::with_capacity(request.assignments.len());
    for given in &request.assignments {
        let member = MemberId::new(&given.member_id).map_err(too_long)?;
        assignments.push((member, Arc::from(&given.assignment[..])));
    }
    Ok(Sync {
        token: ANY_TOKEN,
        caller: caller(&request.group_id, &request.member_id, instance)?,
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.as_deref().map(text).transpose()?,
        protocol: request.protocol_name.as_deref().map(text).transpose()?,
        assignments,
    })
}
