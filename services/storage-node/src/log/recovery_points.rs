//! Recovery points and log starts of a log directory, in Kafka's checkpoint files.
//!
//! Invariant: a point is written only after everything below it was synced. What a deleted partition left is never taken
//! for the next one of its name. Both files are written as a whole; all shards of the directory share them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_log_format::checkpoint::{
    CheckpointError as TextError, OffsetCheckpoint, read_offsets, write_offsets,
};
use ottla_runtime::seams::Disk;
use ottla_types::{Offset, PartitionIndex, TopicPartition};

use super::checkpoint::Checkpoint;
use super::cleaner_offsets::CleanerOffsets;
use super::names::parse_partition_dir_name;
use super::retention::RaisedStart;
use super::text_file;

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// So many deleted partitions are remembered, for the sake of checkpoints that still run.
const MAX_GONE: usize = 100_000;

/// Why recovery points could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryPointsError {
    /// A file is malformed.
    #[error("{}: {source}", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TextError,
    },
    /// The disk's own error.
    #[error("cannot read or write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// `recovery-point-offset-checkpoint` and `log-start-offset-checkpoint` of one log directory, which all its shards share.
pub struct RecoveryPoints {
    cleaned: CleanerOffsets,
    disk: Arc<dyn Disk>,
    log_dir: PathBuf,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    points: OffsetCheckpoint,
    starts: OffsetCheckpoint,
    starts_changed: bool,
    has_forgotten: bool,
    /// Partitions that were forgotten lately; checkpoints of them may still be under way.
    gone: BTreeSet<TopicPartition>,
    /// Starts that were raised, and the log's generation then; until a checkpoint knows of them.
    raised: BTreeMap<TopicPartition, (u32, Offset)>,
}

impl Entries {
    /// The log's start as of a checkpoint. One that began before the start was raised knows an older one; one that began after
    /// the log was cut knows better.
    fn start_after(&mut self, checkpoint: &Checkpoint) -> Offset {
        let (id, start) = (checkpoint.partition, checkpoint.log_start);
        match self.raised.get(&id) {
            Some(&(generation, raised))
                if generation == checkpoint.generation && raised > start =>
            {
                raised
            }
            _ => {
                self.raised.remove(&id);
                start
            }
        }
    }
}

impl RecoveryPoints {
    /// Reads both files. A malformed one counts as missing: then all of the log is verified.
    ///
    /// # Errors
    /// `Io`.
    pub fn load(disk: Arc<dyn Disk>, log_dir: &Path) -> Result<Self, RecoveryPointsError> {
        let read = |name: &str| {
            let path = log_dir.join(name);
            let bytes = text_file::read(&*disk, &path);
            let bytes = bytes.map_err(|source| RecoveryPointsError::Io { path, source })?;
            Ok(bytes.and_then(|bytes| read_offsets(&bytes).ok()).unwrap_or_default())
        };
        let (points, starts) = (read(RECOVERY_POINTS)?, read(LOG_STARTS)?);
        let cleaned = CleanerOffsets::load(Arc::clone(&disk), log_dir)?;
        let entries = Mutex::new(Entries { points, starts, ..Entries::default() });
        Ok(Self { cleaned, disk, log_dir: log_dir.to_owned(), entries })
    }

    /// How far the directory's logs are compacted.
    pub fn cleaned(&self) -> &CleanerOffsets {
        &self.cleaned
    }

    /// The recovery point of a partition; 0 if none is known.
    pub fn recovery_point(&self, topic: &str, partition: PartitionIndex) -> Offset {
        let entries = self.locked();
        entries.points.get(&(topic.to_owned(), partition)).copied().unwrap_or(Offset::ZERO)
    }

    /// The log start of a partition, if one above its first segment's base was written.
    pub fn log_start(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        self.locked().starts.get(&(topic.to_owned(), partition)).copied()
    }

