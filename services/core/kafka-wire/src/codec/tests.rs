//! Tests of reader and writer on their own: edges of the encodings, and causes of refusals.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    assert_eq!(writer.len(), writer.clone().finish().len());
    writer.finish().into_contiguous().unwrap().to_vec()
}

#[test]
fn a_varint_may_be_longer_than_needed_but_not_than_32_bits() {
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint(), Ok(u32::MAX));
    assert_eq!(reader(&[0x81, 0x80, 0x00]).uvarint(), Ok(1));
    for bytes in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0x80; 5], [0x80, 0x80, 0x80, 0x80, 0x8f]] {
        assert_eq!(reader(&bytes).uvarint(), Err(DecodeError::VarintTooLong));
    }
    assert_eq!(reader(&[0x80]).uvarint(), Err(DecodeError::Truncated { needed: 1, remaining: 0 }));
}

#[test]
fn only_minus_one_is_null() {
    assert_eq!(reader(&[0xff, 0xff]).nullable_string(false), Ok(None));
    assert_eq!(reader(&[0]).nullable_string(true), Ok(None));
    assert_eq!(reader(&[0xff; 4]).nullable_bytes(false), Ok(None));
    let minus_two = [0xff, 0xff, 0xff, 0xfe];
    let error = DecodeError::NegativeLength { length: -2 };
    assert_eq!(reader(&minus_two).nullable_bytes(false), Err(error.clone()));
    assert_eq!(reader(&minus_two[2..]).nullable_string(false), Err(error));
    assert_eq!(
        reader(&[0]).string(true, "Some.field"),
        Err(DecodeError::Null { field: "Some.field" })
    );
}

#[test]
fn a_string_is_utf_8_of_at_most_32767_bytes() {
    assert_eq!(reader(&[2, 0xff]).nullable_string(true), Err(DecodeError::InvalidUtf8));
    assert_eq!(reader(&[2, 0xff]).nullable_text(true), Err(DecodeError::InvalidUtf8));
    let mut long = vec![0x81, 0x80, 0x02];
    long.resize(40_000, b'x');
    let error = DecodeError::StringTooLong { length: 32_768 };
    assert_eq!(reader(&long).nullable_string(true), Err(error));
    let mut writer = Writer::new();
    let error = EncodeError::StringTooLong { length: 32_768 };
    assert_eq!(writer.string(true, &"x".repeat(32_768)), Err(error));
    assert_eq!(writer.string(true, &"x".repeat(MAX_STRING_BYTES)), Ok(()));
}

#[test]
fn any_byte_but_zero_is_true() {
    assert_eq!(
        [0, 1, 2, 0xff].map(|byte| reader(&[byte]).bool().unwrap()),
        [false, true, true, true]
    );
}

#[test]
fn what_follows_is_left_and_can_be_refused() {
    let mut two = reader(&[1, 2]);
    assert_eq!(two.i8(), Ok(1));
    assert_eq!(two.expect_end(), Err(DecodeError::TrailingBytes { remaining: 1 }));
    assert_eq!(two.i8(), Ok(2));
    assert_eq!(two.expect_end(), Ok(()));
}

/// Reads tagged fields of which tag 1 is known and holds an int8.
fn tags(bytes: &[u8]) -> Result<(Option<i8>, usize), DecodeError> {
    let mut reader = reader(bytes);
    let mut value = None;
    reader.tagged_fields(|reader, tag| {
        if tag == 1 {
            value = Some(reader.i8()?);
        }
        Ok(tag == 1)
    })?;
    Ok((value, reader.remaining()))
}

#[test]
fn unknown_tags_are_skipped_and_known_ones_must_fit() {
    assert_eq!(tags(&[3, 0, 2, 9, 9, 1, 1, 42, 7, 0, 0xee]), Ok((Some(42), 1)));
    assert_eq!(tags(&[1, 1, 2, 42, 43]), Err(DecodeError::TagSize { tag: 1, left: 1 }));
    // The field may not read beyond its size, though bytes follow.
    assert_eq!(tags(&[1, 1, 0, 42]), Err(DecodeError::Truncated { needed: 1, remaining: 0 }));
    assert_eq!(tags(&[1, 5, 9, 0]), Err(DecodeError::Truncated { needed: 9, remaining: 1 }));
}

