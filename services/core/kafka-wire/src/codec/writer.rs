//! Collects an encoded message: small values in one buffer, large byte fields as chunks of their own.
//!
//! Invariant: a byte field of [`COPY_LIMIT_BYTES`] or more is never copied. Deliberately knows no message.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_types::Uuid;

use super::{Chunk, ChunkList, EncodeError, ErrorTally, MAX_STRING_BYTES};

/// Byte fields shorter than this are copied into the buffer: cheaper than another entry in a vectored write.
pub const COPY_LIMIT_BYTES: usize = 1024;
/// First size of the buffer: most responses fit.
const INITIAL_BYTES: usize = 256;
/// Size of the length in front of a frame.
const FRAME_PREFIX_BYTES: usize = 4;

/// Where encoded bytes go.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Chunks that belong between the buffer's bytes, with their positions in the buffer, ascending.
    splices: Vec<(usize, Chunk)>,
    spliced_len: usize,
    /// Whether a tagged field is being written: its size is put in front afterwards, so all of it stays in the buffer.
    in_tagged_field: bool,
    errors: ErrorTally,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self { buffer: BytesMut::with_capacity(INITIAL_BYTES), ..Self::default() }
    }

    /// A writer for a frame: room for its length is kept in front.
    pub(crate) fn for_frame() -> Self {
        let mut writer = Self::new();
        writer.i32(0);
        writer
    }

    /// Bytes so far, chunks and holes included.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.spliced_len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that was written.
    pub fn finish(self) -> ChunkList {
        let buffer = self.buffer.freeze();
        let mut list = ChunkList::default();
        let mut from = 0;
        for (at, chunk) in self.splices {
            list.push(Chunk::Bytes(buffer.slice(from..at)));
            list.push(chunk);
            from = at;
        }
        list.push(Chunk::Bytes(buffer.slice(from..)));
        list
    }

    /// All that was written, with the frame's length put into the room in front.
    pub(crate) fn finish_frame(mut self) -> Result<ChunkList, EncodeError> {
        let length = self.len() - FRAME_PREFIX_BYTES;
        let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLarge { length })?;
        self.buffer[..FRAME_PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
        Ok(self.finish())
    }

    /// One byte: 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    /// A big-endian number.
    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// A big-endian number.
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// A field that the tables call `error_code`: a big-endian number, and counted.
    pub fn error_code(&mut self, code: i16) {
        self.errors.note(code);
        self.i16(code);
    }

    /// The error codes that were written so far.
    pub fn errors(&self) -> &ErrorTally {
        &self.errors
    }

    /// A big-endian number.
    pub fn u16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    /// A big-endian number.
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// A big-endian number.
    pub fn u32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    /// A big-endian number.
    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// A big-endian IEEE 754 number.
    pub fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    /// 16 bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(value.as_bytes());
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, value: u32) {
        let (bytes, len) = uvarint_bytes(value);
        self.buffer.put_slice(&bytes[..len]);
    }

    /// The length of bytes or of an array; `None` is null.
    ///
    /// # Errors
    /// The length does not fit into 31 bits.
    pub fn length(&mut self, compact: bool, length: Option<usize>) -> Result<(), EncodeError> {
        match (length, compact) {
            (None, true) => self.uvarint(0),
            (None, false) => self.i32(-1),
            (Some(length), _) => {
                let fits = i32::try_from(length).map_err(|_| EncodeError::TooLarge { length })?;
                if compact { self.uvarint(fits.unsigned_abs() + 1) } else { self.i32(fits) }
            }
        }
        Ok(())
    }

    /// A string or null.
    ///
    /// # Errors
    /// It is longer than [`MAX_STRING_BYTES`].
    pub fn nullable_string(
        &mut self,
        compact: bool,
        text: Option<&str>,
    ) -> Result<(), EncodeError> {
        let Some(text) = text else {
            if compact {
                self.uvarint(0)
            } else {
                self.i16(-1)
            }
            return Ok(());
        };
        let too_long = EncodeError::StringTooLong { length: text.len() };
        let length = i16::try_from(text.len()).map_err(|_| too_long)?;
        debug_assert!(text.len() <= MAX_STRING_BYTES);
        if compact {
            self.uvarint(u32::from(length.unsigned_abs()) + 1)
        } else {
            self.i16(length)
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// A string.
    ///
    /// # Errors
    /// It is longer than [`MAX_STRING_BYTES`].
    pub fn string(&mut self, compact: bool, text: &str) -> Result<(), EncodeError> {
        self.nullable_string(compact, Some(text))
    }

    /// Bytes or null.
    ///
    /// # Errors
    /// The length does not fit into 31 bits.
    pub fn nullable_bytes(
        &mut self,
        compact: bool,
        bytes: Option<&Bytes>,
    ) -> Result<(), EncodeError> {
        self.length(compact, bytes.map(Bytes::len))?;
        if let Some(bytes) = bytes {
            self.chunk(Chunk::Bytes(bytes.clone()));
        }
        Ok(())
    }

    /// Bytes.
    ///
    /// # Errors
    /// The length does not fit into 31 bits.
    pub fn bytes(&mut self, compact: bool, bytes: &Bytes) -> Result<(), EncodeError> {
        self.nullable_bytes(compact, Some(bytes))
    }

    /// Appends a chunk as it is, without a length; a hole must not stand in a tagged field.
    pub(crate) fn chunk(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Bytes(bytes) if bytes.len() < COPY_LIMIT_BYTES || self.in_tagged_field => {
                self.buffer.put_slice(&bytes);
            }
            other => {
                self.spliced_len += other.len();
                self.splices.push((self.buffer.len(), other));
            }
        }
    }

    /// An array or null.
    pub(crate) fn nullable_array<T>(
        &mut self,
        compact: bool,
        items: Option<&[T]>,
        mut write: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(compact, items.map(<[T]>::len))?;
        items.unwrap_or_default().iter().try_for_each(|item| write(self, item))
    }

    /// An array.
    pub(crate) fn array<T>(
        &mut self,
        compact: bool,
        items: &[T],
        write: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(compact, Some(items), write)
    }

    /// A tagged field: its tag, its size, and what `write` appends.
    pub(crate) fn tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.uvarint(tag);
        let start = self.buffer.len();
        let outer = std::mem::replace(&mut self.in_tagged_field, true);
        write(self)?;
        self.in_tagged_field = outer;
        let size = self.buffer.len() - start;
        let (prefix, prefix_len) =
            uvarint_bytes(u32::try_from(size).map_err(|_| EncodeError::TooLarge { length: size })?);
        // The size is known only now: make room for it in front.
        self.buffer.put_slice(&prefix[..prefix_len]);
        self.buffer[start..].rotate_right(prefix_len);
        Ok(())
    }
}

/// The varint and its length.
fn uvarint_bytes(mut value: u32) -> ([u8; 5], usize) {
    let mut out = [0; 5];
    let mut len = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out[len] = if value == 0 { low } else { low | 0x80 };
        len += 1;
        if value == 0 {
            return (out, len);
        }
    }
}
