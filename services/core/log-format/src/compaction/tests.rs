//! Compaction against a model: the last value of each key, in the order of offsets.

use std::collections::BTreeMap;

use ottla_types::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use proptest::prelude::*;

use super::*;
use crate::{Attributes, BatchBuilder, TimestampType, batches, compression};

const DAY_MS: i64 = 86_400_000;

/// A record as a reader sees it: offset, timestamp, key, value.
type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// A record to be written: timestamp, key, value.
type Written<'a> = (i64, Option<&'a str>, Option<&'a str>);

fn batch(base: i64, codec: Codec, records: &[Written<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(base)).codec(codec).leader_epoch(LeaderEpoch(3));
    for (time, key, value) in records {
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        builder.push(TimestampMs(*time), key, value, &[("header", b"kept")]);
    }
    builder.try_build().unwrap().to_vec()
}

fn read(log: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for batch in batches(log).map(Result::unwrap) {
        let header = validate_stored(batch.bytes).unwrap();
        let codec = header.attributes.codec().unwrap();
        let payload =
            compression::decompress(codec, &batch.bytes[BATCH_HEADER_BYTES..], 1 << 24).unwrap();
        for record in Records::over(&header, if header.record_count == 0 { &[] } else { &payload })
        {
            let record = record.unwrap();
            assert_eq!(record.headers.get("header"), Some(&b"kept"[..]));
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            seen.push((record.offset.0, record.timestamp.0, key, value));
        }
    }
    seen
}

fn map_of(log: &[u8], from: i64) -> OffsetMap {
    let mut map = OffsetMap::new(KeyHasher::new(1), 1 << 20, 90, Offset(from));
    for batch in batches(log).map(Result::unwrap) {
        assert_eq!(note_keys(batch.bytes, Offset(from), &mut map).unwrap(), Noted::All);
    }
    map
}

/// A cleaning at `now` whose dirty part begins at `from`; the last batch stays.
fn clean(log: &[u8], from: i64, now: i64) -> Vec<u8> {
    let map = map_of(log, from);
    clean_with(log, &map, now)
}

fn clean_with(log: &[u8], map: &OffsetMap, now: i64) -> Vec<u8> {
    let mut left = Vec::new();
    let mut keeps_tombstones = false;
    for batch in batches(log).map(Result::unwrap) {
        let rules = Rules {
            map,
            now: TimestampMs(now),
            delete_retention_ms: DAY_MS,
            keeps_tombstones,
            keeps_empty: batch.position + batch.bytes.len() == log.len(),
        };
        match compact_batch(batch.bytes, &rules).unwrap() {
            Compacted::Gone => {}
            Compacted::Rewritten(bytes) => left.extend(bytes),
            Compacted::Same => left.extend(batch.bytes),
            Compacted::Untouched => {
                keeps_tombstones = true;
                left.extend(batch.bytes);
            }
        }
    }
    left
}

#[test]
fn superseded_records_go_and_the_others_keep_offset_time_and_place() {
    let first = batch(0, Codec::None, &[(10, Some("a"), Some("1")), (20, Some("b"), Some("2"))]);
    let second = batch(2, Codec::Zstd, &[(30, Some("a"), Some("3")), (5, Some("c"), Some("4"))]);
    let left = clean(&[first, second].concat(), 0, 0);
    let headers: Vec<_> = batches(&left).map(|batch| batch.unwrap().header).collect();
    assert_eq!((headers[0].base_offset, headers[0].last_offset()), (Offset(0), Offset(1)));
    assert_eq!((headers[0].record_count, headers[0].max_timestamp), (1, TimestampMs(20)));
    assert_eq!(headers[0].leader_epoch, LeaderEpoch(3));
    assert_eq!(headers[1].attributes.codec(), Some(Codec::Zstd));
    let offsets: Vec<_> = read(&left).iter().map(|seen| (seen.0, seen.1)).collect();
    assert_eq!(offsets, [(1, 20), (2, 30), (3, 5)]);
}

