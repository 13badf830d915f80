//! Giving a batch its place in the log, without copying its records.
//!
//! Invariant: the bytes of `slices`, one after the other, are the batch as it is stored.
//! Base offset and leader epoch are outside the checksum, so only 16 bytes change; `LogAppendTime` changes the header.

use bytes::Bytes;
use ottla_types::{LeaderEpoch, Offset, TimestampMs};

use super::header::{BATCH_HEADER_BYTES, BatchHeader, CRC_START, PLACEMENT_BYTES};

/// A batch as it will be stored: a new front, and the rest of the bytes that came.
#[derive(Clone, Debug)]
pub struct PlacedBatch {
    front: [u8; BATCH_HEADER_BYTES],
    front_len: u8,
    rest: Bytes,
    header: BatchHeader,
}

impl PlacedBatch {
    /// Puts a validated batch (`bytes`, of which `header` is the header) at `base_offset`.
    pub fn new(
        bytes: Bytes,
        header: BatchHeader,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> Self {
        let header = BatchHeader { base_offset, leader_epoch, ..header };
        Self::with_front(bytes, header, PLACEMENT_BYTES)
    }

    /// Like `new`, for `message.timestamp.type=LogAppendTime`: all records get `append_time`. Reads every byte once
    /// more, for the new checksum.
    pub fn with_append_time(
        bytes: Bytes,
        header: BatchHeader,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        append_time: TimestampMs,
    ) -> Self {
        let attributes = header.attributes.with_log_append_time();
        let mut header = BatchHeader {
            base_offset,
            leader_epoch,
            attributes,
            max_timestamp: append_time,
            ..header
        };
        let crc = crc32c::crc32c(&header.encode()[CRC_START..]);
        header.crc =
            crc32c::crc32c_append(crc, bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default());
        Self::with_front(bytes, header, BATCH_HEADER_BYTES)
    }

    /// A batch that has its place already, as a follower gets it.
    pub fn stored(bytes: Bytes, header: BatchHeader) -> Self {
        Self::with_front(bytes, header, 0)
    }

    fn with_front(mut bytes: Bytes, header: BatchHeader, front_len: usize) -> Self {
        let front = header.encode();
        let rest = bytes.split_off(front_len.min(bytes.len()));
        Self { front, front_len: front_len as u8, rest, header }
    }

    /// The header as stored.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes as stored, in two pieces; the first may be empty.
    pub fn slices(&self) -> [&[u8]; 2] {
        [&self.front[..usize::from(self.front_len)], &self.rest]
    }

    /// The first [`CRC_START`] bytes as stored: all that the batch's own checksum does not cover.
    pub fn unchecked_bytes(&self) -> [u8; CRC_START] {
        let mut bytes = [0; CRC_START];
        bytes.copy_from_slice(&self.front[..CRC_START]);
        bytes
    }

    /// Bytes in all.
    pub fn size_bytes(&self) -> usize {
        usize::from(self.front_len) + self.rest.len()
    }

    /// The bytes as stored, in one piece. Copies.
    pub fn to_bytes(&self) -> Bytes {
        if self.front_len == 0 { self.rest.clone() } else { self.slices().concat().into() }
    }
}
