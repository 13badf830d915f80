//! Messages and snapshots reach a peer, or their loss is reported.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use ottla_runtime::Seams;
use ottla_runtime::seams::{Disk, DiskFile, HostPort, OpenMode, SimDisk};
use ottla_types::{ClusterId, DirectoryId, NodeId, Uuid};
use tokio::sync::watch;
use tonic::service::{Routes, RoutesBuilder};

use super::*;
use crate::loopback::Loopback;

#[derive(Default)]
struct Fake {
    received: watch::Sender<Vec<RaftEnvelope>>,
    snapshot: watch::Sender<Vec<u8>>,
}

#[async_trait]
impl RaftReceiver for Fake {
    fn receive(&self, envelopes: Vec<RaftEnvelope>) {
        self.received.send_modify(|received| received.extend(envelopes));
    }

    async fn install_snapshot(&self, mut snapshot: IncomingSnapshot) -> Result<(), String> {
        if snapshot.envelope.to != NodeId(2) {
            return Err("not for me".to_owned());
        }
        let mut all = Vec::new();
        while let Some(piece) = snapshot.data.next().await {
            all.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        self.snapshot.send_replace(all);
        Ok(())
    }
}

struct Setup {
    seams: Seams,
    fake: Arc<Fake>,
    server: RaftServer,
    loopback: Loopback,
    link: PeerLink,
    reports: watch::Receiver<usize>,
}

fn link(seams: &Seams, address: &HostPort) -> (PeerLink, watch::Receiver<usize>) {
    let (count, reports) = watch::channel(0);
    let unreachable: Unreachable = Arc::new(move |peer| {
        assert_eq!(peer, NodeId(2));
        count.send_modify(|count| *count += 1);
    });
    (PeerLink::new(seams, NodeId(2), address, unreachable), reports)
}

impl Setup {
    async fn new() -> Self {
        let seams = Seams::real();
        let fake = Arc::new(Fake::default());
        let server = RaftServer::new(Arc::clone(&fake) as _);
        let mut routes: RoutesBuilder = Routes::builder();
        server.add_to(&mut routes);
        let loopback = Loopback::serve(&seams, routes).await;
        let (link, reports) = link(&seams, &loopback.address);
        Self { seams, fake, server, loopback, link, reports }
    }
}

fn envelope(number: u64, message: Bytes) -> RaftEnvelope {
    RaftEnvelope {
        cluster_id: Some(ClusterId::new("c")),
        from: NodeId(1),
        to: NodeId(2),
        from_raft_id: 11,
        to_raft_id: number,
        from_directory: DirectoryId(Uuid::from_random(5)),
        to_directory: number.is_multiple_of(2).then(|| DirectoryId(Uuid::from_random(6))),
        message,
    }
}

fn file_of(content: &[u8]) -> Arc<dyn DiskFile> {
    let file = SimDisk::new(1).open("/snapshot".as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all_at(&[IoSlice::new(content)], 0).unwrap();
    file
}

#[tokio::test]
async fn messages_arrive_in_order_and_whole() {
    let setup = Setup::new().await;
    let all: Vec<_> = (0..100).map(|n| envelope(n, vec![n as u8; 50_000].into())).collect();
    for ready_together in all.chunks(30) {
        assert!(setup.link.send(ready_together.to_vec()));
    }
    let mut received = setup.fake.received.subscribe();
    let received = received.wait_for(|received| received.len() >= all.len()).await.unwrap();
    assert_eq!(*received, all);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_reported() {
    let seams = Seams::real();
    let (link, mut reports) = link(&seams, &HostPort::new("127.0.0.1", 1));
    assert!(link.send(vec![envelope(1, Bytes::new())]));
    reports.wait_for(|reports| *reports > 0).await.unwrap();
}

#[tokio::test]
async fn a_broken_stream_is_reported_and_made_anew() {
    let mut setup = Setup::new().await;
    setup.link.send(vec![envelope(1, Bytes::new())]);
    let mut received = setup.fake.received.subscribe();
    received.wait_for(|received| received.len() == 1).await.unwrap();
    setup.loopback.cut();
    setup.reports.wait_for(|reports| *reports > 0).await.unwrap();
    while received.borrow().len() < 2 {
        setup.link.send(vec![envelope(2, Bytes::new())]);
        setup.seams.clock.sleep(Duration::from_millis(5)).await;
    }
    assert!(received.borrow()[1..].iter().all(|envelope| envelope.to_raft_id == 2));
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_reported() {
    let setup = Setup::new().await;
    let large = Bytes::from(vec![0; MAX_QUEUED_BYTES / 2 + 1]);
    assert!(setup.link.send(vec![envelope(1, large.clone())]));
    assert!(!setup.link.send(vec![envelope(2, large.clone())]));
    assert_eq!(*setup.reports.borrow(), 1);
    setup.fake.received.subscribe().wait_for(|received| received.len() == 1).await.unwrap();
    assert!(setup.link.send(vec![envelope(3, large)]), "sent bytes make room");
}

#[tokio::test]
async fn a_snapshot_arrives_whole() {
    let setup = Setup::new().await;
    let content: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    let len = content.len() as u64;
    setup.link.install_snapshot(envelope(2, Bytes::new()), file_of(&content), len).await.unwrap();
    assert!(*setup.fake.snapshot.borrow() == content);
}

#[tokio::test]
async fn a_snapshot_that_is_refused_or_cut_short_fails() {
    let setup = Setup::new().await;
    let elsewhere = RaftEnvelope { to: NodeId(3), ..envelope(2, Bytes::new()) };
    let refused = setup.link.install_snapshot(elsewhere, file_of(b"abc"), 3).await;
    assert!(refused.unwrap_err().to_string().contains("not for me"));
    let short = setup.link.install_snapshot(envelope(2, Bytes::new()), file_of(b"abc"), 9).await;
    assert!(short.unwrap_err().to_string().contains("9 bytes of a snapshot are missing"));
    assert!(setup.fake.snapshot.borrow().is_empty());
}

#[tokio::test]
async fn draining_ends_the_streams() {
    let mut setup = Setup::new().await;
    setup.link.send(vec![envelope(1, Bytes::new())]);
    setup.fake.received.subscribe().wait_for(|received| received.len() == 1).await.unwrap();
    setup.server.drain();
    setup.reports.wait_for(|reports| *reports > 0).await.unwrap();
    setup.loopback.stop().await;
}
