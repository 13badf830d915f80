//! From bytes of `__consumer_offsets` to events.
//!
//! Invariant: bytes of the disk never panic and never take more memory than is bounded here; what cannot be read is an error, not
//! a gap. Only what is known to be another coordinator's is passed over, and counted.

use std::collections::BTreeMap;
use std::io;

use ottla_api::storage::FetchedRecords;
use ottla_coordinator::{Decoded, Event, records};
use ottla_log_format::compression::{DecompressError, decompress};
use ottla_log_format::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, Codec, Records, batches, validate_stored,
};
use ottla_types::Offset;

/// Bytes of one batch's records once they are decompressed, at most.
const MAX_DECOMPRESSED_BYTES: usize = 256 << 20;

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    /// The file.
    #[error("the segment cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A batch.
    #[error("the batch at {at} is damaged: {source}")]
    Batch {
        /// Its first offset, or where reading began.
        at: Offset,
        /// What is wrong.
        source: BatchError,
    },
    /// Compressed records.
    #[error("the batch at {at} cannot be decompressed: {source}")]
    Compressed {
        /// Its first offset.
        at: Offset,
        /// What is wrong.
        source: DecompressError,
    },
    /// A record of a batch.
    #[error("a record of the batch at {at} is damaged: {source}")]
    Record {
        /// The batch's first offset.
        at: Offset,
        /// What is wrong.
        source: ottla_log_format::RecordError,
    },
    /// What a record says.
    #[error("the record at {at} is not understood: {source}")]
    Content {
        /// Its offset.
        at: Offset,
        /// What is wrong.
        source: ottla_coordinator::RecordError,
    },
}

/// What some batches say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) events: Vec<Event>,
    /// Where to go on; `None`: there was no batch.
    pub(super) next: Option<Offset>,
    pub(super) skipped: Skipped,
}

/// Records that are not this coordinator's, by what they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped(pub(super) BTreeMap<String, u64>);

impl Skipped {
    fn add(&mut self, what: String, records: u64) {
        *self.0.entry(what).or_default() += records;
    }

    pub(super) fn absorb(&mut self, other: Self) {
        for (what, records) in other.0 {
            self.add(what, records);
        }
    }
}

/// Reads what was fetched, from an offset on. Waits for the disk, and computes for as long as it takes.
pub(super) fn decode(fetched: &FetchedRecords, from: Offset) -> Result<Chunk, DecodeError> {
    let bytes = match fetched {
        FetchedRecords::Bytes(pieces) => pieces.concat(),
        FetchedRecords::Region { file, position, len } => {
            let mut bytes = vec![0; *len];
            file.read_exact_at(&mut bytes, *position)?;
            bytes
        }
    };
    let mut chunk = Chunk::default();
    for batch in batches(&bytes) {
        let at = chunk.next.unwrap_or(from);
        let batch = batch.map_err(|source| DecodeError::Batch { at, source })?;
        let at = batch.header.base_offset;
        validate_stored(batch.bytes).map_err(|source| DecodeError::Batch { at, source })?;
        decode_batch(&batch.header, batch.bytes, from, &mut chunk)?;
        chunk.next = Some(batch.header.next_offset());
    }
    Ok(chunk)
}

fn decode_batch(
    header: &BatchHeader,
    bytes: &[u8],
    from: Offset,
    chunk: &mut Chunk,
) -> Result<(), DecodeError> {
    let at = header.base_offset;
    if header.attributes.is_control() || header.attributes.is_transactional() {
        let records = u64::try_from(header.record_count).unwrap_or(0);
        chunk.skipped.add("records of transactions".to_owned(), records);
        return Ok(());
    }
    let payload = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
    let decompressed;
    let payload = match header.attributes.codec() {
        None | Some(Codec::None) => payload,
        Some(codec) => {
            decompressed = decompress(codec, payload, MAX_DECOMPRESSED_BYTES)
                .map_err(|source| DecodeError::Compressed { at, source })?;
            &decompressed
        }
    };
    for record in Records::over(header, payload) {
        let record = record.map_err(|source| DecodeError::Record { at, source })?;
        if record.offset < from {
            continue;
        }
        let decoded = records::decode(record.key, record.value)
            .map_err(|source| DecodeError::Content { at: record.offset, source })?;
        match decoded {
            Decoded::Event(event) => chunk.events.push(event),
            Decoded::Skipped { key_version, kind } => {
                let kind =
                    kind.map_or_else(|| format!("keys of version {key_version}"), str::to_owned);
                chunk.skipped.add(kind, 1);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
