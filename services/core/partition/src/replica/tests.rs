//! Decisions of one replica: given facts, when asked, then decisions and effects.

use ottla_types::{
    BrokerEpoch, ErrorCode, LeaderEpoch, NodeId, Offset, PartitionEpoch, ProducerEpoch, ProducerId,
    Sequence, TimestampMs,
};

use super::*;
use crate::append::BatchProducer;
use crate::fetch::{FetchRefusal, Readable};
use crate::isr::PeerStanding;

const ME: NodeId = NodeId(1);
const NOW: TimestampMs = TimestampMs(1_000_000);

fn config() -> ReplicaConfig {
    ReplicaConfig {
        durability: Durability::Synced,
        min_insync_replicas: 1,
        max_message_bytes: 1_000,
        timestamps: TimestampPolicy::CreateTime { before_max_ms: 10_000, after_max_ms: 1_000 },
        producer_expiration_ms: 60_000,
    }
}

fn batch(records: i32) -> Batch {
    Batch {
        size_bytes: 100,
        record_count: records,
        producer: None,
        base_timestamp: NOW,
        max_timestamp: NOW,
        is_transactional: false,
        is_control: false,
    }
}

fn idempotent(sequence: i32, records: i32) -> Batch {
    let producer = BatchProducer {
        id: ProducerId(9),
        epoch: ProducerEpoch(0),
        base_sequence: Sequence(sequence),
    };
    Batch { producer: Some(producer), ..batch(records) }
}

fn assignment(leader: i32, epoch: i32, isr: &[i32]) -> Assignment {
    Assignment {
        leader: Some(NodeId(leader)),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch),
        isr: isr.iter().map(|&n| NodeId(n)).collect(),
    }
}

fn leader_with(config: ReplicaConfig, isr: &[i32]) -> Replica {
    let mut replica = Replica::new(ME, config, RecoveredState::default());
    replica.r15_assign(assignment(1, 5, isr), NOW, &mut Vec::new());
    replica
}

fn append(replica: &mut Replica, batch: &Batch) -> Placement {
    match replica.decide_append(batch, false, NOW) {
        Ok(Decision::Append(place)) => {
            replica.replay(batch, &place, NOW);
            place
        }
        other => panic!("not appended: {other:?}"),
    }
}

fn peer(node: i32) -> PeerStanding {
    PeerStanding { node: NodeId(node), broker_epoch: BrokerEpoch(1), fenced: false }
}

fn report(epoch: i32, counting_end: i64) -> ProgressReport {
    ProgressReport { from: peer(2), epoch: LeaderEpoch(epoch), counting_end: Offset(counting_end) }
}

#[test]
fn offsets_are_assigned_without_gaps_and_with_the_leaders_epoch() {
    let mut replica = leader_with(config(), &[1]);
    let first = append(&mut replica, &batch(3));
    let second = append(&mut replica, &batch(2));
    assert_eq!((first.base_offset, first.leader_epoch), (Offset(0), LeaderEpoch(5)));
    assert_eq!((second.base_offset, second.end_offset), (Offset(3), Offset(5)));
    assert_eq!(replica.epochs().epoch_at(Offset(4)), Some(LeaderEpoch(5)));
}

#[test]
fn r7_an_offset_counts_when_it_is_durable_where_flush_messages_is_one() {
    let mut replica = leader_with(config(), &[1]);
    let place = append(&mut replica, &batch(3));
    let mut effects = Vec::new();
    assert!(replica.await_acknowledgement(Ticket(1), place.end_offset, true));
    assert!(replica.await_acknowledgement(Ticket(2), place.end_offset, false));
    replica.written(place.end_offset, &mut effects);
    assert_eq!(effects, []);
    replica.durable(place.end_offset, &mut effects);
    let wake = Effect::WakeFetches { high_watermark: Offset(3) };
    let answers = [wake, Effect::Acknowledge(Ticket(2)), Effect::Acknowledge(Ticket(1))];
    assert_eq!(effects, answers);
}

