//! A storage node in another process, as [`Storage`]: two long-lived streams, one for short questions and one for records.
//!
//! Invariant: produce requests are sent in the order of their calls' first poll; one with `acks=0` is done when it is sent. A call whose stream breaks is answered
//! [`CallError::Unreachable`]; what became of it is unknown, and it is never sent twice.
//! Deliberately does not know which node leads what, and does not choose between nodes.

mod link;
mod table;

use async_trait::async_trait;
use ottla_coordinator::codec::MAX_COMMAND_BYTES;
use ottla_proto::storage::v1 as wire;
use ottla_proto::storage::v1::exchange_request::Request;
use ottla_proto::storage::v1::exchange_response::Response;
use ottla_runtime::Seams;
use ottla_runtime::child_span;
use ottla_runtime::seams::HostPort;
use ottla_types::{ErrorCode, NodeId, Offset, TimestampMs};
use tracing::Span;

use crate::context::{CallError, RequestContext};
use crate::storage::convert::node_configs_from_wire;
use crate::storage::{
    Acks, CoordinateRequest, CoordinateResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, EpochEndRequest, EpochEndResponse, FetchRequest, FetchResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse,
    MAX_FETCH_BYTES, NodeConfig, ProducePartitionResult, ProduceRequest, ProduceResponse, Storage,
};
use link::Link;
use table::Cost;

pub use link::{RECONNECT_PAUSE_FIRST, RECONNECT_PAUSE_MOST};
pub use table::{MAX_OUTSTANDING_BYTES, MAX_OUTSTANDING_FETCHES, MAX_OUTSTANDING_REQUESTS};

/// A storage node in another process. Connects at the first call. Dropping it answers all that is pending.
pub struct RemoteStorage {
    control: Link,
    bulk: Link,
}

impl RemoteStorage {
    /// A storage node at this address.
    pub fn new(seams: &Seams, node: NodeId, address: &HostPort) -> Self {
        Self {
            control: Link::new(seams, node, address, wire::TrafficClass::Control),
            bulk: Link::new(seams, node, address, wire::TrafficClass::Bulk),
        }
    }
}

/// The client span of a call, below the request's.
macro_rules! client_span {
    ($context:expr, $name:literal) => {
        child_span!($context.span, $name, otel.kind = "client")
    };
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.produce"));
        let bytes = request.partitions.iter().map(|partition| partition.records.len()).sum();
        if request.acks == Acks::None {
            let unanswered = taken_for_done(&request);
            let request = Request::Produce(request.into());
            self.bulk.tell(&context, request, Cost::request(bytes)).await?;
            return Ok(unanswered);
        }
        let request = Request::Produce(request.into());
        match self.bulk.call(&context, request, Cost::request(bytes)).await? {
            Response::Produce(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn fetch(
        &self,
        context: RequestContext,
        mut request: FetchRequest,
    ) -> Result<FetchResponse, CallError> {
        request.max_bytes = request.max_bytes.min(MAX_FETCH_BYTES);
        let context = below(context, |context| client_span!(context, "storage.fetch"));
        match self.bulk.call(&context, Request::Fetch(request.into()), Cost::FETCH).await? {
            Response::Fetch(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn list_offsets(
        &self,
        context: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.list_offsets"));
        let request = Request::ListOffsets(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::ListOffsets(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn delete_records(
        &self,
        context: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.delete_records"));
        let request = Request::DeleteRecords(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::DeleteRecords(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn epoch_ends(
        &self,
        context: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.epoch_ends"));
        let request = Request::OffsetForLeaderEpoch(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::OffsetForLeaderEpoch(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn describe_producers(
        &self,
        context: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.describe_producers"));
        let request = Request::DescribeProducers(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::DescribeProducers(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn describe_log_dirs(
        &self,
        context: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.describe_log_dirs"));
        let request = Request::DescribeLogDirs(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::DescribeLogDirs(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn init_producer_id(
        &self,
        context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.init_producer_id"));
        let request = Request::InitProducerId(request.into());
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::InitProducerId(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }

    async fn describe_node_configs(
        &self,
        context: RequestContext,
    ) -> Result<Vec<NodeConfig>, CallError> {
        let context =
            below(context, |context| client_span!(context, "storage.describe_node_configs"));
        let request = Request::DescribeNodeConfigs(wire::DescribeNodeConfigsRequest {});
        match self.control.call(&context, request, Cost::request(0)).await? {
            Response::DescribeNodeConfigs(response) => Ok(node_configs_from_wire(response)),
            _ => Err(not_an_answer()),
        }
    }

    async fn coordinate(
        &self,
        context: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        let context = below(context, |context| client_span!(context, "storage.coordinate"));
        let request = wire::CoordinateRequest::from(request);
        if request.command.len() > MAX_COMMAND_BYTES {
            return Err(CallError::Malformed("the command is too large".to_owned()));
        }
        let cost = Cost::waiting(request.command.len());
        match self.control.call(&context, Request::Coordinate(request), cost).await? {
            Response::Coordinate(response) => Ok(response.try_into()?),
            _ => Err(not_an_answer()),
        }
    }
}

/// The context with the client span in place of the caller's.
fn below(
    mut context: RequestContext,
    span: impl FnOnce(&RequestContext) -> Span,
) -> RequestContext {
    context.span = span(&context);
    context
}

fn not_an_answer() -> CallError {
    CallError::Malformed("the answer is not one to the question".to_owned())
}

/// What a produce with `acks=0` returns: nobody knows better, and nobody asks.
fn taken_for_done(request: &ProduceRequest) -> ProduceResponse {
    let one = |partition: &super::ProducePartition| ProducePartitionResult {
        partition: partition.partition,
        error: ErrorCode::None,
        error_message: None,
        base_offset: Offset::NONE,
        log_append_time: TimestampMs::NONE,
        log_start_offset: Offset::NONE,
        record_errors: Vec::new(),
        current_leader: None,
    };
    ProduceResponse { partitions: request.partitions.iter().map(one).collect() }
}
