//! The admin API, `ottla.admin.v1`: topics, groups, cluster, history; with health and reflection on the same port.
//!
//! Invariant: groups are asked of the storage nodes that coordinate them, over links of this process's own; of topics and nodes, lists and history come from this member's store and are at least as new as its committed image was when they were
//! asked for; writes go to the active controller, and are answered once this member has applied them.
//! Deliberately decides nothing.

mod cluster;
mod errors;
mod groups;
mod health;
mod history;
mod pages;
#[cfg(test)]
mod tests;
mod topic_values;
mod topics;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use ottla_api::controller::Submitted;
use ottla_api::storage::{RemoteStorages, StorageLinks};
use ottla_api::{Controller, RequestContext};
use ottla_metadata::topic_config::ClusterDefaults;
use ottla_metadata::{Command, Image};
use ottla_proto::ADMIN_DESCRIPTOR_SET;
use ottla_proto::admin::v1::cluster_service_server::ClusterServiceServer;
use ottla_proto::admin::v1::group_service_server::GroupServiceServer;
use ottla_proto::admin::v1::history_service_server::HistoryServiceServer;
use ottla_proto::admin::v1::topic_service_server::TopicServiceServer;
use ottla_runtime::Seams;
use ottla_runtime::http::Health;
use ottla_runtime::telemetry::{SpanKind, mark_error, root_span};
use ottla_types::{ListenerName, Principal, TraceParent};
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Request, Status};
use tracing::Span;

use crate::config::ControllerConfig;
use crate::quorum::member::Member;
use errors::AdminError;
use watches::Watches;

/// How long a write may take; the deadline of the call may be shorter.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a list waits for the store to catch up with the image.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// Longest request, bytes: an assignment by hand of 10,000 partitions.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// The services; clones are the same.
#[derive(Clone)]
pub struct AdminServices {
    seams: Seams,
    member: Member,
    controller: Arc<dyn Controller>,
    topic_defaults: ClusterDefaults,
    storage: Arc<StorageLinks>,
    watches: Watches,
}

/// All that the admin port serves.
pub fn routes(seams: &Seams, services: &AdminServices, health: &Health) -> Routes {
    let mut routes = RoutesBuilder::default();
    let topics = TopicServiceServer::new(services.clone());
    let cluster = ClusterServiceServer::new(services.clone());
    let groups = GroupServiceServer::new(services.clone());
    let history = HistoryServiceServer::new(services.clone());
    routes.add_service(topics.max_decoding_message_size(MAX_REQUEST_BYTES));
    routes.add_service(cluster.max_decoding_message_size(MAX_REQUEST_BYTES));
    routes.add_service(groups.max_decoding_message_size(MAX_REQUEST_BYTES));
    routes.add_service(history.max_decoding_message_size(MAX_REQUEST_BYTES));
    routes.add_service(health::service(seams, health));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(ADMIN_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What the details of an error are, google.rpc.ErrorInfo: a tool without files can show them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let built = "the descriptors are built with this program";
    routes.add_service(reflection().build_v1().expect(built));
    routes.add_service(reflection().build_v1alpha().expect(built));
    routes.routes()
}

impl AdminServices {
    /// Answers from this member, writes through `controller`.
    pub fn new(
        seams: &Seams,
        member: Member,
        controller: Arc<dyn Controller>,
        config: &ControllerConfig,
    ) -> Self {
        let topic_defaults = config.domain.topic_defaults.clone();
        // The storage node of this process as well is reached by its port: an operator's question is worth a connection, and the
        // controller starts before the node.
        let storage = Arc::new(StorageLinks::new(None, Arc::new(RemoteStorages(seams.clone()))));
        let (seams, watches) = (seams.clone(), Watches::default());
        Self { seams, member, controller, topic_defaults, storage, watches }
    }

    /// Ends all watch streams, so that their watchers go to another member. A graceful shutdown of the port waits for that.
    pub fn drain(&self) {
        self.watches.drain();
    }

    /// The committed image.
    fn image(&self) -> Arc<Image> {
        self.member.published.committed.borrow().image.clone()
    }

    /// Has the active controller decide a command, and waits until this member shows what it did.
    async fn write(&self, span: Span, command: Command) -> Result<Submitted, AdminError> {
        let context = context(span.clone(), WRITE_TIMEOUT);
        let outcome = self.controller.submit(context, command).await.map_err(AdminError::Call);
        if let Err(error) = &outcome {
            mark_error(&span, &error.to_string());
        }
        let submitted = outcome?;
        // What is committed is done; a member that lags behind only shows it later.
        _ = self.member.applied(submitted.offset, WRITE_TIMEOUT).await;
        Ok(submitted)
    }

    /// Reads from the store, off the shared workers, once it holds what is committed now.
    async fn read_store<T: Send + 'static>(
        &self,
        read: impl FnOnce(
            &dyn crate::quorum::state_store::StateStore,
        ) -> Result<T, crate::quorum::state_store::StoreError>
        + Send
        + 'static,
    ) -> Result<T, AdminError> {
        self.member.store_reached(self.image().offset, STORE_PATIENCE).await;
        let store = self.member.store().clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let work = move || {
            // Whoever gave up waiting needs no answer.
            _ = tell.send(read(store.as_ref()));
        };
        self.seams.tasks.run_blocking(Box::new(work)).await;
        let stopping = |_| AdminError::Call(ottla_api::CallError::Stopping);
        Ok(told.await.map_err(stopping)??)
    }
}

/// What a call of an operator carries to another role.
fn context(span: Span, timeout: Duration) -> RequestContext {
    RequestContext {
        principal: Principal::anonymous(),
        listener: ListenerName::new("ADMIN"),
        client_id: None,
        timeout,
        span,
    }
}

/// The first span of a call; honours the caller's `traceparent`.
fn span<T>(name: &str, request: &Request<T>) -> Span {
    let header = request.metadata().get("traceparent").and_then(|value| value.to_str().ok());
    let parent = header.and_then(|text| text.parse::<TraceParent>().ok());
    root_span("controller", name, SpanKind::Server, parent, &[])
}

/// Turns an outcome into what tonic wants.
fn respond<T>(outcome: Result<T, AdminError>) -> Result<tonic::Response<T>, Status> {
    outcome.map(tonic::Response::new).map_err(Status::from)
}
