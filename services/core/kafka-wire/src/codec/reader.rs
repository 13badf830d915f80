//! Reads Kafka's primitive types from bytes that a stranger sent.
//!
//! Invariant: no method panics, and none allocates before the bytes that would fill the allocation are known to be there:
//! a count is at most the bytes left divided by the least size of an element, and the whole decoded form is charged to a
//! budget. Deliberately knows no message.

use bytes::Bytes;
use ottla_types::Uuid;

use super::{DecodeError, Text};

/// Most bytes of memory that one byte on the wire can turn into, for the structures of any honest message. Each generated
/// structure proves at compile time that it keeps this.
pub const MAX_EXPANSION: usize = 32;
/// Most bytes of memory that one decoded message may take besides the bytes it was read from, unless the reader's
/// maker sets another bound.
pub const MAX_DECODED_HEAP_BYTES: usize = 256 << 20;
/// Longest string in bytes, in every encoding (Kafka's own bound).
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;
/// Most tagged fields in one structure; Kafka has at most four.
pub const MAX_TAGGED_FIELDS: u32 = 1_000;

/// A position in received bytes.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
    /// Where the readable part ends: the end of the bytes, or of the tagged field that is being read.
    end: usize,
    /// Bytes of memory that may still be used.
    heap_budget: usize,
}

impl Reader {
    /// A reader whose decoded form may take [`MAX_EXPANSION`] times the length of the bytes, at most
    /// [`MAX_DECODED_HEAP_BYTES`].
    pub fn new(bytes: Bytes) -> Self {
        let budget = bytes.len().saturating_mul(MAX_EXPANSION).min(MAX_DECODED_HEAP_BYTES);
        Self::with_heap_budget(bytes, budget)
    }

    /// A reader whose decoded form may take this many bytes of memory besides the bytes themselves.
    pub fn with_heap_budget(bytes: Bytes, heap_budget: usize) -> Self {
        let end = bytes.len();
        Self { bytes, at: 0, end, heap_budget }
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Checks that nothing follows. Kafka ignores what follows a request, so decoding does not call this by itself.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(DecodeError::TrailingBytes { remaining }),
        }
    }

    /// Takes `len` bytes without copying.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let from = self.advance(len)?;
        Ok(self.bytes.slice(from..self.at))
    }

    /// Moves on by `len` and returns where it was.
    fn advance(&mut self, len: usize) -> Result<usize, DecodeError> {
        let from = self.at;
        if len > self.remaining() {
            return Err(DecodeError::Truncated { needed: len, remaining: self.remaining() });
        }
        self.at += len;
        Ok(from)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let from = self.advance(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[from..from + N]);
        Ok(out)
    }

    /// A bool: any byte but 0 is true, as in Kafka.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>()? != [0])
    }

    /// A big-endian number.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// A big-endian number.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// A big-endian number.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// A big-endian number.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// A big-endian number.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// A big-endian number.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// A big-endian IEEE 754 number; any bits.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// 16 bytes.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid::from_bytes)
    }

    /// An unsigned varint of at most 32 bits; longer forms of small numbers are fine, as in Kafka.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed::<1>()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::VarintTooLong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    /// A length of bytes or elements: an unsigned varint of length + 1 if compact, else an int32. `None` is null.
    pub fn length(&mut self, compact: bool) -> Result<Option<usize>, DecodeError> {
        if compact {
            return Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize));
        }
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(DecodeError::NegativeLength { length }),
            },
        }
    }

    fn string_length(&mut self, compact: bool) -> Result<Option<usize>, DecodeError> {
        if !compact {
            return match self.i16()? {
                -1 => Ok(None),
                length => match usize::try_from(length) {
                    Ok(length) => Ok(Some(length)),
                    Err(_) => Err(DecodeError::NegativeLength { length: i32::from(length) }),
                },
            };
        }
        let length = self.length(true)?;
        match length {
            Some(length) if length > MAX_STRING_BYTES => Err(DecodeError::StringTooLong { length }),
            other => Ok(other),
        }
    }

    /// A string or null.
    pub fn nullable_string(&mut self, compact: bool) -> Result<Option<String>, DecodeError> {
        let Some(length) = self.string_length(compact)? else { return Ok(None) };
        let from = self.advance(length)?;
        self.charge(length)?;
        let text = std::str::from_utf8(&self.bytes[from..from + length]);
        text.map(|text| Some(text.to_owned())).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// A string.
    pub fn string(&mut self, compact: bool, field: &'static str) -> Result<String, DecodeError> {
        self.nullable_string(compact)?.ok_or(DecodeError::Null { field })
    }

    /// A string or null, not copied: it keeps the whole received frame alive.
    pub fn nullable_text(&mut self, compact: bool) -> Result<Option<Text>, DecodeError> {
        let Some(length) = self.string_length(compact)? else { return Ok(None) };
        let bytes = self.take(length)?;
        Text::try_from(bytes).map(Some).map_err(|_| DecodeError::InvalidUtf8)
    }

    /// A string, not copied.
    pub fn text(&mut self, compact: bool, field: &'static str) -> Result<Text, DecodeError> {
        self.nullable_text(compact)?.ok_or(DecodeError::Null { field })
    }

    /// Bytes or null, not copied: they keep the whole received frame alive.
    pub fn nullable_bytes(&mut self, compact: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.length(compact)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// Bytes, not copied.
    pub fn bytes(&mut self, compact: bool, field: &'static str) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(compact)?.ok_or(DecodeError::Null { field })
    }

    /// An array or null. `least` is the smallest size of an element on the wire.
    pub(crate) fn nullable_array<T>(
        &mut self,
        compact: bool,
        least: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.array_length(compact, least)? else { return Ok(None) };
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(Some(items))
    }

    /// An array.
    pub(crate) fn array<T>(
        &mut self,
        compact: bool,
        field: &'static str,
        least: usize,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(compact, least, read)?.ok_or(DecodeError::Null { field })
    }

    /// The count of an array, checked against the bytes left; `None` is null.
    pub(crate) fn array_length(
        &mut self,
        compact: bool,
        least: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length(compact)? else { return Ok(None) };
        let remaining = self.remaining();
        if count > remaining / least.max(1) {
            return Err(DecodeError::CountTooLarge { count, remaining });
        }
        Ok(Some(count))
    }

    /// A structure behind a byte that says whether it is there.
    pub(crate) fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// The tagged fields at the end of a flexible structure. `known` reads a tag that it knows and says whether it did;
    /// others are skipped.
    pub(crate) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        if count > MAX_TAGGED_FIELDS {
            return Err(DecodeError::TooManyTaggedFields { count });
        }
        let mut previous = None;
        for _ in 0..count {
            let tag = self.uvarint()?;
            if previous.is_some_and(|previous| tag <= previous) {
                return Err(DecodeError::TagOrder { tag });
            }
            previous = Some(tag);
            self.tagged_field(tag, &mut known)?;
        }
        Ok(())
    }

    fn tagged_field(
        &mut self,
        tag: u32,
        known: &mut impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let size = self.uvarint()? as usize;
        if size > self.remaining() {
            return Err(DecodeError::Truncated { needed: size, remaining: self.remaining() });
        }
        let outer_end = std::mem::replace(&mut self.end, self.at + size);
        if known(self, tag)? {
            let left = self.remaining();
            if left > 0 {
                return Err(DecodeError::TagSize { tag, left });
            }
        }
        self.at = self.end;
        self.end = outer_end;
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.heap_budget = self.heap_budget.checked_sub(bytes).ok_or(DecodeError::HeapBudget)?;
        Ok(())
    }
}
