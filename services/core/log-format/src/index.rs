//! Entries of the two index files that stand beside a segment.
//!
//! Invariant: entries are of fixed size, and their offsets are relative to the segment's base.
//! Deliberately knows neither when an entry is added nor how one is looked up.

use ottla_types::TimestampMs;

use crate::read::{i32_at, i64_at};

/// An entry of `.index`: the batch at `position` ends with this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndexEntry {
    /// Last offset of the batch minus the segment's base offset.
    pub relative_offset: i32,
    /// Where the batch begins in the segment, in bytes.
    pub position: i32,
}

impl OffsetIndexEntry {
    /// Bytes of an entry.
    pub const BYTES: usize = 8;

    /// The entry in the first bytes of a slice.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self { relative_offset: i32_at(bytes, 0)?, position: i32_at(bytes, 4)? })
    }

    /// The bytes of this entry.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.relative_offset.to_be_bytes());
        bytes[4..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }
}

/// An entry of `.timeindex`: up to the batch that ends with this offset, no record is later than `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIndexEntry {
    /// Largest timestamp so far.
    pub timestamp: TimestampMs,
    /// Last offset of the batch that has it, minus the segment's base offset.
    pub relative_offset: i32,
}

impl TimeIndexEntry {
    /// Bytes of an entry.
    pub const BYTES: usize = 12;

    /// The entry in the first bytes of a slice.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self { timestamp: TimestampMs(i64_at(bytes, 0)?), relative_offset: i32_at(bytes, 8)? })
    }

    /// The bytes of this entry.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.timestamp.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.relative_offset.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_big_endian_and_lead_back() {
        let offset = OffsetIndexEntry { relative_offset: 0x0102, position: 0x0a0b_0c0d };
        assert_eq!(offset.encode(), [0, 0, 1, 2, 0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!(OffsetIndexEntry::decode(&offset.encode()), Some(offset));
        let time = TimeIndexEntry { timestamp: TimestampMs(258), relative_offset: 7 };
        assert_eq!(time.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7]);
        assert_eq!(TimeIndexEntry::decode(&time.encode()), Some(time));
        assert_eq!(TimeIndexEntry::decode(&[0; 11]), None);
    }
}
