//! Whether the bytes are a batch that may be stored, or one that was stored whole.
//!
//! Invariant: a batch that passed can be stepped over, and its records are those that its writer summed up.
//! Deliberately never looks at a record, and never decompresses.

use ottla_types::ProducerId;

use super::header::{BatchHeader, CRC_START};

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("a batch needs {need} bytes, {have} are there")]
    TooShort {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the batch (or its header) needs.
        need: usize,
    },
    /// More bytes than the batch has.
    #[error("a batch of {need} bytes stands in {have}")]
    TooLong {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the batch needs.
        need: usize,
    },
    /// The length field is below that of an empty batch.
    #[error("no batch has a length of {batch_length}")]
    Length {
        /// The field.
        batch_length: i32,
    },
    /// Not version 2.
    #[error("record format {0} is not served, only 2")]
    Magic(i8),
    /// The checksum differs.
    #[error("checksum is {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Record count and offsets do not agree.
    #[error("{record_count} records do not fit a last offset delta of {last_offset_delta}")]
    RecordCount {
        /// Number of records.
        record_count: i32,
        /// Last offset minus base offset.
        last_offset_delta: i32,
    },
    /// The base offset is negative or the last one overflows.
    #[error("base offset {base_offset} is out of range")]
    BaseOffset {
        /// The field.
        base_offset: i64,
    },
    /// The codec's number is unknown.
    #[error("codec {0} is unknown")]
    Codec(u8),
    /// A client may not send control records.
    #[error("a client sent a control batch")]
    ControlFromClient,
    /// Producer id, epoch and sequence do not agree with each other.
    #[error(
        "producer id {producer_id}, epoch {producer_epoch} and sequence {base_sequence} do not go together"
    )]
    Producer {
        /// The id.
        producer_id: i64,
        /// The epoch.
        producer_epoch: i16,
        /// The first sequence.
        base_sequence: i32,
    },
}

/// Checks a batch that a client sent: `bytes` is that one batch. Reads every byte once, for the checksum.
///
/// # Errors
/// Anything that Kafka answers with CORRUPT_MESSAGE (length, magic, checksum) or INVALID_RECORD (the rest).
pub fn validate_produced(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = whole(bytes)?;
    let (count, delta) = (header.record_count, header.last_offset_delta);
    if count < 1 || delta < 0 || count.checked_sub(1) != Some(delta) {
        return Err(BatchError::RecordCount { record_count: count, last_offset_delta: delta });
    }
    let attributes = header.attributes;
    if attributes.codec().is_none() {
        return Err(BatchError::Codec((attributes.0 & 7) as u8));
    }
    if attributes.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    let idempotent = header.producer_id != ProducerId::NONE;
    let fits = if idempotent {
        header.producer_id.0 >= 0 && header.producer_epoch.0 >= 0 && header.base_sequence.0 >= 0
    } else {
        !attributes.is_transactional()
    };
    if !fits {
        return Err(BatchError::Producer {
            producer_id: header.producer_id.0,
            producer_epoch: header.producer_epoch.0,
            base_sequence: header.base_sequence.0,
        });
    }
    check_crc(&header, bytes)?;
    Ok(header)
}

/// Checks a batch that a leader or this disk had stored: `bytes` is that one batch. Compaction may have left fewer
/// records than offsets.
///
/// # Errors
/// As `validate_produced`, without the rules for clients.
pub fn validate_stored(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = whole(bytes)?;
    let (count, delta) = (header.record_count, header.last_offset_delta);
    if count < 0 || delta < 0 || i64::from(count) > i64::from(delta) + 1 {
        return Err(BatchError::RecordCount { record_count: count, last_offset_delta: delta });
    }
    let base = header.base_offset.0;
    if base < 0 || base.checked_add(i64::from(delta) + 1).is_none() {
        return Err(BatchError::BaseOffset { base_offset: base });
    }
    check_crc(&header, bytes)?;
    Ok(header)
}

fn whole(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::decode(bytes)?;
    let (have, need) = (bytes.len(), header.size_bytes());
    match have.cmp(&need) {
        std::cmp::Ordering::Less => Err(BatchError::TooShort { have, need }),
        std::cmp::Ordering::Greater => Err(BatchError::TooLong { have, need }),
        std::cmp::Ordering::Equal => Ok(header),
    }
}

fn check_crc(header: &BatchHeader, bytes: &[u8]) -> Result<(), BatchError> {
    let computed = crc32c::crc32c(&bytes[CRC_START..]);
    if computed == header.crc {
        Ok(())
    } else {
        Err(BatchError::Crc { stored: header.crc, computed })
    }
}
