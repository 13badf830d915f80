//! Checkpoints: making durable in segments what the journal holds, so that the journal can be used again.
//!
//! Invariant: a recovery point is written only after everything below it was synced. A checkpoint runs on any thread and
//! holds names, not descriptors: a segment that was deleted meanwhile needs no sync.

use std::io;
use std::path::{Path, PathBuf};

use ottla_log_format::checkpoint::write_epochs;
use ottla_runtime::seams::{Disk, OpenMode};
use ottla_types::{Offset, TopicPartition};

use super::files::Files;
use super::names::{FileKind, LEADER_EPOCHS, PARTITION_METADATA};
use super::partition_log::PartitionLog;
use super::text_file;
/// Why a checkpoint did not come about. After `Sync` the log must be failed (R16).
#[derive(Debug, thiserror::Error)]
#[error("cannot checkpoint {}: {source}", .path.display())]
pub struct CheckpointError {
    /// The file or folder.
    pub path: PathBuf,
    /// The error.
    pub source: io::Error,
}

/// What must be synced for one log.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) partition: TopicPartition,
    pub(super) topic: Box<str>,
    dir: PathBuf,
    pub(super) end: Offset,
    pub(super) log_start: Offset,
    pub(super) generation: u32,
    files: Vec<PathBuf>,
    has_unsynced_names: bool,
    /// New content of `leader-epoch-checkpoint`.
    epochs: Option<String>,
}

impl PartitionLog {
    /// Whether a checkpoint has something to do.
    pub fn wants_checkpoint(&self) -> bool {
        self.recovery_point < self.end || self.has_unsynced_names || self.is_point_outdated
    }

    /// Whether a final checkpoint has something to do.
    pub fn wants_final_checkpoint(&self) -> bool {
        self.wants_checkpoint() || self.unsynced_indexes.is_some() || self.active.has_unflushed()
    }

    /// Writes the new index entries, and says what must be synced.
    ///
    /// # Errors
    /// The disk's own.
    pub fn begin_checkpoint(&mut self, files: &mut Files) -> Result<Checkpoint, CheckpointError> {
        let active = self.active_segment().base;
        self.begin(files, |base| base < active)
    }

    /// Like `begin_checkpoint`, for a clean stop: syncs the indexes of the active segment, too, which the next start will
    /// trust.
    ///
    /// # Errors
    /// The disk's own.
    pub fn begin_final_checkpoint(
        &mut self,
        files: &mut Files,
    ) -> Result<Checkpoint, CheckpointError> {
        self.begin(files, |_| true)
    }

    fn begin(
        &mut self,
        files: &mut Files,
        syncs_index: impl Fn(Offset) -> bool,
    ) -> Result<Checkpoint, CheckpointError> {
        let path = self.dir.to_path_buf();
        self.flush_indexes(files).map_err(|source| CheckpointError { path, source })?;
        let mut paths = Vec::new();
        let unsynced = |from: Offset| {
            self.segments.iter().filter(move |segment| segment.base >= from && segment.size > 0)
        };
        let oldest = self.segments[self.segment_index(self.recovery_point)].base;
        paths.extend(unsynced(oldest).map(|segment| self.path(segment.base, FileKind::Log)));
        // A closed segment's indexes do not change any more: once synced they are trusted for ever.
        let indexes =
            unsynced(self.unsynced_indexes.unwrap_or(self.end)).map(|segment| segment.base);
        for base in indexes.filter(|&base| syncs_index(base)) {
            paths.push(self.path(base, FileKind::Index));
            paths.push(self.path(base, FileKind::TimeIndex));
        }
        let has_unsynced_names = std::mem::take(&mut self.has_unsynced_names);
        self.has_names_in_checkpoint = has_unsynced_names;
        if has_unsynced_names {
            paths.push(self.dir.join(PARTITION_METADATA));
        }
        self.is_point_outdated = false;
        let active = self.active_segment().base;
        self.unsynced_indexes =
            self.unsynced_indexes.filter(|_| !syncs_index(active)).map(|_| active);
        let epochs = self.epochs.take_dirty().then(|| write_epochs(self.epochs.entries()));
        Ok(Checkpoint {
            partition: self.id,
            topic: self.topic().into(),
            dir: self.dir.to_path_buf(),
            end: self.end,
            log_start: self.log_start,
            generation: self.generation,
            files: paths,
            has_unsynced_names,
            epochs,
        })
    }

    /// Takes note of a checkpoint that ran and whose recovery point was written.
    pub fn end_checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.has_names_in_checkpoint = false;
        if checkpoint.generation == self.generation {
            let end = checkpoint.end.min(self.end);
            self.recovery_point = self.recovery_point.max(end);
            self.durable_end = self.durable_end.max(end);
            self.noted_end = self.noted_end.max(end);
        }
    }

    /// A checkpoint failed: the log takes no more writes (R16).
    pub fn fail_checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.is_failed = true;
        self.has_unsynced_names |= checkpoint.has_unsynced_names;
        if checkpoint.epochs.is_some() {
            self.epochs.set_dirty();
        }
    }
}

impl Checkpoint {
    /// The partition.
    pub fn partition(&self) -> TopicPartition {
        self.partition
    }

    /// Where the log ended when the checkpoint began: its recovery point once it ran.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Syncs. May take long, and runs on any thread.
    ///
    /// # Errors
    /// The disk's own; the log is then to be failed, and the sync not to be tried again.
    pub fn run(&self, disk: &dyn Disk) -> Result<(), CheckpointError> {
        let failed = |path: &Path, source| CheckpointError { path: path.to_owned(), source };
        for path in &self.files {
            match disk.open(path, OpenMode::ReadWrite) {
                Ok(file) => file.sync_data().map_err(|source| failed(path, source))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(path, source)),
            }
        }
        if let Some(epochs) = &self.epochs {
            let path = self.dir.join(LEADER_EPOCHS);
            or_gone(text_file::replace(disk, &path, epochs.as_bytes()))
                .map_err(|source| failed(&path, source))?;
        } else if self.has_unsynced_names {
            or_gone(disk.sync_dir(&self.dir)).map_err(|source| failed(&self.dir, source))?;
        }
        Ok(())
    }
}

/// The partition was deleted meanwhile: nothing to sync.
fn or_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
