//! Loading what is on disk: all directories at once, each off the shared workers.
//!
//! Invariant: nothing is served from a directory before all of it was recovered. A partition that cannot be served is named with
//! its file and its fault, and does not keep the others from starting.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ottla_partition::EpochStart;
use ottla_partition::{LeaderEpochs, RecoveredState};
use ottla_runtime::Seams;
use ottla_runtime::seams::DirEntry;
use ottla_types::{TimestampMs, TopicPartition, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::directory::Directory;
use crate::log::{
    Files, LogConfig, PartitionLog, Quarantined, RecoverError, RecoveryPoints, deleted_dir_name,
    parse_partition_dir_name, recover_log_dir, remove_clean_marker,
};
use crate::producer_state;

/// Recovery says so when it takes longer than this, and again after each such time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// Descriptors that rebuilding producers holds at a time.
const MAX_OPEN_FILES: usize = 64;

/// Why a directory cannot be recovered at all.
#[derive(Debug, thiserror::Error)]
#[error("log directory {path}: {cause}; check the disk, or take the directory out of log.dirs", path = .path.display())]
pub struct RecoveryFault {
    path: PathBuf,
    cause: String,
}

/// A partition as it was found.
pub(super) struct FoundPartition {
    pub(super) log: PartitionLog,
    pub(super) state: RecoveredState,
}

/// A directory as it was found.
pub(super) struct FoundDirectory {
    pub(super) path: PathBuf,
    pub(super) points: Arc<RecoveryPoints>,
    pub(super) partitions: Vec<FoundPartition>,
    /// Partitions whose files are corrupt.
    pub(super) quarantined: BTreeSet<TopicPartition>,
    /// Folders of deleted partitions.
    pub(super) deleted: Vec<PathBuf>,
}

/// Recovers all directories.
pub(super) async fn recover_all(
    seams: &Seams,
    directories: &[Directory],
) -> Result<Vec<FoundDirectory>, RecoveryFault> {
    let started = seams.clock.monotonic();
    let all = join_all(directories.iter().map(|dir| recover_one(seams, dir.path.clone())));
    tokio::pin!(all);
    loop {
        tokio::select! {
            biased;
            found = &mut all => return found.into_iter().collect(),
            () = seams.clock.sleep(PROGRESS_INTERVAL) => {
                let seconds = seams.clock.monotonic().saturating_sub(started).as_secs();
                info!("recovering log directories since {seconds} s; partitions are read and checked");
            }
        }
    }
}

async fn recover_one(seams: &Seams, path: PathBuf) -> Result<FoundDirectory, RecoveryFault> {
    let (done, found) = oneshot::channel();
    let (disk_seams, dir) = (seams.clone(), path.clone());
    let now = seams.clock.wall();
    let work = move || {
        // The receiver goes only with the whole start.
        _ = done.send(recover(&disk_seams, dir, now));
    };
    seams.tasks.run_blocking(Box::new(work)).await;
    let ended = || RecoveryFault { path, cause: "its recovery ended in a panic".to_owned() };
    found.await.unwrap_or_else(|_| Err(ended()))
}

fn recover(
    seams: &Seams,
    path: PathBuf,
    now: TimestampMs,
) -> Result<FoundDirectory, RecoveryFault> {
    let fault = |cause: String| RecoveryFault { path: path.clone(), cause };
    let disk = &seams.disk;
    // R10: the marker goes before anything else changes.
    let marker = remove_clean_marker(&**disk, &path).map_err(|e| fault(e.to_string()))?;
    let points = RecoveryPoints::load(Arc::clone(disk), &path);
    let points = Arc::new(points.map_err(|e| fault(e.to_string()))?);
    // What a topic's own configuration says is not known before the metadata are; recovery needs none of it.
    let config = Arc::new(LogConfig::default());
    let recovered =
        recover_log_dir(disk, &path, &points, marker.is_some(), &|_, _| Arc::clone(&config));
    let recovered = recovered.map_err(|e: RecoverError| fault(e.to_string()))?;
    let (mut quarantined, mut deleted) = (BTreeSet::new(), recovered.deleted);
    for broken in &recovered.quarantined {
        if let Some(renamed) = dismiss_unborn(seams, broken).map_err(|e| fault(e.to_string()))? {
            deleted.push(renamed);
            continue;
        }
        error!(
            path = %broken.dir.display(),
            "this partition is not served: {}; restore its folder from a replica or a copy, or delete the topic",
            broken.error
        );
        quarantined.extend(broken.partition);
    }
    let mut files = Files::new(Arc::clone(disk), MAX_OPEN_FILES);
    let mut partitions = Vec::with_capacity(recovered.logs.len());
    for log in recovered.logs {
        let found = with_state(log, &mut files, now).map_err(&fault)?;
        partitions.push(found);
    }
    Ok(FoundDirectory { path, points, partitions, quarantined, deleted })
}

/// A crash in the middle of making a partition leaves a folder that holds no record and does not say whose it is: it goes, and is
/// made anew when the metadata ask for it.
fn dismiss_unborn(seams: &Seams, broken: &Quarantined) -> io::Result<Option<PathBuf>> {
    let holds_records = |entry: &DirEntry| entry.name.ends_with(".log") && entry.len > 0;
    let name = broken.dir.file_name().unwrap_or_default().to_string_lossy();
    let Some((topic, partition)) = parse_partition_dir_name(&name) else { return Ok(None) };
    if broken.partition.is_some() || seams.disk.list(&broken.dir)?.iter().any(holds_records) {
        return Ok(None);
    }
    let unique = Uuid::from_random(seams.rng.next_u128());
    let to = broken.dir.with_file_name(deleted_dir_name(topic, partition, unique));
    seams.disk.rename(&broken.dir, &to)?;
    info!(path = %broken.dir.display(), "a partition that was only begun to be made is dismissed");
    Ok(Some(to))
}

fn with_state(
    log: PartitionLog,
    files: &mut Files,
    now: TimestampMs,
) -> Result<FoundPartition, String> {
    let producers = producer_state::rebuild(&log, files, now);
    let producers = producers.map_err(|error| error.to_string())?;
    let entries = log.epochs().entries().iter();
    let epochs = LeaderEpochs::from_entries(
        entries.map(|entry| EpochStart { epoch: entry.epoch, start: entry.start_offset }),
    );
    let state = RecoveredState {
        start: log.log_start(),
        end: log.end(),
        epochs,
        producers,
        ..RecoveredState::default()
    };
    Ok(FoundPartition { log, state })
}
