//! What a coordinator answers.
//!
//! Invariant: every token of a command gets exactly one reply, at once or when its wait is over, unless the coordinator goes.
//! Deliberately does not know which version of a request asked: a gateway leaves out what a version has no room for.

use std::sync::Arc;

use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use serde::{Deserialize, Serialize};

use crate::durable::GroupType;
use crate::names::{Generation, GroupId, InstanceId, MemberId, Text, TopicName};

/// A reply. An error in the place of the whole answer stands for all its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To JoinGroup.
    Join(Result<Joined, JoinRefused>),
    /// To SyncGroup.
    Sync(Result<Synced, ErrorCode>),
    /// To Heartbeat: [`ErrorCode::None`] if all is well.
    Heartbeat(ErrorCode),
    /// To LeaveGroup.
    Leave(Result<Vec<Left>, ErrorCode>),
    /// To OffsetCommit.
    CommitOffsets(Result<Vec<PartitionCodes>, ErrorCode>),
    /// To OffsetFetch of one group.
    FetchOffsets(Result<Vec<FetchedTopic>, ErrorCode>),
    /// To DescribeGroups.
    Describe(Result<Vec<DescribedGroup>, ErrorCode>),
    /// To ListGroups.
    List(ListedGroups),
    /// To DeleteGroups.
    DeleteGroups(Result<Vec<(GroupId, ErrorCode)>, ErrorCode>),
    /// To OffsetDelete.
    DeleteOffsets(Result<Vec<PartitionCodes>, ErrorCode>),
}

/// A member is in a new generation, or still in the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The generation.
    pub generation: Generation,
    /// The group's protocol type.
    pub protocol_type: Option<Text>,
    /// The protocol that all members agreed on.
    pub protocol: Option<Text>,
    /// Who assigns.
    pub leader: MemberId,
    /// Whether the leader must not assign: the assignment stands (KIP-814).
    pub skip_assignment: bool,
    /// The caller's id.
    pub member: MemberId,
    /// For the leader: everybody. Empty for the others.
    pub members: Vec<JoinedMember>,
}

/// A member, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// Its metadata for the protocol.
    pub metadata: Arc<[u8]>,
}

/// A member did not get in (yet).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRefused {
    /// Why. With [`ErrorCode::MemberIdRequired`] the caller joins again with the id beside it.
    pub error: ErrorCode,
    /// The id that the answer carries.
    pub member: MemberId,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<Text>,
    /// The group's protocol.
    pub protocol: Option<Text>,
    /// What the leader gave it.
    pub assignment: Arc<[u8]>,
}

/// What became of a member that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The id that the request gave.
    pub member: MemberId,
    /// The instance id that the request gave.
    pub instance: Option<InstanceId>,
    /// [`ErrorCode::None`] if it left.
    pub error: ErrorCode,
}

/// A code for each partition of a topic, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCodes {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's id, as the request gave it.
    pub id: TopicId,
    /// Partitions and their codes.
    pub partitions: Vec<(PartitionIndex, ErrorCode)>,
}

/// Offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id: as the request gave it, or all zero where it asked for all topics.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<FetchedOffset>,
}

/// A committed offset, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedOffset {
    /// Of which partition.
    pub partition: PartitionIndex,
    /// [`Offset::NONE`] if nothing is committed.
    pub offset: Offset,
    /// [`LeaderEpoch::NONE`] if the client gave none.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Text,
    /// `UNSTABLE_OFFSET_COMMIT` will have its place here.
    pub error: ErrorCode,
}

/// A group in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedGroup {
    /// Its id.
    pub group: GroupId,
    /// `GROUP_ID_NOT_FOUND`, with [`GroupState::Dead`], for one that does not exist; DescribeGroups up to 5 leaves it out.
    pub error: ErrorCode,
    /// Its state.
    pub state: GroupState,
    /// Its protocol type; empty if it never had a member.
    pub protocol_type: Text,
    /// Its protocol; empty unless it is stable.
    pub protocol: Text,
    /// Who is in it.
    pub members: Vec<DescribedMember>,
}

/// A member in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedMember {
    /// Its id.
    pub member: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// Its client id.
    pub client_id: Text,
    /// Where it connected from.
    pub client_host: Text,
    /// Its metadata; empty unless the group is stable.
    pub metadata: Arc<[u8]>,
    /// Its assignment.
    pub assignment: Arc<[u8]>,
}

/// A page of groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedGroups {
    /// The groups, in the order of their ids.
    pub groups: Vec<ListedGroup>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<GroupId>,
}

/// A group in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedGroup {
    /// Its id.
    pub group: GroupId,
    /// Its protocol type; empty if it never had a member.
    pub protocol_type: Text,
    /// Its state.
    pub state: GroupState,
    /// Its type.
    pub group_type: GroupType,
}

/// The state of a classic group, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupState {
    /// No members, perhaps offsets.
    ///
    /// Entered when the last member is gone. Answers heartbeats and syncs with UNKNOWN_MEMBER_ID; anybody may commit.
    /// Leaves to [`Self::PreparingRebalance`] when a member joins, to [`Self::Dead`] when it is deleted or expires.
    Empty,
    /// The members are called to join again.
    ///
    /// Entered when a member came, changed or went. Parks joins; answers heartbeats and syncs with REBALANCE_IN_PROGRESS;
    /// members of the last generation may commit. Leaves to [`Self::CompletingRebalance`] when all have joined or the time is
    /// up, to [`Self::Empty`] when nobody is left.
    PreparingRebalance,
    /// The leader assigns.
    ///
    /// Entered with a new generation. Parks syncs; answers commits with REBALANCE_IN_PROGRESS. Leaves to [`Self::Stable`]
    /// with the leader's sync, to [`Self::PreparingRebalance`] as above.
    CompletingRebalance,
    /// Everybody has, or can get, its assignment.
    ///
    /// Entered with the leader's sync. Answers all. Leaves to [`Self::PreparingRebalance`] as above.
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}