    /// Writes the points of checkpoints that ran, and makes the names in the log directory durable.
    ///
    /// # Errors
    /// `Io`: the journal must not be freed.
    pub fn advance<'a>(
        &self,
        checkpoints: impl IntoIterator<Item = &'a Checkpoint>,
    ) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        for checkpoint in checkpoints {
            if entries.gone.contains(&checkpoint.partition) {
                continue;
            }
            let key = (checkpoint.topic.to_string(), checkpoint.partition.partition);
            let start = entries.start_after(checkpoint);
            entries.starts_changed |= entries.starts.insert(key.clone(), start) != Some(start);
            entries.points.insert(key, checkpoint.end);
        }
        self.write(&mut entries)
    }

    /// Notes log starts that are about to be raised (DeleteRecords), durably. Never back.
    ///
    /// # Errors
    /// `Io`: the starts may or may not be on disk.
    pub fn raise_log_starts(&self, starts: &[RaisedStart]) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        for start in starts {
            if entries.gone.contains(&start.partition) {
                continue;
            }
            // Others may raise it at the same time; after a cut only what is raised now counts.
            let raised =
                entries.raised.entry(start.partition).or_insert((start.generation, start.to));
            let is_later = raised.0 == start.generation && raised.1 > start.to;
            *raised = (start.generation, if is_later { raised.1 } else { start.to });
            let to = raised.1;
            let key = (start.topic.to_string(), start.partition.partition);
            entries.starts.insert(key, to);
        }
        entries.starts_changed = true;
        self.write_starts(&mut entries)
    }

    /// Forgets a deleted partition, for good: a checkpoint of it that still runs says nothing any more.
    pub fn forget(&self, topic: &str, partition: TopicPartition) {
        self.cleaned.forget(topic, partition.partition);
        let mut entries = self.locked();
        let key = (topic.to_owned(), partition.partition);
        let had_point = entries.points.remove(&key).is_some();
        let had_start = entries.starts.remove(&key).is_some();
        entries.raised.remove(&partition);
        entries.starts_changed |= had_start;
        entries.has_forgotten |= had_point || had_start;
        if entries.gone.len() >= MAX_GONE {
            entries.gone.clear();
        }
        entries.gone.insert(partition);
    }

    /// Makes durable what was forgotten, if anything was: call it before a partition is made, which may bear the name of a
    /// deleted one.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_forgotten(&self) -> Result<(), RecoveryPointsError> {
        self.cleaned.write_forgotten()?;
        let mut entries = self.locked();
        if entries.has_forgotten { self.write(&mut entries) } else { Ok(()) }
    }

    /// Forgets, durably, all partitions but those with these folders: what is left of one that was deleted must not be taken
    /// for the next one of its name.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn keep_only<'a>(
        &self,
        dirs: impl Iterator<Item = &'a Path>,
    ) -> Result<(), RecoveryPointsError> {
        let names = dirs.filter_map(|dir| parse_partition_dir_name(dir.file_name()?.to_str()?));
        let kept: BTreeSet<_> = names.map(|(topic, index)| (topic.to_owned(), index)).collect();
        self.cleaned.keep_only(&kept)?;
        let mut entries = self.locked();
        let before = (entries.points.len(), entries.starts.len());
        entries.points.retain(|key, _| kept.contains(key));
        entries.starts.retain(|key, _| kept.contains(key));
        entries.starts_changed |= before.1 != entries.starts.len();
        let has_changed = before != (entries.points.len(), entries.starts.len());
        if has_changed { self.write(&mut entries) } else { Ok(()) }
    }

    /// Both files, and the names in their folder.
    fn write(&self, entries: &mut Entries) -> Result<(), RecoveryPointsError> {
        if entries.starts_changed {
            self.write_starts(entries)?;
        }
        self.replace(RECOVERY_POINTS, &entries.points)?;
        entries.has_forgotten = false;
        Ok(())
    }

    fn write_starts(&self, entries: &mut Entries) -> Result<(), RecoveryPointsError> {
        self.replace(LOG_STARTS, &entries.starts)?;
        entries.starts_changed = false;
        Ok(())
    }

    fn replace(&self, name: &str, content: &OffsetCheckpoint) -> Result<(), RecoveryPointsError> {
        let path = self.log_dir.join(name);
        text_file::replace(&*self.disk, &path, write_offsets(content).as_bytes())
            .map_err(|source| RecoveryPointsError::Io { path, source })
    }

    fn locked(&self) -> MutexGuard<'_, Entries> {
        // A panic elsewhere leaves whole entries behind: each is set in one step.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