#[test]
fn a_record_without_a_key_goes_and_what_the_map_does_not_cover_stays() {
    let log = batch(0, Codec::None, &[(1, None, Some("x")), (1, Some("a"), Some("1"))]);
    let more = batch(2, Codec::None, &[(1, Some("a"), Some("2")), (1, None, Some("y"))]);
    let map = map_of(&log, 0);
    let left = clean_with(&[log, more].concat(), &map, 0);
    assert_eq!(read(&left).iter().map(|seen| seen.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_tombstone_stays_until_the_horizon_that_its_first_cleaning_set() {
    let log = batch(
        0,
        Codec::None,
        &[(100, Some("a"), Some("1")), (200, Some("a"), None), (300, Some("b"), Some("2"))],
    );
    let log = [log, batch(3, Codec::None, &[(400, Some("c"), Some("3"))])].concat();
    let first = clean(&log, 0, 1_000);
    let header = batches(&first).next().unwrap().unwrap().header;
    assert!(header.attributes.has_delete_horizon());
    assert_eq!(header.base_timestamp, TimestampMs(1_000 + DAY_MS));
    let times = |log: &[u8]| read(log).iter().map(|seen| (seen.0, seen.1)).collect::<Vec<_>>();
    assert_eq!(times(&first), [(1, 200), (2, 300), (3, 400)]);
    // Later cleanings set no other horizon.
    let second = clean(&first, 4, DAY_MS);
    assert_eq!(second, first);
    let third = clean(&second, 4, 1_000 + DAY_MS);
    assert_eq!(times(&third), [(2, 300), (3, 400)]);
}

#[test]
fn the_last_batch_of_a_producer_stays_without_records_but_with_its_sequence() {
    let builder = BatchBuilder::new(Offset(5)).codec(Codec::Gzip).leader_epoch(LeaderEpoch(2));
    let builder = builder.producer(ProducerId(9), ProducerEpoch(1), Sequence(7));
    let kept = builder
        .record(TimestampMs(50), Some(b"a"), Some(b"1"))
        .record(TimestampMs(60), Some(b"a"), Some(b"2"))
        .try_build()
        .unwrap();
    let mut map = map_of(&kept, 0);
    assert!(map.put(b"a", Offset(90)));
    let rules = |keeps_empty| Rules {
        map: &map,
        now: TimestampMs(0),
        delete_retention_ms: 0,
        keeps_tombstones: false,
        keeps_empty,
    };
    assert_eq!(compact_batch(&kept, &rules(false)).unwrap(), Compacted::Gone);
    let Compacted::Rewritten(empty) = compact_batch(&kept, &rules(true)).unwrap() else { panic!() };
    let header = validate_stored(&empty).unwrap();
    assert_eq!((empty.len(), header.record_count), (BATCH_HEADER_BYTES, 0));
    assert_eq!((header.base_offset, header.last_offset()), (Offset(5), Offset(6)));
    assert_eq!((header.base_sequence, header.last_sequence()), (Sequence(7), Sequence(8)));
    assert_eq!((header.producer_id, header.max_timestamp), (ProducerId(9), TimestampMs(60)));
    assert_eq!((header.leader_epoch, header.base_timestamp), (LeaderEpoch(2), TimestampMs::NONE));
    assert_eq!(header.attributes.codec(), Some(Codec::None));
    // Once it is empty it stays as it is, or goes.
    assert_eq!(compact_batch(&empty, &rules(true)).unwrap(), Compacted::Same);
    assert_eq!(compact_batch(&empty, &rules(false)).unwrap(), Compacted::Gone);
}

#[test]
fn a_transactions_batch_is_left_alone_and_so_is_every_tombstone_behind_it() {
    let flags = Attributes::default().with_transactional();
    let open = BatchBuilder::new(Offset(0)).attributes(flags);
    let open = open.producer(ProducerId(1), ProducerEpoch(0), Sequence(0));
    let open =
        open.record_with_headers(TimestampMs(1), Some(b"a"), Some(b"1"), &[("header", b"kept")]);
    let log = [
        open.build().to_vec(),
        batch(1, Codec::None, &[(1, Some("b"), Some("1"))]),
        batch(2, Codec::None, &[(1, Some("a"), None), (1, Some("b"), Some("2"))]),
    ]
    .concat();
    let first = clean(&log, 0, 1);
    let later = clean(&first, 4, i64::MAX);
    assert_eq!(read(&later).iter().map(|seen| seen.0).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn damage_is_an_error_and_not_rewritten() {
    let mut bytes = batch(0, Codec::None, &[(1, Some("a"), Some("1")), (1, Some("a"), Some("2"))]);
    let map = map_of(&bytes, 0);
    bytes[70] ^= 1;
    let rules = Rules {
        map: &map,
        now: TimestampMs(0),
        delete_retention_ms: 0,
        keeps_tombstones: false,
        keeps_empty: false,
    };
    assert!(matches!(compact_batch(&bytes, &rules), Err(CompactError::Batch(_))));
    let mut map = map.clone();
    assert!(matches!(note_keys(&bytes, Offset(0), &mut map), Err(CompactError::Batch(_))));
}

#[test]
fn the_leaders_time_stays_that_of_every_record() {
    let builder =
        BatchBuilder::new(Offset(0)).attributes(Attributes::default().with_log_append_time());
    let log = builder
        .record_with_headers(TimestampMs(7), Some(b"a"), Some(b"1"), &[("header", b"kept")])
        .record_with_headers(TimestampMs(99), Some(b"a"), None, &[("header", b"kept")])
        .build();
    let left = clean(&log, 0, 1_000);
    let header = batches(&left).next().unwrap().unwrap().header;
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(read(&left), [(1, 99, Some(b"a".to_vec()), None)]);
}

/// A generated record: its time, which key, and a value or none.
type Generated = (u16, u8, Option<u8>);

/// What is left of a log: the last record of each key, tombstones included.
fn model(log: &[Seen]) -> BTreeMap<Vec<u8>, Seen> {
    log.iter().map(|seen| (seen.2.clone().unwrap_or_default(), seen.clone())).collect()
}

proptest! {
    #[test]
    fn a_reader_sees_the_last_value_of_each_key_whatever_was_cleaned_before(
        generated in proptest::collection::vec(
            (0_u8..5, proptest::collection::vec((any::<u16>(), 0_u8..12, proptest::option::of(any::<u8>())), 1..8)), 1..20),
        cleanings in proptest::collection::vec((0_usize..200, 0_i64..3 * DAY_MS), 1..5),
    ) {
        let mut log = Vec::new();
        let mut next = 0;
        for (codec, records) in &generated {
            let codec = Codec::from_id(*codec).unwrap();
            let mut builder = BatchBuilder::new(Offset(next)).codec(codec);
            let records: &Vec<Generated> = records;
            for (time, key, value) in records {
                let value = value.map(|value| [value]);
                builder.push(TimestampMs(i64::from(*time)), Some(&[*key]), value.as_ref().map(|v| &v[..]), &[("header", b"kept")]);
            }
            next += records.len() as i64;
            log.extend(builder.try_build().unwrap());
        }
        let expected = model(&read(&log));
        let (mut from, mut now) = (0, 0);
        for (bound, later) in cleanings {
            now += later;
            // A map that covers a part only, as one does that is full.
            let mut map = OffsetMap::new(KeyHasher::new(5), 1 << 20, 90, Offset(from));
            for batch in batches(&log).map(Result::unwrap).take(bound) {
                note_keys(batch.bytes, Offset(from), &mut map).unwrap();
            }
            let before = read(&log);
            log = clean_with(&log, &map, now);
            let left = read(&log);
            prop_assert!(left.windows(2).all(|pair| pair[0].0 < pair[1].0), "in the order of offsets");
            prop_assert!(left.iter().all(|seen| before.contains(seen)), "as it was written");
            let end = batches(&log).last().unwrap().unwrap().header.next_offset();
            prop_assert_eq!(end, Offset(next), "the log's end is known");
            let found = model(&left);
            for (key, seen) in &expected {
                // Only a tombstone may be gone, and nothing that it deleted is back.
                let is_right = found.get(key).map_or(seen.3.is_none(), |found| found == seen);
                prop_assert!(is_right, "{:?}: {:?}", seen, found.get(key));
            }
            // Within what was covered no key is there twice.
            let covered = left.iter().filter(|seen| seen.0 < map.end().0);
            let mut keys = std::collections::BTreeSet::new();
            for seen in covered {
                prop_assert!(keys.insert(seen.2.clone()), "{:?} is there twice", seen.2);
            }
            from = map.end().0;
        }
        // Once it is all covered and old enough, no tombstone is left.
        let first = clean(&log, from, now);
        let last = clean(&first, from, now + DAY_MS);
        prop_assert!(read(&last).iter().all(|seen| seen.3.is_some()));
        prop_assert_eq!(read(&last).len(), expected.values().filter(|seen| seen.3.is_some()).count());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>, count in 0_i32..9, codec in 0_i16..8) {
        let mut map = map_of(&[], 0);
        let header = crate::BatchHeader {
            record_count: count,
            last_offset_delta: 8,
            batch_length: (bytes.len() + BATCH_HEADER_BYTES - crate::LOG_OVERHEAD_BYTES) as i32,
            attributes: Attributes(codec),
            ..batches(&batch(0, Codec::None, &[(1, Some("a"), None)])).next().unwrap().unwrap().header
        };
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header.encode()[crate::CRC_START..]), &bytes);
        let sound = [&crate::BatchHeader { crc, ..header }.encode()[..], &bytes].concat();
        let _ = note_keys(&sound, Offset(0), &mut map);
        let rules = Rules { map: &map, now: TimestampMs(9), delete_retention_ms: 1, keeps_tombstones: false, keeps_empty: true };
        if let Ok(Compacted::Rewritten(rewritten)) = compact_batch(&sound, &rules) {
            prop_assert!(validate_stored(&rewritten).is_ok());
        }
    }
}
