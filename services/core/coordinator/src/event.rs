//! What `__consumer_offsets` holds. Read this first: everything that outlives a coordinator is told by these events.
//!
//! Invariant: an event is one record of Kafka's ([`crate::records`]), key and value, or key and tombstone; the last event of a
//! key is all that counts, because the log is compacted.
//! Deliberately does not know rebalances: a group is stored when its leader has assigned, when it became empty, and when a
//! static member got a new id.

use std::sync::Arc;

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

use crate::names::{Generation, GroupId, InstanceId, MemberId, Text, TopicName};

/// One fact about a group or its offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A group committed an offset. A group that does not exist yet becomes a simple one: offsets without members.
    OffsetCommitted {
        /// Whose offset.
        at: OffsetKey,
        /// What was committed.
        offset: CommittedOffset,
    },
    /// A group's offset is gone: expired, deleted, or its topic was deleted.
    OffsetRemoved {
        /// Whose offset.
        at: OffsetKey,
    },
    /// A group is this, from now on.
    GroupStored {
        /// The group.
        group: GroupId,
        /// All of it.
        stored: StoredGroup,
    },
    /// A group is gone.
    GroupRemoved {
        /// The group.
        group: GroupId,
    },
}

/// Which offset of which group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    /// The group.
    pub group: GroupId,
    /// The topic.
    pub topic: TopicName,
    /// The index within it.
    pub partition: PartitionIndex,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next record to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; [`LeaderEpoch::NONE`] if the client gave none.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note; empty if none.
    pub metadata: Text,
    /// When it was committed.
    pub committed_at: TimestampMs,
    /// When it expires, if the client asked for a retention of its own (OffsetCommit 2–4); [`TimestampMs::NONE`] otherwise.
    pub expires_at: TimestampMs,
    /// The topic's id; all zero if the client did not give it.
    pub topic_id: TopicId,
}

/// A classic group as a record holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// `consumer`, `connect`, …; `None` for a group that never had a member.
    pub protocol_type: Option<Text>,
    /// Its generation.
    pub generation: Generation,
    /// The protocol that all members agreed on; `None` while there are no members.
    pub protocol: Option<Text>,
    /// Who assigns; `None` while there are no members.
    pub leader: Option<MemberId>,
    /// When it came to its present state; [`TimestampMs::NONE`] in old records.
    pub state_timestamp: TimestampMs,
    /// Who is in it.
    pub members: Vec<StoredMember>,
}

impl StoredGroup {
    /// A group that never had a member.
    pub fn memberless(since: TimestampMs) -> Self {
        Self {
            protocol_type: None,
            generation: Generation(0),
            protocol: None,
            leader: None,
            state_timestamp: since,
            members: Vec::new(),
        }
    }
}

/// A member as a record holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub id: MemberId,
    /// `group.instance.id` of a static member.
    pub instance: Option<InstanceId>,
    /// Its client id.
    pub client_id: Text,
    /// Where it connected from.
    pub client_host: Text,
    /// How long it may take to join again, in milliseconds; -1 in old records: as long as the session.
    pub rebalance_timeout_ms: i32,
    /// How long it lives without a heartbeat, in milliseconds.
    pub session_timeout_ms: i32,
    /// Its metadata for the chosen protocol.
    pub subscription: Arc<[u8]>,
    /// What the leader gave it.
    pub assignment: Arc<[u8]>,
}

/// Bytes of a record beside its texts and blobs, at most: batch header, record header, lengths and numbers.
const RECORD_OVERHEAD_BYTES: usize = 160;
/// The same for a member of a group.
const MEMBER_OVERHEAD_BYTES: usize = 48;

impl Event {
    /// An upper bound of the bytes that this takes in a batch.
    pub fn bytes_at_most(&self) -> usize {
        let of_key = |at: &OffsetKey| at.group.as_str().len() + at.topic.as_str().len();
        RECORD_OVERHEAD_BYTES
            + match self {
                Self::OffsetCommitted { at, offset } => of_key(at) + offset.metadata.as_str().len(),
                Self::OffsetRemoved { at } => of_key(at),
                Self::GroupStored { group, stored } => {
                    group.as_str().len() + stored.bytes_at_most()
                }
                Self::GroupRemoved { group } => group.as_str().len(),
            }
    }
}

impl StoredGroup {
    fn bytes_at_most(&self) -> usize {
        let text = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.as_str().len());
        let leader = self.leader.as_ref().map_or(0, |leader| leader.as_str().len());
        let members = self.members.iter().map(StoredMember::bytes_at_most);
        text(&self.protocol_type) + text(&self.protocol) + leader + members.sum::<usize>()
    }
}

impl StoredMember {
    fn bytes_at_most(&self) -> usize {
        MEMBER_OVERHEAD_BYTES
            + self.id.as_str().len()
            + self.instance.as_ref().map_or(0, |instance| instance.as_str().len())
            + self.client_id.as_str().len()
            + self.client_host.as_str().len()
            + self.subscription.len()
            + self.assignment.len()
    }
}
