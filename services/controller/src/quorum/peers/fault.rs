//! Why a peer's envelope is refused: each a line with cause and cure.

use ottla_types::{ClusterId, DirectoryId, NodeId};

use super::directories::DirectoriesError;
use super::filter::MessageFault;

/// Why an envelope is not opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeFault {
    /// Another cluster.
    #[error(
        "it belongs to cluster {theirs}, this member to {ours}; check controller.quorum.voters on both"
    )]
    Cluster {
        /// The sender's.
        theirs: ClusterId,
        /// Ours.
        ours: ClusterId,
    },
    /// Meant for another node.
    #[error(
        "it is meant for node {to}, this is node {me}; check the addresses in controller.quorum.voters"
    )]
    Address {
        /// For whom.
        to: NodeId,
        /// Who we are.
        me: NodeId,
    },
    /// The sender is not a voter.
    #[error("node {0} is not in controller.quorum.voters of this member")]
    NotAVoter(NodeId),
    /// The sender's disk was replaced by a later one.
    #[error(
        "the quorum goes on without this disk of node {0}, another one has its place; wipe it to join as a new member, or keep it off"
    )]
    Replaced(NodeId),
    /// The raft ids are not those of the nodes.
    #[error("its raft ids are not those of the nodes that it names")]
    RaftIds,
    /// The sender's disk is another than before (P8).
    #[error(
        "node {node} comes back with metadata directory {theirs} instead of {known}: a wiped or replaced disk may not vote for \
         the old one; bring that back, or start the node again: the new disk joins once the old one was silent for a while"
    )]
    OtherDirectory {
        /// The sender.
        node: NodeId,
        /// The directory that it names.
        theirs: DirectoryId,
        /// The one that we know.
        known: DirectoryId,
    },
    /// Our own disk is another than before (P8).
    #[error(
        "node {from} knows this node with metadata directory {known} instead of {ours}: this disk was wiped or replaced, or \
         another process has the same node.id"
    )]
    OurDirectory {
        /// The sender.
        from: NodeId,
        /// The directory that it knows.
        known: DirectoryId,
        /// Ours.
        ours: DirectoryId,
    },
    /// The message itself.
    #[error(transparent)]
    Message(#[from] MessageFault),
    /// The binding of a directory cannot be stored.
    #[error(transparent)]
    Directories(#[from] DirectoriesError),
}
