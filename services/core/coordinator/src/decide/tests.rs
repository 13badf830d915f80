//! Decisions, one file for each command: given events, when a command comes, then events and replies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, Uuid};

use super::*;
use crate::command::{
    Caller, CommitOffsets, CommitPartition, CommitTopic, Heartbeat, Join, Leave, LeavingMember,
    Protocol, Sync,
};
use crate::durable::Changes;
use crate::event::{CommittedOffset, OffsetKey, StoredGroup};
use crate::names::{InstanceId, Text, TopicName};
use crate::records;
use crate::reply::{GroupState, JoinRefused, Joined, PartitionCodes, Synced};

mod commit_offsets;
mod delete_groups;
mod delete_offsets;
mod describe;
mod expire;
mod fetch_offsets;
mod heartbeat;
mod join;
mod leave;
mod list;
mod load;
mod static_members;
mod sync;
mod tick;
mod topics_deleted;

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn group() -> GroupId {
    GroupId::new("g").unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn member_id(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

/// A consumer's metadata: it subscribes to these topics.
fn subscription(topics: &[&str]) -> Arc<[u8]> {
    let mut out = vec![0, 0];
    out.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        out.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1_i32).to_be_bytes());
    out.into()
}

fn range() -> Vec<Protocol> {
    protocols(&["range"])
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    let metadata = subscription(&["t"]);
    names.iter().map(|name| Protocol { name: text(name), metadata: metadata.clone() }).collect()
}

/// A coordinator with its clock in the test's hand.
struct World {
    durable: Durable,
    soft: Soft,
    settings: Settings,
    now: Now,
    seed: u128,
    tokens: u64,
    replies: BTreeMap<Token, Reply>,
}

