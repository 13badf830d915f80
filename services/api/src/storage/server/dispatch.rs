//! One request of a stream: from its frame to the call of [`Storage`] and back.
//!
//! Invariant: the call is begun at the first poll. Deliberately knows nothing of the stream.

use std::sync::Arc;

use ottla_proto::storage::v1::exchange_request::Request;
use ottla_proto::storage::v1::exchange_response::Response;
use ottla_proto::storage::v1::{self as wire, ExchangeRequest};
use ottla_runtime::Seams;
use ottla_runtime::telemetry::{SpanKind, span_from_remote};
use tracing::Instrument;

use super::connection::Room;
use super::materialise::materialise;
use crate::context::wire::{context_from_wire, failure_to_wire, required};
use crate::context::{CallError, RequestContext};
use crate::storage::convert::node_configs_to_wire;
use crate::storage::{FetchResponse, Storage};

/// The answer of one request, and the room that it takes until it is sent. `None` where none is wanted.
pub(super) type Answered = Option<(Response, Option<Room>)>;

/// Answers one request.
pub(super) async fn answer(
    frame: ExchangeRequest,
    storage: Arc<dyn Storage>,
    seams: Seams,
    ready: super::connection::ReadyBytes,
) -> Answered {
    let wants_answer = !is_unanswered(&frame);
    let (context, request) = match open(frame) {
        Ok(opened) => opened,
        Err(error) => return Some((Response::Failure(failure_to_wire(&error)), None)),
    };
    let span = context.span.clone();
    let allowance = context.timeout;
    let calling = call(context, request, storage, &seams, ready).instrument(span);
    let outcome = tokio::select! {
        biased;
        outcome = calling => outcome,
        () = seams.clock.sleep(allowance) => Err(CallError::TimedOut(allowance)),
    };
    if !wants_answer {
        return None;
    }
    Some(outcome.unwrap_or_else(|error| (Response::Failure(failure_to_wire(&error)), None)))
}

fn is_unanswered(frame: &ExchangeRequest) -> bool {
    matches!(&frame.request, Some(Request::Produce(produce)) if produce.acks() == wire::Acks::None)
}

/// The context with its server span, and the request.
fn open(frame: ExchangeRequest) -> Result<(RequestContext, Request), CallError> {
    let request =
        required(frame.request, "the request is of a kind that this version does not know")?;
    let name = match &request {
        Request::Opening(_) => return Err(CallError::Malformed("a second opening".to_owned())),
        Request::Produce(_) => "Produce",
        Request::Fetch(_) => "Fetch",
        Request::ListOffsets(_) => "ListOffsets",
        Request::DescribeLogDirs(_) => "DescribeLogDirs",
        Request::InitProducerId(_) => "InitProducerId",
        Request::DescribeNodeConfigs(_) => "DescribeNodeConfigs",
        Request::Coordinate(_) => "Coordinate",
        Request::DeleteRecords(_) => "DeleteRecords",
        Request::OffsetForLeaderEpoch(_) => "OffsetForLeaderEpoch",
        Request::DescribeProducers(_) => "DescribeProducers",
    };
    let (mut context, parent) =
        context_from_wire(required(frame.context, "the context is missing")?);
    context.span = span_from_remote("storage", name, SpanKind::Server, parent);
    Ok((context, request))
}

async fn call(
    context: RequestContext,
    request: Request,
    storage: Arc<dyn Storage>,
    seams: &Seams,
    ready: super::connection::ReadyBytes,
) -> Result<(Response, Option<Room>), CallError> {
    let response = match request {
        Request::Opening(_) => return Err(CallError::Malformed("a second opening".to_owned())),
        Request::Produce(produce) => {
            Response::Produce(storage.produce(context, produce.try_into()?).await?.into())
        }
        Request::Fetch(fetch) => {
            let response = storage.fetch(context, fetch.try_into()?).await?;
            let room = ready.take(records_bytes(&response)).await;
            return Ok((Response::Fetch(materialise(&seams.tasks, response).await), room));
        }
        Request::ListOffsets(list) => {
            Response::ListOffsets(storage.list_offsets(context, list.try_into()?).await?.into())
        }
        Request::DescribeLogDirs(describe) => Response::DescribeLogDirs(
            storage.describe_log_dirs(context, describe.try_into()?).await?.into(),
        ),
        Request::InitProducerId(init) => Response::InitProducerId(
            storage.init_producer_id(context, init.try_into()?).await?.into(),
        ),
        Request::DescribeNodeConfigs(wire::DescribeNodeConfigsRequest {}) => {
            let configs = storage.describe_node_configs(context).await?;
            Response::DescribeNodeConfigs(node_configs_to_wire(configs))
        }
        Request::Coordinate(coordinate) => {
            Response::Coordinate(storage.coordinate(context, coordinate.try_into()?).await?.into())
        }
        Request::DeleteRecords(delete) => {
            let deleted = storage.delete_records(context, delete.try_into()?).await?;
            Response::DeleteRecords(deleted.into())
        }
        Request::OffsetForLeaderEpoch(ends) => {
            let ends = storage.epoch_ends(context, ends.try_into()?).await?;
            Response::OffsetForLeaderEpoch(ends.into())
        }
        Request::DescribeProducers(describe) => {
            let described = storage.describe_producers(context, describe.try_into()?).await?;
            Response::DescribeProducers(described.into())
        }
    };
    Ok((response, None))
}

fn records_bytes(response: &FetchResponse) -> usize {
    response.partitions.iter().map(|partition| partition.records.len()).sum()
}
