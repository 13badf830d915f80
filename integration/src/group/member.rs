//! One member of a group, without its connection: makes its requests, takes their answers.
//!
//! Invariant: id and generation are those of the last answer; a member that the coordinator does not know begins anew, as Kafka's
//! clients do. Deliberately does not know how requests travel.

use ottla_kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_kafka_wire::messages::heartbeat_response::HeartbeatResponse;
use ottla_kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_kafka_wire::messages::join_group_response::JoinGroupResponse;
use ottla_kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_kafka_wire::messages::offset_commit_request::OffsetCommitRequest;
use ottla_kafka_wire::messages::offset_commit_response::OffsetCommitResponse;
use ottla_kafka_wire::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_kafka_wire::messages::sync_group_response::SyncGroupResponse;
use ottla_types::ErrorCode;

use super::{offsets, protocol};

/// The JoinGroup version in use.
pub const JOIN_VERSION: i16 = 9;
/// The SyncGroup version in use.
pub const SYNC_VERSION: i16 = 5;
/// The Heartbeat version in use.
pub const BEAT_VERSION: i16 = 4;
/// The LeaveGroup version in use.
pub const LEAVE_VERSION: i16 = 5;

/// What all members of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// The one topic that it reads.
    pub topic: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// `session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `max.poll.interval.ms`: how long a member may take to join again.
    pub rebalance_timeout_ms: i32,
}

/// What a member does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Join: it is new, or the group changes.
    Join,
    /// Ask for its part; the leader says everybody's.
    Sync,
    /// Commit and beat.
    Work,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Go on with [`Member::next`].
    Fine,
    /// The coordinator is not there (yet): look for it again after a while, and go on.
    Elsewhere,
    /// This cannot be.
    Refused(ErrorCode),
}

/// A member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its group.
    pub group: Group,
    /// Its id; empty until it is given one.
    pub id: String,
    /// The generation of the last join; -1 before.
    pub generation: i32,
    /// Members of that generation, if this one leads it.
    pub led: Vec<String>,
    /// What it was given in the last sync.
    pub assigned: Vec<i32>,
    /// How it goes on.
    pub next: Next,
}

impl Member {
    /// A member that nobody knows yet.
    pub fn new(group: Group) -> Self {
        let (id, led, assigned) = Default::default();
        Self { group, id, generation: -1, led, assigned, next: Next::Join }
    }

    /// Forgets who it is.
    pub fn begin_anew(&mut self) {
        *self = Self::new(self.group.clone());
    }

