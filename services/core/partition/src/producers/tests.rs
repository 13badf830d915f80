//! What is remembered of producers, decision by decision.

use super::*;

fn batch(epoch: i16, sequence: i32) -> BatchProducer {
    BatchProducer {
        id: ProducerId(7),
        epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
    }
}

fn memory(first: i32, count: i32, base: i64) -> BatchMemory {
    BatchMemory {
        first_sequence: Sequence(first),
        last_sequence: Sequence(first).plus(count - 1),
        base_offset: Offset(base),
        last_offset: Offset(base + i64::from(count) - 1),
        timestamp: TimestampMs(0),
    }
}

/// A producer of epoch 3 whose batches of ten records begin at these sequences.
fn producers(sequences: &[i32]) -> Producers {
    let mut producers = Producers::default();
    for (index, &sequence) in sequences.iter().enumerate() {
        producers.replay(
            &batch(3, sequence),
            memory(sequence, 10, index as i64 * 10),
            TimestampMs(0),
            &OpenTransactions::default(),
        );
    }
    producers
}

#[test]
fn the_next_sequence_is_accepted_and_a_gap_is_not() {
    let producers = producers(&[0, 10]);
    assert_eq!(producers.check(&batch(3, 20), 1), Ok(Sequencing::New));
    for sequence in [21, 19, 0] {
        assert!(matches!(
            producers.check(&batch(3, sequence), 7),
            Err(AppendRefusal::OutOfOrderSequence { expected: Sequence(20), .. })
        ));
    }
}

#[test]
fn each_of_the_last_five_batches_is_known_as_a_duplicate() {
    let producers = producers(&[0, 10, 20, 30, 40, 50]);
    for sequence in [10, 20, 30, 40, 50] {
        let Ok(Sequencing::Duplicate(memory)) = producers.check(&batch(3, sequence), 10) else {
            panic!("{sequence} is not known");
        };
        assert_eq!(memory.base_offset, Offset(i64::from(sequence)));
    }
    assert!(producers.check(&batch(3, 0), 10).is_err());
}

#[test]
fn a_sequence_goes_on_from_zero_after_the_largest() {
    let producers = producers(&[i32::MAX - 9]);
    assert_eq!(producers.check(&batch(3, 0), 1), Ok(Sequencing::New));
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() {
    let producers = producers(&[0]);
    assert!(matches!(
        producers.check(&batch(2, 10), 1),
        Err(AppendRefusal::InvalidProducerEpoch { .. })
    ));
    assert_eq!(producers.check(&batch(4, 0), 1), Ok(Sequencing::New));
    assert!(producers.check(&batch(4, 10), 1).is_err());
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    assert_eq!(Producers::default().check(&batch(0, 500), 1), Ok(Sequencing::New));
}

#[test]
fn silent_producers_expire_but_not_within_a_transaction() {
    let mut open = OpenTransactions::default();
    let mut producers = producers(&[0]);
    assert_eq!(producers.expire(TimestampMs(99), 100, &open), 0);
    open.note_record(ProducerId(7), Offset(3));
    assert_eq!(producers.expire(TimestampMs(100), 100, &open), 0);
    open.note_marker(ProducerId(7));
    assert_eq!(producers.expire(TimestampMs(100), 100, &open), 1);
}

#[test]
fn a_flood_of_producers_forgets_the_silent_ones() {
    let mut producers = Producers::default();
    let open = OpenTransactions::default();
    for id in 0..(3 * MAX_PRODUCERS as i64) {
        let batch = BatchProducer { id: ProducerId(id), ..batch(0, 0) };
        producers.replay(&batch, memory(0, 1, id), TimestampMs(id), &open);
        assert!(producers.len() <= MAX_PRODUCERS);
    }
    assert!(producers.get(ProducerId(3 * MAX_PRODUCERS as i64 - 1)).is_some());
}