impl World {
    fn new() -> Self {
        let now = Now { wall: TimestampMs(1_000_000), monotonic: Duration::from_secs(100) };
        Self {
            durable: Durable::default(),
            soft: Soft::default(),
            settings: Settings::default(),
            now,
            seed: 7,
            tokens: 0,
            replies: BTreeMap::new(),
        }
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Decides, replays what the log would hold, and takes note of the replies.
    fn submit(&mut self, command: Command) -> Decision {
        self.seed += 1;
        let context = Context { settings: &self.settings, now: self.now, seed: self.seed };
        let before = self.durable.clone();
        let decision = decide(&self.durable, &mut self.soft, command, &context);
        assert_eq!(self.durable, before);
        for event in &decision.events {
            let record = records::encode(event);
            let read = records::decode(Some(&record.key), record.value.as_deref());
            assert_eq!(read, Ok(records::Decoded::Event(event.clone())));
            self.durable.replay(event, &mut Changes::default());
        }
        for (token, reply) in &decision.replies {
            assert_eq!(self.replies.insert(*token, reply.clone()), None, "answered twice");
        }
        decision
    }

    /// Lets time pass, with a tick at each deadline on the way. Gives the events back.
    fn pass(&mut self, ms: u64) -> Vec<Event> {
        let end = self.now.monotonic + Duration::from_millis(ms);
        let mut events = Vec::new();
        while let Some(at) = self.soft.next_deadline().filter(|at| *at <= end) {
            self.set_time(at);
            events.extend(self.submit(Command::Tick).events);
            assert!(self.soft.next_deadline().is_none_or(|next| next > at), "no progress");
        }
        self.set_time(end);
        events
    }

    fn set_time(&mut self, to: Duration) {
        let passed = to.saturating_sub(self.now.monotonic);
        let ms = i64::try_from(passed.as_millis()).unwrap();
        self.now = Now { wall: self.now.wall.plus_ms(ms), monotonic: self.now.monotonic + passed };
    }

    /// A consumer that knows all of Kafka 4.3.
    fn consumer(&mut self, id: &str) -> Join {
        Join {
            token: self.token(),
            caller: self.caller(id),
            client_id: text("client"),
            client_host: text("/127.0.0.1"),
            protocol_type: text("consumer"),
            protocols: range(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            requires_member_id: true,
            may_skip_assignment: true,
            reason: None,
        }
    }

    fn static_consumer(&mut self, instance: &str) -> Join {
        let mut join = self.consumer("");
        join.caller.instance = Some(InstanceId::new(instance).unwrap());
        join
    }

    fn caller(&self, id: &str) -> Caller {
        Caller { group: group(), member: member_id(id), instance: None }
    }

    fn join(&mut self, join: Join) -> (Token, Decision) {
        (join.token, self.submit(Command::Join(join)))
    }

    /// The reply to a join that must have been answered by now.
    fn join_reply(&self, token: Token) -> Result<Joined, JoinRefused> {
        match self.replies.get(&token) {
            Some(Reply::Join(reply)) => reply.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn join_error(&self, token: Token) -> ErrorCode {
        self.join_reply(token).unwrap_err().error
    }

    /// A new dynamic member asks for an id, and joins with it; its join waits.
    fn enter(&mut self, protocols: Vec<Protocol>) -> (MemberId, Token) {
        let ask = self.consumer("");
        let (token, _) = self.join(Join { protocols: protocols.clone(), ..ask });
        let refused = self.join_reply(token).unwrap_err();
        assert_eq!(refused.error, ErrorCode::MemberIdRequired);
        let again = self.consumer(refused.member.as_str());
        let (token, _) = self.join(Join { protocols, ..again });
        (refused.member, token)
    }

    fn sync(&mut self, id: &MemberId, generation: i32, assigned: &[(&MemberId, &str)]) -> Token {
        let token = self.token();
        let assignments = assigned.iter().map(|(id, given)| ((*id).clone(), bytes(given)));
        self.submit(Command::Sync(Sync {
            token,
            caller: self.caller(id.as_str()),
            generation: Generation(generation),
            protocol_type: Some(text("consumer")),
            protocol: None,
            assignments: assignments.collect(),
        }));
        token
    }

    fn sync_reply(&self, token: Token) -> Result<Synced, ErrorCode> {
        match self.replies.get(&token) {
            Some(Reply::Sync(reply)) => reply.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn waits(&self, token: Token) -> bool {
        !self.replies.contains_key(&token)
    }

    fn heartbeat(&mut self, id: &MemberId, generation: i32) -> ErrorCode {
        let caller = self.caller(id.as_str());
        self.heartbeat_of(caller, generation)
    }

    fn heartbeat_of(&mut self, caller: Caller, generation: i32) -> ErrorCode {
        let token = self.token();
        let generation = Generation(generation);
        let decision = self.submit(Command::Heartbeat(Heartbeat { token, caller, generation }));
        assert_eq!(decision.events, []);
        match decision.replies[..] {
            [(answered, Reply::Heartbeat(code))] if answered == token => code,
            ref other => panic!("{other:?}"),
        }
    }

    /// A stable group of this many dynamic members in generation 1; the first one leads.
    fn stable(&mut self, count: usize) -> Vec<MemberId> {
        let joins: Vec<_> = (0..count).map(|_| self.enter(range())).collect();
        self.pass(6_000);
        let ids: Vec<_> = joins.iter().map(|(id, _)| id.clone()).collect();
        let leader = self.join_reply(joins[0].1).unwrap().leader;
        let assigned: Vec<_> = ids.iter().map(|id| (id, "mine")).collect();
        self.sync(&leader, 1, &assigned);
        for id in ids.iter().filter(|id| **id != leader) {
            self.sync(id, 1, &[]);
        }
        assert_eq!(self.state(), GroupState::Stable);
        let mut ids = ids;
        ids.sort_by_key(|id| *id != leader);
        ids
    }

    fn state(&self) -> GroupState {
        match (self.soft.get(&group()), self.durable.group(&group())) {
            (Some(live), _) => live.state(),
            (None, Some(_)) => GroupState::Empty,
            (None, None) => GroupState::Dead,
        }
    }

    fn stored(&self) -> StoredGroup {
        let crate::durable::Group::Classic(stored) = self.durable.group(&group()).unwrap();
        stored.clone()
    }

    fn leave(&mut self, ids: &[&MemberId]) -> Decision {
        let token = self.token();
        let leaving = |id: &&MemberId| LeavingMember {
            member: (*id).clone(),
            instance: None,
            reason: Some(text("bye")),
        };
        let members = ids.iter().map(leaving).collect();
        self.submit(Command::Leave(Leave { token, group: group(), members }))
    }

    /// The coordinator is loaded again from its log.
    fn reload(&mut self) {
        let context = Context { settings: &self.settings, now: self.now, seed: self.seed };
        self.soft = Soft::load(&self.durable, &context);
    }

    fn commit(&mut self, id: &str, generation: i32, topics: &[&str]) -> Decision {
        let commit = self.commit_of(id, generation, topics);
        self.submit(Command::CommitOffsets(commit))
    }

    fn commit_of(&mut self, id: &str, generation: i32, topics: &[&str]) -> CommitOffsets {
        let partition = CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(42),
            leader_epoch: LeaderEpoch(3),
            metadata: Some(text("note")),
        };
        let of_topic = |name: &&str| CommitTopic {
            name: topic(name),
            id: TopicId::default(),
            partitions: vec![partition.clone()],
        };
        CommitOffsets {
            token: self.token(),
            caller: self.caller(id),
            generation: Generation(generation),
            retention_ms: -1,
            knows_group_id_not_found: true,
            topics: topics.iter().map(of_topic).collect(),
        }
    }

    fn has_offset(&self, name: &str) -> bool {
        self.durable.offset(&group(), &topic(name), PartitionIndex(0)).is_some()
    }
}

fn committed(decision: &Decision) -> Result<Vec<PartitionCodes>, ErrorCode> {
    match &decision.replies[..] {
        [(_, Reply::CommitOffsets(outcome))] => outcome.clone(),
        other => panic!("{other:?}"),
    }
}
