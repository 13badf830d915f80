//! OffsetCommitKey and OffsetCommitValue, with the legacy pair before them.
//!
//! Invariant: a value with an expiry of its own is version 1, every other version 4, as Kafka 4.3 writes them. What a version
//! has no room for is lost with it: the leader epoch and the topic's id beside an expiry.

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, Uuid};

use super::{OFFSET_KEY, Reader, RecordError, Writer};
use crate::event::{CommittedOffset, OffsetKey};
use crate::names::{GroupId, Text, TextTooLong, TopicName};

const KIND: &str = "OffsetCommitValue";
const VERSION_WITH_EXPIRY: i16 = 1;
const VERSION_WITH_EPOCH: i16 = 3;
const VERSION_FLEXIBLE: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;
/// Bytes of a value beside its metadata, at most.
const VALUE_BYTES: usize = 64;

pub(super) fn encode_key(at: &OffsetKey) -> Vec<u8> {
    let (group, topic) = (at.group.as_str(), at.topic.as_str());
    let mut out = Writer::new(OFFSET_KEY, 10 + group.len() + topic.len());
    out.text(group);
    out.text(topic);
    out.i32(at.partition.0);
    out.finish()
}

pub(super) fn decode_key(key: &mut Reader<'_>) -> Result<OffsetKey, RecordError> {
    let long = |what| move |_: TextTooLong| RecordError::Length(what);
    Ok(OffsetKey {
        group: GroupId::new(key.text("group")?).map_err(long("group"))?,
        topic: TopicName::new(key.text("topic")?).map_err(long("topic"))?,
        partition: PartitionIndex(key.i32("partition")?),
    })
}

pub(super) fn encode_value(offset: &CommittedOffset) -> Vec<u8> {
    let capacity = VALUE_BYTES + offset.metadata.as_str().len();
    if offset.expires_at != TimestampMs::NONE {
        let mut out = Writer::new(VERSION_WITH_EXPIRY, capacity);
        out.i64(offset.offset.0);
        out.text(offset.metadata.as_str());
        out.i64(offset.committed_at.0);
        out.i64(offset.expires_at.0);
        return out.finish();
    }
    let mut out = Writer::new(VERSION_FLEXIBLE, capacity);
    out.i64(offset.offset.0);
    out.i32(offset.leader_epoch.0);
    out.compact_text(offset.metadata.as_str());
    out.i64(offset.committed_at.0);
    if offset.topic_id.0.is_zero() {
        out.varint(0);
    } else {
        let id = offset.topic_id.0.as_bytes();
        out.varint(1);
        out.varint(TOPIC_ID_TAG);
        out.varint(16);
        out.raw(id);
    }
    out.finish()
}

pub(super) fn decode_value(value: &[u8], legacy: bool) -> Result<CommittedOffset, RecordError> {
    let mut value = Reader::new(value);
    let version = value.i16("the value's version")?;
    if !(0..=VERSION_FLEXIBLE).contains(&version) || (legacy && version != 0) {
        return Err(RecordError::Version { kind: KIND, version });
    }
    value.flexible = version >= VERSION_FLEXIBLE;
    let offset = Offset(value.i64("offset")?);
    let leader_epoch = match version {
        ..VERSION_WITH_EPOCH => LeaderEpoch::NONE,
        _ => LeaderEpoch(value.i32("leaderEpoch")?),
    };
    let metadata = Text::new(value.text("metadata")?);
    let metadata = metadata.map_err(|_| RecordError::Length("metadata"))?;
    let committed_at = TimestampMs(value.i64("commitTimestamp")?);
    let expires_at = match version {
        VERSION_WITH_EXPIRY => TimestampMs(value.i64("expireTimestamp")?),
        _ => TimestampMs::NONE,
    };
    let mut topic_id = TopicId::default();
    value.tagged_fields(|tag, bytes| {
        if tag == TOPIC_ID_TAG {
            let bytes = bytes.try_into().map_err(|_| RecordError::Length("topicId"))?;
            topic_id = TopicId(Uuid::from_bytes(bytes));
        }
        Ok(())
    })?;
    Ok(CommittedOffset { offset, leader_epoch, metadata, committed_at, expires_at, topic_id })
}
