//! Journal bytes: they lead back, and no changed byte passes.

use proptest::prelude::*;

use super::*;
use crate::{BatchBuilder, validate_produced};
use ottla_types::TimestampMs;

fn partition() -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_random(7)), partition: PartitionIndex(3) }
}

fn frame_of(payload: &[u8], crc: u32) -> FrameHeader {
    FrameHeader {
        kind: FrameKind::Batches,
        partition: partition(),
        leader_epoch: LeaderEpoch(4),
        offset: Offset(100),
        payload_len: payload.len() as u32,
        payload_crc: crc,
        generation: 9,
        round_low: 77,
    }
}

fn two_batches() -> (Vec<u8>, u32) {
    let mut placed = Vec::new();
    let mut next = Offset(100);
    for value in [b"first", b"other"] {
        let bytes = BatchBuilder::new(Offset(0)).record(TimestampMs(1), None, Some(value)).build();
        let header = validate_produced(&bytes).unwrap();
        let batch = PlacedBatch::new(bytes, header, next, LeaderEpoch(4));
        next = batch.header().next_offset();
        placed.push(batch);
    }
    (placed.iter().flat_map(|batch| batch.to_bytes()).collect(), batches_checksum(&placed))
}

#[test]
fn headers_lead_back() {
    let file = FileHeader { generation: 3, salt: 11 };
    assert_eq!(FileHeader::decode(&file.encode()), Ok(file));
    let round = RoundHeader { body_len: 4065, frame_count: 2, generation: 3, round: 1 << 40 };
    assert_eq!(RoundHeader::decode(&round.encode(11), 11), Ok(round));
    assert_eq!(RoundHeader::decode(&round.encode(11), 12), Err(JournalFormatError::HeaderCrc));
    assert_eq!(round.size_bytes(), 8192);
    let frame = frame_of(b"", 0);
    assert_eq!(FrameHeader::decode(&frame.encode()), Ok(frame));
}

#[test]
fn no_changed_bit_of_a_header_passes() {
    let round = RoundHeader { body_len: 4065, frame_count: 2, generation: 3, round: 1 << 40 };
    let headers = [
        FileHeader { generation: 3, salt: 11 }.encode().to_vec(),
        round.encode(11).to_vec(),
        frame_of(b"", 0).encode().to_vec(),
    ];
    for header in headers {
        for bit in 0..header.len() * 8 {
            let mut changed = header.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&changed).is_err());
            assert!(RoundHeader::decode(&changed, 11).is_err());
            assert!(FrameHeader::decode(&changed).is_err());
        }
    }
}

#[test]
fn no_changed_bit_of_a_payload_passes() {
    let (payload, crc) = two_batches();
    let frame = frame_of(&payload, crc);
    assert_eq!(frame.check_payload(&payload), Ok(()));
    for bit in 0..payload.len() * 8 {
        let mut changed = payload.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(frame.check_payload(&changed).is_err(), "bit {bit}");
    }
}

#[test]
fn batches_that_do_not_begin_at_the_frames_offset_are_refused() {
    let (payload, crc) = two_batches();
    let frame = FrameHeader { offset: Offset(99), ..frame_of(&payload, crc) };
    assert_eq!(
        frame.check_payload(&payload),
        Err(JournalFormatError::Contiguity { expected: 99, found: 100 })
    );
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        let _ = FileHeader::decode(&bytes);
        let _ = RoundHeader::decode(&bytes, 11);
        let _ = FrameHeader::decode(&bytes);
        let _ = frame_of(&bytes, 0).check_payload(&bytes);
    }
}
