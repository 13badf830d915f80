//! Records against bytes of Kafka 4.3.1 (written by hand from its schemas, then compared with what its own classes write), and
//! against any bytes at all.

use std::sync::Arc;

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, Uuid};
use proptest::prelude::*;

use super::*;
use crate::event::{CommittedOffset, OffsetKey, StoredGroup, StoredMember};
use crate::names::{Generation, GroupId, InstanceId, MemberId, Text, TopicName};

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn at() -> OffsetKey {
    OffsetKey {
        group: GroupId::new("g").unwrap(),
        topic: TopicName::new("tt").unwrap(),
        partition: PartitionIndex(3),
    }
}

fn committed() -> CommittedOffset {
    CommittedOffset {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(7),
        metadata: text("m"),
        committed_at: TimestampMs(1_000),
        expires_at: TimestampMs::NONE,
        topic_id: TopicId::default(),
    }
}

fn stored() -> StoredGroup {
    StoredGroup {
        protocol_type: Some(text("consumer")),
        generation: Generation(5),
        protocol: Some(text("range")),
        leader: Some(MemberId::new("a-1").unwrap()),
        state_timestamp: TimestampMs(256),
        members: vec![StoredMember {
            id: MemberId::new("a-1").unwrap(),
            instance: Some(InstanceId::new("i").unwrap()),
            client_id: text("a"),
            client_host: text("/h"),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: Arc::from(&b"\x01\x02"[..]),
            assignment: Arc::from(&b"\x03"[..]),
        }],
    }
}

const OFFSET_KEY_BYTES: &[u8] = b"\0\x01\0\x01g\0\x02tt\0\0\0\x03";
const GROUP_KEY_BYTES: &[u8] = b"\0\x02\0\x01g";

