//! The controller API's values to protobuf and back. Commands, replies, events and images are bytes of the metadata codec.
//!
//! Invariant: what goes out comes back equal; bytes that make no sense become an error, never a panic.

use ottla_metadata::codec::DecodeError;
use ottla_proto::controller::v1 as wire;
use ottla_types::{ClusterId, DirectoryId, MetadataOffset, NodeId, Term, TimestampMs, Uuid};

use crate::context::{CallError, Malformed};
use crate::controller::{
    HistoryEntry, HistoryPage, HistoryQuery, QuorumMember, QuorumObserver, QuorumRole, QuorumStatus,
};

pub(super) fn undecodable(error: DecodeError) -> CallError {
    CallError::Malformed(error.to_string())
}

fn role_to_wire(role: QuorumRole) -> wire::QuorumRole {
    match role {
        QuorumRole::Leader => wire::QuorumRole::Leader,
        QuorumRole::Follower => wire::QuorumRole::Follower,
        QuorumRole::Candidate => wire::QuorumRole::Candidate,
        QuorumRole::Learner => wire::QuorumRole::Learner,
    }
}

fn role_from_wire(role: wire::QuorumRole) -> Result<QuorumRole, Malformed> {
    match role {
        wire::QuorumRole::Leader => Ok(QuorumRole::Leader),
        wire::QuorumRole::Follower => Ok(QuorumRole::Follower),
        wire::QuorumRole::Candidate => Ok(QuorumRole::Candidate),
        wire::QuorumRole::Learner => Ok(QuorumRole::Learner),
        wire::QuorumRole::Unspecified => Err(Malformed("the role is missing")),
    }
}

impl From<QuorumStatus> for wire::QuorumStatusResponse {
    fn from(status: QuorumStatus) -> Self {
        let member = |member: QuorumMember| wire::QuorumMember {
            node_id: member.node.0,
            endpoint: member.endpoint,
            match_index: member.match_index,
            directory_id: member.directory.map(|id| id.0.as_bytes().to_vec().into()),
            silent_ms: member.silent_ms,
            behind_ms: member.behind_ms,
        };
        let observer = |observer: QuorumObserver| wire::QuorumObserver {
            node_id: observer.node.0,
            metadata_offset: observer.metadata_offset.map(|offset| offset.0),
            silent_ms: observer.silent_ms,
            behind_ms: observer.behind_ms,
        };
        Self {
            node_id: status.node.0,
            cluster_id: status.cluster_id.map(|id| id.as_str().to_owned()),
            role: role_to_wire(status.role).into(),
            term: status.term.0,
            leader_node_id: status.leader.map(|node| node.0),
            last_contact_ms: status.last_contact_ms,
            proposals_outstanding: status.proposals_outstanding,
            last_index: status.last_index,
            committed_index: status.committed_index,
            applied_index: status.applied_index,
            metadata_offset: status.metadata_offset.0,
            state_hash: status.state_hash,
            elections: status.elections,
            members: status.members.into_iter().map(member).collect(),
            observers: status.observers.into_iter().map(observer).collect(),
        }
    }
}

impl TryFrom<wire::QuorumStatusResponse> for QuorumStatus {
    type Error = Malformed;

    fn try_from(wire: wire::QuorumStatusResponse) -> Result<Self, Malformed> {
        let role = role_from_wire(wire.role())?;
        let member = |member: wire::QuorumMember| QuorumMember {
            node: NodeId(member.node_id),
            endpoint: member.endpoint,
            match_index: member.match_index,
            directory: member.directory_id.and_then(|bytes| {
                Some(DirectoryId(Uuid::from_bytes(bytes.as_ref().try_into().ok()?)))
            }),
            silent_ms: member.silent_ms,
            behind_ms: member.behind_ms,
        };
        let observer = |observer: wire::QuorumObserver| QuorumObserver {
            node: NodeId(observer.node_id),
            metadata_offset: observer.metadata_offset.map(MetadataOffset),
            silent_ms: observer.silent_ms,
            behind_ms: observer.behind_ms,
        };
        Ok(Self {
            node: NodeId(wire.node_id),
            cluster_id: wire.cluster_id.map(ClusterId::new),
            role,
            term: Term(wire.term),
            leader: wire.leader_node_id.map(NodeId),
            last_contact_ms: wire.last_contact_ms,
            proposals_outstanding: wire.proposals_outstanding,
            last_index: wire.last_index,
            committed_index: wire.committed_index,
            applied_index: wire.applied_index,
            metadata_offset: MetadataOffset(wire.metadata_offset),
            state_hash: wire.state_hash,
            elections: wire.elections,
            members: wire.members.into_iter().map(member).collect(),
            observers: wire.observers.into_iter().map(observer).collect(),
        })
    }
}

