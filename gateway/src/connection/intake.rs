//! From a frame to a request: the header, the API, the route.
//!
//! Invariant: what Kafka answers by closing is an [`End`]; the one exception is ApiVersions in an unknown version, which every
//! client must be able to ask. Deliberately does not read the body.

use std::sync::Arc;

use bytes::Bytes;
use ottla_kafka_wire::codec::MAX_EXPANSION;
use ottla_kafka_wire::frames::{FrameError, decode_request_header};
use ottla_kafka_wire::{ApiKey, Reader};
use tracing::Span;

use super::end::End;
use super::frame_reader::{OTHER_WEIGHT, PRODUCE_WEIGHT, ReadError};
use super::memory::MemoryPermit;
use crate::answer::Answer;
use crate::gateway::Gateway;
use crate::handlers::unsupported_api_versions;
use crate::request::{Call, Peer, Request, cut_client_id};
use crate::router::Route;

/// Memory that the decoded form of a request may take beyond what its frame is charged for.
const DECODED_ALLOWANCE_BYTES: usize = 64 << 10;

/// What a frame came to.
pub(super) enum Taken {
    /// A request with its route.
    Request(Request),
    /// A request that has its answer.
    Answered(Answer),
}

/// Reads the header and finds the route.
pub(super) fn read_request(
    gateway: &Arc<Gateway>,
    peer: &Arc<Peer>,
    (frame, memory): (Bytes, MemoryPermit),
) -> Result<Taken, End> {
    let limit = decoded_limit(&frame);
    let mut body = Reader::with_heap_budget(frame, limit);
    let header = decode_request_header(&mut body).map_err(ReadError::Frame)?;
    let key =
        ApiKey::from_code(header.api_key).ok_or(ReadError::Frame(FrameError::UnknownApiKey {
            api_key: header.api_key,
            api_version: header.api_version,
        }))?;
    let call = Call {
        gateway: gateway.clone(),
        key,
        version: header.api_version,
        correlation_id: header.correlation_id,
        client_id: cut_client_id(header.client_id),
        peer: peer.clone(),
        span: Span::none(),
    };
    let route = Route::find(key);
    match route.filter(|route| route.served().contains(&call.version)) {
        Some(route) => Ok(Taken::Request(Request { route, call, body, memory })),
        None if key == ApiKey::ApiVersions => Ok(Taken::Answered(unsupported_api_versions(&call))),
        None => Err(End::Refused(refusal(&call, route))),
    }
}

/// Memory that the decoded form of this request may take: what its frame was charged for beyond its bytes, and a little more,
/// because the smallest requests grow most.
fn decoded_limit(frame: &Bytes) -> usize {
    let is_produce = frame.starts_with(&ApiKey::Produce.code().to_be_bytes());
    let weight = if is_produce { PRODUCE_WEIGHT } else { OTHER_WEIGHT };
    let charged = frame.len().saturating_mul(weight - 1).saturating_add(DECODED_ALLOWANCE_BYTES);
    charged.min(frame.len().saturating_mul(MAX_EXPANSION))
}

/// Why a request of an API or version that is not served ends its connection, as in Kafka.
fn refusal(call: &Call, route: Option<&Route>) -> String {
    let (key, version) = (call.key, call.version);
    match route {
        None => format!("{key} (api key {}) is not served", key.code()),
        Some(route) => format!(
            "{key} version {version} is not served, only {} to {}; update the client (Kafka 4 refuses it as well)",
            route.served().start(),
            route.served().end()
        ),
    }
}