fn decoded(key: &[u8], value: Option<&[u8]>) -> Event {
    match decode(Some(key), value).unwrap() {
        Decoded::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

/// The event has exactly these bytes, both ways.
fn golden(event: &Event, key: &[u8], value: Option<&[u8]>) {
    let record = encode(event);
    assert_eq!((&record.key[..], record.value.as_deref()), (key, value));
    assert_eq!(decoded(key, value), *event);
    let bytes = key.len() + value.map_or(0, <[u8]>::len);
    assert!(bytes <= event.bytes_at_most(), "{bytes} bytes are more than was foretold");
}

#[test]
fn an_offset_has_kafkas_bytes() {
    golden(
        &Event::OffsetCommitted { at: at(), offset: committed() },
        OFFSET_KEY_BYTES,
        Some(b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\x02m\0\0\0\0\0\0\x03\xe8\0"),
    );
    golden(&Event::OffsetRemoved { at: at() }, OFFSET_KEY_BYTES, None);
}

#[test]
fn the_id_of_a_topic_is_a_tagged_field() {
    let topic_id = TopicId(Uuid::from_bytes(*b"0123456789abcdef"));
    golden(
        &Event::OffsetCommitted { at: at(), offset: CommittedOffset { topic_id, ..committed() } },
        OFFSET_KEY_BYTES,
        Some(
            b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\x02m\0\0\0\0\0\0\x03\xe8\x01\0\x100123456789abcdef",
        ),
    );
}

#[test]
fn an_offset_with_an_expiry_of_its_own_is_version_1() {
    let offset = CommittedOffset {
        leader_epoch: LeaderEpoch::NONE,
        expires_at: TimestampMs(2_000),
        ..committed()
    };
    golden(
        &Event::OffsetCommitted { at: at(), offset },
        OFFSET_KEY_BYTES,
        Some(b"\0\x01\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x07\xd0"),
    );
}

#[test]
fn a_group_has_kafkas_bytes() {
    golden(
        &Event::GroupStored { group: at().group, stored: stored() },
        GROUP_KEY_BYTES,
        Some(
            b"\0\x03\0\x08consumer\0\0\0\x05\0\x05range\0\x03a-1\0\0\0\0\0\0\x01\0\0\0\0\x01\
              \0\x03a-1\0\x01i\0\x01a\0\x02/h\0\x04\x93\xe0\0\0\xaf\xc8\0\0\0\x02\x01\x02\0\0\0\x01\x03",
        ),
    );
    golden(
        &Event::GroupStored {
            group: at().group,
            stored: StoredGroup::memberless(TimestampMs(256)),
        },
        GROUP_KEY_BYTES,
        Some(b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\x01\0\0\0\0\0"),
    );
    golden(&Event::GroupRemoved { group: at().group }, GROUP_KEY_BYTES, None);
}

#[test]
fn old_offsets_are_read() {
    let old = CommittedOffset { leader_epoch: LeaderEpoch::NONE, ..committed() };
    let old = Event::OffsetCommitted { at: at(), offset: old };
    let version_0 = b"\0\0\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x03\xe8";
    let version_2 = b"\0\x02\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x03\xe8";
    let version_3 = b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x07\0\x01m\0\0\0\0\0\0\x03\xe8";
    assert_eq!(decoded(OFFSET_KEY_BYTES, Some(version_0)), old);
    assert_eq!(decoded(OFFSET_KEY_BYTES, Some(version_2)), old);
    let new = Event::OffsetCommitted { at: at(), offset: committed() };
    assert_eq!(decoded(OFFSET_KEY_BYTES, Some(version_3)), new);
    let legacy_key = b"\0\0\0\x01g\0\x02tt\0\0\0\x03";
    assert_eq!(decoded(legacy_key, Some(version_0)), old);
    assert_eq!(decoded(legacy_key, None), Event::OffsetRemoved { at: at() });
}

#[test]
fn old_and_new_groups_are_read() {
    let mut old = stored();
    old.state_timestamp = TimestampMs::NONE;
    old.members[0].instance = None;
    old.members[0].rebalance_timeout_ms = -1;
    let version_0 = b"\0\0\0\x08consumer\0\0\0\x05\0\x05range\0\x03a-1\0\0\0\x01\
        \0\x03a-1\0\x01a\0\x02/h\0\0\xaf\xc8\0\0\0\x02\x01\x02\0\0\0\x01\x03";
    let event = decoded(GROUP_KEY_BYTES, Some(version_0));
    assert_eq!(event, Event::GroupStored { group: at().group, stored: old });
    let version_4 = b"\0\x04\x09consumer\0\0\0\x05\x06range\x04a-1\0\0\0\0\0\0\x01\0\x02\
        \x04a-1\x02i\x02a\x03/h\0\x04\x93\xe0\0\0\xaf\xc8\x03\x01\x02\x02\x03\0\x01\x09\x02xy";
    let event = decoded(GROUP_KEY_BYTES, Some(version_4));
    assert_eq!(event, Event::GroupStored { group: at().group, stored: stored() });
}

#[test]
fn records_of_other_groups_are_skipped_with_a_report() {
    let skipped = |version: i16| decode(Some(&version.to_be_bytes()), Some(b"whatever")).unwrap();
    let kind = Some("ConsumerGroupMetadata");
    assert_eq!(skipped(3), Decoded::Skipped { key_version: 3, kind });
    assert_eq!(skipped(99), Decoded::Skipped { key_version: 99, kind: None });
}

#[test]
fn damaged_records_are_refused_with_a_reason() {
    let error = |key: &[u8], value: &[u8]| decode(Some(key), Some(value)).unwrap_err();
    assert_eq!(decode(None, None), Err(RecordError::NoKey));
    assert_eq!(error(b"\0", b""), RecordError::TooShort("the key's version"));
    assert_eq!(error(b"\0\x02\0\x05g", b""), RecordError::TooShort("group"));
    assert_eq!(error(b"\0\x02\xff\xff", b""), RecordError::Null("group"));
    assert_eq!(error(b"\0\x02\xff\xfe", b""), RecordError::Length("group"));
    assert_eq!(error(b"\0\x02\0\x01\xff", b""), RecordError::NotUtf8("group"));
    let version = |kind, version| RecordError::Version { kind, version };
    assert_eq!(error(OFFSET_KEY_BYTES, b"\0\x05"), version("OffsetCommitValue", 5));
    assert_eq!(error(GROUP_KEY_BYTES, b"\0\x05"), version("GroupMetadataValue", 5));
    // A count of 2³¹−1 members in a value of a few bytes.
    let bomb = b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\x01\0\x7f\xff\xff\xff";
    assert_eq!(error(GROUP_KEY_BYTES, bomb), RecordError::Length("members"));
    // A compact length with more bits than it can have.
    let long = b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\xff\xff\xff\xff\xff\x01";
    assert_eq!(error(OFFSET_KEY_BYTES, long), RecordError::Length("metadata"));
}

proptest! {
    #[test]
    fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>, version in 0_i16..5, kind in 0_i16..3) {
        let _ = decode(Some(&key), Some(&value));
        let value = [&version.to_be_bytes()[..], &value].concat();
        let key = [&kind.to_be_bytes()[..], &OFFSET_KEY_BYTES[2..]].concat();
        let _ = decode(Some(&key), Some(&value));
    }

    #[test]
    fn an_offset_leads_back_to_itself(
        group in ".{0,20}", topic in ".{0,20}", metadata in ".{0,300}",
        partition: i32, offset: i64, epoch: i32, stamp: i64, id: u128,
    ) {
        let at = OffsetKey {
            group: GroupId::new(group).unwrap(),
            topic: TopicName::new(topic).unwrap(),
            partition: PartitionIndex(partition),
        };
        let offset = CommittedOffset {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(epoch),
            metadata: text(&metadata),
            committed_at: TimestampMs(stamp),
            expires_at: TimestampMs::NONE,
            topic_id: TopicId(Uuid::from_random(id)),
        };
        let event = Event::OffsetCommitted { at, offset };
        let record = encode(&event);
        prop_assert_eq!(decoded(&record.key, record.value.as_deref()), event);
    }
}
