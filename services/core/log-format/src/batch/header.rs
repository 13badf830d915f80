//! The 61 bytes at the front of a batch, as a value.
//!
//! Invariant: `decode` accepts exactly what can be stepped over: a magic of 2 and a length that holds a header. Whether
//! the rest is right is `validate`'s business.

use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::BatchError;
use crate::read::{i8_at, i16_at, i32_at, i64_at, u32_at};

/// Bytes of a batch before its records.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes of a batch that its length field does not count: base offset and the field itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Bytes at the front that say where a batch stands: base offset, length, leader epoch. Outside the checksum.
pub const PLACEMENT_BYTES: usize = 16;
/// The checksum covers a batch from here to its end.
pub const CRC_START: usize = 21;
/// The record format that is served.
pub const MAGIC_V2: i8 = 2;

const BATCH_LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// snappy, in the framing of snappy-java or bare.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// The codec of Kafka's number; `None` for a number that has none.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's number.
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Who gave a batch its timestamps (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, one for each record.
    CreateTime,
    /// The leader, one for all records: the maximum timestamp.
    LogAppendTime,
}

/// A batch's attribute bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC_MASK: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The codec; `None` if the number is unknown.
    pub const fn codec(self) -> Option<Codec> {
        Codec::from_id((self.0 & Self::CODEC_MASK) as u8)
    }

    /// Whose the timestamps are.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which consumers do not see.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon (set by compaction).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// With this codec.
    pub const fn with_codec(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC_MASK) | codec.id() as i16)
    }

    /// With the leader's timestamps.
    pub const fn with_log_append_time(self) -> Self {
        Self(self.0 | Self::LOG_APPEND_TIME)
    }

    /// As part of a transaction.
    pub const fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// With a delete horizon in the place of the base timestamp.
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// Without a delete horizon.
    pub const fn without_delete_horizon(self) -> Self {
        Self(self.0 & !Self::DELETE_HORIZON)
    }

    /// With control records.
    pub const fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }
}

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after the length field; at least 49.
    pub batch_length: i32,
    /// Leader epoch in which the batch was appended.
    pub leader_epoch: LeaderEpoch,
    /// CRC32C of the bytes from [`CRC_START`] on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// The timestamp that the records' deltas count from, or the delete horizon.
    pub base_timestamp: TimestampMs,
    /// The largest timestamp of the records.
    pub max_timestamp: TimestampMs,
    /// The idempotent producer, or `NONE`.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, or -1.
    pub base_sequence: Sequence,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// The header at the front of `bytes`, which may be shorter than the batch but not than its header.
    ///
    /// # Errors
    /// `TooShort`, `Magic`, or `Length` for a length that no batch has.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        // The magic comes first: older formats have another layout, and deserve their own answer.
        match i8_at(bytes, MAGIC) {
            Some(MAGIC_V2) => {}
            Some(magic) => return Err(BatchError::Magic(magic)),
            None => {
                return Err(BatchError::TooShort { have: bytes.len(), need: BATCH_HEADER_BYTES });
            }
        }
        let header = Self::fields(bytes)
            .ok_or(BatchError::TooShort { have: bytes.len(), need: BATCH_HEADER_BYTES })?;
        if header.batch_length < (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32 {
            return Err(BatchError::Length { batch_length: header.batch_length });
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        // One bounds check for all fields.
        let bytes = bytes.get(..BATCH_HEADER_BYTES)?;
        Some(Self {
            base_offset: Offset(i64_at(bytes, 0)?),
            batch_length: i32_at(bytes, BATCH_LENGTH)?,
            leader_epoch: LeaderEpoch(i32_at(bytes, LEADER_EPOCH)?),
            crc: u32_at(bytes, CRC)?,
            attributes: Attributes(i16_at(bytes, ATTRIBUTES)?),
            last_offset_delta: i32_at(bytes, LAST_OFFSET_DELTA)?,
            base_timestamp: TimestampMs(i64_at(bytes, BASE_TIMESTAMP)?),
            max_timestamp: TimestampMs(i64_at(bytes, MAX_TIMESTAMP)?),
            producer_id: ProducerId(i64_at(bytes, PRODUCER_ID)?),
            producer_epoch: ProducerEpoch(i16_at(bytes, PRODUCER_EPOCH)?),
            base_sequence: Sequence(i32_at(bytes, BASE_SEQUENCE)?),
            record_count: i32_at(bytes, RECORD_COUNT)?,
        })
    }

    /// The 61 bytes of this header, checksum as it stands.
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[..BATCH_LENGTH].copy_from_slice(&self.base_offset.0.to_be_bytes());
        bytes[BATCH_LENGTH..LEADER_EPOCH].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[LEADER_EPOCH..MAGIC].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        bytes[MAGIC] = MAGIC_V2 as u8;
        bytes[CRC..ATTRIBUTES].copy_from_slice(&self.crc.to_be_bytes());
        bytes[ATTRIBUTES..LAST_OFFSET_DELTA].copy_from_slice(&self.attributes.0.to_be_bytes());
        bytes[LAST_OFFSET_DELTA..BASE_TIMESTAMP]
            .copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[BASE_TIMESTAMP..MAX_TIMESTAMP].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        bytes[MAX_TIMESTAMP..PRODUCER_ID].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        bytes[PRODUCER_ID..PRODUCER_EPOCH].copy_from_slice(&self.producer_id.0.to_be_bytes());
        bytes[PRODUCER_EPOCH..BASE_SEQUENCE].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        bytes[BASE_SEQUENCE..RECORD_COUNT].copy_from_slice(&self.base_sequence.0.to_be_bytes());
        bytes[RECORD_COUNT..].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch.
    pub const fn size_bytes(&self) -> usize {
        LOG_OVERHEAD_BYTES + self.batch_length as usize
    }

    /// Offset of the last record; saturates.
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The offset after the last record; saturates.
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Sequence of the last record; -1 if there is none.
    pub const fn last_sequence(&self) -> Sequence {
        if self.base_sequence.0 < 0 || self.last_offset_delta < 0 {
            Sequence(-1)
        } else {
            self.base_sequence.plus(self.last_offset_delta)
        }
    }
}
