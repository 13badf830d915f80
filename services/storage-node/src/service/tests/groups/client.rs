//! A member of a group, in few words. It asks again while its coordinator loads.

use bytes::Bytes;
use ottla_api::storage::CoordinateRequest;
use ottla_coordinator::command::{
    Caller, CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, FetchTopic, Heartbeat, Join,
    Protocol, Sync,
};
use ottla_coordinator::event::{CommittedOffset, OffsetKey};
use ottla_coordinator::reply::GroupState;
use ottla_coordinator::{
    Command, Event, Generation, GroupId, MemberId, Reply, Text, Token, TopicName,
    partition_of_group, records,
};
use ottla_log_format::BatchBuilder;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

use super::super::node::{Node, context};
use super::PARTITIONS;

/// Times that a client asks a coordinator that loads.
const ATTEMPTS: usize = 2_000;

#[derive(Clone)]
pub(super) struct Client {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) member: MemberId,
    pub(super) generation: Generation,
    pub(super) session_timeout_ms: i32,
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

impl Client {
    pub(super) fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            topic: "t".to_owned(),
            member: MemberId::empty(),
            generation: Generation::NONE,
            session_timeout_ms: 60_000,
        }
    }

    pub(super) fn partition(&self) -> PartitionIndex {
        partition_of_group(&self.group, PARTITIONS as u32)
    }

    fn group_id(&self) -> GroupId {
        GroupId::new(&self.group).unwrap()
    }

    fn caller(&self) -> Caller {
        Caller { group: self.group_id(), member: self.member.clone(), instance: None }
    }

    fn topic_name(&self) -> TopicName {
        TopicName::new(&self.topic).unwrap()
    }

    /// Asks until the coordinator is there, loaded, or refuses for another reason.
    async fn ask(&self, node: &Node, command: Command) -> Result<Reply, ErrorCode> {
        let mut outcome = Err(ErrorCode::NotCoordinator);
        for _ in 0..ATTEMPTS {
            let request =
                CoordinateRequest { partition: self.partition(), command: command.clone() };
            outcome = node.storage.coordinate(context(), request).await.unwrap().outcome;
            if outcome != Err(ErrorCode::CoordinatorLoadInProgress) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        outcome
    }

    pub(super) fn join_command(&self, requires_member_id: bool) -> Command {
        Command::Join(Join {
            token: Token(0),
            caller: self.caller(),
            client_id: text("client"),
            client_host: text("/127.0.0.1"),
            protocol_type: text("consumer"),
            protocols: vec![Protocol { name: text("range"), metadata: [1, 2, 3].into() }],
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: 60_000,
            requires_member_id,
            may_skip_assignment: false,
            reason: None,
        })
    }

    /// Joins, as a new member with a round more.
    pub(super) async fn join(&mut self, node: &Node) {
        loop {
            match self.ask(node, self.join_command(true)).await {
                Ok(Reply::Join(Err(refused))) if refused.error == ErrorCode::MemberIdRequired => {
                    self.member = refused.member;
                }
                Ok(Reply::Join(Ok(joined))) => {
                    assert_eq!(joined.member, self.member);
                    self.generation = joined.generation;
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn sync(&self, node: &Node) {
        let command = Command::Sync(Sync {
            token: Token(0),
            caller: self.caller(),
            generation: self.generation,
            protocol_type: None,
            protocol: None,
            assignments: vec![(self.member.clone(), [4, 5].into())],
        });
        match self.ask(node, command).await {
            Ok(Reply::Sync(Ok(synced))) => assert_eq!(*synced.assignment, [4, 5]),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn heartbeat(&self, node: &Node) -> ErrorCode {
        let heartbeat =
            Heartbeat { token: Token(0), caller: self.caller(), generation: self.generation };
        match self.ask(node, Command::Heartbeat(heartbeat)).await {
            Ok(Reply::Heartbeat(code)) => code,
            other => panic!("{other:?}"),
        }
    }

    /// Commits an offset of partition 0; the partition's code, or why nobody coordinates.
    pub(super) async fn try_commit(
        &self,
        node: &Node,
        offset: i64,
    ) -> Result<ErrorCode, ErrorCode> {
        let command = Command::CommitOffsets(CommitOffsets {
            token: Token(0),
            caller: self.caller(),
            generation: self.generation,
            retention_ms: -1,
            knows_group_id_not_found: true,
            topics: vec![CommitTopic {
                name: self.topic_name(),
                id: TopicId::default(),
                partitions: vec![CommitPartition {
                    partition: PartitionIndex(0),
                    offset: Offset(offset),
                    leader_epoch: LeaderEpoch::NONE,
                    metadata: Some(Text::empty()),
                }],
            }],
        });
        match self.ask(node, command).await? {
            Reply::CommitOffsets(Ok(topics)) => Ok(topics[0].partitions[0].1),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn commit(&self, node: &Node, offset: i64) {
        assert_eq!(self.try_commit(node, offset).await, Ok(ErrorCode::None));
    }

    pub(super) fn fetch_command(&self) -> Command {
        Command::FetchOffsets(FetchOffsets {
            token: Token(0),
            group: self.group_id(),
            topics: Some(vec![FetchTopic {
                name: self.topic_name(),
                id: TopicId::default(),
                partitions: vec![PartitionIndex(0)],
            }]),
            require_stable: true,
        })
    }

    /// What is committed of partition 0.
    pub(super) async fn committed(&self, node: &Node) -> Offset {
        match self.ask(node, self.fetch_command()).await {
            Ok(Reply::FetchOffsets(Ok(topics))) => topics[0].partitions[0].offset,
            other => panic!("{other:?}"),
        }
    }

    /// The group's state, and the ids of its members.
    pub(super) async fn describe(&self, node: &Node) -> (GroupState, Vec<MemberId>) {
        let command = Command::Describe { token: Token(0), groups: vec![self.group_id()] };
        match self.ask(node, command).await {
            Ok(Reply::Describe(Ok(groups))) => {
                let members = groups[0].members.iter().map(|member| member.member.clone());
                (groups[0].state, members.collect())
            }
            other => panic!("{other:?}"),
        }
    }

    /// The record of a commit, as another coordinator would write it.
    pub(super) fn as_record(&self, at: TimestampMs, offset: i64) -> Bytes {
        let key = OffsetKey {
            group: self.group_id(),
            topic: self.topic_name(),
            partition: PartitionIndex(0),
        };
        let offset = CommittedOffset {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Text::empty(),
            committed_at: at,
            expires_at: TimestampMs::NONE,
            topic_id: TopicId::default(),
        };
        let record = records::encode(&Event::OffsetCommitted { at: key, offset });
        let batch = BatchBuilder::new(Offset(0));
        batch.record(at, Some(&record.key), record.value.as_deref()).build()
    }
}
