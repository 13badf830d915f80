//! How the members of the quorum reach each other, as values: the network is behind [`PeerSender`].
//!
//! Invariant: an envelope says from which disk it comes, and for which disk it is meant: a wiped disk is not the old member (P8).
//! Deliberately does not know gRPC, nor what a message says.

use std::sync::Arc;

use bytes::Bytes;
use ottla_runtime::seams::DiskFile;
use ottla_types::{ClusterId, DirectoryId, NodeId};
use tokio::sync::oneshot;

/// One message of the consensus with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The cluster of the sender; `None` before the cluster is formatted.
    pub cluster_id: Option<ClusterId>,
    /// `node.id` of the sender.
    pub from: NodeId,
    /// `node.id` of the receiver.
    pub to: NodeId,
    /// Raft id of the sender.
    pub from_raft: u64,
    /// Raft id of the receiver.
    pub to_raft: u64,
    /// The sender's metadata directory.
    pub from_directory: DirectoryId,
    /// The receiver's metadata directory; `None` until the sender has heard of it.
    pub to_directory: Option<DirectoryId>,
    /// The message, in raft's encoding.
    pub message: Bytes,
}

/// A snapshot on its way to a peer (P17).
pub struct SnapshotTransfer {
    /// The message that announces it, without its data.
    pub envelope: Envelope,
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
    fn send(&self, to: NodeId, envelopes: Vec<Envelope>) -> bool;

    /// Sends a snapshot on a stream of its own. Never waits.
    fn send_snapshot(&self, to: NodeId, transfer: SnapshotTransfer);
}
