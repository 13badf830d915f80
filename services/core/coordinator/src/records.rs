//! Events as records of `__consumer_offsets`, both ways: Kafka's format, byte for byte.
//!
//! Invariant: `decode(encode(event)) == event`; encoding cannot fail, because texts are bounded where they come in. Bytes of a
//! disk never panic and never make it allocate more than they justify. Old versions are read, the ones of Kafka 4.3 written.
//! Deliberately does not know batches, nor what to do about a record that cannot be read.

use crate::event::Event;

mod group;
mod offset;
mod reader;
mod writer;

use reader::Reader;
use writer::Writer;

/// A record's key and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key; its first two bytes are its version, which tells what kind of record this is.
    pub key: Vec<u8>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// An event.
    Event(Event),
    /// Nothing that this coordinator knows: a group of another type, or a record of a newer Kafka. Kafka, too, passes over
    /// records of unknown types; report it, because its group is not served.
    Skipped {
        /// The version of its key.
        key_version: i16,
        /// What Kafka calls such records, if it is known.
        kind: Option<&'static str>,
    },
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record without a key.
    #[error("the record has no key")]
    NoKey,
    /// The bytes end within a field.
    #[error("the bytes end within {0}")]
    TooShort(&'static str),
    /// A length or a count that the bytes do not justify.
    #[error("{0} has an impossible length")]
    Length(&'static str),
    /// A text that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// Null where something must be.
    #[error("{0} is null")]
    Null(&'static str),
    /// A value of a version that is not known for its key.
    #[error("version {version} of {kind} is unknown")]
    Version {
        /// Which value.
        kind: &'static str,
        /// What it says.
        version: i16,
    },
}

const LEGACY_OFFSET_KEY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// Kafka's names of the records that are not read yet, by version of the key.
const OTHER_KINDS: [(i16, &str); 20] = [
    (3, "ConsumerGroupMetadata"),
    (4, "ConsumerGroupPartitionMetadata"),
    (5, "ConsumerGroupMemberMetadata"),
    (6, "ConsumerGroupTargetAssignmentMetadata"),
    (7, "ConsumerGroupTargetAssignmentMember"),
    (8, "ConsumerGroupCurrentMemberAssignment"),
    (10, "ShareGroupMemberMetadata"),
    (11, "ShareGroupMetadata"),
    (12, "ShareGroupTargetAssignmentMetadata"),
    (13, "ShareGroupTargetAssignmentMember"),
    (14, "ShareGroupCurrentMemberAssignment"),
    (15, "ShareGroupStatePartitionMetadata"),
    (16, "ConsumerGroupRegularExpression"),
    (17, "StreamsGroupMetadata"),
    (18, "StreamsGroupPartitionMetadata"),
    (19, "StreamsGroupMemberMetadata"),
    (20, "StreamsGroupTargetAssignmentMetadata"),
    (21, "StreamsGroupTargetAssignmentMember"),
    (22, "StreamsGroupCurrentMemberAssignment"),
    (23, "StreamsGroupTopology"),
];

/// The record of an event, as Kafka 4.3 writes it.
pub fn encode(event: &Event) -> Record {
    match event {
        Event::OffsetCommitted { at, offset } => {
            Record { key: offset::encode_key(at), value: Some(offset::encode_value(offset)) }
        }
        Event::OffsetRemoved { at } => Record { key: offset::encode_key(at), value: None },
        Event::GroupStored { group, stored } => {
            Record { key: group::encode_key(group), value: Some(group::encode_value(stored)) }
        }
        Event::GroupRemoved { group } => Record { key: group::encode_key(group), value: None },
    }
}

/// What a record says. Errors: see [`RecordError`]; such a record is damaged, or of a future Kafka, and stands for something
/// that must not be lost silently.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Decoded, RecordError> {
    let mut key = Reader::new(key.ok_or(RecordError::NoKey)?);
    let event = match key.i16("the key's version")? {
        version @ (LEGACY_OFFSET_KEY | OFFSET_KEY) => {
            let at = offset::decode_key(&mut key)?;
            match value {
                None => Event::OffsetRemoved { at },
                Some(value) => {
                    let legacy = version == LEGACY_OFFSET_KEY;
                    Event::OffsetCommitted { at, offset: offset::decode_value(value, legacy)? }
                }
            }
        }
        GROUP_KEY => {
            let group = group::decode_key(&mut key)?;
            match value {
                None => Event::GroupRemoved { group },
                Some(value) => Event::GroupStored { group, stored: group::decode_value(value)? },
            }
        }
        key_version => {
            let known = OTHER_KINDS.iter().find(|(version, _)| *version == key_version);
            return Ok(Decoded::Skipped { key_version, kind: known.map(|(_, kind)| *kind) });
        }
    };
    Ok(Decoded::Event(event))
}

#[cfg(test)]
mod tests;
