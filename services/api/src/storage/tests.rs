//! A storage node behind gRPC behaves as one that is called directly.

mod broken;
mod coordinating;
mod fake;
mod order;
mod payload;
mod simulated;
mod stalled;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Seams;
use ottla_types::NodeId;
use tonic::service::{Routes, RoutesBuilder};

use crate::context::RequestContext;
use crate::loopback::Loopback;
use crate::storage::{RemoteStorage, StorageServer};
use fake::Fake;
pub(crate) use fake::node_configs;

const NODE: NodeId = NodeId(7);

/// A fake storage node, its server and a client of it.
struct Setup {
    seams: Seams,
    fake: Arc<Fake>,
    server: StorageServer,
    loopback: Loopback,
    remote: Arc<RemoteStorage>,
}

impl Setup {
    async fn new() -> Self {
        let seams = Seams::real();
        let fake = Arc::new(Fake::default());
        let server = StorageServer::new(&seams, NODE, Arc::clone(&fake) as _);
        let mut routes: RoutesBuilder = Routes::builder();
        server.add_to(&mut routes);
        let loopback = Loopback::serve(&seams, routes).await;
        let remote = Arc::new(RemoteStorage::new(&seams, NODE, &loopback.address));
        Self { seams, fake, server, loopback, remote }
    }
}

/// A context with plenty of time.
fn patient() -> RequestContext {
    RequestContext::internal(Duration::from_secs(60))
}

/// A fake storage node behind its server, for whoever speaks to it in another way.
pub(crate) async fn served(seams: &Seams) -> Loopback {
    let mut routes: RoutesBuilder = Routes::builder();
    StorageServer::new(seams, NODE, Arc::new(Fake::default())).add_to(&mut routes);
    Loopback::serve(seams, routes).await
}
