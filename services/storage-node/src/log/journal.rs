//! A shard's journal: two preallocated files that are written in turn, so that one sync makes a round of many partitions
//! durable.
//!
//! Invariant: at most one of the two files waits for a checkpoint; the other takes rounds. A file is used again only after
//! `free` said that all its batches are synced in segments, and under a new generation, so that nothing of its earlier
//! use is ever replayed. A round is written only after the one before was synced. After an error the journal is failed
//! for good (R16).

mod file;
mod frame;
mod kept;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::journal::{BLOCK_BYTES, FRAME_HEADER_BYTES};
use ottla_runtime::seams::Disk;
use ottla_types::{Offset, TopicPartition};

pub(super) use file::JournalFile;
pub(super) use frame::Frame;
pub(super) use kept::{kept_journals, kept_name};
pub(super) use replay::{FrameRef, PartitionFrames, ReadJournal};
pub use replay::{JournalDamage, JournalReplay};

use file::FILES_PER_JOURNAL;

/// Folders of journals begin with this, within a log directory. A dot, not a dash, before the number: with a dash the name
/// would be that of a partition of a topic `.ottla-journal`.
pub(super) const JOURNAL_DIR_PREFIX: &str = ".ottla-journal.";
/// Smallest journal file: it holds the largest frame that is journaled, twice.
pub(super) const MIN_FILE_BYTES: u64 = 1 << 20;

/// Once so many bytes were synced past the journal, it is told of them even if no frame needs a round: else damage to them would
/// pass for a write that a crash lost.
const MARKED_BYTES_MOST: u64 = 16 << 20;

/// How large a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Bytes of each of the two files; at least 1 MiB. Half full journals are what a restart replays.
    pub file_bytes: u64,
    /// A random number, for files that are made: no client can know it, so no record can look like a round.
    pub salt: u32,
}

/// Default of [`JournalConfig::file_bytes`].
pub const DEFAULT_JOURNAL_FILE_BYTES: u64 = 64 << 20;

/// Why a journal could not be started or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Both files are in use: finish the checkpoint of the retired one, then try again. Nothing was written.
    #[error("the journal is full until its retired file is checkpointed")]
    Full,
    /// The journal failed earlier (R16).
    #[error("the journal {} failed and takes no writes", .0.display())]
    Failed(PathBuf),
    /// A round does not fit an empty file.
    #[error("a round of {0} bytes does not fit the journal")]
    TooLarge(u64),
    /// The disk's own error.
    #[error("cannot write the journal {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// A file that is full: once all its partitions are checkpointed, it can be freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Names the file for `free`.
    pub generation: u64,
    /// The partitions that have frames in it.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A shard's journal.
pub struct Journal {
    dir: PathBuf,
    files: [JournalFile; FILES_PER_JOURNAL],
    current: usize,
    retired: Option<Retired>,
    /// Partitions with frames in the current file.
    partitions: BTreeSet<TopicPartition>,
    /// Ends up to which segments were synced past the journal; written with the next round.
    marks: BTreeMap<TopicPartition, Offset>,
    /// Bytes that were synced past the journal since the last round.
    marked_bytes: u64,
    round: u64,
    is_failed: bool,
}

impl Journal {
    /// Starts the journal of a shard anew: makes its files, or makes void what is in them. Call it only when all that
    /// older journals held is synced in segments.
    ///
    /// # Errors
    /// `Io`.
    pub fn start(
        disk: &Arc<dyn Disk>,
        log_dir: &Path,
        shard: usize,
        config: JournalConfig,
    ) -> Result<Self, JournalError> {
        let dir = log_dir.join(format!("{JOURNAL_DIR_PREFIX}{shard}"));
        let config = JournalConfig { file_bytes: config.file_bytes.max(MIN_FILE_BYTES), ..config };
        let files = file::start_files(&**disk, log_dir, &dir, config)
            .map_err(|source| JournalError::Io { path: dir.clone(), source })?;
        Ok(Self {
            dir,
            files,
            current: 0,
            retired: None,
            partitions: BTreeSet::new(),
            marks: BTreeMap::new(),
            marked_bytes: 0,
            round: 0,
            is_failed: false,
        })
    }

