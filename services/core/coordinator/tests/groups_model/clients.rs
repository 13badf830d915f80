//! Clients that follow the protocol, mostly: they also start again, and speak as who they were.

use std::sync::Arc;

use ottla_coordinator::command::{
    Caller, CommitOffsets, CommitPartition, CommitTopic, Heartbeat, Join, Leave, LeavingMember,
    Protocol, Sync,
};
use ottla_coordinator::{Command, Generation, GroupId, InstanceId, MemberId, Reply, Text, Token};
use ottla_coordinator::{TopicName, reply::Joined};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use proptest::prelude::*;

pub(crate) const GROUPS: usize = 2;
pub(crate) const CLIENTS: usize = 12;
pub(crate) const TOPICS: usize = 3;
/// How many clients of a group are static.
pub(crate) const STATICS_PER_GROUP: usize = 2;
/// What a client may offer; each offer has something in common with some others.
const OFFERS: [&[&str]; 4] =
    [&["range"], &["range", "sticky"], &["sticky", "range"], &["other", "sticky"]];

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    GoOn,
    Join { offer: usize },
    Sync,
    Heartbeat,
    Commit { topic: usize },
    CommitAsGhost { topic: usize, which: prop::sample::Index },
    CommitOutside { topic: usize },
    Leave,
    RemoveInstance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Out,
    Joined,
    Synced,
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    group: GroupId,
    instance: Option<InstanceId>,
    number: usize,
    member: MemberId,
    generation: Generation,
    phase: Phase,
    /// The members that it has to assign to.
    assigns: Vec<MemberId>,
    /// Whether its last join or sync has not been answered.
    waits: bool,
    /// What it asked before, it does not listen to: it has started again since.
    deaf_to: Token,
    /// Who it was before.
    ghosts: Vec<(MemberId, Generation)>,
}

pub(crate) fn group(number: usize) -> GroupId {
    GroupId::new(format!("g{number}")).unwrap()
}