#[test]
fn r7_an_offset_counts_when_it_is_written_where_flush_messages_is_larger() {
    let mut replica =
        leader_with(ReplicaConfig { durability: Durability::Written, ..config() }, &[1]);
    let place = append(&mut replica, &batch(3));
    let mut effects = Vec::new();
    assert!(replica.await_acknowledgement(Ticket(1), place.end_offset, true));
    replica.written(place.end_offset, &mut effects);
    assert!(effects.contains(&Effect::Acknowledge(Ticket(1))));
}

#[test]
fn r7_acks_all_waits_for_every_member_of_the_isr_and_acks_one_does_not() {
    let mut replica = leader_with(config(), &[1, 2]);
    let place = append(&mut replica, &batch(3));
    let mut effects = Vec::new();
    assert!(replica.await_acknowledgement(Ticket(1), place.end_offset, true));
    assert!(replica.await_acknowledgement(Ticket(2), place.end_offset, false));
    replica.durable(place.end_offset, &mut effects);
    assert_eq!(effects, [Effect::Acknowledge(Ticket(2))]);
    effects.clear();
    replica.follower_progress(report(5, 3), NOW, &mut effects).unwrap();
    assert!(effects.contains(&Effect::Acknowledge(Ticket(1))));
}

#[test]
fn a_duplicate_is_answered_with_where_it_is() {
    let mut replica = leader_with(config(), &[1]);
    append(&mut replica, &batch(7));
    append(&mut replica, &idempotent(0, 3));
    let Ok(Decision::Duplicate(memory)) = replica.decide_append(&idempotent(0, 3), true, NOW)
    else {
        panic!("not a duplicate");
    };
    assert_eq!((memory.base_offset, memory.last_offset), (Offset(7), Offset(9)));
    assert_eq!(
        replica.decide_append(&idempotent(4, 1), true, NOW).map_err(|e| e.code()),
        Err(ErrorCode::OutOfOrderSequenceNumber)
    );
}

#[test]
fn batches_that_a_client_may_not_send_are_refused_with_kafkas_codes() {
    let replica = leader_with(config(), &[1]);
    let mut transactional = idempotent(0, 1);
    transactional.is_transactional = true;
    let cases = [
        (Batch { size_bytes: 1_001, ..batch(1) }, ErrorCode::MessageTooLarge),
        (batch(0), ErrorCode::InvalidRecord),
        (Batch { is_control: true, ..batch(1) }, ErrorCode::InvalidRecord),
        (Batch { is_transactional: true, ..batch(1) }, ErrorCode::InvalidRecord),
        (Batch { max_timestamp: NOW.plus_ms(1_001), ..batch(1) }, ErrorCode::InvalidTimestamp),
        (Batch { base_timestamp: NOW.plus_ms(-10_001), ..batch(1) }, ErrorCode::InvalidTimestamp),
        (transactional, ErrorCode::InvalidTxnState),
    ];
    for (batch, code) in cases {
        assert_eq!(replica.decide_append(&batch, true, NOW).map_err(|e| e.code()), Err(code));
    }
    let no_timestamp =
        Batch { base_timestamp: TimestampMs::NONE, max_timestamp: TimestampMs::NONE, ..batch(1) };
    assert!(replica.decide_append(&no_timestamp, true, NOW).is_ok());
}

#[test]
fn acks_all_needs_min_insync_replicas_and_acks_one_does_not() {
    let replica = leader_with(ReplicaConfig { min_insync_replicas: 2, ..config() }, &[1]);
    let refused = replica.decide_append(&batch(1), true, NOW).map_err(|e| e.code());
    assert_eq!(refused, Err(ErrorCode::NotEnoughReplicas));
    assert!(replica.decide_append(&batch(1), false, NOW).is_ok());
}

#[test]
fn log_append_time_replaces_any_timestamp() {
    let replica =
        leader_with(ReplicaConfig { timestamps: TimestampPolicy::LogAppendTime, ..config() }, &[1]);
    let ancient = Batch { base_timestamp: TimestampMs(0), ..batch(1) };
    let Ok(Decision::Append(place)) = replica.decide_append(&ancient, true, NOW) else {
        panic!("not appended");
    };
    assert_eq!(place.log_append_time, Some(NOW));
}

