//! The bytes of a shard's journal: Ottla's own format, version 1.
//!
//! A journal file is: two header slots of one block each (a new generation is written into the other slot, so that a
//! torn header leaves the old one), then *rounds*. A round begins at a block boundary: a round header, then its frames
//! one after the other, then zeros up to the next block. A round is written at once and synced once.
//!
//! ```text
//! file header   magic "OTTLAJNL" · version u32 · generation u64 · salt u32 · crc u32
//! round header  magic "OJR1" · body length u32 · frame count u32 · generation u64 · round u64 · salted crc u32
//! frame header  magic "OJF1" · kind u8 · 3 zeros · topic id · partition i32 · leader epoch i32 · offset i64 ·
//!               payload length u32 · payload crc u32 · generation u64 · round u32 (low half) · crc u32
//! ```
//!
//! Invariant: every byte of a round is under a checksum. A frame of batches sums only what the batches' own checksums
//! leave out, so that no payload is read twice on the way in; reading back checks both. Generation and round are in
//! every header, so that nothing that an earlier use of the file left behind is taken for new; and a round's checksum is
//! salted with a number that only the file knows, so that no record can look like a round.
//! Deliberately knows no file and no order of events: that is the storage node's journal.

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition, Uuid};

use crate::read::{array, i32_at, i64_at, u32_at, u64_at};
use crate::{BatchError, CRC_START, PlacedBatch, batches, validate_stored};

/// Rounds begin at multiples of this many bytes: a page, so that a round never rewrites a page that an earlier round
/// was promised from, and the kernel never has to read one first.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes before the first round: two header slots.
pub const FIRST_ROUND_AT: u64 = 2 * BLOCK_BYTES as u64;
/// Bytes of a file header.
pub const FILE_HEADER_BYTES: usize = 28;
/// Bytes of a round header.
pub const ROUND_HEADER_BYTES: usize = 32;
/// Bytes of a frame header.
pub const FRAME_HEADER_BYTES: usize = 64;

const FILE_MAGIC: [u8; 8] = *b"OTTLAJNL";
const ROUND_MAGIC: [u8; 4] = *b"OJR1";
const FRAME_MAGIC: [u8; 4] = *b"OJF1";
const VERSION: u32 = 1;

/// Why bytes are not what a journal has in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalFormatError {
    /// The bytes end early.
    #[error("the bytes end early")]
    TooShort,
    /// Another magic: something else, or nothing yet.
    #[error("no magic")]
    Magic,
    /// A version that this program does not read.
    #[error("journal version {0} is unknown, only {VERSION} is")]
    Version(u32),
    /// A header's checksum differs.
    #[error("a header's checksum differs")]
    HeaderCrc,
    /// The kind of a frame is unknown.
    #[error("frame kind {0} is unknown")]
    Kind(u8),
    /// A payload's checksum differs.
    #[error("a payload's checksum differs")]
    PayloadCrc,
    /// A payload is not batches from the frame's offset on.
    #[error("a payload's batches are broken: {0}")]
    Batch(#[from] BatchError),
    /// A payload's batches do not follow one another from the frame's offset on.
    #[error("a payload's batch is at offset {found}, expected {expected}")]
    Contiguity {
        /// Where the batch before ends, or the frame's offset.
        expected: i64,
        /// The batch's base offset.
        found: i64,
    },
}

/// The front of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Grows with each use of any file of the journal, from 1.
    pub generation: u64,
    /// Drawn at random when the file is made.
    pub salt: u32,
}

