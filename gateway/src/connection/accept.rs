//! Takes connections from one port.
//!
//! Invariant: a connection that is over a limit is closed before a byte of it is read. Ends when the gateway closes.
//! Deliberately does not know what connections do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::seams::{Listener, NetStream};
use ottla_types::{ListenerName, NodeId, Principal};
use tracing::{debug, warn};

use super::{Connection, slots::Slot};
use crate::gateway::Gateway;
use crate::request::Peer;

/// Pause after a failure to accept (no descriptors left, say), so that it does not spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// One port that clients connect to.
pub(crate) struct Port {
    /// Whose it is.
    pub(crate) listener: ListenerName,
    /// The storage node that it stands for; `None`: bootstrap.
    pub(crate) addressed: Option<NodeId>,
    /// The socket.
    pub(crate) socket: Box<dyn Listener>,
}

/// Takes connections until the gateway closes.
pub(crate) async fn accept(gateway: Arc<Gateway>, mut port: Port) {
    let mut phases = gateway.phases.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = phases.closing() => return,
            accepted = port.socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => admit(&gateway, &port, stream, address),
            Err(error) => {
                warn!(listener = %port.listener, %error, "a connection could not be accepted; check the limit of open files");
                gateway.seams.clock.sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

fn admit(gateway: &Arc<Gateway>, port: &Port, stream: Box<dyn NetStream>, address: SocketAddr) {
    let now = gateway.seams.clock.monotonic();
    match gateway.slots.take(address.ip(), now) {
        Ok(slot) => serve(gateway, port, stream, (address, slot)),
        Err(reason) => {
            gateway.metrics.connections_refused.inc();
            debug!(listener = %port.listener, %address, %reason, "connection refused");
        }
    }
}

fn serve(
    gateway: &Arc<Gateway>,
    port: &Port,
    stream: Box<dyn NetStream>,
    (address, slot): (SocketAddr, Slot),
) {
    let limits = &gateway.config.limits;
    if let Err(error) = stream.set_buffers(limits.send_buffer_bytes, limits.receive_buffer_bytes) {
        debug!(%address, %error, "the socket buffers could not be set");
    }
    let peer = Arc::new(Peer {
        listener: port.listener.clone(),
        addressed: port.addressed,
        address,
        principal: Principal::anonymous(),
        answers: gateway.answers.account(),
    });
    let served = gateway.clone();
    let task = async move {
        served.metrics.connections.inc();
        match stream.settle() {
            Ok(stream) => Connection::new(served.clone(), peer, stream).run().await,
            Err(error) => debug!(%address, %error, "the connection could not be handed over"),
        }
        served.metrics.connections.dec();
        drop(slot);
    };
    drop(gateway.seams.tasks.spawn_connection("gateway connection", Box::pin(task)));
}
