//! Log compaction, as far as it is bytes and values: which records of a batch stay, and what the batch is without the others.
//!
//! Invariant: whoever reads what is left from its beginning sees, for each key, the same last value as in the log before, and offsets
//! that are those of before. Deliberately knows no file and no segment: which batches are read in which order is the storage node's
//! business.

mod filter;
mod key_hash;
mod offset_map;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use filter::{Compacted, Rules, compact_batch};
pub use key_hash::{KeyHash, KeyHasher};
pub use offset_map::OffsetMap;

use crate::compression::{self, CompressError, DecompressError};
use crate::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, Codec, RecordError, Records, validate_stored,
};
use ottla_types::Offset;

/// Records of one batch that are decompressed at most, in bytes. A batch that holds more is left as it is.
pub const MAX_INFLATED_BATCH_BYTES: usize = 64 << 20;

/// Why a batch cannot be compacted: the log that holds it is left alone.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// It is no sound batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its records cannot be decompressed.
    #[error(transparent)]
    Decompress(DecompressError),
    /// What is left cannot be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// What is left is longer than a batch can be.
    #[error("{0} bytes of records do not fit a batch")]
    TooLong(usize),
}

/// How far a batch's keys were noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// All of them, or the batch is one that is left as it is.
    All,
    /// The map is full.
    MapIsFull,
}

/// Notes the keys of a batch's records from `from` on, with their offsets. The map then covers the batch, or what came before the
/// first record that had no room.
///
/// # Errors
/// See [`CompactError`].
pub fn note_keys(bytes: &[u8], from: Offset, map: &mut OffsetMap) -> Result<Noted, CompactError> {
    let header = validate_stored(bytes)?;
    if let Some(payload) = readable(&header, bytes)? {
        for record in Records::over(&header, &payload) {
            let record = record?;
            let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
            if !map.put(key, record.offset) {
                return Ok(Noted::MapIsFull);
            }
        }
    }
    map.cover(header.next_offset());
    Ok(Noted::All)
}

/// Which records of a batch have no key, counted from 0; `None` if it holds too much to be looked at. Whole and sound it is already.
///
/// # Errors
/// See [`CompactError`].
pub fn records_without_key(
    header: &BatchHeader,
    bytes: &[u8],
) -> Result<Option<Vec<i32>>, CompactError> {
    let Some(payload) = inflated(header, bytes)? else { return Ok(None) };
    let mut without = Vec::new();
    for (index, record) in (0..).zip(Records::over(header, &payload)) {
        if record?.key.is_none() {
            without.push(index);
        }
    }
    Ok(Some(without))
}

/// The records of a batch, decompressed; `None` if it is left as it is: whether a transaction's records count is not known here, and
/// nobody decompresses without a bound.
fn readable<'a>(
    header: &BatchHeader,
    bytes: &'a [u8],
) -> Result<Option<Cow<'a, [u8]>>, CompactError> {
    let attributes = header.attributes;
    if attributes.is_control() || attributes.is_transactional() {
        return Ok(None);
    }
    inflated(header, bytes)
}

/// The records of a batch, decompressed; `None` if they are too large.
fn inflated<'a>(
    header: &BatchHeader,
    bytes: &'a [u8],
) -> Result<Option<Cow<'a, [u8]>>, CompactError> {
    let attributes = header.attributes;
    let payload = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
    let codec = attributes.codec().ok_or(BatchError::Codec((attributes.0 & 7) as u8))?;
    if codec == Codec::None || header.record_count == 0 {
        return Ok(Some(Cow::Borrowed(payload)));
    }
    match compression::decompress(codec, payload, MAX_INFLATED_BATCH_BYTES) {
        Ok(inflated) => Ok(Some(Cow::Owned(inflated))),
        Err(DecompressError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(CompactError::Decompress(error)),
    }
}
