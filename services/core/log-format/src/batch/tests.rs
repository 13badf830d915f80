//! Batches: golden bytes, round trips, hostile bytes.

use bytes::Bytes;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use proptest::prelude::*;

use super::*;

fn one() -> Bytes {
    BatchBuilder::new(Offset(0)).record(TimestampMs(1000), Some(b"k"), Some(b"v")).build()
}

fn header(bytes: &[u8]) -> BatchHeader {
    BatchHeader::decode(bytes).unwrap()
}

/// `bytes` with one bit turned and the checksum set right again.
fn with_field(bytes: &Bytes, at: usize, field: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at..at + field.len()].copy_from_slice(field);
    let crc = crc32c::crc32c(&changed[CRC_START..]);
    changed[17..21].copy_from_slice(&crc.to_be_bytes());
    changed
}

#[test]
fn a_batch_that_was_built_has_the_layout_of_kafka() {
    let bytes = one();
    let expected = [
        &[0, 0, 0, 0, 0, 0, 0, 0][..], // base offset
        &[0, 0, 0, 58],                // length
        &[0xff, 0xff, 0xff, 0xff],     // leader epoch
        &[2],                          // magic
        &bytes[17..21],
        &[0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 3, 0xe8],
        &[0, 0, 0, 0, 0, 0, 3, 0xe8],
        &[0xff; 8],
        &[0xff; 2],
        &[0xff; 4],
        &[0, 0, 0, 1],
        &[16, 0, 0, 0, 2, b'k', 2, b'v', 0],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn a_sound_batch_passes_and_every_changed_bit_behind_the_placement_is_found() {
    let bytes = one();
    assert!(validate_produced(&bytes).is_ok());
    for bit in PLACEMENT_BYTES * 8..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(validate_produced(&changed).is_err(), "bit {bit}");
        assert!(validate_stored(&changed).is_err(), "bit {bit}");
    }
}

#[test]
fn each_fault_has_its_own_error() {
    let bytes = one();
    assert!(matches!(validate_produced(&bytes[..60]), Err(BatchError::TooShort { .. })));
    assert!(matches!(
        validate_produced(&bytes[..65]),
        Err(BatchError::TooShort { have: 65, need: 70 })
    ));
    assert!(matches!(
        validate_produced(&[&bytes[..], &[0]].concat()),
        Err(BatchError::TooLong { .. })
    ));
    let cases: [(usize, &[u8], BatchError); 6] = [
        (8, &[0, 0, 0, 48], BatchError::Length { batch_length: 48 }),
        (16, &[1], BatchError::Magic(1)),
        (57, &[0, 0, 0, 2], BatchError::RecordCount { record_count: 2, last_offset_delta: 0 }),
        (57, &[0xff; 4], BatchError::RecordCount { record_count: -1, last_offset_delta: 0 }),
        (22, &[5], BatchError::Codec(5)),
        (22, &[0x20], BatchError::ControlFromClient),
    ];
    for (at, field, error) in cases {
        assert_eq!(validate_produced(&with_field(&bytes, at, field)), Err(error));
    }
    assert!(matches!(
        validate_produced(&with_field(&bytes, 22, &[0x10])),
        Err(BatchError::Producer { .. })
    ));
    assert!(matches!(
        validate_produced(&with_field(&bytes, 43, &[0; 8])),
        Err(BatchError::Producer { .. })
    ));
    let mut wrong = bytes.to_vec();
    wrong[69] ^= 1;
    assert!(matches!(validate_produced(&wrong), Err(BatchError::Crc { .. })));
    assert_eq!(
        validate_stored(&with_field(&bytes, 0, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        Err(BatchError::BaseOffset { base_offset: i64::MAX })
    );
}

#[test]
fn an_old_format_is_told_apart_from_a_broken_one() {
    let mut old = one().to_vec();
    old[16] = 0;
    old.truncate(30);
    assert_eq!(validate_produced(&old), Err(BatchError::Magic(0)));
}

#[test]
fn a_batch_gets_its_place_without_a_new_checksum() {
    let bytes = one();
    let placed = PlacedBatch::new(bytes.clone(), header(&bytes), Offset(500), LeaderEpoch(3));
    assert_eq!(placed.slices()[0].len(), PLACEMENT_BYTES);
    assert_eq!(placed.slices()[1].as_ptr(), bytes[PLACEMENT_BYTES..].as_ptr());
    let stored = validate_stored(&placed.to_bytes()).unwrap();
    assert_eq!(
        (stored.base_offset, stored.leader_epoch, &stored),
        (Offset(500), LeaderEpoch(3), placed.header())
    );
    assert_eq!(placed.unchecked_bytes(), placed.to_bytes()[..CRC_START]);
    assert_eq!(PlacedBatch::stored(placed.to_bytes(), stored).to_bytes(), placed.to_bytes());
}

#[test]
fn the_leaders_time_stands_for_every_record_and_under_the_checksum() {
    let bytes = one();
    let placed = PlacedBatch::with_append_time(
        bytes.clone(),
        header(&bytes),
        Offset(5),
        LeaderEpoch(1),
        TimestampMs(9999),
    );
    let stored = placed.to_bytes();
    let head = validate_stored(&stored).unwrap();
    assert_eq!(head.attributes.timestamp_type(), TimestampType::LogAppendTime);
    let record = Records::of(&head, &stored).unwrap().next().unwrap().unwrap();
    assert_eq!((record.timestamp, record.offset), (TimestampMs(9999), Offset(5)));
    assert_eq!(placed.unchecked_bytes(), stored[..CRC_START]);
}

#[test]
fn a_buffer_that_ends_within_a_batch_ends_in_an_error() {
    let two = [one(), one()].concat();
    let all: Vec<_> = batches(&two).map(|batch| batch.unwrap().position).collect();
    assert_eq!(all, [0, 70]);
    let mut cut = batches(&two[..100]);
    assert!(cut.next().unwrap().is_ok());
    assert_eq!(
        cut.next().unwrap().unwrap_err(),
        BatchError::TooShort { have: 30, need: BATCH_HEADER_BYTES }
    );
    assert!(cut.next().is_none());
}

#[test]
fn a_header_is_found_by_its_name() {
    let bytes = BatchBuilder::new(Offset(0))
        .record_with_headers(
            TimestampMs(1),
            None,
            None,
            &[("a", b"1"), ("traceparent", b"00-x"), ("a", b"2")],
        )
        .build();
    let record = Records::of(&header(&bytes), &bytes).unwrap().next().unwrap().unwrap();
    assert_eq!(record.headers.get("traceparent"), Some(&b"00-x"[..]));
    assert_eq!(record.headers.get("a"), Some(&b"1"[..]));
    assert_eq!(record.headers.get("b"), None);
    assert_eq!((record.key, record.value, record.headers.count_left()), (None, None, 3));
}

#[test]
fn hostile_counts_and_lengths_in_records_are_errors() {
    let head = header(&one());
    // (record bytes, error): a count of 2³¹ − 1 headers, a key of 2³¹ − 1 bytes, a record of −2 bytes.
    let max = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let many_headers = [&[22, 0, 0, 0, 1, 1][..], &max].concat();
    let long_key = [&[18, 0, 0, 0][..], &max, &[0]].concat();
    for payload in [many_headers, long_key, vec![3], vec![]] {
        let mut records = Records::over(&head, &payload);
        assert!(records.next().unwrap().is_err(), "{payload:?}");
        assert!(records.next().is_none());
    }
    let many = BatchHeader { record_count: i32::MAX, ..head };
    assert!(matches!(Records::over(&many, &[]).next(), Some(Err(RecordError::Missing(i32::MAX)))));
}

#[test]
fn a_batch_with_gaps_from_compaction_may_be_stored_but_not_produced() {
    let bytes = with_field(&one(), 23, &[0, 0, 0, 9]);
    assert!(validate_stored(&bytes).is_ok());
    assert!(matches!(validate_produced(&bytes), Err(BatchError::RecordCount { .. })));
}

type Field = Option<Vec<u8>>;

proptest! {
    #[test]
    fn records_lead_back_under_every_codec(
        records in proptest::collection::vec((any::<i32>(), any::<Field>(), any::<Field>(), "[a-z]{0,5}"), 1..20),
        codec in 0_u8..5,
    ) {
        let codec = Codec::from_id(codec).unwrap();
        let mut builder = BatchBuilder::new(Offset(7)).codec(codec).producer(ProducerId(1), ProducerEpoch(0), Sequence(5));
        for (time, key, value, name) in &records {
            builder.push(TimestampMs(i64::from(*time)), key.as_deref(), value.as_deref(), &[(name, b"x")]);
        }
        let bytes = builder.try_build().unwrap();
        let head = validate_produced(&bytes).unwrap();
        let payload = crate::compression::decompress(codec, &bytes[BATCH_HEADER_BYTES..], 1 << 20).unwrap();
        let read: Vec<_> = Records::over(&head, &payload).map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), records.len());
        for (index, (record, (time, key, value, name))) in read.iter().zip(&records).enumerate() {
            prop_assert_eq!(record.offset, Offset(7 + index as i64));
            prop_assert_eq!(record.timestamp, TimestampMs(i64::from(*time)));
            prop_assert_eq!(record.key, key.as_deref());
            prop_assert_eq!(record.value, value.as_deref());
            prop_assert_eq!(record.headers.get(name), Some(&b"x"[..]));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes: Vec<u8>, fields in proptest::collection::vec(any::<u8>(), 45)) {
        let _ = validate_produced(&bytes);
        // With a magic that lets the rest be looked at.
        let mut framed = vec![0; 16];
        framed.push(2);
        framed.extend(&fields);
        framed.append(&mut bytes);
        let length = (framed.len() - 12) as i32;
        framed[8..12].copy_from_slice(&length.to_be_bytes());
        let _ = (validate_produced(&framed), validate_stored(&framed));
        for batch in batches(&framed) {
            let Ok(batch) = batch else { continue };
            let _ = (batch.header.last_offset(), batch.header.last_sequence());
            for record in Records::over(&batch.header, &batch.bytes[BATCH_HEADER_BYTES..]).flatten() {
                let _ = record.headers.count();
            }
        }
    }
}
