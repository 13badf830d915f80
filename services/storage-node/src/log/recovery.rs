//! Opening the logs of a log directory after any kind of stop.
//!
//! Invariant: what was promised to be durable is there afterwards, or the partition is quarantined with the file and the
//! position that are to blame, its files untouched (R16), until a person has put it in order. Only a torn tail is cut, and only above what was promised. What
//! recovery changed is synced before the journals may be started anew.

mod finish_swaps;
mod open;
mod quarantine;
mod segments;
mod start;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::checkpoint::read_partition_metadata;
use ottla_runtime::seams::Disk;
use ottla_types::{TopicId, TopicPartition, Uuid};

use super::checkpoint::CheckpointError;
use super::config::LogConfig;
use super::create::make_dir;
use super::files::Files;
use super::journal::JournalReplay;
use super::names::{
    PARTITION_METADATA, deleted_dir_name, parse_partition_dir_name, partition_dir_name,
};
use super::partition_log::PartitionLog;
use super::recovery_points::{RecoveryPoints, RecoveryPointsError};
use super::text_file;

pub use open::{OpenError, OpenInput};

use quarantine::Memory;

/// Descriptors that one thread of recovery holds at a time.
const MAX_OPEN_FILES: usize = 64;

/// A partition that cannot be served.
#[derive(Debug)]
pub struct Quarantined {
    /// Its folder.
    pub dir: PathBuf,
    /// Topic id and index, if its metadata could be read.
    pub partition: Option<TopicPartition>,
    /// Why.
    pub error: OpenError,
}

/// The logs of a log directory.
#[derive(Debug, Default)]
pub struct RecoveredLogDir {
    /// Those that can be served.
    pub logs: Vec<PartitionLog>,
    /// Those that cannot.
    pub quarantined: Vec<Quarantined>,
    /// Folders of deleted partitions, which the caller may remove (R17).
    pub deleted: Vec<PathBuf>,
}

/// Why a log directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The disk's own error.
    #[error("cannot recover {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Recovery points.
    #[error(transparent)]
    Points(#[from] RecoveryPointsError),
    /// What was repaired could not be synced.
    #[error(transparent)]
    Sync(#[from] CheckpointError),
}

/// What a log directory's topic was last configured with.
pub type ConfigOf<'a> = dyn Fn(&str, TopicId) -> Arc<LogConfig> + 'a;

/// Reads the journals, opens and repairs every partition of a log directory, syncs what was repaired, and writes the
/// recovery points. Then [`super::Journal::start`] may be called. `is_clean` is whether the clean-shutdown marker was there;
/// `config` answers what a topic's configuration was last known to be.
///
/// # Errors
/// See [`RecoverError`]; trouble of one partition is no error but a quarantine.
pub fn recover_log_dir(
    disk: &Arc<dyn Disk>,
    log_dir: &Path,
    points: &RecoveryPoints,
    is_clean: bool,
    config: &ConfigOf<'_>,
) -> Result<RecoveredLogDir, RecoverError> {
    let found = FoundLogDir::read(disk, log_dir, is_clean)?;
    let opened = found.open(points, (0, 1), config);
    found.finish(points, vec![opened])
}

/// A log directory whose journals were read and whose partitions are to be opened: [`recover_log_dir`] in its steps, so that
/// several threads may open a share of the partitions each.
pub struct FoundLogDir {
    disk: Arc<dyn Disk>,
    log_dir: PathBuf,
    is_clean: bool,
    replay: JournalReplay,
    memory: Memory,
    /// Names of the partitions' folders, and their topics'.
    partitions: Vec<(String, String)>,
    deleted: Vec<PathBuf>,
}

/// One share of a directory's partitions, opened. Each with its place among all.
#[derive(Default)]
pub struct OpenedShare {
    logs: Vec<(usize, PartitionLog)>,
    quarantined: Vec<(usize, Quarantined)>,
}

impl FoundLogDir {
    /// Reads the journals, and finds the partitions.
    ///
    /// # Errors
    /// [`RecoverError::Io`].
    pub fn read(
        disk: &Arc<dyn Disk>,
        log_dir: &Path,
        is_clean: bool,
    ) -> Result<Self, RecoverError> {
        let replay = if is_clean {
            JournalReplay::default()
        } else {
            JournalReplay::read(&**disk, log_dir)
                .map_err(|(path, source)| RecoverError::Io { path, source })?
        };
        let files = Files::new(Arc::clone(disk), MAX_OPEN_FILES);
        let io = |source| RecoverError::Io { path: log_dir.to_owned(), source };
        let memory = Memory::read(&**disk, log_dir).map_err(io)?;
        make_lost_dirs(&files, log_dir, &replay).map_err(io)?;
        let (mut partitions, mut deleted) = (Vec::new(), Vec::new());
        for entry in disk.list(log_dir).map_err(io)?.into_iter().filter(|entry| entry.is_dir) {
            if super::names::is_deleted_dir_name(&entry.name) {
                deleted.push(log_dir.join(&entry.name));
            } else if let Some((topic, _)) = parse_partition_dir_name(&entry.name) {
                let topic = topic.to_owned();
                partitions.push((entry.name, topic));
            }
        }
        let (disk, log_dir) = (Arc::clone(disk), log_dir.to_owned());
        Ok(Self { disk, log_dir, is_clean, replay, memory, partitions, deleted })
    }

    /// How many partitions there are to open.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// Opens and repairs every `of`-th partition, beginning with the `share`-th.
    pub fn open(
        &self,
        points: &RecoveryPoints,
        (share, of): (usize, usize),
        config: &ConfigOf<'_>,
    ) -> OpenedShare {
        let mut files = Files::new(Arc::clone(&self.disk), MAX_OPEN_FILES);
        let mut opened = OpenedShare::default();
        let all = self.partitions.iter().enumerate();
        for (place, (name, topic)) in all.skip(share).step_by(of.max(1)) {
            let (replay, is_clean) = (&self.replay, self.is_clean);
            let remembered = self.memory.of(name);
            let config = &|id| config(topic, id);
            let input = OpenInput { points, replay, is_clean, remembered, config };
            let dir = self.log_dir.join(name);
            match PartitionLog::open(&mut files, &dir, &input) {
                Ok(log) => opened.logs.push((place, log)),
                Err((partition, error)) => {
                    opened.quarantined.push((place, Quarantined { dir, partition, error }));
                }
            }
        }
        opened
    }

    /// Syncs what was repaired, writes the recovery points, and makes quarantines last. `shares` are all there are, in any order.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub fn finish(
        &self,
        points: &RecoveryPoints,
        shares: Vec<OpenedShare>,
    ) -> Result<RecoveredLogDir, RecoverError> {
        let (mut logs, mut quarantined) = (Vec::new(), Vec::new());
        for share in shares {
            logs.extend(share.logs);
            quarantined.extend(share.quarantined);
        }
        let deleted = self.deleted.clone();
        let (mut logs, quarantined) = (in_order(logs), in_order(quarantined));
        sync_repaired(&mut Files::new(Arc::clone(&self.disk), MAX_OPEN_FILES), points, &mut logs)?;
        let dirs = logs.iter().map(PartitionLog::dir);
        points.keep_only(dirs.chain(quarantined.iter().map(|q| &*q.dir)))?;
        points.cleaned().write_if_missing()?;
        let io = |source| RecoverError::Io { path: self.log_dir.clone(), source };
        self.keep_quarantined(&logs, &quarantined).map_err(io)?;
        Ok(RecoveredLogDir { logs, quarantined, deleted })
    }
}

