//! What the controller quorum offers to storage nodes, gateways and the admin API.

mod client;
mod convert;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ottla_metadata::{Command, Event, Image, Reply};
use ottla_types::{ClusterId, DirectoryId, ErrorCode, MetadataOffset, NodeId, Term, TimestampMs};

use crate::context::{CallError, RequestContext};

pub use client::{ControllerClient, ControllerEndpoint, MAX_QUORUM_MEMBERS, WATCH_SILENCE_MOST};
pub use server::ControllerServer;

/// Longest message of the control path, bytes: the largest command or batch of events, and room around it.
pub const MAX_CONTROL_MESSAGE_BYTES: usize = 32 << 20;
/// Most bytes of an image or snapshot in one message.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The controller quorum, or one member of it.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// Has the active controller decide a command; answered once its events are committed. A member that is not active
    /// says [`CallError::NotActive`]; the client adapter follows that and tries the others.
    async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError>;

    /// Follows the committed metadata: everything after `from`, beginning with a snapshot when the events are gone.
    /// Ends when the member stops; then follow another from the last offset seen.
    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError>;

    /// The health of the quorum, as this member sees it.
    async fn quorum_status(&self) -> Result<QuorumStatus, CallError>;

    /// The health of the quorum as the active member sees it, where that can be reached; else as another one does.
    async fn leader_status(&self) -> Result<QuorumStatus, CallError> {
        self.quorum_status().await
    }

    /// A page of the history of fencings, ISR changes and elections, newest first. Answered from this member's own store.
    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, CallError>;
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// What the controller answers.
    pub reply: Reply,
    /// Whoever replayed up to here sees what the command did.
    pub offset: MetadataOffset,
}

/// One step of the committed metadata.
#[derive(Clone, Debug)]
pub enum MetadataUpdate {
    /// Everything so far.
    Snapshot(Arc<Image>),
    /// Events that follow one another; the first has the offset after the follower's own.
    Events {
        /// Offset of the first event.
        first: MetadataOffset,
        /// The events.
        events: Vec<Event>,
    },
    /// Nothing new; the committed offset, as a sign of life.
    Heartbeat(MetadataOffset),
}

/// The role of a member of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumRole {
    /// The active controller.
    Leader,
    /// Follows the leader and votes.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows, does not vote.
    Learner,
}

/// The health of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// Who answers.
    pub node: NodeId,
    /// Its cluster, once formatted.
    pub cluster_id: Option<ClusterId>,
    /// Its role.
    pub role: QuorumRole,
    /// Its term.
    pub term: Term,
    /// The active controller, if known.
    pub leader: Option<NodeId>,
    /// Milliseconds since it heard from the leader, or as leader from a majority.
    pub last_contact_ms: i64,
    /// Proposals without an answer yet (alarm above 100).
    pub proposals_outstanding: u64,
    /// Index of the last entry in its log.
    pub last_index: u64,
    /// Its commit index.
    pub committed_index: u64,
    /// Its applied index.
    pub applied_index: u64,
    /// Metadata offset of its image.
    pub metadata_offset: MetadataOffset,
    /// Hash of its image.
    pub state_hash: u64,
    /// Elections that it saw since it started.
    pub elections: u64,
    /// All voters, as the answering member knows them.
    pub members: Vec<QuorumMember>,
    /// Who else follows the metadata; only the leader knows.
    pub observers: Vec<QuorumObserver>,
}

/// A storage node or gateway that follows the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumObserver {
    /// Its `node.id`.
    pub node: NodeId,
    /// It has replayed all events up to here; `None`: it does not say.
    pub metadata_offset: Option<MetadataOffset>,
    /// Milliseconds since it was last heard; `None`: never.
    pub silent_ms: Option<i64>,
    /// Milliseconds since it had last replayed all that there was; `None`: not known.
    pub behind_ms: Option<i64>,
}

/// One voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumMember {
    /// Its `node.id`.
    pub node: NodeId,
    /// Where it is.
    pub endpoint: String,
    /// The last index that it is known to hold; only the leader knows of others.
    pub match_index: Option<u64>,
    /// Its disk, as far as it is known.
    pub directory: Option<DirectoryId>,
    /// Milliseconds since it was last heard; only the leader knows of others.
    pub silent_ms: Option<i64>,
    /// Milliseconds since it last held all that there was; only the leader knows of others.
    pub behind_ms: Option<i64>,
}

/// Which part of the history is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Only of this topic, by name.
    pub topic: Option<String>,
    /// Only of this partition of the topic.
    pub partition: Option<i32>,
    /// Only of this storage node.
    pub node: Option<NodeId>,
    /// Older than this entry (from the page before); `None`: the newest.
    pub before: Option<MetadataOffset>,
    /// Most entries; bounded by the answering side.
    pub limit: usize,
}

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest first.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page begins; `None`: no more.
    pub next: Option<MetadataOffset>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Offset of the event.
    pub offset: MetadataOffset,
    /// When the controller decided it; -1 unknown.
    pub at: TimestampMs,
    /// What kind: `BROKER_FENCED`, `BROKER_UNFENCED`, `BROKER_REGISTERED`, `BROKER_UNREGISTERED`, `LEADER_CHANGED`, `ISR_CHANGED`, `TOPIC_CREATED`, `TOPIC_DELETED`.
    pub kind: String,
    /// The node that it is about.
    pub node: Option<NodeId>,
    /// The topic and partition that it is about.
    pub partition: Option<(String, i32)>,
    /// A sentence for people, with the evidence.
    pub detail: String,
}

/// Kafka's error for a failed call, as a client should see it.
impl From<&CallError> for ErrorCode {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::TimedOut(_) => Self::RequestTimedOut,
            CallError::NotActive { .. } => Self::NotController,
            CallError::Unreachable { .. } | CallError::Overloaded(_) | CallError::Stopping => {
                Self::BrokerNotAvailable
            }
            CallError::Malformed(_) => Self::UnknownServerError,
        }
    }
}
