//! A round: what a shard appends to its partitions before it syncs once for all of them.
//!
//! Invariant: after `commit` every end offset that it names survives a crash. A partition's frames in the journal begin
//! where its durable data end; where they would not, its segment is synced instead, before the journal is written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::PlacedBatch;
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};
use ottla_types::{Offset, TimestampMs, TopicPartition};

use super::append::{AppendError, Appended};
use super::files::Files;
use super::journal::{Frame, Journal, JournalError};
use super::names::{FileKind, PARTITION_METADATA};
use super::partition_log::PartitionLog;

/// The first partition that appends at least this many bytes in a round syncs its segment instead of going through the
/// journal, which would write them twice. Measured: with one partition this is one sync instead of another, some 75 µs
/// slower, but a disk that is the bottleneck (310 MB/s here) takes twice as much.
const FIRST_DIRECT_BYTES: u64 = 128 * 1024;
/// Any further partition does so from this many bytes on: each is one sync more, which on a busy disk takes 2.5 ms, as long
/// as this much takes to be written once more (10 partitions × 256 KiB: 7.5 ms through the journal, 27 ms in ten syncs).
const MORE_DIRECT_BYTES: u64 = 1 << 20;

/// What is durable after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: TopicPartition,
    /// Offsets below are durable.
    pub end: Offset,
    /// The segments themselves were synced.
    pub(super) segments_synced: bool,
}

/// Why a round is not durable. But for `Journal(Full)` the whole log directory must be taken to have failed: nothing of
/// this round may be answered, and nothing more may be written (R16).
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The journal; `Full` leaves the round as it is, to be committed again.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A segment could not be synced.
    #[error("cannot sync {}: {source}", .path.display())]
    Sync {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// What the round holds of one partition.
#[derive(Default)]
struct InRound {
    bytes: u64,
    end: Offset,
    /// Its segments are synced, instead of its batches being journaled.
    direct: Option<DirectSync>,
    is_synced: bool,
}

enum Entry {
    Batches { partition: TopicPartition, from: usize, to: usize },
    Created { partition: TopicPartition, topic: Box<str>, start: Offset },
    Dropped { partition: TopicPartition },
}

/// What to sync for a partition to be durable up to its end.
struct DirectSync {
    files: Vec<(PathBuf, Arc<dyn DiskFile>)>,
    dirs: Vec<Box<Path>>,
}

/// What was appended since the last commit.
pub struct Round {
    /// A partition that appends as much does not fit the journal.
    max_journaled_bytes: u64,
    direct_count: usize,
    entries: Vec<Entry>,
    batches: Vec<PlacedBatch>,
    partitions: BTreeMap<TopicPartition, InRound>,
}

impl Round {
    /// A round, empty yet, that will be committed to this journal.
    pub fn new(journal: &Journal) -> Self {
        Self {
            max_journaled_bytes: journal.round_capacity() / 2,
            direct_count: 0,
            entries: Vec::new(),
            batches: Vec::new(),
            partitions: BTreeMap::new(),
        }
    }

    /// Whether a commit would do nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.partitions.is_empty()
    }

    /// Appends batches to a log and, if it is one with `flush.messages=1`, to what the commit makes durable.
    ///
    /// # Errors
    /// As [`PartitionLog::append`]; then nothing of it is in the round.
    pub fn append(
        &mut self,
        log: &mut PartitionLog,
        files: &mut Files,
        batches: Vec<PlacedBatch>,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        let appended = log.append(files, &batches, now)?;
        if !log.config.durable {
            return Ok(appended);
        }
        let follows = log.noted_end == appended.base;
        log.noted_end = appended.end;
        self.note(log.id, &appended);
        if self.goes_direct(log.id, follows) {
            self.sync_directly(log, files, &appended).inspect_err(|_| {
                log.is_failed = true;
                self.leave_out(log.id);
            })?;
        } else {
            let from = self.batches.len();
            self.batches.extend(batches);
            self.entries.push(Entry::Batches { partition: log.id, from, to: self.batches.len() });
        }
        Ok(appended)
    }

    fn note(&mut self, partition: TopicPartition, appended: &Appended) {
        let part = self.partitions.entry(partition).or_default();
        part.bytes += appended.bytes;
        part.end = appended.end;
    }

    /// Whether a partition's segments are synced rather than its batches journaled: because its frames would not follow
    /// one another, or because it is worth it.
    fn goes_direct(&self, partition: TopicPartition, follows: bool) -> bool {
        let Some(part) = self.partitions.get(&partition) else { return false };
        let worth = if self.direct_count == 0 { FIRST_DIRECT_BYTES } else { MORE_DIRECT_BYTES };
        part.direct.is_some() || !follows || part.bytes >= worth.min(self.max_journaled_bytes)
    }

    fn sync_directly(
        &mut self,
        log: &PartitionLog,
        files: &mut Files,
        appended: &Appended,
    ) -> Result<(), AppendError> {
        let Some(part) = self.partitions.get_mut(&log.id) else { return Ok(()) };
        if part.direct.is_some() && appended.rolled.is_none() {
            return Ok(());
        }
        let sync = direct_sync(log, files)
            .map_err(|source| AppendError::Io { path: log.dir.to_path_buf(), source })?;
        if part.direct.replace(sync).is_none() {
            self.direct_count += 1;
            // What it appended earlier in this round is synced with it.
            self.unjournal(log.id);
        }
        Ok(())
    }

    fn unjournal(&mut self, id: TopicPartition) {
        let is_its =
            |entry: &Entry| matches!(entry, Entry::Batches { partition, .. } if *partition == id);
        self.entries.retain(|entry| !is_its(entry));
    }

    /// Nothing of this partition is made durable with this round.
    fn leave_out(&mut self, id: TopicPartition) {
        self.unjournal(id);
        self.partitions.remove(&id);
    }

    /// Makes the creation of a log durable with this round.
    pub fn created(&mut self, log: &PartitionLog) {
        let topic = log.topic().into();
        self.entries.push(Entry::Created { partition: log.id, topic, start: log.log_start });
    }

    /// Makes what the journal holds of a deleted log void with this round.
    pub(super) fn dropped(&mut self, partition: TopicPartition) {
        self.leave_out(partition);
        self.entries.push(Entry::Dropped { partition });
    }

    /// Writes and syncs. On success the round is empty again, and the answer says what is durable: give each to
    /// [`PartitionLog::apply_commit`].
    ///
    /// # Errors
    /// See [`RoundError`].
    pub fn commit(
        &mut self,
        disk: &dyn Disk,
        journal: &mut Journal,
    ) -> Result<Vec<Committed>, RoundError> {
        // Before the journal: a frame must never be durable while what comes before it is not.
        for (&partition, part) in &mut self.partitions {
            if let Some(sync) = &part.direct
                && !std::mem::replace(&mut part.is_synced, true)
            {
                sync.run(disk)?;
                journal.mark_synced(partition, part.end, part.bytes);
            }
        }
        if self.entries.is_empty() && journal.has_many_marks() {
            journal.commit(Vec::new())?;
        }
        while !self.entries.is_empty() {
            let count = self.fitting(journal.round_capacity());
            let entries = self.entries[..count].iter();
            journal.commit(entries.map(|entry| entry.frame(&self.batches)).collect())?;
            self.entries.drain(..count);
        }
        self.batches.clear();
        self.direct_count = 0;
        let committed =
            std::mem::take(&mut self.partitions).into_iter().map(|(partition, part)| Committed {
                partition,
                end: part.end,
                segments_synced: part.direct.is_some(),
            });
        Ok(committed.collect())
    }

    /// How many entries go into one round of the journal: nearly always all of them.
    fn fitting(&self, capacity: u64) -> usize {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.frame(&self.batches).size_bytes() as u64;
            bytes <= capacity
        };
        self.entries.iter().take_while(fits).count().max(1)
    }
}