#[test]
fn r16_after_a_disk_error_everything_is_refused() {
    let mut replica = leader_with(config(), &[1]);
    let place = append(&mut replica, &batch(1));
    assert!(replica.await_acknowledgement(Ticket(3), place.end_offset, true));
    let mut effects = Vec::new();
    replica.r16_stop(&mut effects);
    assert_eq!(effects, [Effect::Refuse(Ticket(3), ErrorCode::KafkaStorageError)]);
    let refused = replica.decide_append(&batch(1), true, NOW).map_err(|e| e.code());
    assert_eq!(refused, Err(ErrorCode::KafkaStorageError));
    replica.r15_assign(assignment(1, 9, &[1]), NOW, &mut effects);
    assert_eq!(*replica.role(), ReplicaRole::Offline);
}

#[test]
fn r15_a_lost_leadership_refuses_those_who_wait() {
    let mut replica = leader_with(config(), &[1, 2]);
    let place = append(&mut replica, &batch(1));
    assert!(replica.await_acknowledgement(Ticket(3), place.end_offset, true));
    let mut effects = Vec::new();
    replica.r15_assign(assignment(1, 4, &[1]), NOW, &mut effects);
    assert_eq!(effects, [], "an older epoch changes nothing");
    replica.r15_assign(assignment(2, 6, &[2]), NOW, &mut effects);
    assert_eq!(effects, [Effect::Refuse(Ticket(3), ErrorCode::NotLeaderOrFollower)]);
    assert_eq!(replica.known_leader(), Some((NodeId(2), LeaderEpoch(6))));
}

#[test]
fn r6_latest_is_not_answered_until_the_watermark_reached_the_epochs_start() {
    let mut replica = Replica::new(ME, config(), RecoveredState::default());
    replica.r15_assign(assignment(2, 4, &[1, 2]), NOW, &mut Vec::new());
    let place = Placement {
        base_offset: Offset(0),
        end_offset: Offset(5),
        leader_epoch: LeaderEpoch(4),
        log_append_time: None,
    };
    assert!(replica.replicate(LeaderEpoch(4), &batch(5), &place, NOW));
    replica.durable(Offset(5), &mut Vec::new());
    replica.leader_watermark(LeaderEpoch(4), Offset(2));
    replica.r15_assign(assignment(1, 5, &[1, 2]), NOW, &mut Vec::new());
    let latest = |r: &Replica| r.r6_latest(LeaderEpoch(5), false);
    assert_eq!(latest(&replica), Err(FetchRefusal::OffsetNotAvailable));
    replica.follower_progress(report(5, 5), NOW, &mut Vec::new()).unwrap();
    assert_eq!(latest(&replica), Ok((Offset(5), LeaderEpoch(5))));
}

#[test]
fn r13_a_follower_that_speaks_in_another_epoch_does_not_count() {
    let mut replica = leader_with(config(), &[1, 2]);
    append(&mut replica, &batch(3));
    replica.durable(Offset(3), &mut Vec::new());
    for (epoch, refusal) in
        [(4, FetchRefusal::FencedLeaderEpoch), (6, FetchRefusal::UnknownLeaderEpoch)]
    {
        let told = replica.follower_progress(report(epoch, 3), NOW, &mut Vec::new());
        assert_eq!(told, Err(refusal));
    }
    assert_eq!(replica.high_watermark(), Offset(0));
}

#[test]
fn r7_a_reader_sees_what_is_below_the_watermark_only() {
    let mut replica = leader_with(config(), &[1]);
    append(&mut replica, &batch(3));
    let readable = |r: &Replica, offset| {
        r.r7_readable(LeaderEpoch::NONE, LeaderEpoch::NONE, Offset(offset), false)
    };
    assert_eq!(readable(&replica, 0), Ok(Readable::Range { end: Offset(0) }));
    assert_eq!(readable(&replica, 2), Ok(Readable::Range { end: Offset(2) }));
    replica.durable(Offset(3), &mut Vec::new());
    assert_eq!(readable(&replica, 0), Ok(Readable::Range { end: Offset(3) }));
    assert_eq!(readable(&replica, 4), Err(FetchRefusal::OffsetOutOfRange));
    assert_eq!(readable(&replica, -1), Err(FetchRefusal::OffsetOutOfRange));
}