impl From<HistoryQuery> for wire::HistoryRequest {
    fn from(query: HistoryQuery) -> Self {
        Self {
            topic: query.topic,
            partition: query.partition,
            node_id: query.node.map(|node| node.0),
            before: query.before.map(|offset| offset.0),
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
        }
    }
}

impl From<wire::HistoryRequest> for HistoryQuery {
    fn from(wire: wire::HistoryRequest) -> Self {
        Self {
            topic: wire.topic,
            partition: wire.partition,
            node: wire.node_id.map(NodeId),
            before: wire.before.map(MetadataOffset),
            limit: usize::try_from(wire.limit).unwrap_or(usize::MAX),
        }
    }
}

impl From<HistoryPage> for wire::HistoryResponse {
    fn from(page: HistoryPage) -> Self {
        let entry = |entry: HistoryEntry| {
            let (topic, partition) = entry.partition.unzip();
            wire::HistoryEntry {
                offset: entry.offset.0,
                at_ms: entry.at.0,
                kind: entry.kind,
                node_id: entry.node.map(|node| node.0),
                topic,
                partition,
                detail: entry.detail,
            }
        };
        Self {
            entries: page.entries.into_iter().map(entry).collect(),
            next: page.next.map(|offset| offset.0),
        }
    }
}

impl From<wire::HistoryResponse> for HistoryPage {
    fn from(wire: wire::HistoryResponse) -> Self {
        let entry = |entry: wire::HistoryEntry| HistoryEntry {
            offset: MetadataOffset(entry.offset),
            at: TimestampMs(entry.at_ms),
            kind: entry.kind,
            node: entry.node_id.map(NodeId),
            partition: entry.topic.zip(entry.partition),
            detail: entry.detail,
        };
        Self {
            entries: wire.entries.into_iter().map(entry).collect(),
            next: wire.next.map(MetadataOffset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_travels() {
        let status = QuorumStatus {
            node: NodeId(2),
            cluster_id: Some(ClusterId::new("cluster")),
            role: QuorumRole::Learner,
            term: Term(9),
            leader: None,
            last_contact_ms: -1,
            proposals_outstanding: 3,
            last_index: 4,
            committed_index: 5,
            applied_index: 6,
            metadata_offset: MetadataOffset(7),
            state_hash: u64::MAX,
            elections: 8,
            members: vec![QuorumMember {
                node: NodeId(1),
                endpoint: "a:1".to_owned(),
                match_index: Some(0),
                directory: Some(DirectoryId(Uuid::from_random(5))),
                silent_ms: Some(6),
                behind_ms: None,
            }],
            observers: vec![QuorumObserver {
                node: NodeId(4),
                metadata_offset: Some(MetadataOffset(3)),
                silent_ms: None,
                behind_ms: Some(2),
            }],
        };
        let wire = wire::QuorumStatusResponse::from(status.clone());
        assert_eq!(QuorumStatus::try_from(wire), Ok(status));
        assert!(QuorumStatus::try_from(wire::QuorumStatusResponse::default()).is_err());
    }

    #[test]
    fn history_travels() {
        let query = HistoryQuery {
            topic: Some("t".to_owned()),
            partition: Some(0),
            node: Some(NodeId(1)),
            before: Some(MetadataOffset(5)),
            limit: 10,
        };
        assert_eq!(HistoryQuery::from(wire::HistoryRequest::from(query.clone())), query);
        let page = HistoryPage {
            entries: vec![HistoryEntry {
                offset: MetadataOffset(4),
                at: TimestampMs::NONE,
                kind: "BROKER_FENCED".to_owned(),
                node: Some(NodeId(3)),
                partition: Some(("t".to_owned(), 1)),
                detail: "silent for 9 s".to_owned(),
            }],
            next: None,
        };
        assert_eq!(HistoryPage::from(wire::HistoryResponse::from(page.clone())), page);
    }
}
