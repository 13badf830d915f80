//! Envelopes to protobuf and back. Messages are moved, never copied.

use bytes::Bytes;
use ottla_proto::controller::v1 as wire;
use ottla_types::{ClusterId, DirectoryId, NodeId};

use super::RaftEnvelope;
use crate::context::Malformed;
use crate::context::wire::directory_id;

impl From<RaftEnvelope> for wire::RaftEnvelope {
    fn from(envelope: RaftEnvelope) -> Self {
        let directory = |id: DirectoryId| Bytes::copy_from_slice(id.0.as_bytes());
        Self {
            cluster_id: envelope.cluster_id.map(|id| id.as_str().to_owned()),
            from_node_id: envelope.from.0,
            to_node_id: envelope.to.0,
            from_raft_id: envelope.from_raft_id,
            to_raft_id: envelope.to_raft_id,
            from_directory_id: directory(envelope.from_directory),
            message: envelope.message,
            to_directory_id: envelope.to_directory.map(directory).unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::RaftEnvelope> for RaftEnvelope {
    type Error = Malformed;

    fn try_from(wire: wire::RaftEnvelope) -> Result<Self, Malformed> {
        let to_directory = match &wire.to_directory_id {
            none if none.is_empty() => None,
            some => Some(directory_id(some)?),
        };
        Ok(Self {
            cluster_id: wire.cluster_id.map(ClusterId::new),
            from: NodeId(wire.from_node_id),
            to: NodeId(wire.to_node_id),
            from_raft_id: wire.from_raft_id,
            to_raft_id: wire.to_raft_id,
            from_directory: directory_id(&wire.from_directory_id)?,
            to_directory,
            message: wire.message,
        })
    }
}
