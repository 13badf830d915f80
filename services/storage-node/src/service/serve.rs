//! The node's gRPC port: the storage service and its health.
//!
//! Invariant: the port is taken before the node registers, so that a port in use is found while nobody counts on the node; what was
//! begun is answered before the port closes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use ottla_api::Storage;
use ottla_api::storage::StorageServer;
use ottla_runtime::Seams;
use ottla_runtime::grpc::{incoming, server};
use ottla_runtime::seams::{HostPort, Listener};
use ottla_types::NodeId;
use tokio::sync::oneshot;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, warn};

/// Health of the whole port, and of the service by name.
const SERVICE_NAMES: [&str; 2] = ["", "ottla.storage.v1.StorageService"];
/// How long requests that were begun may take at shutdown.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "ottla.storage.listener {address}: {source}; stop what listens there, or choose another port"
)]
pub struct ListenError {
    address: HostPort,
    source: io::Error,
}

/// A bound port.
pub(super) struct Bound {
    listener: Box<dyn Listener>,
    address: HostPort,
}

/// Takes the port, if one is wanted.
pub(super) async fn bind(
    seams: &Seams,
    address: Option<&HostPort>,
) -> Result<Option<Bound>, ListenError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |source| ListenError { address: address.clone(), source };
    let listener = seams.net.bind(address).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok(Some(Bound { listener, address: HostPort::new(address.host.clone(), port) }))
}

/// A served port.
pub(super) struct GrpcService {
    seams: Seams,
    address: HostPort,
    storage: StorageServer,
    health: HealthReporter,
    stop: oneshot::Sender<()>,
    /// Completes when the port is closed.
    ended: Shared<BoxFuture<'static, ()>>,
}

impl GrpcService {
    /// Serves on a bound port.
    pub(super) async fn start(
        seams: &Seams,
        node: NodeId,
        storage: Arc<dyn Storage>,
        bound: Option<Bound>,
    ) -> Option<Self> {
        let bound = bound?;
        let storage = StorageServer::new(seams, node, storage);
        let (health, health_service) = tonic_health::server::health_reporter();
        for name in SERVICE_NAMES {
            health.set_service_status(name, ServingStatus::Serving).await;
        }
        let mut routes = RoutesBuilder::default();
        storage.add_to(&mut routes);
        routes.add_service(health_service);
        let (stop, stopped) = oneshot::channel::<()>();
        let connections = incoming(bound.listener, Arc::clone(&seams.clock));
        let serving = server().add_routes(routes.routes()).serve_with_incoming_shutdown(
            connections,
            async move {
                // Dropped or sent: both end it.
                _ = stopped.await;
            },
        );
        let serving = seams.tasks.spawn(
            "storage-grpc",
            Box::pin(async move {
                if let Err(cause) = serving.await {
                    error!("the storage node's port ended: {cause}");
                }
            }),
        );
        let ended = serving.join().map(|_| ()).boxed().shared();
        let (seams, address) = (seams.clone(), bound.address);
        Some(Self { seams, address, storage, health, stop, ended })
    }

    pub(super) fn address(&self) -> HostPort {
        self.address.clone()
    }

    /// Takes no more requests, answers those that were begun, closes the port.
    pub(super) async fn stop(self) {
        for name in SERVICE_NAMES {
            self.health.set_service_status(name, ServingStatus::NotServing).await;
        }
        self.storage.drain();
        _ = self.stop.send(());
        tokio::select! {
            biased;
            () = self.ended => {}
            () = self.seams.clock.sleep(DRAIN_LIMIT) => {
                warn!("some requests were not answered within {} s", DRAIN_LIMIT.as_secs());
            }
        }
    }
}
