//! Who the other members are, and which of their messages may reach raft.
//!
//! Raft ids. `controller.quorum.voters` names node ids only, and all members must agree on the first raft ids without having
//! met: so the raft id of a node's *first* disk is its node id + 1. The disk's directory id is told in every envelope; a member
//! binds (node id → directory id) when it first hears of it, durably and before raft sees a message. Members greet those whose
//! directory they do not know, so that all know all as soon as they are up together. A wiped disk has another directory id: its
//! messages are refused by all who knew the old one, so it never votes or acknowledges in the old disk's name (P8). A *later*
//! disk's raft id is a hash of node and directory id with the highest bit set: nobody can mistake it for another disk. It joins as
//! a learner and takes the old disk's place when it has caught up (see `driver::membership`).
//!
//! Invariant: nothing that a peer sends can make raft panic, or act for somebody else (P12).

mod directories;
mod fault;
mod filter;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_api::raft::RaftEnvelope;
use ottla_runtime::seams::Disk;
use ottla_types::{ClusterId, DirectoryId, NodeId};
use protobuf::Message as _;
use raft::eraftpb::Message;

pub(crate) use directories::Directories;
pub use directories::DirectoriesError;
pub use fault::EnvelopeFault;
pub use filter::MessageFault;
pub(super) use filter::{LogBounds, p12_check_message};

use super::driver::QuorumConfig;

/// Set in the raft ids of later disks.
const LATER: u64 = 1 << 63;

/// The members as one of them sees them.
pub(super) struct Peers {
    node: NodeId,
    directory: DirectoryId,
    own_id: u64,
    voters: BTreeSet<NodeId>,
    /// All raft ids that are known, with the directories of later disks.
    nodes: BTreeMap<u64, (NodeId, Option<DirectoryId>)>,
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
    /// A later disk of a node makes itself known, and is no member yet.
    Newcomer(DirectoryId),
    /// A message for raft.
    Message(Box<Message>),
}

