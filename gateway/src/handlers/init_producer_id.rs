//! InitProducerId for idempotent producers.
//!
//! Transactions are not served yet, and FindCoordinator knows no coordinator of them, without which no client gets here with a
//! transactional id. One that does is told UNSUPPORTED_VERSION: a code that is final for every client, and whose text says what
//! is the matter.

use ottla_api::storage::{
    InitProducerIdRequest as StorageRequest, InitProducerIdResponse as Given,
};
use ottla_kafka_wire::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_kafka_wire::messages::init_producer_id_response::InitProducerIdResponse;
use ottla_types::{ErrorCode, ProducerEpoch, ProducerId};

use super::BACKEND_TIME;
use crate::answer::Answer;
use crate::backend::any_target;
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct InitProducerId;

impl Handle for InitProducerId {
    type Request = InitProducerIdRequest;

    async fn handle(call: Call, request: InitProducerIdRequest) -> Answer {
        let given = match request.transactional_id.as_deref() {
            Some("") => Err(ErrorCode::InvalidRequest),
            Some(_) => Err(ErrorCode::UnsupportedVersion),
            None => give(&call, &request).await,
        };
        let refused = |error| Given {
            error,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
        };
        let given = given.unwrap_or_else(refused);
        call.answer(&InitProducerIdResponse {
            error_code: given.error.code(),
            producer_id: given.producer_id.0,
            producer_epoch: given.producer_epoch.0,
            ..Default::default()
        })
    }
}

async fn give(call: &Call, request: &InitProducerIdRequest) -> Result<Given, ErrorCode> {
    let image = call.gateway.image();
    let node = any_target(&call.peer, call.gateway.backends.own(), &image);
    let storage = node.and_then(|node| call.gateway.backends.get(node, &image));
    let storage = storage.ok_or(ErrorCode::CoordinatorLoadInProgress)?;
    let request = StorageRequest {
        transactional_id: None,
        producer_id: ProducerId(request.producer_id),
        producer_epoch: ProducerEpoch(request.producer_epoch),
    };
    let given = storage.init_producer_id(call.context(BACKEND_TIME), request).await;
    given.map_err(|error| errors::for_producer_id(&error))
}
