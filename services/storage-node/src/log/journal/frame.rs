//! A frame that is about to be written.
//!
//! Invariant: holds no copy of a payload.

use ottla_log_format::PlacedBatch;
use ottla_log_format::journal::{
    BLOCK_BYTES, FRAME_HEADER_BYTES, FrameHeader, FrameKind, ROUND_HEADER_BYTES, batches_checksum,
    payload_checksum,
};
use ottla_types::{LeaderEpoch, Offset, TopicPartition};

/// What happened to one partition.
pub(in crate::log) struct Frame<'a> {
    kind: FrameKind,
    partition: TopicPartition,
    leader_epoch: LeaderEpoch,
    offset: Offset,
    batches: &'a [PlacedBatch],
    text: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Batches were appended; there is at least one.
    pub(in crate::log) fn batches(partition: TopicPartition, batches: &'a [PlacedBatch]) -> Self {
        let header = batches.first().map(PlacedBatch::header);
        let (offset, leader_epoch) = header.map_or((Offset::ZERO, LeaderEpoch::NONE), |header| {
            (header.base_offset, header.leader_epoch)
        });
        Self { kind: FrameKind::Batches, partition, leader_epoch, offset, batches, text: &[] }
    }

    /// A partition's folder was made.
    pub(in crate::log) fn created(
        partition: TopicPartition,
        topic: &'a str,
        start: Offset,
    ) -> Self {
        Self { text: topic.as_bytes(), ..Self::event(FrameKind::Created, partition, start) }
    }

    /// Frames before this one count only below `to`.
    pub(in crate::log) fn truncated(partition: TopicPartition, to: Offset) -> Self {
        Self::event(FrameKind::Truncated, partition, to)
    }

    /// Frames before this one do not count; the log begins anew at `start`, or is gone.
    pub(in crate::log) fn dropped(partition: TopicPartition, start: Offset) -> Self {
        Self::event(FrameKind::Dropped, partition, start)
    }

    /// Segments are synced up to `end`.
    pub(in crate::log) fn synced(partition: TopicPartition, end: Offset) -> Self {
        Self::event(FrameKind::Synced, partition, end)
    }

    fn event(kind: FrameKind, partition: TopicPartition, offset: Offset) -> Self {
        Self { kind, partition, leader_epoch: LeaderEpoch::NONE, offset, batches: &[], text: &[] }
    }

    pub(in crate::log) fn partition(&self) -> TopicPartition {
        self.partition
    }

    fn payload_bytes(&self) -> usize {
        self.text.len() + self.batches.iter().map(PlacedBatch::size_bytes).sum::<usize>()
    }

    /// Bytes in the journal.
    pub(in crate::log) fn size_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload_bytes()
    }

    pub(super) fn header(&self, generation: u64, round: u64) -> [u8; FRAME_HEADER_BYTES] {
        let payload_crc = if self.batches.is_empty() {
            payload_checksum(self.text)
        } else {
            batches_checksum(self.batches)
        };
        FrameHeader {
            kind: self.kind,
            partition: self.partition,
            leader_epoch: self.leader_epoch,
            offset: self.offset,
            payload_len: self.payload_bytes() as u32,
            payload_crc,
            generation,
            round_low: round as u32,
        }
        .encode()
    }

    /// The payload, in pieces.
    pub(super) fn payload(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.text).chain(self.batches.iter().flat_map(PlacedBatch::slices))
    }
}

/// Bytes of a round's frames.
pub(super) fn body_bytes(frames: &[Frame<'_>]) -> u64 {
    frames.iter().map(|frame| frame.size_bytes() as u64).sum()
}

/// Bytes of a round in the file, up to the next block.
pub(super) fn round_bytes(frames: &[Frame<'_>]) -> u64 {
    (ROUND_HEADER_BYTES as u64 + body_bytes(frames)).next_multiple_of(BLOCK_BYTES as u64)
}
