//! Serves a member of the controller quorum to storage nodes and gateways of other processes.
//!
//! Invariant: when the stream of an identified watcher is given up by the watcher or the network, the active controller is told
//! [`Command::ControlStreamBroken`]; when the member itself ends it, nobody is blamed.
//! Deliberately decides nothing: it calls [`Controller`].

mod watching;

use std::sync::Arc;

use futures::stream::BoxStream;
use ottla_metadata::Command;
use ottla_metadata::codec::{decode_command, encode_reply};
use ottla_proto::controller::v1 as wire;
use ottla_proto::controller::v1::controller_service_server::{
    ControllerService, ControllerServiceServer,
};
use ottla_proto::controller::v1::submit_response::Outcome;
use ottla_runtime::Seams;
use ottla_runtime::telemetry::{SpanKind, span_from_remote};
use ottla_types::MetadataOffset;
use tokio::sync::watch;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::convert::undecodable;
use crate::context::wire::{context_from_wire, failure_to_status, failure_to_wire, required};
use crate::context::{CallError, RequestContext};
use crate::controller::{Controller, MAX_CONTROL_MESSAGE_BYTES};
use watching::Broken;

/// The gRPC face of a member of the quorum.
#[derive(Clone)]
pub struct ControllerServer {
    seams: Seams,
    controller: Arc<dyn Controller>,
    /// Whom to tell of broken streams: the active controller may be another member.
    quorum: Arc<dyn Controller>,
    draining: Arc<watch::Sender<bool>>,
}

impl ControllerServer {
    /// Serves `controller`. `quorum` reaches the active member, wherever it is; a single member is its own quorum.
    pub fn new(
        seams: &Seams,
        controller: Arc<dyn Controller>,
        quorum: Arc<dyn Controller>,
    ) -> Self {
        let draining = Arc::new(watch::Sender::new(false));
        Self { seams: seams.clone(), controller, quorum, draining }
    }

    /// Adds the service to those of a port.
    pub fn add_to(&self, routes: &mut RoutesBuilder) {
        let service = ControllerServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_CONTROL_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_CONTROL_MESSAGE_BYTES);
        routes.add_service(service);
    }

    /// Ends all metadata streams, so that their watchers follow another member. A graceful shutdown of the port waits for that.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    async fn decide(&self, request: wire::SubmitRequest) -> Result<wire::Submitted, CallError> {
        let (mut context, parent) =
            context_from_wire(required(request.context, "the context is missing")?);
        let command = decode_command(&request.command).map_err(undecodable)?;
        context.span = span_from_remote("controller", name(&command), SpanKind::Server, parent);
        let span = context.span.clone();
        self.decide_in_time(context, command).instrument(span).await
    }

    async fn decide_in_time(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<wire::Submitted, CallError> {
        let allowance = context.timeout;
        let submitted = tokio::select! {
            biased;
            submitted = self.controller.submit(context, command) => submitted?,
            () = self.seams.clock.sleep(allowance) => return Err(CallError::TimedOut(allowance)),
        };
        Ok(wire::Submitted {
            reply: encode_reply(&submitted.reply).into(),
            offset: submitted.offset.0,
        })
    }
}

#[tonic::async_trait]
impl ControllerService for ControllerServer {
    type WatchMetadataStream = BoxStream<'static, Result<wire::WatchMetadataResponse, Status>>;

    async fn submit(
        &self,
        request: Request<wire::SubmitRequest>,
    ) -> Result<Response<wire::SubmitResponse>, Status> {
        let outcome = match self.decide(request.into_inner()).await {
            Ok(submitted) => Outcome::Submitted(submitted),
            Err(error) => Outcome::Failure(failure_to_wire(&error)),
        };
        Ok(Response::new(wire::SubmitResponse { outcome: Some(outcome) }))
    }

    async fn watch_metadata(
        &self,
        request: Request<wire::WatchMetadataRequest>,
    ) -> Result<Response<Self::WatchMetadataStream>, Status> {
        if *self.draining.borrow() {
            return Err(failure_to_status(&CallError::Stopping));
        }
        let request = request.into_inner();
        let from = MetadataOffset(request.from_offset);
        let updates =
            self.controller.watch_metadata(from).await.map_err(|e| failure_to_status(&e))?;
        let broken = request
            .watcher
            .map(|watcher| Broken::armed(&self.seams, Arc::clone(&self.quorum), watcher));
        let draining = self.draining.subscribe();
        let tasks = Arc::clone(&self.seams.tasks);
        Ok(Response::new(watching::responses(tasks, updates, draining, broken)))
    }

    async fn quorum_status(
        &self,
        _: Request<wire::QuorumStatusRequest>,
    ) -> Result<Response<wire::QuorumStatusResponse>, Status> {
        let status = self.controller.quorum_status().await;
        status.map(|status| Response::new(status.into())).map_err(|e| failure_to_status(&e))
    }

    async fn history(
        &self,
        request: Request<wire::HistoryRequest>,
    ) -> Result<Response<wire::HistoryResponse>, Status> {
        let page = self.controller.history(request.into_inner().into()).await;
        page.map(|page| Response::new(page.into())).map_err(|e| failure_to_status(&e))
    }
}

/// The name of a command's span.
fn name(command: &Command) -> &'static str {
    match command {
        Command::RegisterBroker { .. } => "RegisterBroker",
        Command::BrokerHeartbeat { .. } => "BrokerHeartbeat",
        Command::ControlStreamBroken { .. } => "ControlStreamBroken",
        Command::RegisterGateway(_) => "RegisterGateway",
        Command::GatewayHeartbeat { .. } => "GatewayHeartbeat",
        Command::Tick => "Tick",
        Command::CreateTopics { .. } => "CreateTopics",
        Command::DeleteTopics { .. } => "DeleteTopics",
        Command::CreatePartitions { .. } => "CreatePartitions",
        Command::AlterTopicConfigs { .. } => "AlterTopicConfigs",
        Command::AllocateProducerIds { .. } => "AllocateProducerIds",
        Command::AlterConfigs { .. } => "AlterConfigs",
        Command::UnregisterBroker { .. } => "UnregisterBroker",
    }
}
