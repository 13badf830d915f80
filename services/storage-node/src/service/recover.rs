//! Loading what is on disk: all directories at once, each off the shared workers and on as many threads as it may have.
//!
//! Invariant: nothing is served from a directory before all of it was recovered. A partition that cannot be served is named with
//! its file and its fault, and does not keep the others from starting. What is found comes in the order of the folders' names, however
//! many threads there are.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ottla_partition::EpochStart;
use ottla_partition::{LeaderEpochs, RecoveredState};
use ottla_runtime::Seams;
use ottla_types::{TimestampMs, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::directory::Directory;
use crate::log::{
    Files, FoundLogDir, LogConfig, OpenedShare, PartitionLog, Quarantined, RecoveryPoints,
    deleted_dir_name, in_order, parse_partition_dir_name, remove_clean_marker,
};
use crate::producer_state;

/// Recovery says so when it takes longer than this, and again after each such time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// Descriptors that a thread that rebuilds producers holds at a time.
const MAX_OPEN_FILES: usize = 64;
/// Most threads of one directory, whatever `num.recovery.threads.per.data.dir` says.
const MAX_THREADS: usize = 64;

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
    /// Partitions that cannot be served.
    pub(super) quarantined: Vec<Quarantined>,
    /// Folders of deleted partitions.
    pub(super) deleted: Vec<PathBuf>,
}

