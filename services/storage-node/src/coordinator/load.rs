//! Reading a partition of `__consumer_offsets` from its first record to its end.
//!
//! Invariant: what comes out is what all committed records say, or an error. The disk is waited for, and bytes are decoded, off the
//! workers; at a time as many bytes are in memory as `offsets.load.buffer.size` says.

use ottla_coordinator::{Changes, Durable};
use ottla_runtime::Seams;
use ottla_types::{ErrorCode, Offset};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::decode::{Chunk, DecodeError, Skipped, decode};
use super::offsets_log::{OffsetsLog, ReadError};

/// Why a partition could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read is not understood.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The work was dropped.
    #[error("the node stops")]
    Dropped,
}

impl LoadError {
    /// Whether this is only a matter of a moment: the partition is being assigned, or is not committed so far.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Read(ReadError::Refused(error)) => {
                error.is_retriable() && *error != ErrorCode::KafkaStorageError
            }
            Self::Read(ReadError::Call(_)) | Self::Dropped => true,
            Self::Read(ReadError::NoAnswer) | Self::Decode(_) => false,
        }
    }
}

/// A partition in memory.
pub(super) struct Loaded {
    pub(super) durable: Durable,
    /// Behind the last record that was read.
    pub(super) end: Offset,
}

/// Loads a partition.
pub(super) async fn load(log: &OffsetsLog, seams: &Seams) -> Result<Loaded, LoadError> {
    let began = seams.clock.monotonic();
    let (mut next, end) = log.bounds().await?;
    let (mut durable, mut skipped) = (Durable::default(), Skipped::default());
    while next < end {
        let chunk = read(log, seams, next).await?;
        // Replaying, unlike reading, is quick: it takes no turn of its own.
        let mut changes = Changes::default();
        for event in &chunk.events {
            durable.replay(event, &mut changes);
        }
        skipped.absorb(chunk.skipped);
        // Nothing left although the end is not reached: compaction took it.
        next = chunk.next.unwrap_or(end);
    }
    for (what, records) in &skipped.0 {
        warn!(partition = %log.partition, records, "{what} are not served yet and passed over");
    }
    let took_ms = seams.clock.monotonic().saturating_sub(began).as_millis();
    let (groups, offsets) = (durable.group_count(), durable.offset_count());
    info!(partition = %log.partition, groups, offsets, took_ms, "the group coordinator is loaded");
    Ok(Loaded { durable, end: next })
}

async fn read(log: &OffsetsLog, seams: &Seams, from: Offset) -> Result<Chunk, LoadError> {
    let fetched = log.read(from).await?;
    let (done, decoded) = oneshot::channel();
    let work = move || _ = done.send(decode(&fetched, from));
    seams.tasks.run_blocking(Box::new(work)).await;
    Ok(decoded.await.map_err(|_| LoadError::Dropped)??)
}
