//! What a coordinator is asked to do.
//!
//! Invariant: a command is complete: its decision depends on it, on both states, the settings, the time and a seed, and on
//! nothing else. What an API version means for the semantics is a field here; how a version is encoded is the gateway's.

use std::sync::Arc;

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use serde::{Deserialize, Serialize};

use crate::names::{Generation, GroupId, InstanceId, MemberId, Text, TopicName};

/// Names a request that waits for its reply; the shell chooses it, unique among those that wait at one coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u64);

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// JoinGroup.
    Join(Join),
    /// SyncGroup.
    Sync(Sync),
    /// Heartbeat.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(Leave),
    /// OffsetCommit.
    CommitOffsets(CommitOffsets),
    /// OffsetFetch of one group.
    FetchOffsets(FetchOffsets),
    /// DescribeGroups.
    Describe {
        /// Who asks.
        token: Token,
        /// Which groups; at most [`MAX_GROUPS_PER_REQUEST`].
        groups: Vec<GroupId>,
    },
    /// ListGroups, one page.
    List(List),
    /// DeleteGroups.
    DeleteGroups {
        /// Who asks.
        token: Token,
        /// Which groups; at most [`MAX_GROUPS_PER_REQUEST`].
        groups: Vec<GroupId>,
    },
    /// OffsetDelete.
    DeleteOffsets(DeleteOffsets),
    /// Topics are gone: so are their offsets.
    TopicsDeleted {
        /// Name and id of each.
        topics: Vec<(TopicName, TopicId)>,
        /// Where to go on; `None` from a caller.
        after: Option<GroupId>,
    },
    /// The check of `offsets.retention.check.interval.ms`.
    Expire {
        /// Where to go on; `None` from a caller.
        after: Option<GroupId>,
    },
    /// The deadline of the last decision has come.
    Tick,
}

impl Command {
    /// Who asks; `None` for what a coordinator does on its own account, which nobody may ask for.
    pub const fn token(&self) -> Option<Token> {
        match self {
            Self::Join(Join { token, .. })
            | Self::Sync(Sync { token, .. })
            | Self::Heartbeat(Heartbeat { token, .. })
            | Self::Leave(Leave { token, .. })
            | Self::CommitOffsets(CommitOffsets { token, .. })
            | Self::FetchOffsets(FetchOffsets { token, .. })
            | Self::Describe { token, .. }
            | Self::List(List { token, .. })
            | Self::DeleteGroups { token, .. }
            | Self::DeleteOffsets(DeleteOffsets { token, .. }) => Some(*token),
            Self::TopicsDeleted { .. } | Self::Expire { .. } | Self::Tick => None,
        }
    }

    /// Gives the command another token, as the shell of a coordinator does with a request of a caller that chose its own.
    /// What has no token gets none.
    pub const fn set_token(&mut self, new: Token) {
        match self {
            Self::Join(Join { token, .. })
            | Self::Sync(Sync { token, .. })
            | Self::Heartbeat(Heartbeat { token, .. })
            | Self::Leave(Leave { token, .. })
            | Self::CommitOffsets(CommitOffsets { token, .. })
            | Self::FetchOffsets(FetchOffsets { token, .. })
            | Self::Describe { token, .. }
            | Self::List(List { token, .. })
            | Self::DeleteGroups { token, .. }
            | Self::DeleteOffsets(DeleteOffsets { token, .. }) => *token = new,
            Self::TopicsDeleted { .. } | Self::Expire { .. } | Self::Tick => {}
        }
    }
}

/// Most groups of one DescribeGroups or DeleteGroups.
pub const MAX_GROUPS_PER_REQUEST: usize = 10_000;
/// Most protocols that a member may offer.
pub const MAX_PROTOCOLS_PER_MEMBER: usize = 100;

/// A member of a group, as it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The group.
    pub group: GroupId,
    /// Its id; empty if it has none.
    pub member: MemberId,
    /// `group.instance.id` of a static member.
    pub instance: Option<InstanceId>,
}

