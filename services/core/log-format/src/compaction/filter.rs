//! One batch without the records that later ones made superfluous.
//!
//! Invariant: what stays keeps its offset, its timestamp and its bytes; the batch keeps its first and last offset, its leader epoch and
//! its producer's sequence, whatever was taken out. It is compressed as it was.

use ottla_types::TimestampMs;

use super::{CompactError, OffsetMap, readable};
use crate::batch::{
    BATCH_HEADER_BYTES, BatchHeader, CRC_START, Codec, LOG_OVERHEAD_BYTES, Record, Records,
    TimestampType,
};
use crate::varint::{write_i32, write_i64};
use crate::{Attributes, compression, validate_stored};

/// What decides on the records of a batch.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The last offset of each key.
    pub map: &'a OffsetMap,
    /// The time of the cleaning.
    pub now: TimestampMs,
    /// `delete.retention.ms`: so long a tombstone stays once it was first cleaned.
    pub delete_retention_ms: i64,
    /// Tombstones stay, however old: a batch before this one was left as it is, and may hold what they delete.
    pub keeps_tombstones: bool,
    /// The batch stays, though without records: it is a segment's last, or its producer's.
    pub keeps_empty: bool,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compacted {
    /// It stays as it is.
    Same,
    /// It stays as it is, because its records cannot be judged.
    Untouched,
    /// Nothing of it is left.
    Gone,
    /// It is another one now.
    Rewritten(Vec<u8>),
}

/// Compacts one whole batch.
///
/// # Errors
/// See [`CompactError`].
pub fn compact_batch(bytes: &[u8], rules: &Rules<'_>) -> Result<Compacted, CompactError> {
    let header = validate_stored(bytes)?;
    let Some(payload) = readable(&header, bytes)? else {
        let is_control = header.attributes.is_control();
        return Ok(if is_control { Compacted::Same } else { Compacted::Untouched });
    };
    let judged = judge(&header, &payload, rules)?;
    if judged.kept == 0 {
        return Ok(emptied(&header, rules.keeps_empty));
    }
    let needs_horizon = judged.has_tombstone && !header.attributes.has_delete_horizon();
    if judged.kept == judged.stays.len() && !needs_horizon {
        return Ok(Compacted::Same);
    }
    let mut new = BatchHeader { record_count: judged.kept as i32, ..header };
    if header.attributes.timestamp_type() == TimestampType::CreateTime {
        new.max_timestamp = judged.max_timestamp;
    }
    if needs_horizon {
        new.attributes = header.attributes.with_delete_horizon();
        new.base_timestamp = rules.now.plus_ms(rules.delete_retention_ms);
    }
    let mut records = Vec::with_capacity(payload.len());
    let mut body = Vec::new();
    for (record, stays) in Records::over(&header, &payload).zip(&judged.stays) {
        match record? {
            _ if !stays => {}
            record if needs_horizon => {
                write_at(&mut records, &mut body, &record, new.base_timestamp)
            }
            record => records.extend_from_slice(record.whole),
        }
    }
    assemble(new, records).map(Compacted::Rewritten)
}

/// Which records stay.
struct Judged {
    stays: Vec<bool>,
    kept: usize,
    /// One that stays is a tombstone.
    has_tombstone: bool,
    /// Of those that stay.
    max_timestamp: TimestampMs,
}

fn judge(header: &BatchHeader, payload: &[u8], rules: &Rules<'_>) -> Result<Judged, CompactError> {
    let horizon = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
    let keeps_tombstones = rules.keeps_tombstones || horizon.is_none_or(|at| rules.now < at);
    let mut judged = Judged {
        stays: Vec::new(),
        kept: 0,
        has_tombstone: false,
        max_timestamp: TimestampMs::NONE,
    };
    for record in Records::over(header, payload) {
        let record = record?;
        let stays = stays(&record, rules.map, keeps_tombstones);
        judged.stays.push(stays);
        if stays {
            judged.kept += 1;
            judged.has_tombstone |= record.value.is_none();
            judged.max_timestamp = judged.max_timestamp.max(record.timestamp);
        }
    }
    Ok(judged)
}

fn stays(record: &Record<'_>, map: &OffsetMap, keeps_tombstones: bool) -> bool {
    if record.offset >= map.end() {
        return true;
    }
    // As in Kafka, what has no key cannot be the last of its key.
    let Some(key) = record.key else { return false };
    let is_last = map.get(key).is_none_or(|last| record.offset >= last);
    is_last && (record.value.is_some() || keeps_tombstones)
}

/// A batch that holds no record any more.
fn emptied(header: &BatchHeader, keeps_empty: bool) -> Compacted {
    if !keeps_empty {
        return Compacted::Gone;
    }
    let flags = Attributes(header.attributes.0).with_codec(Codec::None).without_delete_horizon();
    let new = BatchHeader {
        attributes: flags,
        base_timestamp: TimestampMs::NONE,
        record_count: 0,
        batch_length: (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32,
        ..*header
    };
    if new == *header { Compacted::Same } else { Compacted::Rewritten(with_checksum(new, &[])) }
}

/// Writes a record whose timestamp counts from another base.
fn write_at(out: &mut Vec<u8>, body: &mut Vec<u8>, record: &Record<'_>, base: TimestampMs) {
    body.clear();
    body.push(record.attributes);
    write_i64(body, record.timestamp.since_ms(base));
    body.extend_from_slice(record.after_timestamp);
    write_i32(out, body.len() as i32);
    out.extend_from_slice(body);
}

fn assemble(header: BatchHeader, records: Vec<u8>) -> Result<Vec<u8>, CompactError> {
    let records = match header.attributes.codec() {
        None | Some(Codec::None) => records,
        Some(codec) => compression::compress(codec, &records)?,
    };
    let len = BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + records.len();
    let batch_length = i32::try_from(len).map_err(|_| CompactError::TooLong(records.len()))?;
    Ok(with_checksum(BatchHeader { batch_length, ..header }, &records))
}

fn with_checksum(mut header: BatchHeader, records: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c(&header.encode()[CRC_START..]);
    header.crc = crc32c::crc32c_append(crc, records);
    [&header.encode()[..], records].concat()
}
