//! Envelopes and messages that must not reach raft.

use std::path::PathBuf;

use ottla_metadata::Settings;
use ottla_runtime::seams::{HostPort, SimDisk};
use ottla_types::Uuid;
use proptest::prelude::*;
use raft::eraftpb::{Entry, EntryType, MessageType};

use super::*;
use crate::quorum::driver::Voter;

fn directory(number: u128) -> DirectoryId {
    DirectoryId(Uuid::from_random(number))
}

fn peers(node: i32, disk: &SimDisk) -> Peers {
    let voter = |node| Voter { node: NodeId(node), endpoint: HostPort::new("c", 9093) };
    let config = QuorumConfig {
        node: NodeId(node),
        directory: directory(node as u128),
        cluster_id: None,
        dir: PathBuf::from("/m"),
        voters: [1, 2, 3].map(voter).to_vec(),
        domain: Settings::default(),
        election_timeout: QuorumConfig::ELECTION_TIMEOUT,
        snapshots: crate::quorum::driver::SnapshotPolicy::default(),
    };
    Peers::open(Arc::new(disk.clone()), &config.dir, &config).unwrap()
}

fn heartbeat() -> Message {
    let mut message = Message { from: 3, to: 2, term: 1, ..Message::default() };
    message.set_msg_type(MessageType::MsgHeartbeat);
    message
}

/// From node 2 to node 1.
fn envelope() -> RaftEnvelope {
    peers(2, &SimDisk::new(1)).seal(&heartbeat(), None).unwrap()
}

#[test]
fn an_honest_envelope_is_opened() {
    let mut me = peers(1, &SimDisk::new(1));
    let opened = me.open_envelope(&envelope(), None).unwrap();
    assert_eq!(opened, Opened::Message(Box::new(heartbeat())));
}

#[test]
fn a_greeting_makes_a_directory_known_and_is_answered_once() {
    let (mut me, mut other) = (peers(1, &SimDisk::new(1)), peers(2, &SimDisk::new(2)));
    let greeting = other.hello(NodeId(1), None);
    assert_eq!(me.open_envelope(&greeting, None).unwrap(), Opened::Hello { wants_answer: true });
    let answer = me.hello(NodeId(2), None);
    assert_eq!(other.open_envelope(&answer, None).unwrap(), Opened::Hello { wants_answer: false });
    assert_eq!((me.strangers(), other.strangers()), (vec![NodeId(3)], vec![NodeId(3)]));
}

#[test]
fn p8_another_disk_of_a_known_node_is_refused_also_after_a_restart() {
    let disk = SimDisk::new(1);
    peers(1, &disk).open_envelope(&envelope(), None).unwrap();
    disk.crash();
    let mut me = peers(1, &disk);
    let other = RaftEnvelope { from_directory: directory(99), ..envelope() };
    let refused = me.open_envelope(&other, None);
    assert!(matches!(refused, Err(EnvelopeFault::OtherDirectory { .. })), "{refused:?}");
    me.open_envelope(&envelope(), None).unwrap();
}

#[test]
fn what_is_meant_for_another_disk_node_or_cluster_is_refused() {
    let mut me = peers(1, &SimDisk::new(1));
    let cluster = |name: &str| Some(ClusterId::new(name));
    let ours = cluster("a");
    let cases = [
        RaftEnvelope { to_directory: Some(directory(99)), ..envelope() },
        RaftEnvelope { to: NodeId(3), ..envelope() },
        RaftEnvelope { from: NodeId(7), from_raft_id: 8, ..envelope() },
        RaftEnvelope { from: NodeId(1), from_raft_id: 2, ..envelope() },
        RaftEnvelope { from_raft_id: 4, ..envelope() },
        RaftEnvelope { to_raft_id: 4, ..envelope() },
        RaftEnvelope { cluster_id: cluster("b"), ..envelope() },
        RaftEnvelope { message: Bytes::from_static(b"\xff\xff"), ..envelope() },
    ];
    for case in cases {
        assert!(me.open_envelope(&case, ours.as_ref()).is_err(), "{case:?}");
    }
    let known = RaftEnvelope { cluster_id: cluster("a"), ..envelope() };
    me.open_envelope(&known, ours.as_ref()).unwrap();
}

