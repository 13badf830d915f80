//! The storage node as a gateway of the same process calls it: with the span that a gRPC server would make.
//!
//! Invariant: a trace has the same shape in one process as over gRPC. Deliberately knows nothing but spans.

use async_trait::async_trait;
use ottla_api::storage::{
    CoordinateRequest, CoordinateResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, EpochEndRequest, EpochEndResponse, FetchRequest, FetchResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse,
    NodeConfig, ProduceRequest, ProduceResponse,
};
use ottla_api::{CallError, RequestContext, Storage};
use ottla_runtime::child_span;

use super::LocalStorage;

/// A storage node with spans of its own.
#[derive(Clone)]
pub(crate) struct TracedStorage(pub(crate) LocalStorage);

/// The context of the storage node's part of a request. A span ends when its last clone is dropped.
fn within(context: RequestContext, name: &'static str) -> RequestContext {
    let span = child_span!(context.span, "storage", otel.name = name, ottla.role = "storage");
    RequestContext { span, ..context }
}

#[async_trait]
impl Storage for TracedStorage {
    async fn produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        self.0.produce(within(context, "Produce"), request).await
    }

    async fn fetch(
        &self,
        context: RequestContext,
        request: FetchRequest,
    ) -> Result<FetchResponse, CallError> {
        self.0.fetch(within(context, "Fetch"), request).await
    }

    async fn list_offsets(
        &self,
        context: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        self.0.list_offsets(within(context, "ListOffsets"), request).await
    }

    async fn delete_records(
        &self,
        context: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        self.0.delete_records(within(context, "DeleteRecords"), request).await
    }

    async fn epoch_ends(
        &self,
        context: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        self.0.epoch_ends(within(context, "OffsetForLeaderEpoch"), request).await
    }

    async fn describe_producers(
        &self,
        context: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        self.0.describe_producers(within(context, "DescribeProducers"), request).await
    }

    async fn describe_log_dirs(
        &self,
        context: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        self.0.describe_log_dirs(within(context, "DescribeLogDirs"), request).await
    }

    async fn init_producer_id(
        &self,
        context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        self.0.init_producer_id(within(context, "InitProducerId"), request).await
    }

    async fn describe_node_configs(
        &self,
        context: RequestContext,
    ) -> Result<Vec<NodeConfig>, CallError> {
        self.0.describe_node_configs(within(context, "DescribeNodeConfigs")).await
    }

    async fn coordinate(
        &self,
        context: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        self.0.coordinate(within(context, "Coordinate"), request).await
    }
}