impl FileHeader {
    /// The bytes of this header.
    pub fn encode(self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.salt.to_be_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    /// The header at the front of a slot.
    ///
    /// # Errors
    /// `TooShort`, `Magic`, `Version`, `HeaderCrc`.
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalFormatError> {
        let bytes: [u8; FILE_HEADER_BYTES] = array(bytes, 0).ok_or(JournalFormatError::TooShort)?;
        if !bytes.starts_with(&FILE_MAGIC) {
            return Err(JournalFormatError::Magic);
        }
        check_seal(&bytes, 0)?;
        match u32_at(&bytes, 8) {
            Some(VERSION) => {}
            other => return Err(JournalFormatError::Version(other.unwrap_or_default())),
        }
        let fields = || Some(Self { generation: u64_at(&bytes, 12)?, salt: u32_at(&bytes, 20)? });
        fields().ok_or(JournalFormatError::TooShort)
    }
}

/// The front of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundHeader {
    /// Bytes of its frames.
    pub body_len: u32,
    /// Number of its frames.
    pub frame_count: u32,
    /// The file's generation when it was written.
    pub generation: u64,
    /// Grows by one with each round of the journal.
    pub round: u64,
}

impl RoundHeader {
    /// The bytes of this header in a file of this salt.
    pub fn encode(&self, salt: u32) -> [u8; ROUND_HEADER_BYTES] {
        let mut bytes = [0; ROUND_HEADER_BYTES];
        bytes[..4].copy_from_slice(&ROUND_MAGIC);
        bytes[4..8].copy_from_slice(&self.body_len.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.frame_count.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.round.to_be_bytes());
        seal(&mut bytes, salt);
        bytes
    }

    /// The header at the front of a block, in a file of this salt.
    ///
    /// # Errors
    /// `TooShort`, `Magic`, `HeaderCrc`.
    pub fn decode(bytes: &[u8], salt: u32) -> Result<Self, JournalFormatError> {
        let bytes: [u8; ROUND_HEADER_BYTES] =
            array(bytes, 0).ok_or(JournalFormatError::TooShort)?;
        if !bytes.starts_with(&ROUND_MAGIC) {
            return Err(JournalFormatError::Magic);
        }
        check_seal(&bytes, salt)?;
        let fields = || {
            Some(Self {
                body_len: u32_at(&bytes, 4)?,
                frame_count: u32_at(&bytes, 8)?,
                generation: u64_at(&bytes, 12)?,
                round: u64_at(&bytes, 20)?,
            })
        };
        fields().ok_or(JournalFormatError::TooShort)
    }

    /// Bytes of the whole round in the file, with the zeros up to the next block.
    pub const fn size_bytes(&self) -> u64 {
        (ROUND_HEADER_BYTES as u64 + self.body_len as u64).next_multiple_of(BLOCK_BYTES as u64)
    }
}

/// What a frame says of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The payload's batches are appended at the frame's offset.
    Batches,
    /// The partition was made; the payload is its topic's name, the offset its first one.
    Created,
    /// The log was cut to end at the frame's offset.
    Truncated,
    /// The partition was removed, or begun anew: frames before this one do not count.
    Dropped,
    /// The segments themselves were synced up to the frame's offset.
    Synced,
}

impl FrameKind {
    const fn id(self) -> u8 {
        match self {
            Self::Batches => 1,
            Self::Created => 2,
            Self::Truncated => 3,
            Self::Dropped => 4,
            Self::Synced => 5,
        }
    }

    const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Batches),
            2 => Some(Self::Created),
            3 => Some(Self::Truncated),
            4 => Some(Self::Dropped),
            5 => Some(Self::Synced),
            _ => None,
        }
    }
}

/// The front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What happened.
    pub kind: FrameKind,
    /// To which partition.
    pub partition: TopicPartition,
    /// In which leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// See [`FrameKind`].
    pub offset: Offset,
    /// Bytes of the payload behind this header.
    pub payload_len: u32,
    /// See [`batches_checksum`] and [`payload_checksum`].
    pub payload_crc: u32,
    /// The round's generation.
    pub generation: u64,
    /// The low half of the round's number.
    pub round_low: u32,
}

