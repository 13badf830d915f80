//! Good bytes become events, bad ones errors.

use bytes::Bytes;
use ottla_coordinator::event::{CommittedOffset, OffsetKey};
use ottla_coordinator::{GroupId, Text, TopicName};
use ottla_log_format::{Attributes, BatchBuilder};
use ottla_types::{LeaderEpoch, PartitionIndex, TimestampMs, TopicId};
use proptest::prelude::*;

use super::*;

fn committed(offset: i64) -> Event {
    Event::OffsetCommitted {
        at: OffsetKey {
            group: GroupId::new("g").unwrap(),
            topic: TopicName::new("t").unwrap(),
            partition: PartitionIndex(0),
        },
        offset: CommittedOffset {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(1),
            metadata: Text::empty(),
            committed_at: TimestampMs(7),
            expires_at: TimestampMs::NONE,
            topic_id: TopicId::default(),
        },
    }
}

fn builder(base: i64, events: &[Event]) -> BatchBuilder {
    events.iter().fold(BatchBuilder::new(Offset(base)), |batch, event| {
        let record = records::encode(event);
        batch.record(TimestampMs(7), Some(&record.key), record.value.as_deref())
    })
}

fn of(batches: &[Bytes]) -> FetchedRecords {
    FetchedRecords::Bytes(batches.to_vec())
}

#[test]
fn batches_of_every_codec_are_read_from_an_offset_on() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let first = builder(5, &[committed(1), committed(2)]).codec(codec).try_build().unwrap();
        let second = builder(7, &[committed(3)]).build();
        let chunk = decode(&of(&[first, second]), Offset(6)).unwrap();
        assert_eq!(chunk.events, [committed(2), committed(3)], "{codec:?}");
        assert_eq!(chunk.next, Some(Offset(8)));
        assert_eq!(chunk.skipped, Skipped::default());
    }
    assert_eq!(decode(&of(&[]), Offset(6)).unwrap(), Chunk::default());
}

#[test]
fn what_belongs_to_others_is_passed_over_and_counted() {
    let consumer_group = BatchBuilder::new(Offset(0))
        .record(TimestampMs(7), Some(&[0, 3, 0, 1, b'g']), Some(&[]))
        .record(TimestampMs(7), Some(&[0, 99]), None)
        .build();
    let transaction =
        builder(2, &[committed(1)]).attributes(Attributes(0).with_transactional()).build();
    let chunk = decode(&of(&[consumer_group, transaction]), Offset(0)).unwrap();
    assert_eq!((chunk.events.len(), chunk.next), (0, Some(Offset(3))));
    let skipped: Vec<_> = chunk.skipped.0.iter().map(|(what, n)| (what.as_str(), *n)).collect();
    let expected =
        [("ConsumerGroupMetadata", 1), ("keys of version 99", 1), ("records of transactions", 1)];
    assert_eq!(skipped, expected);
}

#[test]
fn what_cannot_be_read_is_an_error_and_no_gap() {
    let sound = builder(0, &[committed(1)]).build();
    let mut flipped = sound.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let found = decode(&of(&[sound.clone(), flipped.into()]), Offset(0));
    assert!(matches!(found, Err(DecodeError::Batch { .. })), "{found:?}");
    let cut = decode(&of(&[sound.slice(..sound.len() - 1)]), Offset(0));
    assert!(matches!(cut, Err(DecodeError::Batch { at: Offset(0), .. })), "{cut:?}");
    let strange =
        BatchBuilder::new(Offset(9)).record(TimestampMs(7), Some(&[0, 1, 0, 9]), None).build();
    let strange = decode(&of(&[strange]), Offset(0));
    assert!(matches!(strange, Err(DecodeError::Content { at: Offset(9), .. })), "{strange:?}");
    let keyless = BatchBuilder::new(Offset(9)).record(TimestampMs(7), None, None).build();
    assert!(decode(&of(&[keyless]), Offset(0)).is_err());
}

proptest! {
    #[test]
    fn bytes_of_the_disk_never_panic(
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        kind in 0_u8..30,
        junk: Vec<u8>,
    ) {
        _ = decode(&of(&[junk.into()]), Offset(0));
        // Whole batches whose records are anything.
        let key = key.map(|key| [vec![0, kind], key].concat());
        let batch = BatchBuilder::new(Offset(0));
        let batch = batch.record(TimestampMs(7), key.as_deref(), value.as_deref()).build();
        _ = decode(&of(&[batch]), Offset(0));
    }
}
