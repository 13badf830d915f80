//! Batches that Kafka's own encoders made (see `golden/README.md`) are read as what they are, and made again alike.

use bytes::Bytes;
use ottla_log_format::compression::decompress;
use ottla_log_format::control::{EndTransactionMarker, MarkerType};
use ottla_log_format::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, Codec, PlacedBatch, Records, TimestampType,
    validate_produced, validate_stored,
};
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

const GOLDEN: &str = include_str!("../golden/kafka-4.3.1.txt");
const TEXT: &[u8] = b"a value that repeats, a value that repeats, a value that repeats";

fn golden(name: &str) -> Bytes {
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let digits = line.expect("there is a batch of this name").as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("the file is hexadecimal") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<_>>().into()
}

/// The three records of the golden batches; `append_time` stands for their own timestamps.
fn check_records(header: &BatchHeader, payload: &[u8], append_time: Option<i64>) {
    let records: Result<Vec<_>, _> = Records::over(header, payload).collect();
    let records = records.expect("Kafka's records can be read");
    let times: Vec<_> = records.iter().map(|record| record.timestamp.0).collect();
    let own = [1_700_000_000_000, 1_700_000_000_500, 1_699_999_999_000];
    assert_eq!(times, append_time.map_or(own, |time| [time; 3]));
    let offsets: Vec<_> = records.iter().map(|record| record.offset.0).collect();
    assert_eq!(offsets, [100, 101, 102]);
    let content: Vec<_> = records.iter().map(|record| (record.key, record.value)).collect();
    assert_eq!(
        content,
        [(Some(&b"key"[..]), Some(TEXT)), (None, Some(TEXT)), (Some(&b""[..]), None)]
    );
    assert_eq!(records[1].headers.count_left(), 2);
    assert_eq!(records[1].headers.get("traceparent"), Some(&[1, 2, 3][..]));
    assert_eq!(records[1].headers.get("none"), None);
}

#[test]
fn kafkas_batches_are_read_under_every_codec() {
    let codecs = [
        ("none", Codec::None),
        ("gzip", Codec::Gzip),
        ("snappy", Codec::Snappy),
        ("lz4", Codec::Lz4),
        ("zstd", Codec::Zstd),
    ];
    for (name, codec) in codecs {
        let bytes = golden(name);
        let header = validate_produced(&bytes).unwrap();
        assert_eq!(header.attributes.codec(), Some(codec), "{name}");
        assert_eq!((header.base_offset, header.leader_epoch), (Offset(100), LeaderEpoch(5)));
        assert_eq!(header.max_timestamp, TimestampMs(1_700_000_000_500));
        let payload = decompress(codec, &bytes[BATCH_HEADER_BYTES..], 1 << 20).unwrap();
        check_records(&header, &payload, None);
    }
}

#[test]
fn a_batch_of_kafka_is_made_again_byte_for_byte() {
    let mut builder = BatchBuilder::new(Offset(100)).leader_epoch(LeaderEpoch(5));
    builder.push(TimestampMs(1_700_000_000_000), Some(b"key"), Some(TEXT), &[]);
    let bytes = golden("none");
    let ours = builder.build();
    // The builder writes no null header values; the first record is alike in any case.
    let first = BATCH_HEADER_BYTES..ours.len();
    assert_eq!(ours[first.clone()], bytes[first]);
    let header = BatchHeader::decode(&bytes).unwrap();
    assert_eq!(header.encode(), bytes[..BATCH_HEADER_BYTES]);
}

#[test]
fn a_transactional_batch_says_whose_it_is() {
    let header = validate_produced(&golden("transactional")).unwrap();
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
    assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(4711), ProducerEpoch(3)));
    assert_eq!((header.base_sequence, header.last_sequence()), (Sequence(12), Sequence(14)));
}

#[test]
fn giving_a_batch_the_leaders_time_makes_what_kafka_makes() {
    let expected = golden("append-time");
    let header = validate_stored(&expected).unwrap();
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    check_records(&header, &expected[BATCH_HEADER_BYTES..], Some(1_700_000_001_000));
    let produced = golden("none");
    let header = validate_produced(&produced).unwrap();
    let time = TimestampMs(1_700_000_001_000);
    let placed = PlacedBatch::with_append_time(produced, header, Offset(100), LeaderEpoch(5), time);
    assert_eq!(placed.to_bytes(), expected);
}

#[test]
fn control_batches_of_kafka_are_made_again_byte_for_byte() {
    for (name, kind) in [("COMMIT", MarkerType::Commit), ("ABORT", MarkerType::Abort)] {
        let expected = golden(name);
        let header = validate_stored(&expected).unwrap();
        let marker = EndTransactionMarker { kind, coordinator_epoch: 9 };
        assert_eq!(EndTransactionMarker::of_batch(&header, &expected), Some(marker), "{name}");
        let ours =
            marker.to_batch(ProducerId(4711), ProducerEpoch(3), TimestampMs(1_700_000_000_123));
        let ours_header = BatchHeader::decode(&ours).unwrap();
        let placed = PlacedBatch::new(ours, ours_header, Offset(77), LeaderEpoch(5));
        assert_eq!(placed.to_bytes(), expected, "{name}");
    }
}
