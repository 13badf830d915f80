//! Who the other members are, and which of their messages may reach raft.
//!
//! Raft ids. `controller.quorum.voters` names node ids only, and all members must agree on the first raft ids without having
//! met: so the raft id of a member's *first* disk is its node id + 1. The disk's directory id is told in every envelope; a member
//! binds (node id → directory id) when it first hears of it, durably and before raft sees a message. Members greet those whose
//! directory they do not know, so that all know all as soon as they are up together. A wiped disk has another
//! directory id: its messages are refused by all who knew the old one, and it refuses what is meant for the old one, so it never
//! votes or acknowledges in the old member's name (P8). Ids with the highest bit set are kept for later disks.
//!
//! Invariant: nothing that a peer sends can make raft panic, or act for somebody else (P12).

mod directories;
mod filter;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_runtime::seams::Disk;
use ottla_types::{ClusterId, DirectoryId, NodeId};
use protobuf::Message as _;
use raft::eraftpb::Message;

pub(crate) use directories::Directories;
pub use directories::DirectoriesError;
pub(super) use filter::{LogBounds, MessageFault, check_message};

use super::driver::QuorumConfig;
use ottla_api::raft::RaftEnvelope;

/// The members as one of them sees them.
pub(super) struct Peers {
    node: NodeId,
    directory: DirectoryId,
    /// By raft id.
    nodes: BTreeMap<u64, NodeId>,
    directories: Directories,
}

/// What is in an envelope.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Opened {
    /// A member makes itself known; whether it has not heard of us yet.
    Hello {
        /// Whether it wants to be answered.
        wants_answer: bool,
    },
    /// A message for raft.
    Message(Box<Message>),
}

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
    /// The raft ids are not those of the nodes.
    #[error("its raft ids are not those of the nodes that it names")]
    RaftIds,
    /// The sender's disk is another than before (P8).
    #[error(
        "node {node} comes back with metadata directory {theirs} instead of {known}: a wiped or replaced disk is not the old \
         member and may not vote for it; bring the old directory back"
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
        "node {from} knows this node with metadata directory {known} instead of {ours}: this disk was wiped or replaced and may \
         not vote for the old one; bring the old directory back"
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

impl Peers {
    /// The members of a configuration, with what this disk remembers of them.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &QuorumConfig,
    ) -> Result<Self, DirectoriesError> {
        let nodes = config.voters.iter().map(|v| (raft_id(v.node), v.node)).collect();
        let directories = Directories::open(disk, dir)?;
        Ok(Self { node: config.node, directory: config.directory, nodes, directories })
    }

    /// Raft ids of all voters.
    pub(super) fn raft_ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// The node of a raft id.
    pub(super) fn node(&self, raft_id: u64) -> Option<NodeId> {
        self.nodes.get(&raft_id).copied()
    }

    /// Puts a message into its envelope.
    pub(super) fn seal(
        &self,
        message: &Message,
        cluster_id: Option<&ClusterId>,
    ) -> Option<RaftEnvelope> {
        let to = self.node(message.to)?;
        let bytes = message.write_to_bytes().expect("writing to memory does not fail");
        Some(RaftEnvelope { message: Bytes::from(bytes), ..self.hello(to, cluster_id) })
    }

    /// An envelope without a message: it makes this member's directory known.
    pub(super) fn hello(&self, to: NodeId, cluster_id: Option<&ClusterId>) -> RaftEnvelope {
        RaftEnvelope {
            cluster_id: cluster_id.cloned(),
            from: self.node,
            to,
            from_raft_id: raft_id(self.node),
            to_raft_id: raft_id(to),
            from_directory: self.directory,
            to_directory: self.directories.get(to),
            message: Bytes::new(),
        }
    }

    /// Members whose directory is not known yet.
    pub(super) fn strangers(&self) -> Vec<NodeId> {
        let is_stranger =
            |node: &NodeId| *node != self.node && self.directories.get(*node).is_none();
        self.nodes.values().copied().filter(is_stranger).collect()
    }

    /// P8 and P12: opens an envelope, if it is for us and from whom it says; binds the sender's directory at the first time.
    pub(super) fn open_envelope(
        &mut self,
        envelope: &RaftEnvelope,
        cluster_id: Option<&ClusterId>,
    ) -> Result<Opened, EnvelopeFault> {
        if let (Some(theirs), Some(ours)) = (&envelope.cluster_id, cluster_id)
            && theirs != ours
        {
            return Err(EnvelopeFault::Cluster { theirs: theirs.clone(), ours: ours.clone() });
        }
        if envelope.to != self.node {
            return Err(EnvelopeFault::Address { to: envelope.to, me: self.node });
        }
        if self.node(envelope.from_raft_id).is_none() || envelope.from == self.node {
            return Err(EnvelopeFault::NotAVoter(envelope.from));
        }
        let ids = (raft_id(envelope.from), raft_id(envelope.to));
        if ids != (envelope.from_raft_id, envelope.to_raft_id) {
            return Err(EnvelopeFault::RaftIds);
        }
        self.check_directories(envelope)?;
        if envelope.message.is_empty() {
            return Ok(Opened::Hello { wants_answer: envelope.to_directory.is_none() });
        }
        let message = filter::parse_message(&envelope.message)?;
        if (message.from, message.to) != ids {
            return Err(EnvelopeFault::RaftIds);
        }
        Ok(Opened::Message(Box::new(message)))
    }

    fn check_directories(&mut self, envelope: &RaftEnvelope) -> Result<(), EnvelopeFault> {
        if let Some(known) = envelope.to_directory
            && known != self.directory
        {
            let (from, ours) = (envelope.from, self.directory);
            return Err(EnvelopeFault::OurDirectory { from, known, ours });
        }
        let (node, theirs) = (envelope.from, envelope.from_directory);
        match self.directories.get(node) {
            Some(known) if known == theirs => Ok(()),
            Some(known) => Err(EnvelopeFault::OtherDirectory { node, theirs, known }),
            None => Ok(self.directories.bind(node, theirs)?),
        }
    }
}

/// The raft id of a node's first disk.
pub(super) fn raft_id(node: NodeId) -> u64 {
    u64::try_from(node.0).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests;
