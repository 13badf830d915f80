//! Writing the primitives of Kafka's messages that keys and values of today need.
//!
//! Invariant: what is written here, `Reader` reads.

use crate::names::MAX_TEXT_BYTES;

/// The bytes so far.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with the version, as every key and value does.
    pub(super) fn new(version: i16, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&version.to_be_bytes());
        Self { bytes }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A text with a length of 16 bits.
    pub(super) fn text(&mut self, text: &str) {
        debug_assert!(text.len() <= MAX_TEXT_BYTES);
        let length = i16::try_from(text.len()).expect("the types of names bound their length");
        self.raw(&length.to_be_bytes());
        self.raw(text.as_bytes());
    }

    pub(super) fn nullable_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.raw(&(-1_i16).to_be_bytes()),
        }
    }

    /// A text with a varint as its length, plus one.
    pub(super) fn compact_text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).expect("the types of names bound their length");
        self.varint(length + 1);
        self.raw(text.as_bytes());
    }

    /// Bytes or a count with a length of 32 bits. More than fit in memory of this kind never meet: a batch is far smaller.
    pub(super) fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).expect("a decision's events fit in one batch"));
    }

    pub(super) fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
