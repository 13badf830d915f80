//! Reading the primitives of Kafka's messages, fixed and flexible.
//!
//! Invariant: no read goes beyond the bytes; nothing is allocated for a length before the bytes are there.

use std::sync::Arc;

use super::RecordError;
use crate::names::MAX_TEXT_BYTES;

/// Most bytes of an unsigned varint of 32 bits.
const MAX_VARINT_BYTES: u32 = 5;

/// What is left to read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Whether lengths are varints (plus one), and tagged fields follow each struct.
    pub(super) flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, flexible: false }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], RecordError> {
        let (taken, rest) =
            self.bytes.split_at_checked(count).ok_or(RecordError::TooShort(what))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], RecordError> {
        let taken = self.take(N, what)?;
        Ok(taken.try_into().expect("take gives as many bytes as were asked for"))
    }

    pub(super) fn i16(&mut self, what: &'static str) -> Result<i16, RecordError> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, RecordError> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, RecordError> {
        self.array(what).map(i64::from_be_bytes)
    }

    fn varint(&mut self, what: &'static str) -> Result<u32, RecordError> {
        let mut value = 0_u32;
        for index in 0..MAX_VARINT_BYTES {
            let [byte] = self.array(what)?;
            // The fifth byte has room for four bits of 32.
            if index == MAX_VARINT_BYTES - 1 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Length(what))
    }

    /// A length or count, of which `fixed` reads the form that is not flexible; `None` is null.
    fn length(
        &mut self,
        what: &'static str,
        fixed: impl FnOnce(&mut Self) -> Result<i32, RecordError>,
    ) -> Result<Option<usize>, RecordError> {
        if self.flexible {
            let plus_one = self.varint(what)?;
            let length = plus_one.checked_sub(1).map(usize::try_from).transpose();
            return length.map_err(|_| RecordError::Length(what));
        }
        match fixed(self)? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| RecordError::Length(what)),
        }
    }

    /// A text; `None` is null.
    pub(super) fn nullable_text(
        &mut self,
        what: &'static str,
    ) -> Result<Option<&'a str>, RecordError> {
        let Some(length) = self.length(what, |reader| reader.i16(what).map(i32::from))? else {
            return Ok(None);
        };
        if length > MAX_TEXT_BYTES {
            return Err(RecordError::Length(what));
        }
        let text = std::str::from_utf8(self.take(length, what)?);
        text.map(Some).map_err(|_| RecordError::NotUtf8(what))
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, RecordError> {
        self.nullable_text(what)?.ok_or(RecordError::Null(what))
    }

    pub(super) fn blob(&mut self, what: &'static str) -> Result<Arc<[u8]>, RecordError> {
        let length = self.length(what, |reader| reader.i32(what))?;
        Ok(self.take(length.ok_or(RecordError::Null(what))?, what)?.into())
    }

    /// The count of an array whose elements take at least `element` bytes each.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        element: usize,
    ) -> Result<usize, RecordError> {
        let count = self.length(what, |reader| reader.i32(what))?.ok_or(RecordError::Null(what))?;
        if count > self.remaining() / element {
            return Err(RecordError::Length(what));
        }
        Ok(count)
    }

    /// Goes over the tagged fields of a flexible struct, and shows each to `field` (tag, bytes).
    pub(super) fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &'a [u8]) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        let what = "the tagged fields";
        for _ in 0..self.varint(what)? {
            let tag = self.varint(what)?;
            let size = usize::try_from(self.varint(what)?);
            field(tag, self.take(size.map_err(|_| RecordError::Length(what))?, what)?)?;
        }
        Ok(())
    }
}
