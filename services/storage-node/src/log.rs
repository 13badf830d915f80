//! Partition logs on disk, and the journal that makes them durable: plain structures that one shard thread owns.
//!
//! The order of a shard's calls, which is law (durable, then visible):
//!
//! 1. At start, for each log directory: [`JournalReplay::read`], then [`PartitionLog::open`] for each partition (or
//!    [`recover_log_dir`], which does both, syncs what it repaired and writes the recovery points), then one
//!    [`Journal::start`] per shard, which makes all that older journals say void. Producer state is rebuilt by
//!    [`PartitionLog::load_producers`] and [`PartitionLog::for_each_batch`].
//! 2. A round: for each partition with something to append, [`Round::append`] writes the batches into the segment (page
//!    cache) and notes their journal frame; then one [`Round::commit`] writes the journal, syncs once, and says what is
//!    durable, for [`PartitionLog::apply_commit`]. Only then watermarks move and producers are answered.
//!    A partition without `flush.messages=1` is appended in the same way, leaves no frame, and counts at once.
//! 3. In the background, when [`Journal::retired`] names a generation: [`PartitionLog::begin_checkpoint`] for each of its
//!    partitions, [`Checkpoint::run`] on any thread (syncs segments), [`RecoveryPoints::advance`], and back on the
//!    shard [`PartitionLog::end_checkpoint`] and [`Journal::free`]. If the journal is full before that, `commit` says
//!    so, and the shard does this before it goes on.
//! 4. To delete records: [`PartitionLog::plan_log_start`], then [`RecoveryPoints::raise_log_starts`] on any thread, and back on the
//!    shard [`PartitionLog::raise_log_start`]. From time to time: [`PartitionLog::apply_retention`]; the caller removes the renamed files after
//!    `file.delete.delay.ms`. Compaction: [`PartitionLog::cleanable`] and [`Rewrite`] off the shard, then the
//!    steps that `compaction.rs` has in order.
//! 5. At a clean stop: [`PartitionLog::begin_final_checkpoint`] of every log that wants one, run and written as above, then
//!    [`write_clean_marker`] last (R10).
//!
//! After an error of a write to a segment's middle or of any sync, the log or the journal is *failed* and refuses further
//! writes; the sync is never tried again (R16).
//!
//! Invariant: only this module touches partition files. Deliberately knows no replication, no watermark and no client.

mod append;
mod checkpoint;
mod clean_marker;
mod cleaner_offsets;
mod compaction;
mod config;
mod create;
mod epochs;
mod files;
mod index;
mod journal;
mod lookup;
mod names;
mod partition_log;
mod producers;
mod read;
mod recovery;
mod recovery_points;
mod retention;
mod round;
mod scan;
mod segment;
mod text_file;
mod timestamp;
mod truncate;

#[cfg(test)]
mod tests;

pub use append::{AppendError, Appended};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use clean_marker::{CleanMarker, remove_clean_marker, write_clean_marker};
pub use cleaner_offsets::CleanerOffsets;
pub use compaction::{
    Cleanable, CleanedSegment, ClosedSegment, CompactionError, Dirty, KeyScan, Progress, Rewrite,
    RewriteRules, group_segments,
};
pub use config::LogConfig;
pub use create::CreateError;
pub use epochs::EpochCache;
pub use files::Files;
pub use journal::{
    DEFAULT_JOURNAL_FILE_BYTES, Journal, JournalConfig, JournalDamage, JournalError, JournalReplay,
    Retired,
};
pub use lookup::CorruptSegment;
pub use names::{
    deleted_dir_name, is_deleted_dir_name, parse_partition_dir_name, partition_dir_name,
};
pub use partition_log::PartitionLog;
pub use producers::{LoadedProducers, ProducersError};
pub use read::{ReadError, ReadLimit, ReadRegion};
pub(crate) use recovery::in_order;
pub use recovery::{
    ConfigOf, FoundLogDir, OpenError, OpenInput, OpenedShare, Quarantined, RecoverError,
    RecoveredLogDir, recover_log_dir,
};
pub use recovery_points::{RecoveryPoints, RecoveryPointsError};
pub use retention::{RaisedStart, RetentionError, remove_renamed};
pub use round::{Committed, Round, RoundError};
pub use scan::Damage;
pub use timestamp::{
    FoundTimestamp, InflateBudget, MAX_INFLATED_BYTES_PER_REQUEST, TimestampError, TimestampQuery,
};
pub use truncate::{DeleteError, TruncateError};
