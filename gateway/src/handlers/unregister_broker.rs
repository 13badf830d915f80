//! UnregisterBroker: a storage node that does not come back is taken from the metadata. One that runs registers anew.

use ottla_kafka_wire::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_kafka_wire::messages::unregister_broker_response::UnregisterBrokerResponse;
use ottla_metadata::{Command, Refusal, Reply};
use ottla_types::NodeId;

use super::BACKEND_TIME;
use crate::answer::Answer;
use crate::errors::{self, code_and_message};
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct UnregisterBroker;

impl Handle for UnregisterBroker {
    type Request = UnregisterBrokerRequest;

    async fn handle(call: Call, request: UnregisterBrokerRequest) -> Answer {
        let outcome = unregister(&call, NodeId(request.broker_id)).await;
        let (error_code, error_message) = code_and_message(outcome);
        call.answer(&UnregisterBrokerResponse { error_code, error_message, ..Default::default() })
    }
}

async fn unregister(call: &Call, node: NodeId) -> Result<(), Refusal> {
    let failed = |error: ottla_api::CallError| {
        Refusal::new(errors::for_controller(&error), error.to_string())
    };
    let command = Command::UnregisterBroker { node };
    let submitted = call.gateway.controller.submit(call.context(BACKEND_TIME), command).await;
    let submitted = submitted.map_err(failed)?;
    if let Reply::Refused(refusal) = submitted.reply {
        return Err(refusal);
    }
    let offset = submitted.offset;
    let replayed = call.gateway.wait_until(BACKEND_TIME, |image| image.offset >= offset).await;
    replayed.map(|_| ()).map_err(failed)
}
