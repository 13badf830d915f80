//! `cleaner-offset-checkpoint`: how far each log of a directory is compacted. In Kafka's format, as Kafka has it.
//!
//! Invariant: an entry is on disk before the first segment of its log is replaced, so that a log without one has no gaps between its
//! offsets. An offset is written only after what it says was done. All shards of the directory share it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_log_format::checkpoint::{OffsetCheckpoint, read_offsets, write_offsets};
use ottla_runtime::seams::Disk;
use ottla_types::{Offset, PartitionIndex};

use super::recovery_points::RecoveryPointsError;
use super::text_file;

const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";

/// The checkpoint of one log directory.
pub struct CleanerOffsets {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    offsets: OffsetCheckpoint,
    /// There was no file that can be read: nobody knows which logs were compacted.
    is_unknown: bool,
    has_forgotten: bool,
}

impl CleanerOffsets {
    /// Reads the file. A malformed one counts as missing: then all logs are compacted from their beginning again.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn load(disk: Arc<dyn Disk>, log_dir: &Path) -> Result<Self, RecoveryPointsError> {
        let path = log_dir.join(CLEANER_OFFSETS);
        let bytes = text_file::read(&*disk, &path);
        let bytes =
            bytes.map_err(|source| RecoveryPointsError::Io { path: path.clone(), source })?;
        let offsets = bytes.and_then(|bytes| read_offsets(&bytes).ok());
        let is_unknown = offsets.is_none();
        let offsets = offsets.unwrap_or_default();
        let entries = Mutex::new(Entries { offsets, is_unknown, has_forgotten: false });
        Ok(Self { disk, path, entries })
    }

    /// Offsets of this partition below are compacted; `None` if it never was.
    pub fn get(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        self.locked().offsets.get(&(topic.to_owned(), partition)).copied()
    }

    /// Whether offsets may be missing between the batches of a log.
    pub(super) fn may_have_gaps(&self, topic: &str, partition: PartitionIndex) -> bool {
        let entries = self.locked();
        entries.is_unknown || entries.offsets.contains_key(&(topic.to_owned(), partition))
    }

    /// Notes how far a log is compacted; durable once it returned.
    ///
    /// # Errors
    /// `Io`.
    pub fn set(
        &self,
        topic: &str,
        partition: PartitionIndex,
        to: Offset,
    ) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        let before = entries.offsets.insert((topic.to_owned(), partition), to);
        if before == Some(to) { Ok(()) } else { self.write(&mut entries) }
    }

    /// Makes the file if there is none, or none that can be read: from now on it is known which logs were compacted.
    pub(super) fn write_if_missing(&self) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        if entries.is_unknown { self.write(&mut entries) } else { Ok(()) }
    }

    /// Forgets a deleted partition.
    pub(crate) fn forget(&self, topic: &str, partition: PartitionIndex) {
        let mut entries = self.locked();
        let is_gone = entries.offsets.remove(&(topic.to_owned(), partition)).is_some();
        entries.has_forgotten |= is_gone;
    }

    pub(super) fn write_forgotten(&self) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        if entries.has_forgotten { self.write(&mut entries) } else { Ok(()) }
    }

    /// Forgets, durably, all partitions but these.
    pub(super) fn keep_only(
        &self,
        kept: &BTreeSet<(String, PartitionIndex)>,
    ) -> Result<(), RecoveryPointsError> {
        let mut entries = self.locked();
        let before = entries.offsets.len();
        entries.offsets.retain(|key, _| kept.contains(key));
        if before == entries.offsets.len() { Ok(()) } else { self.write(&mut entries) }
    }

    fn write(&self, entries: &mut Entries) -> Result<(), RecoveryPointsError> {
        let text = write_offsets(&entries.offsets);
        text_file::replace(&*self.disk, &self.path, text.as_bytes())
            .map_err(|source| RecoveryPointsError::Io { path: self.path.clone(), source })?;
        (entries.is_unknown, entries.has_forgotten) = (false, false);
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Entries> {
        // A panic elsewhere leaves whole entries behind: each is set in one step.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