    /// Asks to be a member of the next generation.
    pub fn join_request(&self) -> JoinGroupRequest {
        JoinGroupRequest {
            group_id: self.group.id.clone(),
            session_timeout_ms: self.group.session_timeout_ms,
            rebalance_timeout_ms: self.group.rebalance_timeout_ms,
            member_id: self.id.clone(),
            protocol_type: protocol::TYPE.to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: protocol::NAME.to_owned(),
                metadata: protocol::subscription(&self.group.topic),
            }],
            ..Default::default()
        }
    }

    /// Takes the answer to a join.
    pub fn joined(&mut self, answer: JoinGroupResponse) -> Turn {
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                self.id = answer.member_id;
                self.generation = answer.generation_id;
                let is_leader = answer.leader == self.id;
                let all = answer.members.into_iter().filter(|_| is_leader);
                self.led = all.map(|member| member.member_id).collect();
                self.next = Next::Sync;
                Turn::Fine
            }
            ErrorCode::MemberIdRequired => {
                self.id = answer.member_id;
                Turn::Fine
            }
            code => self.refused(code),
        }
    }

    /// Asks for its part; as the leader, says what everybody gets.
    pub fn sync_request(&self) -> SyncGroupRequest {
        let shares = protocol::share_out(&self.led, self.group.partitions);
        let assignments = shares.into_iter().map(|(member_id, partitions)| {
            let assignment = protocol::assignment(&self.group.topic, &partitions);
            SyncGroupRequestAssignment { member_id, assignment }
        });
        SyncGroupRequest {
            group_id: self.group.id.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some(protocol::TYPE.to_owned()),
            protocol_name: Some(protocol::NAME.to_owned()),
            assignments: assignments.collect(),
            ..Default::default()
        }
    }

    /// Takes the answer to a sync.
    pub fn synced(&mut self, answer: &SyncGroupResponse) -> Turn {
        let code = ErrorCode::from_code(answer.error_code);
        if code != ErrorCode::None {
            return self.refused(code);
        }
        match protocol::partitions(&answer.assignment) {
            Ok(partitions) => (self.assigned, self.next) = (partitions, Next::Work),
            Err(_) => return Turn::Refused(ErrorCode::CorruptMessage),
        }
        Turn::Fine
    }

    /// Says that it lives.
    pub fn beat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group.id.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..Default::default()
        }
    }

    /// Takes the answer to a heartbeat.
    pub fn beaten(&mut self, answer: &HeartbeatResponse) -> Turn {
        self.refused(ErrorCode::from_code(answer.error_code))
    }

    /// Commits offsets of partitions.
    pub fn commit_request(&self, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
        OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            ..offsets::commit_request(&self.group.id, &self.group.topic, offsets)
        }
    }

    /// Takes the answer to a commit; it was done where no partition refused.
    pub fn committed(&mut self, answer: &OffsetCommitResponse) -> Turn {
        self.refused(offsets::committed(answer))
    }

    /// Leaves the group.
    pub fn leave_request(&self) -> LeaveGroupRequest {
        LeaveGroupRequest {
            group_id: self.group.id.clone(),
            members: vec![MemberIdentity { member_id: self.id.clone(), ..Default::default() }],
            ..Default::default()
        }
    }

    /// What a code means to a member.
    fn refused(&mut self, code: ErrorCode) -> Turn {
        match code {
            ErrorCode::None => {}
            ErrorCode::UnknownMemberId => self.begin_anew(),
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => self.next = Next::Join,
            code if code.is_retriable() => return Turn::Elsewhere,
            code => return Turn::Refused(code),
        }
        Turn::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_kafka_wire::messages::join_group_response::JoinGroupResponseMember;

    fn member() -> Member {
        Member::new(Group {
            id: "g".to_owned(),
            topic: "t".to_owned(),
            partitions: 3,
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 6_000,
        })
    }

    fn beat(member: &mut Member, code: ErrorCode) -> Turn {
        member.beaten(&HeartbeatResponse { error_code: code.code(), ..Default::default() })
    }

    /// A leader of itself and another.
    fn leader() -> Member {
        let mut member = member();
        let named = |name: &str| JoinGroupResponseMember {
            member_id: name.to_owned(),
            ..Default::default()
        };
        let answer = JoinGroupResponse {
            generation_id: 4,
            leader: "me".to_owned(),
            member_id: "me".to_owned(),
            members: vec![named("me"), named("you")],
            ..Default::default()
        };
        assert_eq!(member.joined(answer), Turn::Fine);
        member
    }

    #[test]
    fn a_leader_gives_everybody_a_part_and_works_once_it_has_its_own() {
        let mut leader = leader();
        assert_eq!((leader.next, leader.generation), (Next::Sync, 4));
        let request = leader.sync_request();
        let parts = request.assignments.iter().map(|a| protocol::partitions(&a.assignment));
        assert_eq!(parts.map(Result::unwrap).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
        let assignment = request.assignments[0].assignment.clone();
        assert_eq!(
            leader.synced(&SyncGroupResponse { assignment, ..Default::default() }),
            Turn::Fine
        );
        assert_eq!((leader.next, leader.assigned), (Next::Work, vec![0, 1]));
    }

    #[test]
    fn a_member_joins_again_when_it_must_and_anew_when_nobody_knows_it() {
        let mut member = leader();
        assert_eq!(beat(&mut member, ErrorCode::RebalanceInProgress), Turn::Fine);
        assert_eq!((member.next, &member.id[..]), (Next::Join, "me"));
        assert_eq!(beat(&mut member, ErrorCode::UnknownMemberId), Turn::Fine);
        assert_eq!((member.next, &member.id[..], member.generation), (Next::Join, "", -1));
        assert_eq!(beat(&mut member, ErrorCode::NotCoordinator), Turn::Elsewhere);
        let never = ErrorCode::GroupAuthorizationFailed;
        assert_eq!(beat(&mut member, never), Turn::Refused(never));
    }
}
