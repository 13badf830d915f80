//! Record batches, version 2: the only format that is stored.
//!
//! Invariant: a batch is never copied to look at it, to check it or to give it its place in the log.

mod build;
mod header;
mod iterate;
mod place;
mod recompress;
mod record;
mod validate;

pub use build::BatchBuilder;
pub use header::{
    Attributes, BATCH_HEADER_BYTES, BatchHeader, CRC_START, Codec, LOG_OVERHEAD_BYTES, MAGIC_V2,
    PLACEMENT_BYTES, TimestampType,
};
pub use iterate::{Batch, Batches, batches};
pub use place::PlacedBatch;
pub use recompress::{Compression, RecompressError};
pub use record::{Header, Headers, Record, RecordError, Records};
pub use validate::{BatchError, validate_produced, validate_stored};

#[cfg(test)]
mod tests;
