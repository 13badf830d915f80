//! The ports of a gateway: one for each listener, and one for each storage node that it serves there.
//!
//! Invariant: a port stands for the same node as long as it is open; the ports of nodes that come later open when this gateway
//! learns of them. Deliberately does not know what is said on a connection.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::Image;
use ottla_metadata::event::{Endpoint, GatewayListener, GatewayRegistration};
use ottla_runtime::seams::{HostPort, Listener};
use ottla_types::limits::MAX_STORAGE_NODES;
use ottla_types::{ListenerName, NodeId};
use tracing::{info, warn};

use super::StartError;
use super::lease::Registered;
use crate::config::ListenerConfig;
use crate::connection::{Port, accept};
use crate::gateway::Gateway;

/// Pause before node ports that could not be opened are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Binds the port of every listener.
pub(super) async fn bind_bootstrap(gateway: &Gateway) -> Result<Vec<Port>, StartError> {
    let addressed = gateway.backends.own();
    let mut ports = Vec::with_capacity(gateway.config.listeners.len());
    for config in &gateway.config.listeners {
        let listener = config.name.clone();
        let socket = bind(gateway, &config.bind).await.map_err(|cause| {
            let (listener, address) = (listener.clone(), config.bind.clone());
            match cause.kind() {
                io::ErrorKind::AddrInUse => StartError::PortTaken { listener, address },
                _ => StartError::Bind { listener, address, cause },
            }
        })?;
        let port = Port { listener, addressed, socket };
        check_node_ports(config, bound_port(&port, config))?;
        ports.push(port);
    }
    Ok(ports)
}

/// No storage node's port may be the listener's own.
fn check_node_ports(config: &ListenerConfig, bootstrap: u16) -> Result<(), StartError> {
    let Some(first) = config.node_port_first else { return Ok(()) };
    match usize::from(bootstrap).checked_sub(usize::from(first)) {
        Some(node) if node < MAX_STORAGE_NODES => {
            Err(StartError::NodePorts { listener: config.name.clone(), first, bootstrap, node })
        }
        _ => Ok(()),
    }
}

async fn bind(gateway: &Gateway, address: &HostPort) -> io::Result<Box<dyn Listener>> {
    gateway.seams.net.bind(address).await
}

fn bound_port(port: &Port, config: &ListenerConfig) -> u16 {
    port.socket.local_addr().map_or(config.bind.port, |address| address.port())
}

/// What clients are told of each listener.
pub(super) fn advertised(gateway: &Gateway, ports: &[Port]) -> Vec<(ListenerName, HostPort)> {
    let configs = gateway.config.listeners.iter();
    configs
        .zip(ports)
        .map(|(config, port)| {
            let told = match config.advertised.port {
                0 => bound_port(port, config),
                told => told,
            };
            (config.name.clone(), HostPort::new(config.advertised.host.clone(), told))
        })
        .collect()
}

/// What this gateway says of itself.
pub(super) fn registration(
    gateway: &Gateway,
    listeners: &[(ListenerName, HostPort)],
) -> GatewayRegistration {
    let listener = |((name, at), config): (&(ListenerName, HostPort), &ListenerConfig)| {
        let endpoint = Endpoint { host: at.host.clone(), port: at.port };
        GatewayListener { name: name.clone(), endpoint, node_port_first: config.node_port_first }
    };
    GatewayRegistration {
        node: gateway.config.node,
        incarnation: gateway.incarnation,
        rack: gateway.config.rack.clone(),
        own_storage_node: gateway.backends.own(),
        listeners: listeners.iter().zip(&gateway.config.listeners).map(listener).collect(),
    }
}

/// Takes connections, once the cluster knows this gateway.
pub(super) fn serve(gateway: &Arc<Gateway>, bootstrap: Vec<Port>, registered: Registered) {
    for port in bootstrap {
        spawn_accept(gateway, port, registered.clone());
    }
    if gateway.config.listeners.iter().any(|config| config.node_port_first.is_some()) {
        let following = follow_nodes(gateway.clone(), registered);
        drop(gateway.seams.tasks.spawn("gateway node ports", Box::pin(following)));
    }
}

fn spawn_accept(gateway: &Arc<Gateway>, port: Port, registered: Registered) {
    let accepting = gateway.clone();
    let task = async move {
        registered.wait().await;
        accept(accepting, port).await;
    };
    drop(gateway.seams.tasks.spawn("gateway port", Box::pin(task)));
}

/// Opens the ports of storage nodes as they appear.
async fn follow_nodes(gateway: Arc<Gateway>, registered: Registered) {
    let mut news = gateway.metadata.subscribe();
    let mut phases = gateway.phases.clone();
    let mut open = HashSet::new();
    loop {
        let image = gateway.image();
        let is_complete = open_missing(&gateway, &image, &mut open, &registered).await;
        let retry = async {
            match is_complete {
                true => std::future::pending().await,
                false => gateway.seams.clock.sleep(RETRY).await,
            }
        };
        tokio::select! {
            biased;
            () = phases.closing() => return,
            news = news.next() => if news.is_none() { return },
            () = retry => {}
        }
    }
}

/// Opens what is not open yet; whether that succeeded.
async fn open_missing(
    gateway: &Arc<Gateway>,
    image: &Image,
    open: &mut HashSet<(usize, NodeId)>,
    registered: &Registered,
) -> bool {
    let mut is_complete = true;
    for (index, config) in gateway.config.listeners.iter().enumerate() {
        let Some(first) = config.node_port_first else { continue };
        for node in image.brokers.keys().copied() {
            if gateway.backends.own() == Some(node) || open.contains(&(index, node)) {
                continue;
            }
            let Some(address) = node_address(config, first, node) else { continue };
            match bind(gateway, &address).await {
                Ok(socket) => {
                    let listener = config.name.clone();
                    info!(%listener, %node, %address, "node port open");
                    let port = Port { listener, addressed: Some(node), socket };
                    spawn_accept(gateway, port, registered.clone());
                    open.insert((index, node));
                }
                Err(error) => {
                    let listener = &config.name;
                    warn!(%listener, %node, %address, %error, "a node port cannot be opened; free it, or set ottla.gateway.node.port.first");
                    is_complete = false;
                }
            }
        }
    }
    is_complete
}

fn node_address(config: &ListenerConfig, first: u16, node: NodeId) -> Option<HostPort> {
    let port = i32::from(first).checked_add(node.0)?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    Some(HostPort::new(config.bind.host.clone(), port))
}