#[test]
fn a_reader_whose_log_parted_is_told_where() {
    let mut replica = leader_with(config(), &[1]);
    append(&mut replica, &batch(3));
    replica.r15_assign(assignment(1, 8, &[1]), NOW, &mut Vec::new());
    append(&mut replica, &batch(3));
    let readable = |last, offset| {
        replica.r7_readable(LeaderEpoch(8), LeaderEpoch(last), Offset(offset), false)
    };
    assert_eq!(readable(5, 3), Ok(Readable::Range { end: Offset(3) }));
    let diverging = Readable::Diverging { epoch: LeaderEpoch(5), end: Offset(3) };
    assert_eq!(readable(5, 4), Ok(diverging));
    assert_eq!(readable(6, 2), Ok(diverging));
    assert_eq!(readable(9, 2), Err(FetchRefusal::OffsetOutOfRange));
}

#[test]
fn a_follower_that_lags_too_long_is_proposed_to_leave_the_isr() {
    let mut replica = leader_with(config(), &[1, 2]);
    append(&mut replica, &batch(3));
    assert_eq!(replica.propose_isr(&[peer(2)], NOW.plus_ms(10_000), 10_000), None);
    let proposal = replica.propose_isr(&[peer(2)], NOW.plus_ms(10_001), 10_000).unwrap();
    assert_eq!(proposal.isr, [ME]);
    // R4: the watermark waits for the old ISR until the controller committed the new one.
    let mut effects = Vec::new();
    replica.durable(Offset(3), &mut effects);
    assert_eq!(replica.high_watermark(), Offset(0));
    let mut committed = assignment(1, 5, &[1]);
    committed.partition_epoch = PartitionEpoch(6);
    replica.r15_assign(committed, NOW, &mut effects);
    assert_eq!(replica.high_watermark(), Offset(3));
}

#[test]
fn records_are_deleted_up_to_the_watermark_and_never_back() {
    let mut replica = leader_with(config(), &[1, 2]);
    append(&mut replica, &batch(10));
    replica.durable(Offset(10), &mut Vec::new());
    replica.follower_progress(report(5, 6), NOW, &mut Vec::new()).unwrap();
    assert_eq!(replica.decide_delete(Offset(6)), Ok(Offset(6)));
    assert_eq!(replica.decide_delete(Offset(-1)), Ok(Offset(6)));
    for wrong in [7, -2] {
        assert_eq!(replica.decide_delete(Offset(wrong)), Err(FetchRefusal::OffsetOutOfRange));
    }
    replica.start_raised(Offset(4), &mut Vec::new());
    assert_eq!(replica.decide_delete(Offset(2)), Ok(Offset(4)));
    replica.r15_assign(assignment(2, 6, &[1, 2]), NOW, &mut Vec::new());
    assert_eq!(replica.decide_delete(Offset(5)), Err(FetchRefusal::NotLeader));
}

#[test]
fn an_epoch_that_the_log_does_not_know_has_no_end() {
    let mut replica = leader_with(config(), &[1]);
    append(&mut replica, &batch(3));
    let end = |current, asked| {
        replica.epoch_end(LeaderEpoch(current), LeaderEpoch(asked)).map(|(e, o)| (e.0, o.0))
    };
    assert_eq!(end(5, 5), Ok((5, 3)));
    assert_eq!(end(-1, 3), Ok((3, 0)));
    assert_eq!([end(-1, 6), end(-1, -1)], [Ok((-1, -1)); 2]);
    assert_eq!(end(4, 5), Err(FetchRefusal::FencedLeaderEpoch));
    assert_eq!(end(6, 5), Err(FetchRefusal::UnknownLeaderEpoch));
}
