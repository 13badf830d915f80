//! Bytes of log files and values, both ways: record batches (version 2) and their compaction, records, control records, index
//! entries, checkpoint files, producer snapshots (all Kafka's), and the frames of the journal (Ottla's own).
//!
//! Invariant: bytes of a client, a peer or a disk never panic and never make it allocate more than they justify.
//! Deliberately knows no file, no clock and no partition: who stores these bytes, and where, is the storage node's business.

mod batch;
pub mod checkpoint;
pub mod compaction;
pub mod compression;
pub mod control;
pub mod index;
pub mod journal;
pub mod producer_snapshot;
mod read;
pub mod varint;

pub use batch::{
    Attributes, BATCH_HEADER_BYTES, Batch, BatchBuilder, BatchError, BatchHeader, Batches,
    CRC_START, Codec, Compression, Header, Headers, LOG_OVERHEAD_BYTES, MAGIC_V2, PLACEMENT_BYTES,
    PlacedBatch, RecompressError, Record, RecordError, Records, TimestampType, batches,
    validate_produced, validate_stored,
};
