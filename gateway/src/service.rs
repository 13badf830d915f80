//! Starts a gateway, in a straight line, and ends it in order.
//!
//! Invariant: ports are bound before the gateway is told to anybody, and it takes connections only once the cluster knows where
//! they can go; at the end it leaves the answers of others before it closes.
//! Deliberately does not know where its configuration and its neighbours come from: the binary composes them.

mod lease;
mod ports;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ottla_api::metadata_follower::MetadataFollower;
use ottla_api::{Controller, Storage};
use ottla_runtime::Seams;
use ottla_runtime::metrics::Metrics;
use ottla_runtime::seams::{HostPort, TaskHandle};
use ottla_runtime::shutdown::Shutdown;
use ottla_types::{ListenerName, MetadataOffset, NodeId};
use tracing::{error, info};

use crate::backend::{Backends, RemoteStorages};
use crate::config::GatewayConfig;
use crate::gateway::{Gateway, Parts};
use crate::metrics::GatewayMetrics;
use lease::{Lease, Registered};

/// How long requests may take to be finished after the last one was read.
const FINISH_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks at whether all connections have ended.
const FINISH_CHECK: Duration = Duration::from_millis(5);

/// The roles that a gateway talks to.
pub struct Neighbours {
    /// The quorum.
    pub controller: Arc<dyn Controller>,
    /// The metadata of the process.
    pub metadata: MetadataFollower,
    /// The storage node of the same process.
    pub own_storage: Option<(NodeId, Arc<dyn Storage>)>,
}

/// What a gateway shares with the rest of its process.
#[derive(Clone, Default)]
pub struct Process {
    /// Where its figures go.
    pub metrics: Metrics,
    /// When it ends: it drains when the process does, and stops at once when the process stops.
    pub shutdown: Shutdown,
}

/// Why a gateway did not start: cause, then cure.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken.
    #[error(
        "listener {listener} cannot use {address}: the port is taken; stop what listens there, or set another port in `listeners`"
    )]
    PortTaken {
        /// The listener.
        listener: ListenerName,
        /// Where it should listen.
        address: HostPort,
    },
    /// An address cannot be listened on.
    #[error(
        "listener {listener} cannot listen on {address}: {cause}; set an address of this machine in `listeners`"
    )]
    Bind {
        /// The listener.
        listener: ListenerName,
        /// Where it should listen.
        address: HostPort,
        /// What the system says.
        cause: io::Error,
    },
    /// A storage node's port would be the listener's own.
    #[error(
        "listener {listener}: with node ports from {first} on, {bootstrap} would be both the listener's port and that of node {node}; set another ottla.gateway.node.port.first"
    )]
    NodePorts {
        /// The listener.
        listener: ListenerName,
        /// The first node port.
        first: u16,
        /// The listener's own port.
        bootstrap: u16,
        /// The node.
        node: usize,
    },
}

/// A gateway that serves. Dropping it lets the gateway serve on.
pub struct GatewayHandle {
    gateway: Arc<Gateway>,
    registered: Registered,
    ending: TaskHandle,
    /// Where clients find it: each listener with its advertised host and port.
    pub listeners: Vec<(ListenerName, HostPort)>,
}

/// Starts a gateway. Its ports are bound when this returns; it takes connections once the cluster knows it
/// ([`GatewayHandle::ready`]).
///
/// # Errors
/// A port cannot be had.
pub async fn start(
    config: GatewayConfig,
    seams: Seams,
    neighbours: Neighbours,
    process: Process,
) -> Result<GatewayHandle, StartError> {
    let Neighbours { controller, metadata, own_storage } = neighbours;
    let backends = Backends::new(own_storage, Arc::new(RemoteStorages(seams.clone())));
    let metrics = GatewayMetrics::new(&process.metrics, &seams.clock);
    let parts = Parts { config, seams, controller, backends, metadata, metrics };
    let gateway = Gateway::new(parts);
    let bootstrap = ports::bind_bootstrap(&gateway).await?;
    let listeners = ports::advertised(&gateway, &bootstrap);
    let lease = Lease::start(&gateway, ports::registration(&gateway, &listeners));
    let registered = lease.registered();
    ports::serve(&gateway, bootstrap, registered.clone());
    let ending = end_with(gateway.clone(), lease, process.shutdown);
    let ending = gateway.seams.tasks.spawn("gateway shutdown", Box::pin(ending));
    Ok(GatewayHandle { gateway, registered, ending, listeners })
}

impl GatewayHandle {
    /// Completes when the cluster knows this gateway and connections are taken.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        self.registered.clone().wait()
    }

    /// Completes when this gateway has replayed the metadata up to an offset.
    pub fn replayed(&self, offset: MetadataOffset) -> impl Future<Output = ()> + Send + use<> {
        let metadata = self.gateway.metadata.clone();
        // A follower that stopped replays no more, and nobody can be helped by waiting.
        async move { _ = metadata.wait_for(offset).await }
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.gateway.slots.count()
    }

    /// Completes when the gateway has ended: after the process began to drain, and all that was in flight was answered.
    pub async fn ended(self) {
        if let Err(panic) = self.ending.join().await {
            error!("{panic}");
        }
    }
}

/// Waits for the end of the process, and ends in order.
async fn end_with(gateway: Arc<Gateway>, lease: Lease, shutdown: Shutdown) {
    shutdown.wait().await;
    tokio::select! {
        biased;
        () = drain(&gateway, &lease) => {}
        () = shutdown.stopped() => {}
    }
    gateway.phases.end();
    let left_over = gateway.slots.count();
    lease.say_goodbye().await;
    info!(left_over, "the gateway stopped");
}

/// Others no longer send clients here, what is in flight is answered, then connections close.
async fn drain(gateway: &Gateway, lease: &Lease) {
    lease.drain().await;
    gateway.phases.close();
    let clock = &gateway.seams.clock;
    let deadline = clock.monotonic() + FINISH_LIMIT;
    while gateway.slots.count() > 0 && clock.monotonic() < deadline {
        clock.sleep(FINISH_CHECK).await;
    }
}