impl Entry {
    fn frame<'a>(&'a self, batches: &'a [PlacedBatch]) -> Frame<'a> {
        match self {
            Self::Batches { partition, from, to } => {
                Frame::batches(*partition, &batches[*from..*to])
            }
            Self::Created { partition, topic, start } => Frame::created(*partition, topic, *start),
            Self::Dropped { partition } => Frame::dropped(*partition, Offset::ZERO),
        }
    }
}

impl DirectSync {
    fn run(&self, disk: &dyn Disk) -> Result<(), RoundError> {
        for (path, file) in &self.files {
            file.sync_data().map_err(|source| RoundError::Sync { path: path.clone(), source })?;
        }
        for dir in &self.dirs {
            disk.sync_dir(dir)
                .map_err(|source| RoundError::Sync { path: dir.to_path_buf(), source })?;
        }
        Ok(())
    }
}

/// All that must be synced for the log to be durable up to its end.
fn direct_sync(log: &PartitionLog, files: &mut Files) -> io::Result<DirectSync> {
    let mut open = Vec::new();
    for index in log.segment_index(log.recovery_point)..log.segments.len() {
        let base = log.segments[index].base;
        if log.segments[index].size > 0 {
            open.push((log.path(base, FileKind::Log), log.open_file(files, base, FileKind::Log)?));
        }
    }
    let mut dirs = Vec::new();
    if log.has_unsynced_names || log.has_names_in_checkpoint {
        let metadata = log.dir.join(PARTITION_METADATA);
        let file = files.disk().open(&metadata, OpenMode::ReadWrite)?;
        open.push((metadata, file));
        dirs.push(log.dir.clone());
        dirs.extend(log.dir.parent().map(Into::into));
    }
    Ok(DirectSync { files: open, dirs })
}

impl PartitionLog {
    /// Takes note of what a commit made durable.
    pub fn apply_commit(&mut self, committed: &Committed) {
        self.set_durable_end(committed.end);
        if committed.segments_synced {
            self.recovery_point = self.recovery_point.max(committed.end.min(self.end));
            self.has_unsynced_names = false;
            // The written point would be lower than what was promised once the journal's mark is gone.
            self.is_point_outdated = true;
        }
    }
}
