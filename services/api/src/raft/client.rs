//! The way to one peer: a long-lived stream for messages, a call for each snapshot.
//!
//! Invariant: `send` never waits. What does not fit, or waits when the stream breaks, is dropped, and the peer is reported as
//! unreachable each time (P6).
//! Deliberately never sends anything twice: raft knows what is missing.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use ottla_proto::controller::v1::install_snapshot_request::Part;
use ottla_proto::controller::v1::raft_service_client::RaftServiceClient;
use ottla_proto::controller::v1::{InstallSnapshotRequest, SendRequest, SnapshotHeader};
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::{DiskFile, HostPort, TaskHandle};
use ottla_types::NodeId;
use tokio::sync::oneshot;
use tonic::transport::Channel;

use super::{MAX_RAFT_MESSAGE_BYTES, RaftEnvelope};
use crate::backoff::Backoff;
use crate::context::CallError;
use crate::context::wire::status_to_failure;
use crate::controller::CHUNK_BYTES;
use crate::outbox::Outbox;

/// Most sends that wait for one peer.
pub const MAX_QUEUED_SENDS: usize = 4096;
/// Most bytes of messages that wait for one peer.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Longest transfer of a snapshot.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);
/// Messages beyond this many bytes start another send.
const SEND_BYTES: usize = 1 << 20;
/// The pause after the first failed connection.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// The longest pause between two connections: an election must not wait for it.
const PAUSE_MOST: Duration = Duration::from_millis(200);
/// A stream that lived this long was a good one: the next pause is short again.
const GOOD_STREAM: Duration = Duration::from_secs(1);

/// Called with the peer's node id when messages to it were dropped.
pub type Unreachable = Arc<dyn Fn(NodeId) + Send + Sync>;

/// The way to one peer. Dropping it closes the connections.
pub struct PeerLink {
    seams: Seams,
    shared: Arc<Shared>,
    snapshots: Channel,
    /// In a lock only because a handle cannot be shared between threads.
    driver: Mutex<TaskHandle>,
}

struct Shared {
    peer: NodeId,
    name: String,
    outbox: Arc<Outbox<SendRequest>>,
    queued_bytes: AtomicUsize,
    unreachable: Unreachable,
}

impl PeerLink {
    /// The way to this peer. Connects at the first message.
    pub fn new(seams: &Seams, peer: NodeId, address: &HostPort, unreachable: Unreachable) -> Self {
        let shared = Arc::new(Shared {
            peer,
            name: format!("controller {peer} at {address}"),
            outbox: Arc::new(Outbox::new()),
            queued_bytes: AtomicUsize::new(0),
            unreachable,
        });
        let driving = drive(seams.clone(), Arc::clone(&shared), channel(&seams.net, address));
        let driver = seams.tasks.spawn("raft link", Box::pin(driving));
        let snapshots = channel(&seams.net, address);
        Self { seams: seams.clone(), shared, snapshots, driver: Mutex::new(driver) }
    }

    /// Queues messages that were ready together. Never waits; `false` when they were dropped, which is reported too.
    pub fn send(&self, envelopes: Vec<RaftEnvelope>) -> bool {
        let bytes: usize = envelopes.iter().map(|envelope| envelope.message.len()).sum();
        let queued = &self.shared.queued_bytes;
        if self.shared.outbox.len() >= MAX_QUEUED_SENDS
            || queued.load(Ordering::Relaxed) + bytes > MAX_QUEUED_BYTES
        {
            (self.shared.unreachable)(self.shared.peer);
            return false;
        }
        queued.fetch_add(bytes, Ordering::Relaxed);
        for request in requests(envelopes) {
            self.shared.outbox.push(request);
        }
        true
    }

