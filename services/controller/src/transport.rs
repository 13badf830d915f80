//! How the members of the quorum reach each other: behind [`PeerSender`], over gRPC or in the memory of a test.
//!
//! Invariant: an envelope says from which disk it comes, and for which disk it is meant: a wiped disk is not the old member (P8).
//! Deliberately does not know what a message says.

mod grpc;

use std::sync::Arc;

use ottla_api::raft::RaftEnvelope;
use ottla_runtime::seams::DiskFile;
use ottla_types::NodeId;
use tokio::sync::oneshot;

pub use grpc::{GrpcPeers, MemberReceiver};

/// A snapshot on its way to a peer (P17).
pub struct SnapshotTransfer {
    /// The message that announces it, without its data.
    pub envelope: RaftEnvelope,
    /// The snapshot's file.
    pub file: Arc<dyn DiskFile>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Told whether the peer took it (P6). Dropped means no.
    pub taken: oneshot::Sender<bool>,
}

/// Sends to the other members. Losing messages is allowed; mixing up their order per peer is not.
pub trait PeerSender: Send + Sync + 'static {
    /// Queues messages that were ready together. Never waits; `false` when they were dropped (P6).
    fn send(&self, to: NodeId, envelopes: Vec<RaftEnvelope>) -> bool;

    /// Sends a snapshot on a stream of its own. Never waits.
    fn send_snapshot(&self, to: NodeId, transfer: SnapshotTransfer);
}
