//! The role's two ports: one for other roles and members, one for operators.
//!
//! Invariant: both are bound before anything is served. Internal services are never on the operators' port, and never reflected.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_api::controller::ControllerServer;
use ottla_api::raft::RaftServer;
use ottla_runtime::Seams;
use ottla_runtime::grpc::{admin_incoming, admin_server, incoming, server};
use ottla_runtime::http::Health;
use ottla_runtime::seams::{Clock, HostPort, Listener, TaskHandle};
use tokio::sync::watch;
use tonic::service::RoutesBuilder;

use super::StartError;
use crate::config::ControllerConfig;
use crate::grpc::admin::{self, AdminServices};

/// How long running calls may take at the end.
const LAST_CALLS_LIMIT: Duration = Duration::from_millis(500);

/// Listening sockets.
pub(super) struct Ports {
    internal: Box<dyn Listener>,
    admin: Option<Box<dyn Listener>>,
    pub(super) address: SocketAddr,
    pub(super) admin_address: Option<SocketAddr>,
}

/// What is served.
#[derive(Clone)]
pub(super) struct Servers {
    pub(super) controller: ControllerServer,
    pub(super) raft: RaftServer,
    pub(super) admin: AdminServices,
    pub(super) health: Health,
}

/// Binds the ports of a configuration.
pub(super) async fn bind(seams: &Seams, config: &ControllerConfig) -> Result<Ports, StartError> {
    let (internal, address) = bind_one(seams, "listeners", &config.listener).await?;
    let mut ports = Ports { internal, admin: None, address, admin_address: None };
    if let Some(listener) = &config.admin_listener {
        let (admin, address) = bind_one(seams, "ottla.admin.listener", listener).await?;
        (ports.admin, ports.admin_address) = (Some(admin), Some(address));
    }
    Ok(ports)
}

async fn bind_one(
    seams: &Seams,
    key: &'static str,
    address: &HostPort,
) -> Result<(Box<dyn Listener>, SocketAddr), StartError> {
    let bound = seams.net.bind(address).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    let address = address.clone();
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { key, address },
        _ => StartError::Listen { key, address, source },
    })
}

impl Ports {
    /// Serves until told to end.
    pub(super) fn serve(self, seams: &Seams, servers: Servers) -> Serving {
        let stop = watch::Sender::new(false);
        let mut routes = RoutesBuilder::default();
        servers.controller.add_to(&mut routes);
        servers.raft.add_to(&mut routes);
        let serving = server().add_routes(routes.routes()).serve_with_incoming_shutdown(
            incoming(self.internal, Arc::clone(&seams.clock)),
            stopped(&stop),
        );
        let internal = async move { log_end("other roles", serving.await) };
        let mut tasks = vec![seams.tasks.spawn("controller-grpc", Box::pin(internal))];
        if let Some(listener) = self.admin {
            let routes = admin::routes(seams, &servers.admin, &servers.health);
            let serving = admin_server().add_routes(routes).serve_with_incoming_shutdown(
                admin_incoming(listener, Arc::clone(&seams.clock)),
                stopped(&stop),
            );
            let admin = async move { log_end("operators", serving.await) };
            tasks.push(seams.tasks.spawn("admin-grpc", Box::pin(admin)));
        }
        Serving { stop, tasks, clock: Arc::clone(&seams.clock) }
    }
}

/// The running servers.
pub(super) struct Serving {
    stop: watch::Sender<bool>,
    tasks: Vec<TaskHandle>,
    clock: Arc<dyn Clock>,
}

impl Serving {
    /// Takes no more calls, and waits a moment for those that run: so callers learn that their connections end, instead of losing
    /// calls on them.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        let ended = futures::future::join_all(self.tasks.into_iter().map(TaskHandle::join));
        tokio::select! {
            _ = ended => {}
            () = self.clock.sleep(LAST_CALLS_LIMIT) => {}
        }
    }
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.subscribe();
    async move {
        // A sender that is gone stops as well.
        _ = stop.wait_for(|stop| *stop).await;
    }
}

fn log_end(whom: &str, outcome: Result<(), tonic::transport::Error>) {
    if let Err(error) = outcome {
        tracing::error!("the controller's port for {whom} failed: {error}");
    }
}