    /// Sends a snapshot: the message that announces it, then so many bytes of the file. Returns once the peer has taken it.
    ///
    /// # Errors
    /// The peer cannot be reached, is too slow ([`SNAPSHOT_TIMEOUT`]) or refuses the snapshot.
    pub async fn install_snapshot(
        &self,
        envelope: RaftEnvelope,
        file: Arc<dyn DiskFile>,
        bytes: u64,
    ) -> Result<(), CallError> {
        let header = SnapshotHeader { envelope: Some(envelope.into()), total_bytes: bytes };
        let header = InstallSnapshotRequest { part: Some(Part::Header(header)) };
        let parts = futures::stream::iter([header]).chain(pieces(self.seams.clone(), file, bytes));
        let mut client = RaftServiceClient::new(self.snapshots.clone());
        let response = tokio::select! {
            biased;
            response = client.install_snapshot(parts) => response,
            () = self.seams.clock.sleep(SNAPSHOT_TIMEOUT) => {
                return Err(CallError::TimedOut(SNAPSHOT_TIMEOUT));
            }
        };
        let response = response
            .map_err(|status| status_to_failure(&self.shared.name, &status, SNAPSHOT_TIMEOUT))?
            .into_inner();
        if response.accepted { Ok(()) } else { Err(CallError::Malformed(response.message)) }
    }
}

impl Drop for PeerLink {
    fn drop(&mut self) {
        if let Ok(driver) = self.driver.get_mut() {
            driver.abort();
        }
        drop(self.shared.outbox.close());
    }
}

fn message_bytes(request: &SendRequest) -> usize {
    request.envelopes.iter().map(|envelope| envelope.message.len()).sum()
}

/// The messages in sends of bounded size, in order.
fn requests(envelopes: Vec<RaftEnvelope>) -> Vec<SendRequest> {
    let mut requests: Vec<SendRequest> = Vec::new();
    let mut room = 0;
    for envelope in envelopes {
        let bytes = envelope.message.len();
        match requests.last_mut() {
            Some(last) if bytes <= room => last.envelopes.push(envelope.into()),
            _ => {
                requests.push(SendRequest { envelopes: vec![envelope.into()] });
                room = SEND_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    requests
}

/// Keeps a stream open while there is something to send.
async fn drive(seams: Seams, shared: Arc<Shared>, channel: Channel) {
    let mut backoff = Backoff::new(&seams, PAUSE_FIRST, PAUSE_MOST);
    loop {
        shared.outbox.filled().await;
        let began = seams.clock.monotonic();
        let counting = Arc::clone(&shared);
        let sends = shared.outbox.open().inspect(move |request| {
            counting.queued_bytes.fetch_sub(message_bytes(request), Ordering::Relaxed);
        });
        let mut client = RaftServiceClient::new(channel.clone())
            .max_encoding_message_size(MAX_RAFT_MESSAGE_BYTES);
        match client.send(sends).await {
            Ok(_) => tracing::debug!(peer = shared.name, "the peer ended the stream"),
            Err(status) => tracing::debug!(peer = shared.name, %status, "the stream broke"),
        }
        shared.drop_queued();
        if seams.clock.monotonic() - began >= GOOD_STREAM {
            backoff.reset();
        }
        backoff.pause().await;
        // What came meanwhile is old by now.
        shared.drop_queued();
    }
}

impl Shared {
    fn drop_queued(&self) {
        let dropped = self.outbox.close();
        let bytes = dropped.iter().map(message_bytes).sum();
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        (self.unreachable)(self.peer);
    }
}

/// The file in pieces, each read off the workers. Ends early at an error: the peer notices that bytes are missing.
fn pieces(
    seams: Seams,
    file: Arc<dyn DiskFile>,
    bytes: u64,
) -> impl futures::Stream<Item = InstallSnapshotRequest> + Send {
    async_stream::stream! {
        let mut at = 0;
        while at < bytes {
            let len = (bytes - at).min(CHUNK_BYTES as u64) as usize;
            let (done, piece) = oneshot::channel();
            let file = Arc::clone(&file);
            seams.tasks.run_blocking(Box::new(move || {
                let mut piece = BytesMut::zeroed(len);
                let read = file.read_exact_at(&mut piece, at);
                _ = done.send(read.map(|()| piece.freeze()));
            })).await;
            match piece.await {
                Ok(Ok(piece)) => yield InstallSnapshotRequest { part: Some(Part::Data(piece)) },
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot read a snapshot");
                    return;
                }
                Err(_) => return,
            }
            at += len as u64;
        }
    }
}