#[test]
fn a_list_of_members_that_is_damaged_is_a_hard_stop() {
    let disk = SimDisk::new(1);
    peers(1, &disk).open_envelope(&envelope(), None).unwrap();
    disk.flip_bit(Path::new("/m/peers"), 120).unwrap();
    assert!(Directories::open(Arc::new(disk), Path::new("/m")).is_err());
}

const LOG: LogBounds = LogBounds { last_index: 10, leader: 3, term: 1 };

fn message(kind: MessageType) -> Message {
    let mut message = heartbeat();
    message.set_msg_type(kind);
    message
}

#[test]
fn p12_only_what_members_send_each_other_passes() {
    use MessageType::*;
    for kind in [MsgHup, MsgBeat, MsgPropose, MsgUnreachable, MsgSnapStatus, MsgCheckQuorum] {
        assert!(p12_check_message(&message(kind), LOG).is_err(), "{kind:?}");
    }
    for kind in [MsgTransferLeader, MsgSnapshot] {
        assert!(p12_check_message(&message(kind), LOG).is_err(), "{kind:?}");
    }
    for kind in [MsgAppend, MsgHeartbeat, MsgRequestVote, MsgRequestPreVoteResponse, MsgTimeoutNow]
    {
        p12_check_message(&message(kind), LOG).unwrap();
    }
}

#[test]
fn p12_what_would_make_raft_panic_is_refused() {
    let beyond = Message { commit: 11, ..message(MessageType::MsgHeartbeat) };
    assert!(p12_check_message(&beyond, LOG).is_err());
    let acknowledged = Message { index: 11, ..message(MessageType::MsgAppendResponse) };
    assert!(p12_check_message(&acknowledged, LOG).is_err());
    let usurper = Message { from: 2, ..message(MessageType::MsgTimeoutNow) };
    assert_eq!(p12_check_message(&usurper, LOG), Err(MessageFault::NotTheLeader));
    let leap = Message { term: u64::MAX, ..message(MessageType::MsgRequestVote) };
    assert!(matches!(p12_check_message(&leap, LOG), Err(MessageFault::TermLeap { .. })));
    let asking = Message { request_snapshot: 3, ..message(MessageType::MsgAppendResponse) };
    assert!(p12_check_message(&asking, LOG).is_err());
    let mut garbage = Message { index: 10, log_term: 1, ..message(MessageType::MsgAppend) };
    let data = b"no events".to_vec().into();
    garbage.set_entries(vec![Entry { index: 11, term: 1, data, ..Entry::default() }].into());
    assert!(matches!(p12_check_message(&garbage, LOG), Err(MessageFault::Content(_))));
    let entry = |index, term| Entry { index, term, ..Entry::default() };
    let mut change = entry(11, 1);
    change.set_entry_type(EntryType::EntryConfChange);
    let cases =
        [vec![entry(12, 1)], vec![entry(11, 1), entry(13, 1)], vec![entry(11, 2)], vec![change]];
    for entries in cases {
        let mut append = Message { index: 10, log_term: 1, ..message(MessageType::MsgAppend) };
        append.set_entries(entries.into());
        assert!(p12_check_message(&append, LOG).is_err());
    }
}

#[test]
fn p10_reads_through_the_consensus_are_refused() {
    for kind in [MessageType::MsgReadIndex, MessageType::MsgReadIndexResp] {
        assert_eq!(p12_check_message(&message(kind), LOG), Err(MessageFault::Type("reads")));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = filter::parse_message(&bytes) {
            _ = p12_check_message(&message, LOG);
        }
    }
}