pub(crate) fn topic(number: usize) -> TopicName {
    TopicName::new(format!("t{number}")).unwrap()
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

impl Client {
    /// A client; every third one is static.
    pub(crate) fn new(number: usize) -> Self {
        let instance =
            number.is_multiple_of(3).then(|| InstanceId::new(format!("i{number}")).unwrap());
        Self {
            group: group(number % GROUPS),
            instance,
            number,
            member: MemberId::empty(),
            generation: Generation::NONE,
            phase: Phase::Out,
            assigns: Vec::new(),
            waits: false,
            deaf_to: Token(0),
            ghosts: vec![(MemberId::new("nobody").unwrap(), Generation(1))],
        }
    }

    /// It starts again, and forgets who it was; `last` is the newest token there is.
    pub(crate) fn restart(&mut self, last: Token) {
        self.ghosts.push((self.member.clone(), self.generation));
        let ghosts = std::mem::take(&mut self.ghosts);
        *self = Self { ghosts, deaf_to: last, ..Self::new(self.number) };
    }

    pub(crate) fn connection_lost(&mut self) {
        self.waits = false;
    }

    fn caller(&self) -> Caller {
        Caller {
            group: self.group.clone(),
            member: self.member.clone(),
            instance: self.instance.clone(),
        }
    }

    /// What it asks for; `None` if there is nothing to ask for now.
    pub(crate) fn command(&mut self, action: Action, token: Token, offset: i64) -> Option<Command> {
        match action {
            Action::GoOn if self.waits => None,
            Action::GoOn => match self.phase {
                Phase::Out => Some(self.join(token, 1)),
                Phase::Joined => Some(self.sync(token)),
                Phase::Synced => Some(self.heartbeat(token)),
            },
            Action::Join { offer } => Some(self.join(token, offer)),
            Action::Sync => Some(self.sync(token)),
            Action::Heartbeat => Some(self.heartbeat(token)),
            Action::Commit { topic } => {
                Some(self.commit(token, self.caller(), self.generation, (topic, offset)))
            }
            Action::CommitAsGhost { topic, which } => {
                let (member, generation) = which.get(&self.ghosts).clone();
                let caller = Caller { member, ..self.caller() };
                Some(self.commit(token, caller, generation, (topic, offset)))
            }
            Action::CommitOutside { topic } => {
                let caller =
                    Caller { group: self.group.clone(), member: MemberId::empty(), instance: None };
                Some(self.commit(token, caller, Generation::NONE, (topic, offset)))
            }
            Action::Leave => Some(self.leave(token, self.member.clone())),
            Action::RemoveInstance => {
                self.instance.is_some().then(|| self.leave(token, MemberId::empty()))
            }
        }
    }

    fn join(&mut self, token: Token, offer: usize) -> Command {
        self.waits = true;
        self.phase = Phase::Out;
        let metadata: Arc<[u8]> = Arc::from(&b"\0\0\0\0\0\x01\0\x02t0\xff\xff\xff\xff"[..]);
        let protocol = |name: &&str| Protocol { name: text(name), metadata: metadata.clone() };
        Command::Join(Join {
            token,
            caller: self.caller(),
            client_id: text("c"),
            client_host: text("/h"),
            protocol_type: text("consumer"),
            protocols: OFFERS[offer].iter().map(protocol).collect(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000 + i32::try_from(self.number).unwrap() * 1_000,
            requires_member_id: self.number % 4 != 1,
            may_skip_assignment: self.number.is_multiple_of(2),
            reason: None,
        })
    }

    fn sync(&mut self, token: Token) -> Command {
        self.waits = true;
        let assigned =
            self.assigns.iter().map(|id| (id.clone(), Arc::from(id.as_str().as_bytes())));
        Command::Sync(Sync {
            token,
            caller: self.caller(),
            generation: self.generation,
            protocol_type: None,
            protocol: None,
            assignments: assigned.collect(),
        })
    }

    fn heartbeat(&self, token: Token) -> Command {
        let (caller, generation) = (self.caller(), self.generation);
        Command::Heartbeat(Heartbeat { token, caller, generation })
    }

    fn commit(
        &self,
        token: Token,
        caller: Caller,
        generation: Generation,
        what: (usize, i64),
    ) -> Command {
        let partition = CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(what.1),
            leader_epoch: LeaderEpoch(1),
            metadata: Some(text("")),
        };
        let (name, id) = (topic(what.0), TopicId::default());
        Command::CommitOffsets(CommitOffsets {
            token,
            caller,
            generation,
            retention_ms: if what.1 % 5 == 0 { 600_000 } else { -1 },
            knows_group_id_not_found: true,
            topics: vec![CommitTopic { name, id, partitions: vec![partition] }],
        })
    }

    fn leave(&mut self, token: Token, member: MemberId) -> Command {
        let instance = self.instance.clone();
        let members = vec![LeavingMember { member, instance, reason: None }];
        Command::Leave(Leave { token, group: self.group.clone(), members })
    }

    /// Does what a client does with an answer.
    pub(crate) fn hear(&mut self, token: Token, reply: Reply) {
        if token <= self.deaf_to {
            return;
        }
        match reply {
            Reply::Join(Ok(joined)) => self.joined(joined),
            Reply::Join(Err(refused)) => {
                self.waits = false;
                match refused.error {
                    ErrorCode::MemberIdRequired => {
                        self.member = refused.member;
                        self.generation = Generation::NONE;
                    }
                    error => self.lost(error),
                }
            }
            Reply::Sync(Ok(_)) => (self.phase, self.waits) = (Phase::Synced, false),
            Reply::Sync(Err(error)) => {
                (self.phase, self.waits) = (Phase::Out, false);
                self.lost(error);
            }
            Reply::Heartbeat(ErrorCode::None) => {}
            Reply::Heartbeat(error) => {
                self.phase = Phase::Out;
                self.lost(error);
            }
            _ => {}
        }
    }

    fn joined(&mut self, joined: Joined) {
        if joined.member != self.member || joined.generation != self.generation {
            self.ghosts.push((self.member.clone(), self.generation));
        }
        self.member = joined.member;
        self.generation = joined.generation;
        self.assigns = joined.members.into_iter().map(|member| member.member).collect();
        (self.phase, self.waits) = (Phase::Joined, false);
    }

    fn lost(&mut self, error: ErrorCode) {
        if matches!(error, ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) {
            self.ghosts.push((self.member.clone(), self.generation));
            self.member = MemberId::empty();
            self.generation = Generation::NONE;
        }
    }
}
