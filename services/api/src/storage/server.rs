//! Serves a storage node to gateways of other processes.
//!
//! Invariant: requests of a stream are begun in the order of its frames, each before the next is read; answers leave as they
//! are ready. A stream that means another node is refused.
//! Deliberately knows nothing of partitions: it calls [`Storage`].

mod connection;
mod dispatch;
mod materialise;

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use ottla_proto::storage::v1::storage_service_server::{StorageService, StorageServiceServer};
use ottla_proto::storage::v1::{ExchangeRequest, ExchangeResponse};
use ottla_runtime::Seams;
use ottla_types::NodeId;
use tokio::sync::watch;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

use crate::storage::{MAX_FRAME_BYTES, Storage};
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
        let service = StorageServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_FRAME_BYTES)
            .max_encoding_message_size(MAX_FRAME_BYTES);
        routes.add_service(service);
    }

    /// Takes no more requests, answers the ones that were begun, then ends all streams. A graceful shutdown of the port waits
    /// for exactly that.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }
}

#[tonic::async_trait]
impl StorageService for StorageServer {
    type ExchangeStream = BoxStream<'static, Result<ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut connection =
            Connection::new(self.node, Arc::clone(&self.storage), self.draining.subscribe());
        let answers = connection.answers();
        let tasks = Arc::clone(&self.seams.tasks);
        let serving = connection.serve(request.into_inner(), self.seams.clone());
        tasks.spawn("storage stream", Box::pin(serving));
        Ok(Response::new(answers.boxed()))
    }
}
