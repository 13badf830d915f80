//! Making the folder of a new partition.
//!
//! Invariant: nothing is synced here: the journal's frame `Created` makes a new partition durable, many with one sync
//! (recovery makes the folder again if it is lost). A partition that is not durable needs none: the controller's word is.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::checkpoint::write_partition_metadata;
use ottla_runtime::seams::OpenMode;
use ottla_types::{Offset, TopicPartition};

use super::config::LogConfig;
use super::epochs::EpochCache;
use super::files::Files;
use super::lookup::ReadHints;
use super::names::{PARTITION_METADATA, partition_dir_name};
use super::partition_log::PartitionLog;
use super::segment::{Active, Segment};

/// Why a partition's folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The folder is there already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The disk's own error.
    #[error("cannot make {}: {source}", .path.display())]
    Io {
        /// What was to be made.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl PartitionLog {
    /// Makes an empty log that begins at `start`, in a new folder of `log_dir`.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub fn create(
        files: &Files,
        log_dir: &Path,
        topic: &str,
        id: TopicPartition,
        config: Arc<LogConfig>,
    ) -> Result<Self, CreateError> {
        let dir = log_dir.join(partition_dir_name(topic, id.partition));
        let failed = |source| CreateError::Io { path: dir.clone(), source };
        if files.disk().exists(&dir).map_err(failed)? {
            return Err(CreateError::Exists(dir));
        }
        make_dir(files, &dir, id).map_err(failed)?;
        let mut log = Self::empty(dir, id, config, Offset::ZERO);
        log.has_unsynced_names = true;
        Ok(log)
    }

    /// A log without a batch; touches no file.
    pub(super) fn empty(
        dir: PathBuf,
        id: TopicPartition,
        config: Arc<LogConfig>,
        start: Offset,
    ) -> Self {
        Self {
            id,
            dir: dir.into(),
            config,
            segments: vec![Segment::new(start, 0)],
            active: Active::default(),
            log_start: start,
            end: start,
            durable_end: start,
            noted_end: start,
            recovery_point: start,
            epochs: EpochCache::default(),
            has_unsynced_names: false,
            has_names_in_checkpoint: false,
            is_point_outdated: false,
            unsynced_indexes: None,
            is_failed: false,
            generation: 0,
            hints: ReadHints::default(),
            cleaning: None,
        }
    }
}

/// Makes the folder and its `partition.metadata`.
pub(super) fn make_dir(files: &Files, dir: &Path, id: TopicPartition) -> io::Result<()> {
    files.disk().create_dir_all(dir)?;
    let file = files.disk().open(&dir.join(PARTITION_METADATA), OpenMode::Create)?;
    file.write_all_at(&[IoSlice::new(write_partition_metadata(id.topic).as_bytes())], 0)
}
