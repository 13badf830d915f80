//! Over a simulated network that is cut and healed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_runtime::Seams;
use ottla_runtime::grpc::{incoming, server};
use ottla_runtime::seams::{HostPort, SimDisk};
use tonic::service::Routes;

use super::fake::{Fake, produce};
use super::{NODE, patient};
use crate::context::{CallError, RequestContext};
use crate::storage::{RemoteStorage, Storage, StorageServer};

const PORT: u16 = 9094;

async fn serve_storage() -> turmoil::Result {
    let seams = Seams::simulated(1, SimDisk::new(1));
    let mut routes = Routes::builder();
    StorageServer::new(&seams, NODE, Arc::new(Fake::default())).add_to(&mut routes);
    let listener = seams.net.bind(&HostPort::new("", PORT)).await?;
    let connections = incoming(listener, Arc::clone(&seams.clock));
    Ok(server().add_routes(routes.routes()).serve_with_incoming(connections).await?)
}

#[test]
fn a_partition_breaks_the_stream_within_the_keepalive_and_healing_mends_it() {
    let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
    sim.host("storage", serve_storage);
    sim.client("gateway", async {
        let seams = Seams::simulated(2, SimDisk::new(2));
        let remote = RemoteStorage::new(&seams, NODE, &HostPort::new("storage", PORT));
        remote.produce(patient(), produce(1, Bytes::new())).await?;
        turmoil::partition("gateway", "storage");
        let before = seams.clock.monotonic();
        let lost = remote.produce(patient(), produce(2, Bytes::new())).await;
        assert!(matches!(lost, Err(CallError::Unreachable { .. })), "{lost:?}");
        assert!(seams.clock.monotonic() - before < Duration::from_secs(6));
        turmoil::repair("gateway", "storage");
        let short = || RequestContext::internal(Duration::from_secs(1));
        while remote.produce(short(), produce(3, Bytes::new())).await.is_err() {
            seams.clock.sleep(Duration::from_millis(50)).await;
        }
        assert!(seams.clock.monotonic() - before < Duration::from_secs(12));
        Ok(())
    });
    sim.run().unwrap();
}
