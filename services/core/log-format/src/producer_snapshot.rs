//! Producer snapshots (`%020d.snapshot`): what a partition knew of its producers just before that offset.
//!
//! Invariant: the checksum covers all but version and itself; a snapshot that fails it is refused as a whole.

use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::read::{i16_at, i32_at, i64_at, u32_at};

const VERSION: i16 = 1;
const CRC: usize = 2;
const COUNT: usize = 6;
const ENTRIES: usize = 10;
const ENTRY_BYTES: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// One producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Last sequence that it wrote; -1 if none.
    pub last_sequence: Sequence,
    /// Last offset that it wrote; -1 if none.
    pub last_offset: Offset,
    /// Offsets in its last batch, minus 1.
    pub offset_delta: i32,
    /// When it last wrote.
    pub timestamp: TimestampMs,
    /// Epoch of the coordinator that last ended one of its transactions; -1 if none did.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction; -1 if none is open.
    pub current_txn_first_offset: Offset,
}

/// Why a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file ends early, or goes on too long.
    #[error("{have} bytes do not hold what the snapshot says")]
    Length {
        /// Bytes of the file.
        have: usize,
    },
    /// Another version.
    #[error("version {0} is unknown, only 1 is")]
    Version(i16),
    /// The checksum differs.
    #[error("checksum is {computed:#010x}, the snapshot says {stored:#010x}")]
    Crc {
        /// What the file says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
}

/// The bytes of a snapshot.
pub fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRIES + entries.len() * ENTRY_BYTES);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.producer_id.0.to_be_bytes());
        out.extend_from_slice(&entry.producer_epoch.0.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence.0.to_be_bytes());
        out.extend_from_slice(&entry.last_offset.0.to_be_bytes());
        out.extend_from_slice(&entry.offset_delta.to_be_bytes());
        out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.current_txn_first_offset.0.to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[COUNT..]);
    out[CRC..COUNT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The producers of a snapshot.
///
/// # Errors
/// See [`SnapshotError`].
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerEntry>, SnapshotError> {
    let length = || SnapshotError::Length { have: bytes.len() };
    let version = i16_at(bytes, 0).ok_or_else(length)?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let stored = u32_at(bytes, CRC).ok_or_else(length)?;
    let computed = crc32c::crc32c(bytes.get(COUNT..).ok_or_else(length)?);
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count = i32_at(bytes, COUNT).ok_or_else(length)?;
    let entries = &bytes[ENTRIES..];
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(ENTRY_BYTES))
        != Some(entries.len())
    {
        return Err(length());
    }
    entries.chunks_exact(ENTRY_BYTES).map(|bytes| entry(bytes).ok_or_else(length)).collect()
}

fn entry(bytes: &[u8]) -> Option<ProducerEntry> {
    Some(ProducerEntry {
        producer_id: ProducerId(i64_at(bytes, 0)?),
        producer_epoch: ProducerEpoch(i16_at(bytes, 8)?),
        last_sequence: Sequence(i32_at(bytes, 10)?),
        last_offset: Offset(i64_at(bytes, 14)?),
        offset_delta: i32_at(bytes, 22)?,
        timestamp: TimestampMs(i64_at(bytes, 26)?),
        coordinator_epoch: i32_at(bytes, 34)?,
        current_txn_first_offset: Offset(i64_at(bytes, 38)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry_of(id: i64, offset: i64) -> ProducerEntry {
        ProducerEntry {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(2),
            last_sequence: Sequence(41),
            last_offset: Offset(offset),
            offset_delta: 3,
            timestamp: TimestampMs(1_700_000_000_000),
            coordinator_epoch: -1,
            current_txn_first_offset: Offset::NONE,
        }
    }

    #[test]
    fn a_snapshot_that_was_cut_or_changed_is_refused() {
        let bytes = encode(&[entry_of(1, 10), entry_of(2, 20)]);
        assert_eq!(decode(&bytes), Ok(vec![entry_of(1, 10), entry_of(2, 20)]));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(decode(&changed).is_err(), "{at}");
        }
    }

    #[test]
    fn a_count_without_entries_allocates_nothing() {
        let mut bytes = encode(&[]);
        bytes[COUNT..ENTRIES].copy_from_slice(&i32::MAX.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[COUNT..]);
        bytes[CRC..COUNT].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&bytes), Err(SnapshotError::Length { have: ENTRIES }));
    }

    proptest! {
        #[test]
        fn snapshots_lead_back(ids: Vec<(i64, i64)>) {
            let entries: Vec<_> = ids.into_iter().map(|(id, offset)| entry_of(id, offset)).collect();
            prop_assert_eq!(decode(&encode(&entries)), Ok(entries));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
