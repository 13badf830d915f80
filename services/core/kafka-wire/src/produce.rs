//! The Produce request read by hand: the skeleton around the record batches, without a string copied.
//!
//! Invariant: it accepts and refuses exactly what the generated `ProduceRequest` does, with the same values; batches and
//! names are slices of the frame. Deliberately does not look into a batch.

use bytes::Bytes;
use ottla_types::Uuid;

use crate::codec::{DecodeError, MAX_EXPANSION, Message, Reader, Structure, Text};
use crate::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// First flexible version.
const FLEXIBLE_VERSION: i16 = 9;

/// A Produce request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produce {
    /// The producer's transactional id, if it has one.
    pub transactional_id: Option<Text>,
    /// 0, 1 or -1 (all); not checked here.
    pub acks: i16,
    /// How long the request may wait for its acknowledgements, in milliseconds; not checked here.
    pub timeout_ms: i32,
    /// The batches by topic, in the order of the request.
    pub topics: Vec<TopicBatches>,
}

/// What is to be appended to one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicBatches {
    /// The topic's name; empty from version 13 on.
    pub name: Text,
    /// The topic's id; zero before version 13.
    pub topic_id: Uuid,
    /// The batches by partition.
    pub partitions: Vec<PartitionBatches>,
}

/// What is to be appended to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionBatches {
    /// The partition.
    pub index: i32,
    /// Record batches, one after the other; a slice of the frame.
    pub records: Option<Bytes>,
}

// The structures here are no larger than the bound that the generated ones prove for themselves.
const _: () = assert!(size_of::<TopicBatches>() <= MAX_EXPANSION * TopicProduceData::MIN_SIZE);
const _: () =
    assert!(size_of::<PartitionBatches>() <= MAX_EXPANSION * PartitionProduceData::MIN_SIZE);

impl Produce {
    /// Reads one request. Bytes that follow it stay in the reader.
    ///
    /// # Errors
    /// The bytes are not a Produce request of this version.
    pub fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !ProduceRequest::KNOWN_VERSIONS.contains(&version) {
            return Err(DecodeError::UnsupportedVersion { message: ProduceRequest::NAME, version });
        }
        let compact = version >= FLEXIBLE_VERSION;
        let request = Self {
            transactional_id: reader.nullable_text(compact)?,
            acks: reader.i16()?,
            timeout_ms: reader.i32()?,
            topics: reader.array(
                compact,
                "ProduceRequest.topic_data",
                TopicProduceData::MIN_SIZE,
                |reader| TopicBatches::read(reader, version),
            )?,
        };
        skip_tagged_fields(reader, compact)?;
        Ok(request)
    }
}

impl TopicBatches {
    fn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let compact = version >= FLEXIBLE_VERSION;
        let by_id = version >= TOPIC_ID_VERSION;
        let topic = Self {
            name: if by_id {
                Text::default()
            } else {
                reader.text(compact, "TopicProduceData.name")?
            },
            topic_id: if by_id { reader.uuid()? } else { Uuid::ZERO },
            partitions: reader.array(
                compact,
                "TopicProduceData.partition_data",
                PartitionProduceData::MIN_SIZE,
                |reader| PartitionBatches::read(reader, compact),
            )?,
        };
        skip_tagged_fields(reader, compact)?;
        Ok(topic)
    }
}

impl PartitionBatches {
    fn read(reader: &mut Reader, compact: bool) -> Result<Self, DecodeError> {
        let batches = Self { index: reader.i32()?, records: reader.nullable_bytes(compact)? };
        skip_tagged_fields(reader, compact)?;
        Ok(batches)
    }
}

fn skip_tagged_fields(reader: &mut Reader, compact: bool) -> Result<(), DecodeError> {
    if compact { reader.tagged_fields(|_, _| Ok(false)) } else { Ok(()) }
}