#[test]
fn tags_ascend_and_are_few() {
    assert_eq!(tags(&[2, 1, 1, 42, 1, 1, 42]), Err(DecodeError::TagOrder { tag: 1 }));
    assert_eq!(tags(&[2, 5, 0, 4, 0]), Err(DecodeError::TagOrder { tag: 4 }));
    assert_eq!(tags(&[0xe9, 0x07]), Err(DecodeError::TooManyTaggedFields { count: 1_001 }));
}

#[test]
fn a_tagged_field_has_its_size_in_front_however_long_it_is() {
    for len in [0, 1, 127, 128, 2_000, 20_000] {
        let payload = Bytes::from(vec![7; len]);
        let bytes = written(|writer| {
            writer.uvarint(1);
            writer
                .tagged_field(3, |writer| {
                    writer.i8(5);
                    writer.chunk(Chunk::Bytes(payload.clone()));
                    Ok(())
                })
                .unwrap();
            writer.i8(9);
        });
        let mut reader = Reader::new(bytes.into());
        let read = |reader: &mut Reader, tag| {
            assert_eq!((tag, reader.i8()), (3, Ok(5)));
            assert_eq!(reader.take(len), Ok(payload.clone()));
            Ok(true)
        };
        reader.tagged_fields(read).unwrap();
        assert_eq!(reader.i8(), Ok(9));
    }
}

#[test]
fn chunks_stand_where_they_were_written() {
    let large = Bytes::from(vec![1; COPY_LIMIT_BYTES]);
    let mut writer = Writer::new();
    writer.bytes(false, &large).unwrap();
    writer.i8(2);
    writer.chunk(Chunk::External { len: 10, tag: 3 });
    writer.chunk(Chunk::Bytes(large.clone()));
    let list = writer.finish();
    assert_eq!(list.len(), 4 + COPY_LIMIT_BYTES + 1 + 10 + COPY_LIMIT_BYTES);
    let expected = [
        Chunk::Bytes(Bytes::from_static(&[0, 0, 4, 0])),
        Chunk::Bytes(large.clone()),
        Chunk::Bytes(Bytes::from_static(&[2])),
        Chunk::External { len: 10, tag: 3 },
        Chunk::Bytes(large),
    ];
    assert_eq!(list.chunks(), expected);
    assert_eq!(list.into_bytes(), None);
}

proptest! {
    #[test]
    fn primitives_are_read_back(
        text in proptest::option::of(".{0,50}"),
        bytes in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3_000)),
        number: u32,
        bits: u64,
        compact: bool,
    ) {
        let bytes = bytes.map(Bytes::from);
        let wire = written(|writer| {
            writer.nullable_string(compact, text.as_deref()).unwrap();
            writer.nullable_bytes(compact, bytes.as_ref()).unwrap();
            writer.uvarint(number);
            writer.f64(f64::from_bits(bits));
        });
        let mut reader = Reader::new(wire.into());
        prop_assert_eq!(reader.nullable_string(compact), Ok(text));
        prop_assert_eq!(reader.nullable_bytes(compact), Ok(bytes));
        prop_assert_eq!(reader.uvarint(), Ok(number));
        prop_assert_eq!(reader.f64().map(f64::to_bits), Ok(bits));
        prop_assert_eq!(reader.expect_end(), Ok(()));
    }
}

#[test]
fn every_error_code_of_a_message_is_counted_while_it_is_written() {
    use crate::messages::list_offsets_response::{
        ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
    };
    let partition = |error_code| ListOffsetsPartitionResponse { error_code, ..Default::default() };
    let topic = |codes: &[i16]| ListOffsetsTopicResponse {
        partitions: codes.iter().map(|code| partition(*code)).collect(),
        ..Default::default()
    };
    let message = ListOffsetsResponse {
        topics: vec![topic(&[0, 3, 0]), topic(&[3, 6])],
        ..Default::default()
    };
    let mut writer = Writer::new();
    message.encode(&mut writer, 6).unwrap();
    assert_eq!(writer.errors().codes().collect::<Vec<_>>(), [(0, 2), (3, 2), (6, 1)]);
}
