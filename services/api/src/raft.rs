//! How the members of the quorum reach each other: messages of the consensus as plain values, over gRPC.
//!
//! Invariant: messages to one peer arrive in the order in which they were sent, or not at all; snapshots travel on a connection
//! of their own, so that heartbeats never wait behind them (P17).
//! Deliberately does not look into a message: who may send it is the receiver's to check (P12).

mod client;
mod convert;
mod server;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use ottla_types::{ClusterId, DirectoryId, NodeId};

use crate::context::CallError;

pub use client::{MAX_QUEUED_BYTES, MAX_QUEUED_SENDS, PeerLink, SNAPSHOT_TIMEOUT, Unreachable};
pub use server::RaftServer;

/// Longest message between members, bytes; raft's own messages are far shorter (`max_size_per_msg`).
pub const MAX_RAFT_MESSAGE_BYTES: usize = 64 << 20;
/// Most bytes of a snapshot.
pub const MAX_SNAPSHOT_BYTES: u64 = 2 << 30;

/// One message of the consensus, with what its receiver checks before it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftEnvelope {
    /// The sender's cluster; `None` before the cluster is formatted.
    pub cluster_id: Option<ClusterId>,
    /// `node.id` of the sender.
    pub from: NodeId,
    /// `node.id` of the receiver.
    pub to: NodeId,
    /// Raft id of the sender.
    pub from_raft_id: u64,
    /// Raft id of the receiver.
    pub to_raft_id: u64,
    /// The sender's metadata directory: a wiped disk is another voter (P8).
    pub from_directory: DirectoryId,
    /// The receiver's metadata directory; `None` until the sender has heard of it.
    pub to_directory: Option<DirectoryId>,
    /// The message, in raft's encoding.
    pub message: Bytes,
}

/// A snapshot that a peer sends.
pub struct IncomingSnapshot {
    /// The message that announces it, without its data.
    pub envelope: RaftEnvelope,
    /// How many bytes will come; at most [`MAX_SNAPSHOT_BYTES`].
    pub bytes: u64,
    /// The bytes, in pieces. Ends after exactly so many, else with an error.
    pub data: BoxStream<'static, Result<Bytes, CallError>>,
}

/// A member, as its peers reach it.
#[async_trait]
pub trait RaftReceiver: Send + Sync + 'static {
    /// Takes messages that were ready together. Never waits: what does not fit is dropped, and raft sends it again.
    fn receive(&self, envelopes: Vec<RaftEnvelope>);

    /// Takes a snapshot. `Err` says for people why it was refused; the sender reports the failure to its raft (P6).
    async fn install_snapshot(&self, snapshot: IncomingSnapshot) -> Result<(), String>;
}