impl FrameHeader {
    /// The bytes of this header.
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[4] = self.kind.id();
        bytes[8..24].copy_from_slice(self.partition.topic.0.as_bytes());
        bytes[24..28].copy_from_slice(&self.partition.partition.0.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.offset.0.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.payload_len.to_be_bytes());
        bytes[44..48].copy_from_slice(&self.payload_crc.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.generation.to_be_bytes());
        bytes[56..60].copy_from_slice(&self.round_low.to_be_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    /// The header at the front of a frame.
    ///
    /// # Errors
    /// `TooShort`, `Magic`, `HeaderCrc`, `Kind`.
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalFormatError> {
        let bytes: [u8; FRAME_HEADER_BYTES] =
            array(bytes, 0).ok_or(JournalFormatError::TooShort)?;
        if !bytes.starts_with(&FRAME_MAGIC) {
            return Err(JournalFormatError::Magic);
        }
        check_seal(&bytes, 0)?;
        let kind = FrameKind::from_id(bytes[4]).ok_or(JournalFormatError::Kind(bytes[4]))?;
        let fields = || {
            let topic = TopicId(Uuid::from_bytes(array(&bytes, 8)?));
            Some(Self {
                kind,
                partition: TopicPartition { topic, partition: PartitionIndex(i32_at(&bytes, 24)?) },
                leader_epoch: LeaderEpoch(i32_at(&bytes, 28)?),
                offset: Offset(i64_at(&bytes, 32)?),
                payload_len: u32_at(&bytes, 40)?,
                payload_crc: u32_at(&bytes, 44)?,
                generation: u64_at(&bytes, 48)?,
                round_low: u32_at(&bytes, 56)?,
            })
        };
        fields().ok_or(JournalFormatError::TooShort)
    }

    /// Checks the payload behind this header.
    ///
    /// # Errors
    /// `TooShort`, `PayloadCrc`; for batches also what is wrong with them.
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), JournalFormatError> {
        if payload.len() != self.payload_len as usize {
            return Err(JournalFormatError::TooShort);
        }
        let crc = match self.kind {
            FrameKind::Batches => self.check_batches(payload)?,
            _ => payload_checksum(payload),
        };
        if crc == self.payload_crc { Ok(()) } else { Err(JournalFormatError::PayloadCrc) }
    }

    fn check_batches(&self, payload: &[u8]) -> Result<u32, JournalFormatError> {
        let mut expected = self.offset;
        let mut crc = 0;
        for batch in batches(payload) {
            let bytes = batch?.bytes;
            crc = crc32c::crc32c_append(crc, &bytes[..CRC_START]);
            let header = validate_stored(bytes)?;
            if header.base_offset != expected {
                return Err(JournalFormatError::Contiguity {
                    expected: expected.0,
                    found: header.base_offset.0,
                });
            }
            expected = header.next_offset();
        }
        Ok(crc)
    }
}

/// The checksum of a frame of batches: over the bytes that the batches' own checksums do not cover.
pub fn batches_checksum<'a>(batches: impl IntoIterator<Item = &'a PlacedBatch>) -> u32 {
    batches.into_iter().fold(0, |crc, batch| crc32c::crc32c_append(crc, &batch.unchecked_bytes()))
}

/// The checksum of any other frame: over its payload.
pub fn payload_checksum(payload: &[u8]) -> u32 {
    crc32c::crc32c(payload)
}

/// Puts the checksum of a header into its last four bytes.
fn seal(header: &mut [u8], salt: u32) {
    let (fields, crc) = header.split_at_mut(header.len() - 4);
    crc.copy_from_slice(&crc32c::crc32c_append(salt, fields).to_be_bytes());
}

fn check_seal(header: &[u8], salt: u32) -> Result<(), JournalFormatError> {
    let (fields, crc) = header.split_at(header.len() - 4);
    let computed = crc32c::crc32c_append(salt, fields).to_be_bytes();
    if computed == crc { Ok(()) } else { Err(JournalFormatError::HeaderCrc) }
}

#[cfg(test)]
mod tests;
