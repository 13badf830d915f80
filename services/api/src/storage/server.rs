//! Serves a storage node to gateways of other processes.
//!
//! Invariant: requests of a stream are begun in the order of its frames, each before the next is read; answers leave as they
//! are ready. A stream that means another node is refused.
//! Deliberately knows nothing of partitions: it calls [`Storage`].

mod connection;
mod dispatch;
mod materialise;

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt;
use ottla_proto::storage::v1::storage_service_server::SERVICE_NAME;
use ottla_runtime::Seams;
use ottla_types::NodeId;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tower::Service;

use crate::frames::{receive, respond};
use crate::storage::{EXCHANGE_PATH, MAX_FRAME_BYTES, Storage};
use connection::Connection;

pub use connection::{MAX_READY_BYTES, MAX_RUNNING_BYTES, MAX_RUNNING_REQUESTS};

/// The gRPC face of a storage node.
#[derive(Clone)]
pub struct StorageServer {
    node: NodeId,
    storage: Arc<dyn Storage>,
    seams: Seams,
    draining: Arc<watch::Sender<bool>>,
}

impl StorageServer {
    /// Serves `storage`, which is storage node `node`.
    pub fn new(seams: &Seams, node: NodeId, storage: Arc<dyn Storage>) -> Self {
        Self { node, storage, seams: seams.clone(), draining: Arc::new(watch::Sender::new(false)) }
    }

    /// Adds the service to those of a port.
    pub fn add_to(&self, routes: &mut RoutesBuilder) {
        routes.add_service(ExchangeService(self.clone()));
    }

    fn exchange(&self, request: http::Request<Body>) -> http::Response<Body> {
        let mut connection =
            Connection::new(self.node, Arc::clone(&self.storage), self.draining.subscribe());
        let answers = connection.answers().boxed();
        let serving = connection.serve(receive(request, MAX_FRAME_BYTES), self.seams.clone());
        drop(self.seams.tasks.spawn("storage stream", Box::pin(serving)));
        respond(answers, MAX_FRAME_BYTES)
    }

    /// Takes no more requests, answers the ones that were begun, then ends all streams. A graceful shutdown of the port waits
    /// for exactly that.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }
}

/// The service as tonic serves it. By hand instead of generated, so that records are not copied.
#[derive(Clone)]
struct ExchangeService(StorageServer);

impl NamedService for ExchangeService {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for ExchangeService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let response = if request.uri().path() == EXCHANGE_PATH {
            self.0.exchange(request)
        } else {
            Status::unimplemented("storage nodes answer Exchange only").into_http()
        };
        std::future::ready(Ok(response))
    }
}
