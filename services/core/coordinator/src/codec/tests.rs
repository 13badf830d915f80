//! Commands and replies survive their bytes, and bytes that are not theirs are refused.

use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use proptest::prelude::*;

use super::*;
use crate::command::{
    Caller, CommitOffsets, CommitPartition, CommitTopic, Heartbeat, Join, Protocol, Token,
};
use crate::names::{Generation, GroupId, InstanceId, MAX_TEXT_BYTES, MemberId, Text, TopicName};
use crate::reply::{JoinRefused, Joined, JoinedMember, PartitionCodes};

fn caller() -> Caller {
    Caller {
        group: GroupId::new("g").unwrap(),
        member: MemberId::empty(),
        instance: Some(InstanceId::new("static").unwrap()),
    }
}

fn join() -> Join {
    Join {
        token: Token(u64::MAX),
        caller: caller(),
        client_id: Text::new("client").unwrap(),
        client_host: Text::new("/127.0.0.1").unwrap(),
        protocol_type: Text::new("consumer").unwrap(),
        protocols: vec![Protocol {
            name: Text::new("range").unwrap(),
            metadata: [0, 1, 255].into(),
        }],
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: -1,
        requires_member_id: true,
        may_skip_assignment: false,
        reason: None,
    }
}

fn commit() -> CommitOffsets {
    CommitOffsets {
        token: Token(1),
        caller: caller(),
        generation: Generation::NONE,
        retention_ms: -1,
        knows_group_id_not_found: true,
        topics: vec![CommitTopic {
            name: TopicName::new("t").unwrap(),
            id: TopicId::default(),
            partitions: vec![CommitPartition {
                partition: PartitionIndex(3),
                offset: Offset(i64::MAX),
                leader_epoch: LeaderEpoch::NONE,
                metadata: None,
            }],
        }],
    }
}

#[test]
fn commands_survive_their_bytes() {
    let heartbeat =
        Heartbeat { token: Token(0), caller: caller(), generation: Generation(i32::MAX) };
    for command in [
        Command::Join(join()),
        Command::CommitOffsets(commit()),
        Command::Heartbeat(heartbeat),
        Command::Tick,
        Command::Expire { after: Some(GroupId::empty()) },
    ] {
        assert_eq!(decode_command(&encode_command(&command)), Ok(command));
    }
}

#[test]
fn replies_survive_their_bytes() {
    let joined = Joined {
        generation: Generation(7),
        protocol_type: None,
        protocol: Some(Text::new("range").unwrap()),
        leader: MemberId::new("m").unwrap(),
        skip_assignment: true,
        member: MemberId::new("m").unwrap(),
        members: vec![JoinedMember {
            member: MemberId::new("m").unwrap(),
            instance: None,
            metadata: [9; 300].into(),
        }],
    };
    let refused =
        JoinRefused { error: ErrorCode::MemberIdRequired, member: MemberId::new("new").unwrap() };
    let codes = PartitionCodes {
        name: TopicName::new("t").unwrap(),
        id: TopicId::default(),
        partitions: vec![(PartitionIndex(0), ErrorCode::OffsetMetadataTooLarge)],
    };
    for reply in [
        Reply::Join(Ok(joined)),
        Reply::Join(Err(refused)),
        Reply::Heartbeat(ErrorCode::RebalanceInProgress),
        Reply::CommitOffsets(Ok(vec![codes])),
        Reply::DeleteGroups(Err(ErrorCode::InvalidGroupId)),
    ] {
        assert_eq!(decode_reply(&encode_reply(&reply)), Ok(reply));
    }
}

#[test]
fn a_token_is_replaced_wherever_there_is_one() {
    let mut command = Command::Join(join());
    command.set_token(Token(5));
    assert_eq!(command.token(), Some(Token(5)));
    let mut own = Command::Tick;
    own.set_token(Token(5));
    assert_eq!(own.token(), None);
}

#[test]
fn bytes_of_another_form_are_refused_by_what_is_wrong() {
    let bytes = encode_command(&Command::Join(join()));
    assert_eq!(decode_command(&[]), Err(DecodeError::Empty));
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert_eq!(decode_command(&newer), Err(DecodeError::Version { found: 2, known: 1 }));
    let cut = decode_command(&bytes[..bytes.len() - 1]);
    assert!(matches!(cut, Err(DecodeError::Malformed(_))), "{cut:?}");
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode_command(&longer), Err(DecodeError::Trailing(1)));
    let found = MAX_COMMAND_BYTES + 1;
    let large = decode_command(&vec![COMMAND_VERSION; found]);
    assert_eq!(large, Err(DecodeError::TooLarge { found, most: MAX_COMMAND_BYTES }));
}

#[test]
fn a_text_that_no_record_can_hold_is_refused_in_bytes_too() {
    let command =
        Command::Expire { after: Some(GroupId::new("x".repeat(MAX_TEXT_BYTES)).unwrap()) };
    let mut bytes = encode_command(&command);
    assert!(decode_command(&bytes).is_ok());
    // The length before the text is a varint of three bytes, little end first: one more makes it 32,768.
    let at = bytes.windows(3).position(|window| window == [0xff, 0xff, 0x01]).unwrap();
    bytes[at..at + 3].copy_from_slice(&[0x80, 0x80, 0x02]);
    bytes.push(b'x');
    assert!(matches!(decode_command(&bytes), Err(DecodeError::Malformed(_))));
}

proptest! {
    #[test]
    fn bytes_of_a_peer_never_panic(version in 0_u8..3, body: Vec<u8>) {
        let bytes = [vec![version], body].concat();
        _ = decode_command(&bytes);
        _ = decode_reply(&bytes);
    }

    #[test]
    fn damaged_bytes_never_panic(at: prop::sample::Index, to: u8) {
        let mut bytes = encode_command(&Command::CommitOffsets(commit()));
        let at = at.index(bytes.len());
        bytes[at] = to;
        _ = decode_command(&bytes);
    }
}
