//! Compaction of a partition's closed segments: what is worth it, the new segment beside the old ones, and the swap.
//!
//! The steps, each of which a crash may end (law: recovery finishes what counts already, and drops what does not):
//!
//! 1. Off the shard, [`Rewrite`] reads a group of neighbouring segments and writes one, as `….cleaned`; syncs it.
//! 2. On the shard, [`PartitionLog::commit_swap`] renames its files to `….swap`. Off the shard the folder is synced: now it counts.
//! 3. On the shard, [`PartitionLog::replace_segments`]: readers find the new segment (under that name), the old ones are renamed
//!    to be deleted. Off the shard the folder is synced: now nothing is left of them.
//! 4. On the shard, [`PartitionLog::settle_swap`] gives the new segment its name.
//!
//! Invariant: only segments are touched that are closed, synced, and below the high watermark; so no journal's frame is needed for any
//! of their offsets. A segment that was compacted ends where the next one begins: its last batch stays, though without records.
//! Whoever reads an old file goes on reading it. Deliberately knows no thread, no clock and no bound on speed.

mod key_scan;
mod plan;
mod rewrite;
mod source;
mod swap;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_log_format::compaction::CompactError;
use ottla_types::{Offset, TopicPartition};

pub use key_scan::{KeyScan, Progress};
pub use plan::{Dirty, group_segments};
pub use rewrite::{CleanedSegment, Rewrite, RewriteRules};
use source::BatchSource;
pub(super) use swap::Cleaning;

use super::config::LogConfig;
use super::segment::MaxTimestamp;

/// Why segments were not compacted. But for `Io` the partition is not tried again before the node starts anew.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// A batch is damaged.
    #[error("{} cannot be compacted at position {position}: {source}", .path.display())]
    Batch {
        /// The segment.
        path: PathBuf,
        /// Where the batch begins, in bytes.
        position: u64,
        /// What is wrong with it.
        source: CompactError,
    },
    /// What is left of a group of segments is larger than a segment can be.
    #[error("what is left of {} and its neighbours fits no segment", .0.display())]
    TooLarge(PathBuf),
    /// The disk's own error.
    #[error("cannot read or write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// A segment that may be compacted.
#[derive(Clone, Copy, Debug)]
pub struct ClosedSegment {
    /// Its first offset.
    pub base: Offset,
    /// Where the next one begins.
    pub end: Offset,
    /// Bytes.
    pub size: u32,
    pub(super) max_timestamp: Option<MaxTimestamp>,
}

/// What of a log may be compacted, as it was at one moment.
#[derive(Clone, Debug)]
pub struct Cleanable {
    /// The partition.
    pub partition: TopicPartition,
    /// Its topic's name.
    pub topic: Box<str>,
    /// Its folder.
    pub dir: PathBuf,
    /// Its configuration.
    pub config: Arc<LogConfig>,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Oldest first, one after the other.
    pub segments: Vec<ClosedSegment>,
}
