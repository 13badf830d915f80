//! The records of a batch, once they are not (or no longer) compressed.
//!
//! Invariant: borrows all it yields; lengths and counts are checked against the bytes that are there.

use ottla_types::{Offset, TimestampMs};

use super::header::{BATCH_HEADER_BYTES, BatchHeader, Codec, TimestampType};
use crate::varint::{VarintError, read_i32, read_i64};

/// Why records cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A number in a record is broken.
    #[error(transparent)]
    Varint(#[from] VarintError),
    /// A length or count is negative or larger than what is left.
    #[error("a record says {0} where fewer bytes are left")]
    Length(i32),
    /// The records are compressed; decompress them first.
    #[error("the records are compressed")]
    Compressed,
    /// Fewer records than the header says.
    #[error("the batch ends {0} records early")]
    Missing(i32),
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset, from its batch's base offset.
    pub offset: Offset,
    /// Its timestamp: its own, or its batch's if the leader gave it.
    pub timestamp: TimestampMs,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
    /// All its bytes, its length included.
    pub(crate) whole: &'a [u8],
    /// One byte of attributes, which have no meaning yet.
    pub(crate) attributes: u8,
    /// Its bytes behind the timestamp.
    pub(crate) after_timestamp: &'a [u8],
}

/// A record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key; by contract UTF-8, unchecked.
    pub key: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    left: &'a [u8],
    count: i32,
}

impl<'a> Headers<'a> {
    /// How many are left.
    pub const fn count_left(&self) -> usize {
        self.count as usize
    }

    /// The value of the first header of this name, if that header can be read.
    pub fn get(self, key: &str) -> Option<&'a [u8]> {
        self.map_while(Result::ok)
            .find(|header| header.key == key.as_bytes())
            .and_then(|header| header.value)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let item = header(&mut self.left);
        if item.is_err() {
            self.count = 0;
        }
        Some(item)
    }
}

fn header<'a>(left: &mut &'a [u8]) -> Result<Header<'a>, RecordError> {
    let key = nullable(left)?.ok_or(RecordError::Length(-1))?;
    Ok(Header { key, value: nullable(left)? })
}

/// See [`Records::of`] and [`Records::over`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    left: &'a [u8],
    remaining: i32,
    header: BatchHeader,
}

impl<'a> Records<'a> {
    /// The records of an uncompressed batch.
    ///
    /// # Errors
    /// `Compressed` if they are.
    pub fn of(header: &BatchHeader, batch: &'a [u8]) -> Result<Self, RecordError> {
        if header.attributes.codec() != Some(Codec::None) {
            return Err(RecordError::Compressed);
        }
        Ok(Self::over(header, batch.get(BATCH_HEADER_BYTES..).unwrap_or_default()))
    }

    /// The records in `payload`, which is what a batch's records were before compression.
    pub fn over(header: &BatchHeader, payload: &'a [u8]) -> Self {
        Self { left: payload, remaining: header.record_count.max(0), header: *header }
    }

    fn record(&mut self) -> Result<Record<'a>, RecordError> {
        if self.left.is_empty() {
            return Err(RecordError::Missing(self.remaining));
        }
        let before = self.left;
        let mut body = sized(&mut self.left)?;
        let whole = &before[..before.len() - self.left.len()];
        let (&attributes, rest) = body.split_first().ok_or(VarintError::TooShort)?;
        body = rest;
        let timestamp_delta = read_i64(&mut body)?;
        let after_timestamp = body;
        let offset_delta = read_i32(&mut body)?;
        let key = nullable(&mut body)?;
        let value = nullable(&mut body)?;
        let count = read_i32(&mut body)?;
        // A header has at least two bytes.
        if count < 0 || count as usize > body.len() / 2 {
            return Err(RecordError::Length(count));
        }
        let timestamp = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.plus_ms(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = self.header.base_offset.plus(i64::from(offset_delta));
        let headers = Headers { left: body, count };
        Ok(Record { offset, timestamp, key, value, headers, whole, attributes, after_timestamp })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let item = self.record();
        self.remaining = if item.is_ok() { self.remaining - 1 } else { 0 };
        Some(item)
    }
}

/// The bytes behind a length that may not be null.
fn sized<'a>(left: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    nullable(left)?.ok_or(RecordError::Length(-1))
}

/// The bytes behind a length; -1 is null.
fn nullable<'a>(left: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordError> {
    let len = read_i32(left)?;
    if len == -1 {
        return Ok(None);
    }
    let taken = usize::try_from(len).ok().and_then(|len| left.split_at_checked(len));
    let (bytes, rest) = taken.ok_or(RecordError::Length(len))?;
    *left = rest;
    Ok(Some(bytes))
}