/// Recovers all directories at once, `threads` partitions of each at a time.
pub(super) async fn recover_all(
    seams: &Seams,
    directories: &[Directory],
    threads: usize,
) -> Result<Vec<FoundDirectory>, RecoveryFault> {
    let started = seams.clock.monotonic();
    let recover = |dir: &Directory| Recovery {
        seams: seams.clone(),
        path: dir.path.clone(),
        threads: threads.clamp(1, MAX_THREADS),
        now: seams.clock.wall(),
    };
    let all = join_all(directories.iter().map(|dir| recover(dir).run()));
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

/// How one directory is recovered.
#[derive(Clone)]
struct Recovery {
    seams: Seams,
    path: PathBuf,
    /// Partitions that are worked on at a time.
    threads: usize,
    now: TimestampMs,
}

/// The shares of a number of partitions among a number of threads.
fn shares(partitions: usize, threads: usize) -> impl Iterator<Item = (usize, usize)> {
    let of = threads.min(partitions).max(1);
    (0..of).map(move |share| (share, of))
}

impl Recovery {
    async fn run(self) -> Result<FoundDirectory, RecoveryFault> {
        let (found, points) = self.blocking(Self::begin).await?;
        let (found, points) = (Arc::new(found), Arc::new(points));
        let opened = join_all(shares(found.partition_count(), self.threads).map(|share| {
            let (found, points) = (Arc::clone(&found), Arc::clone(&points));
            // What a topic's own configuration says is not known before the metadata are; recovery needs none of it.
            let config = Arc::new(LogConfig::default());
            self.blocking(move |_| Ok(found.open(&points, share, &|_, _| Arc::clone(&config))))
        }));
        let opened = opened.await.into_iter().collect::<Result<_, _>>()?;
        let of_all = Arc::clone(&points);
        let (mut directory, logs) =
            self.blocking(move |recovery| recovery.finish(&found, of_all, opened)).await?;
        directory.partitions = self.with_states(logs).await?;
        Ok(directory)
    }

    /// Does one step off the shared workers.
    async fn blocking<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Self) -> Result<T, RecoveryFault> + Send + 'static,
    ) -> Result<T, RecoveryFault> {
        let (done, found) = oneshot::channel();
        let own = self.clone();
        let work = move || {
            // The receiver goes only with the whole start.
            _ = done.send(step(&own));
        };
        self.seams.tasks.run_blocking(Box::new(work)).await;
        found.await.unwrap_or_else(|_| Err(self.fault("its recovery ended in a panic")))
    }

    fn fault(&self, cause: impl ToString) -> RecoveryFault {
        RecoveryFault { path: self.path.clone(), cause: cause.to_string() }
    }

    fn begin(&self) -> Result<(FoundLogDir, RecoveryPoints), RecoveryFault> {
        let disk = &self.seams.disk;
        // R10: the marker goes before anything else changes.
        let marker = remove_clean_marker(&**disk, &self.path).map_err(|e| self.fault(e))?;
        let points = RecoveryPoints::load(Arc::clone(disk), &self.path);
        let points = points.map_err(|e| self.fault(e))?;
        let found = FoundLogDir::read(disk, &self.path, marker.is_some());
        Ok((found.map_err(|e| self.fault(e))?, points))
    }

    /// All but the partitions' states.
    fn finish(
        &self,
        found: &FoundLogDir,
        points: Arc<RecoveryPoints>,
        opened: Vec<OpenedShare>,
    ) -> Result<(FoundDirectory, Vec<PartitionLog>), RecoveryFault> {
        let recovered = found.finish(&points, opened).map_err(|e| self.fault(e))?;
        let (mut quarantined, mut deleted) = (Vec::new(), recovered.deleted);
        for broken in recovered.quarantined {
            let dismissed = dismiss_unborn(&self.seams, &broken).map_err(|e| self.fault(e))?;
            if let Some(renamed) = dismissed {
                deleted.push(renamed);
                continue;
            }
            error!(
                path = %broken.dir.display(),
                "this partition is not served: {}; stop the node and put a copy in the place of its folder, or remove {} and have \
                 what is sound served and the rest cut at the next start, or delete the topic",
                broken.error,
                broken.mark().display()
            );
            quarantined.push(broken);
        }
        let (path, partitions) = (self.path.clone(), Vec::new());
        let directory = FoundDirectory { path, points, partitions, quarantined, deleted };
        Ok((directory, recovered.logs))
    }

    async fn with_states(
        &self,
        logs: Vec<PartitionLog>,
    ) -> Result<Vec<FoundPartition>, RecoveryFault> {
        let of = shares(logs.len(), self.threads).count();
        let mut by_thread: Vec<Vec<_>> = (0..of).map(|_| Vec::new()).collect();
        for (place, log) in logs.into_iter().enumerate() {
            by_thread[place % of].push((place, log));
        }
        let rebuilt = join_all(by_thread.into_iter().map(|share| {
            self.blocking(move |recovery| {
                let mut files = Files::new(Arc::clone(&recovery.seams.disk), MAX_OPEN_FILES);
                let each = share.into_iter().map(|(place, log)| {
                    let found = with_state(log, &mut files, recovery.now);
                    Ok((place, found.map_err(|cause| recovery.fault(cause))?))
                });
                each.collect::<Result<Vec<_>, _>>()
            })
        }));
        let rebuilt: Vec<Vec<_>> = rebuilt.await.into_iter().collect::<Result<_, _>>()?;
        Ok(in_order(rebuilt.into_iter().flatten().collect()))
    }
}

/// A crash in the middle of making a partition leaves a folder that holds no record and does not say whose it is: it goes, and is
/// made anew when the metadata ask for it.
fn dismiss_unborn(seams: &Seams, broken: &Quarantined) -> io::Result<Option<PathBuf>> {
    let name = broken.dir.file_name().unwrap_or_default().to_string_lossy();
    let Some((topic, partition)) = parse_partition_dir_name(&name) else { return Ok(None) };
    if !broken.is_unborn(&*seams.disk)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_partition_is_in_one_share_and_no_thread_is_idle() {
        for (partitions, threads, expected) in [(7, 3, 3), (2, 64, 2), (5, 1, 1), (0, 2, 1)] {
            let shares: Vec<_> = shares(partitions, threads).collect();
            assert_eq!(shares.len(), expected);
            let each = shares.iter().flat_map(|&(share, of)| (share..partitions).step_by(of));
            assert_eq!(each.collect::<BTreeSet<_>>(), (0..partitions).collect());
        }
    }
}