/// A protocol that a member offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Its name, such as `range`.
    pub name: Text,
    /// The member's metadata for it.
    pub metadata: Arc<[u8]>,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Who asks.
    pub token: Token,
    /// As whom.
    pub caller: Caller,
    /// Its client id.
    pub client_id: Text,
    /// Where it connects from, in Kafka's form: `/127.0.0.1`.
    pub client_host: Text,
    /// `consumer`, `connect`, …
    pub protocol_type: Text,
    /// What it offers, the best first; at most [`MAX_PROTOCOLS_PER_MEMBER`].
    pub protocols: Vec<Protocol>,
    /// How long it lives without a heartbeat, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long it may take to join again, in milliseconds; -1 (JoinGroup 0): as long as the session.
    pub rebalance_timeout_ms: i32,
    /// Whether a new dynamic member gets an id first and joins again with it (JoinGroup 4 and up, KIP-394).
    pub requires_member_id: bool,
    /// Whether a static leader can be told not to assign (JoinGroup 9 and up, KIP-814).
    pub may_skip_assignment: bool,
    /// Why, in the client's words (KIP-800); for the notes only.
    pub reason: Option<Text>,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Who asks.
    pub token: Token,
    /// As whom.
    pub caller: Caller,
    /// In which generation.
    pub generation: Generation,
    /// The protocol type that the caller believes in, if it says (SyncGroup 5 and up).
    pub protocol_type: Option<Text>,
    /// The protocol that the caller believes in, if it says.
    pub protocol: Option<Text>,
    /// From the leader: what each member gets.
    pub assignments: Vec<(MemberId, Arc<[u8]>)>,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who asks.
    pub token: Token,
    /// As whom.
    pub caller: Caller,
    /// In which generation.
    pub generation: Generation,
}

/// LeaveGroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// Who asks.
    pub token: Token,
    /// Which group.
    pub group: GroupId,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, or is removed by an administrator: then by its instance id alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingMember {
    /// Its id; empty: by instance id.
    pub member: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// Why, in the client's words; for the notes only.
    pub reason: Option<Text>,
}

/// OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitOffsets {
    /// Who asks.
    pub token: Token,
    /// As whom.
    pub caller: Caller,
    /// In which generation; [`Generation::NONE`] of a caller outside of any group, or an administrator.
    pub generation: Generation,
    /// How long the offsets are kept, in milliseconds (OffsetCommit 2–4); -1: as the coordinator's settings say.
    pub retention_ms: i64,
    /// Whether the client knows GROUP_ID_NOT_FOUND (OffsetCommit 9 and up); others get ILLEGAL_GENERATION.
    pub knows_group_id_not_found: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id; all zero if the client did not give it.
    pub id: TopicId,
    /// What to commit.
    pub partitions: Vec<CommitPartition>,
}

/// One offset to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPartition {
    /// Of which partition.
    pub partition: PartitionIndex,
    /// The next record to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; [`LeaderEpoch::NONE`] if not given.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note; empty if not given. `None`: longer than any note could be.
    pub metadata: Option<Text>,
}

/// OffsetFetch of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchOffsets {
    /// Who asks.
    pub token: Token,
    /// Which group.
    pub group: GroupId,
    /// Which topics; `None`: all that the group has.
    pub topics: Option<Vec<FetchTopic>>,
    /// Whether an offset that an open transaction will write is refused (KIP-447). Without transactions none is.
    pub require_stable: bool,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id; all zero if the client did not give it.
    pub id: TopicId,
    /// Which partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// ListGroups, one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Who asks.
    pub token: Token,
    /// Only groups in one of these states, in any case of letters; empty: all.
    pub states: Vec<Text>,
    /// Only groups of one of these types, in any case of letters; empty: all.
    pub types: Vec<Text>,
    /// Groups behind this one; `None`: from the first.
    pub after: Option<GroupId>,
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOffsets {
    /// Who asks.
    pub token: Token,
    /// Which group.
    pub group: GroupId,
    /// Which offsets.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}
