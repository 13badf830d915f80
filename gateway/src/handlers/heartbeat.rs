//! Heartbeat: a member lives, and hears whether it has to join again.

use ottla_coordinator::command::Heartbeat as Beat;
use ottla_coordinator::{Command, Generation, Reply};
use ottla_kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_kafka_wire::messages::heartbeat_response::HeartbeatResponse;
use ottla_types::ErrorCode;

use super::coordinators::{ANY_TOKEN, Coordinators, caller, not_the_answer};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct Heartbeat;

impl Handle for Heartbeat {
    type Request = HeartbeatRequest;

    async fn handle(call: Call, request: HeartbeatRequest) -> Answer {
        let error = match beat(&call, &request).await {
            // The group is still being read, and its members get a full session then.
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Ok(error) | Err(error) => error,
        };
        call.answer(&HeartbeatResponse { error_code: error.code(), ..Default::default() })
    }
}

async fn beat(call: &Call, request: &HeartbeatRequest) -> Result<ErrorCode, ErrorCode> {
    let instance = request.group_instance_id.as_deref();
    let caller = caller(&request.group_id, &request.member_id, instance)?;
    let group = caller.group.clone();
    let generation = Generation(request.generation_id);
    let beat = Beat { token: ANY_TOKEN, caller, generation };
    match Coordinators::of(call).ask_about(&group, Command::Heartbeat(beat)).await? {
        Reply::Heartbeat(error) => Ok(error),
        other => not_the_answer(other),
    }
}
