//! Commands and replies of group coordinators: opaque bytes of `ottla-coordinator`'s own codec.

use bytes::Bytes;
use ottla_coordinator::codec;
use ottla_proto::storage::v1 as wire;
use ottla_types::{ErrorCode, PartitionIndex};

use super::{error_from_wire, error_to_wire};
use crate::context::Malformed;
use crate::storage::{CoordinateRequest, CoordinateResponse};

impl From<CoordinateRequest> for wire::CoordinateRequest {
    fn from(request: CoordinateRequest) -> Self {
        Self {
            partition: request.partition.0,
            command: Bytes::from(codec::encode_command(&request.command)),
        }
    }
}

impl TryFrom<wire::CoordinateRequest> for CoordinateRequest {
    type Error = Malformed;

    fn try_from(wire: wire::CoordinateRequest) -> Result<Self, Malformed> {
        let command = codec::decode_command(&wire.command)
            .map_err(|_| Malformed("the coordinator's command is not understood"))?;
        Ok(Self { partition: PartitionIndex(wire.partition), command })
    }
}

impl From<CoordinateResponse> for wire::CoordinateResponse {
    fn from(response: CoordinateResponse) -> Self {
        let without_reply =
            |error| Self { error_code: error_to_wire(error), reply: Bytes::default() };
        let reply = match response.outcome {
            Ok(reply) => codec::encode_reply(&reply),
            Err(error) => return without_reply(error),
        };
        if reply.len() > codec::MAX_REPLY_BYTES {
            return without_reply(ErrorCode::UnknownServerError);
        }
        Self { error_code: error_to_wire(ErrorCode::None), reply: Bytes::from(reply) }
    }
}

impl TryFrom<wire::CoordinateResponse> for CoordinateResponse {
    type Error = Malformed;

    fn try_from(wire: wire::CoordinateResponse) -> Result<Self, Malformed> {
        let outcome = match error_from_wire(wire.error_code) {
            ErrorCode::None => Ok(codec::decode_reply(&wire.reply)
                .map_err(|_| Malformed("the coordinator's reply is not understood"))?),
            error => Err(error),
        };
        Ok(Self { outcome })
    }
}