    /// Removes the journals of shards that are no more. Call it when `start` may be called.
    ///
    /// # Errors
    /// The disk's own.
    pub fn remove_above(disk: &dyn Disk, log_dir: &Path, shards: usize) -> io::Result<()> {
        let mut has_removed = false;
        for entry in disk.list(log_dir)? {
            let number = entry.name.strip_prefix(JOURNAL_DIR_PREFIX);
            if number
                .and_then(|number| number.parse::<usize>().ok())
                .is_some_and(|number| number >= shards)
            {
                disk.remove_dir_all(&log_dir.join(&entry.name))?;
                has_removed = true;
            }
        }
        if has_removed { disk.sync_dir(log_dir) } else { Ok(()) }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a write or a sync failed (R16).
    pub fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// The file that waits for a checkpoint.
    pub fn retired(&self) -> Option<&Retired> {
        self.retired.as_ref()
    }

    /// The file of this generation is no longer needed: the segments of all its partitions are synced as far as it goes.
    pub fn free(&mut self, generation: u64) {
        if self.retired.as_ref().is_some_and(|retired| retired.generation == generation) {
            self.retired = None;
        }
    }

    /// Retires the current file although there is room in it, so that a checkpoint can empty the journal.
    ///
    /// # Errors
    /// `Full` if one is retired already; `Io`.
    pub fn rotate(&mut self) -> Result<(), JournalError> {
        if self.retired.is_some() {
            return Err(JournalError::Full);
        }
        let next = (self.current + 1) % FILES_PER_JOURNAL;
        let generation = self.files[self.current].generation();
        if let Err(source) = self.files[next].begin(generation + 1) {
            return Err(self.fail(source));
        }
        self.retired =
            Some(Retired { generation, partitions: std::mem::take(&mut self.partitions) });
        self.current = next;
        Ok(())
    }

    /// Bytes of frames that one round takes, with room for the marks of synced segments.
    pub(super) fn round_capacity(&self) -> u64 {
        let marks = self.marks.len() * FRAME_HEADER_BYTES + 2 * BLOCK_BYTES;
        self.files[self.current].capacity().saturating_sub(marks as u64)
    }

    /// Notes that a partition's segments are synced up to `end`, without a frame of its last `bytes`.
    pub(super) fn mark_synced(&mut self, partition: TopicPartition, end: Offset, bytes: u64) {
        self.marks.insert(partition, end);
        self.marked_bytes += bytes;
    }

    /// Whether the notes must not wait for the next frame.
    pub(super) fn has_many_marks(&self) -> bool {
        self.marked_bytes >= MARKED_BYTES_MOST
    }

    /// Writes frames as one round, and syncs it.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(super) fn commit(&mut self, mut frames: Vec<Frame<'_>>) -> Result<(), JournalError> {
        if self.is_failed {
            return Err(JournalError::Failed(self.dir.clone()));
        }
        frames.extend(self.marks.iter().map(|(&partition, &end)| Frame::synced(partition, end)));
        let size = frame::round_bytes(&frames);
        if size > self.files[self.current].capacity() {
            return Err(JournalError::TooLarge(size));
        }
        if size > self.files[self.current].room() {
            self.rotate()?;
        }
        self.round += 1;
        if let Err(source) = self.files[self.current].write_round(self.round, &frames) {
            return Err(self.fail(source));
        }
        self.partitions.extend(frames.iter().map(Frame::partition));
        self.marks.clear();
        self.marked_bytes = 0;
        Ok(())
    }

    fn fail(&mut self, source: io::Error) -> JournalError {
        self.is_failed = true;
        JournalError::Io { path: self.files[self.current].path().to_owned(), source }
    }
}