/// In the order of their places, however many threads found them.
pub(crate) fn in_order<T>(mut placed: Vec<(usize, T)>) -> Vec<T> {
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, one)| one).collect()
}

/// Makes the folders again that the journal knows of and a crash lost. A folder of the same name that is another topic's is
/// one whose renaming was lost.
fn make_lost_dirs(files: &Files, log_dir: &Path, replay: &JournalReplay) -> std::io::Result<()> {
    for (&id, frames) in &replay.partitions {
        let Some((topic, _)) = &frames.created else { continue };
        let name = partition_dir_name(topic, id.partition);
        if parse_partition_dir_name(&name).is_none() {
            continue;
        }
        let dir = log_dir.join(name);
        let found = text_file::read(&**files.disk(), &dir.join(PARTITION_METADATA))?;
        match found.and_then(|bytes| read_partition_metadata(&bytes).ok()) {
            Some(there) if there == id.topic => continue,
            Some(other) => {
                let name = unused_deleted_name(
                    files,
                    log_dir,
                    topic,
                    TopicPartition { topic: other, ..id },
                )?;
                files.disk().rename(&dir, &log_dir.join(name))?;
            }
            None => {}
        }
        make_dir(files, &dir, id)?;
        let metadata = files
            .disk()
            .open(&dir.join(PARTITION_METADATA), ottla_runtime::seams::OpenMode::ReadWrite)?;
        metadata.sync_data()?;
        files.disk().sync_dir(&dir)?;
    }
    files.disk().sync_dir(log_dir)
}

fn unused_deleted_name(
    files: &Files,
    log_dir: &Path,
    topic: &str,
    id: TopicPartition,
) -> std::io::Result<String> {
    let mut bits = u128::from_be_bytes(*id.topic.0.as_bytes());
    loop {
        let name = deleted_dir_name(topic, id.partition, Uuid::from_bytes(bits.to_be_bytes()));
        if !files.disk().exists(&log_dir.join(&name))? {
            return Ok(name);
        }
        bits = bits.wrapping_add(1);
    }
}

/// Syncs all that recovery left unsynced, and says so in the recovery points.
fn sync_repaired(
    files: &mut Files,
    points: &RecoveryPoints,
    logs: &mut [PartitionLog],
) -> Result<(), RecoverError> {
    let mut done = BTreeMap::new();
    for (index, log) in logs.iter_mut().enumerate().filter(|(_, log)| log.wants_checkpoint()) {
        let checkpoint = log.begin_checkpoint(files)?;
        checkpoint.run(&**files.disk())?;
        done.insert(index, checkpoint);
    }
    if done.is_empty() {
        return Ok(());
    }
    points.advance(done.values())?;
    let repaired: BTreeSet<usize> = done.keys().copied().collect();
    for index in repaired {
        logs[index].end_checkpoint(&done[&index]);
    }
    Ok(())
}