impl Peers {
    /// The members of a configuration, with what this disk remembers of them.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &QuorumConfig,
    ) -> Result<Self, DirectoriesError> {
        let directories = Directories::open(disk, dir)?;
        let voters: BTreeSet<_> = config.voters.iter().map(|voter| voter.node).collect();
        let first = voters.iter().map(|node| (first_id(*node), (*node, None)));
        let later = directories
            .later()
            .map(|(node, directory)| (later_id(node, directory), (node, Some(directory))));
        let (node, directory) = (config.node, config.directory);
        let own_id =
            if directories.is_later() { later_id(node, directory) } else { first_id(node) };
        let nodes = first.chain(later).collect();
        Ok(Self { node, directory, own_id, voters, nodes, directories })
    }

    /// This member's raft id.
    pub(super) fn own_id(&self) -> u64 {
        self.own_id
    }

    /// Whether this disk came after one that the quorum knew.
    pub(super) fn is_later(&self) -> bool {
        self.directories.is_later()
    }

    /// Whether the quorum goes on without this disk (P13).
    pub(super) fn is_removed(&self) -> bool {
        self.directories.is_removed()
    }

    /// From the next start on this disk joins as a new member (P8).
    pub(super) fn mark_later(&mut self) -> Result<(), DirectoriesError> {
        self.directories.mark_later()
    }

    /// The quorum goes on without this disk (P13).
    pub(super) fn p13_mark_removed(&mut self) -> Result<(), DirectoriesError> {
        self.directories.p13_mark_removed()
    }

    /// Raft ids of the first disks of all voters: the members of a new quorum.
    pub(super) fn first_ids(&self) -> Vec<u64> {
        self.voters.iter().map(|node| first_id(*node)).collect()
    }

    /// The voters of the configuration.
    pub(super) fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }

    /// The node of a raft id.
    pub(super) fn node(&self, raft_id: u64) -> Option<NodeId> {
        self.nodes.get(&raft_id).map(|(node, _)| *node)
    }

    /// All raft ids of a node's disks.
    pub(super) fn ids_of(&self, node: NodeId) -> Vec<u64> {
        self.nodes.iter().filter(|(_, (owner, _))| *owner == node).map(|(id, _)| *id).collect()
    }

    /// The disk that a raft id stands for, as far as it is known.
    pub(super) fn directory_of(&self, raft_id: u64) -> Option<DirectoryId> {
        if raft_id == self.own_id {
            return Some(self.directory);
        }
        let (node, later) = self.nodes.get(&raft_id)?;
        later.or_else(|| self.directories.first(*node))
    }

    /// All later disks that became members, for snapshots (P5).
    pub(super) fn later_disks(&self) -> Vec<(NodeId, DirectoryId)> {
        self.directories.later().collect()
    }

    /// Notes a later disk that became a member.
    pub(super) fn learn(
        &mut self,
        node: NodeId,
        directory: DirectoryId,
    ) -> Result<u64, DirectoriesError> {
        let id = later_id(node, directory);
        if !self.nodes.contains_key(&id) {
            self.directories.add_later(node, directory)?;
            self.nodes.insert(id, (node, Some(directory)));
        }
        Ok(id)
    }

    /// Puts a message into its envelope.
    pub(super) fn seal(
        &self,
        message: &Message,
        cluster_id: Option<&ClusterId>,
    ) -> Option<RaftEnvelope> {
        let (to, directory) = *self.nodes.get(&message.to)?;
        let bytes = message.write_to_bytes().expect("writing to memory does not fail");
        Some(RaftEnvelope {
            to_raft_id: message.to,
            to_directory: directory.or_else(|| self.directories.first(to)),
            message: Bytes::from(bytes),
            ..self.hello(to, cluster_id)
        })
    }

    /// An envelope without a message: it makes this member's directory known.
    pub(super) fn hello(&self, to: NodeId, cluster_id: Option<&ClusterId>) -> RaftEnvelope {
        RaftEnvelope {
            cluster_id: cluster_id.cloned(),
            from: self.node,
            to,
            from_raft_id: self.own_id,
            to_raft_id: first_id(to),
            from_directory: self.directory,
            to_directory: self.newest_directory(to),
            message: Bytes::new(),
        }
    }

    /// The disk that a node has now, as far as is known.
    fn newest_directory(&self, node: NodeId) -> Option<DirectoryId> {
        let mut later = self.directories.later().filter(|(owner, _)| *owner == node);
        let newest = later.next().map(|first| later.last().unwrap_or(first).1);
        newest.or_else(|| self.directories.first(node))
    }

    /// Members whose directory is not known yet.
    pub(super) fn strangers(&self) -> Vec<NodeId> {
        let is_stranger =
            |node: &&NodeId| **node != self.node && self.directories.first(**node).is_none();
        self.voters.iter().filter(is_stranger).copied().collect()
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
        if !self.voters.contains(&envelope.from) || envelope.from == self.node {
            return Err(EnvelopeFault::NotAVoter(envelope.from));
        }
        let is_known = self.p8_check_sender(envelope)?;
        self.check_receiver(envelope)?;
        if envelope.message.is_empty() {
            let wants_answer = envelope.to_directory.is_none();
            return Ok(if is_known {
                Opened::Hello { wants_answer }
            } else {
                Opened::Newcomer(envelope.from_directory)
            });
        }
        let message = filter::parse_message(&envelope.message)?;
        if (message.from, message.to) != (envelope.from_raft_id, self.own_id) {
            return Err(EnvelopeFault::RaftIds);
        }
        // A later disk sends messages only once it is a member, though this one may not have heard of that yet.
        if !is_known {
            self.learn(envelope.from, envelope.from_directory)?;
        }
        Ok(Opened::Message(Box::new(message)))
    }

    /// Whether the sender is a member that we know; a first disk is bound when it is heard of for the first time.
    fn p8_check_sender(&mut self, envelope: &RaftEnvelope) -> Result<bool, EnvelopeFault> {
        let (node, theirs) = (envelope.from, envelope.from_directory);
        if envelope.from_raft_id == later_id(node, theirs) {
            return Ok(self.nodes.contains_key(&envelope.from_raft_id));
        }
        if envelope.from_raft_id != first_id(node) {
            return Err(EnvelopeFault::RaftIds);
        }
        match self.directories.first(node) {
            Some(known) if known == theirs => Ok(true),
            Some(known) => Err(EnvelopeFault::OtherDirectory { node, theirs, known }),
            None => {
                self.directories.bind_first(node, theirs)?;
                Ok(true)
            }
        }
    }

    fn check_receiver(&self, envelope: &RaftEnvelope) -> Result<(), EnvelopeFault> {
        if let Some(known) = envelope.to_directory
            && known != self.directory
        {
            let (from, ours) = (envelope.from, self.directory);
            return Err(EnvelopeFault::OurDirectory { from, known, ours });
        }
        // Greetings are for the node, whichever disk it has.
        let is_ours = envelope.message.is_empty() || envelope.to_raft_id == self.own_id;
        if is_ours { Ok(()) } else { Err(EnvelopeFault::RaftIds) }
    }
}

/// The raft id of a node's first disk.
pub(super) fn first_id(node: NodeId) -> u64 {
    u64::try_from(node.0).unwrap_or(0) + 1
}

/// Whether a raft id is that of a later disk.
pub(super) fn is_later(raft_id: u64) -> bool {
    raft_id & LATER != 0
}

/// The node of a first disk's raft id, whether it is configured or not.
pub(super) fn first_node(raft_id: u64) -> Option<NodeId> {
    let node = i32::try_from(raft_id.checked_sub(1)?).ok()?;
    Some(NodeId(node))
}

/// The raft id of a later disk of a node (P8). FNV-1a: it must be the same for ever, and nobody profits from a collision.
pub(super) fn later_id(node: NodeId, directory: DirectoryId) -> u64 {
    let bytes = node.0.to_be_bytes().into_iter().chain(*directory.0.as_bytes());
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, step) | LATER
}
