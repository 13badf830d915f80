//! A shard's part in compaction: it says what may be compacted, and renames. Reading, writing and syncing are the cleaner's.
//!
//! Invariant: each step here is a few renames and no sync. A step of a cleaning that the partition does not know (it was deleted, cut
//! or made anew meanwhile) does nothing. A swap that fails midway stops its replica (R16).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_types::{Offset, ProducerId, TopicPartition};
use tokio::sync::oneshot;
use tracing::error;

use super::Shard;
use super::partition::Partition;
use crate::log::{Cleanable, CleanedSegment, RecoveryPoints};

/// What the cleaner asks of a shard.
pub(crate) enum CleanerAsk {
    /// What there is to compact.
    Survey(oneshot::Sender<Vec<Surveyed>>),
    /// Begin with a partition; answered with what it is about, unless it cannot be.
    Begin(TopicPartition, oneshot::Sender<Option<BegunCleaning>>),
    /// The next step of a swap; answered with whether it was done.
    Swap(CleaningId, SwapStep, oneshot::Sender<bool>),
    /// The cleaning is over, or given up.
    End(CleaningId, oneshot::Sender<()>),
    /// The disk failed while a segment took its place.
    Fail(CleaningId, String),
}

/// A log that may be compacted.
pub(crate) struct Surveyed {
    pub(crate) cleanable: Cleanable,
    /// Of its directory.
    pub(crate) points: Arc<RecoveryPoints>,
}

/// A cleaning that was begun.
pub(crate) struct BegunCleaning {
    pub(crate) id: CleaningId,
    pub(crate) cleanable: Cleanable,
    /// The last offset of each idempotent producer.
    pub(crate) producers: BTreeMap<ProducerId, Offset>,
}

/// Names a cleaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CleaningId {
    pub(crate) partition: TopicPartition,
    token: u64,
}

/// The steps of a swap, in order.
#[derive(Clone, Copy)]
pub(crate) enum SwapStep {
    /// The segment at this base counts once the folder is synced.
    Commit(Offset),
    /// Readers find it; what it stands for is renamed.
    Replace(CleanedSegment),
    /// It gets its name.
    Settle,
}

impl Shard {
    pub(super) fn clean(&mut self, ask: CleanerAsk) {
        // Whoever asked may be gone.
        match ask {
            CleanerAsk::Survey(answer) => _ = answer.send(self.survey()),
            CleanerAsk::Begin(id, answer) => _ = answer.send(self.begin_cleaning(id)),
            CleanerAsk::Swap(id, step, answer) => _ = answer.send(self.swap(id, step)),
            CleanerAsk::End(id, answer) => {
                self.end_cleaning(id);
                _ = answer.send(());
            }
            CleanerAsk::Fail(id, cause) => self.swap_failed(id.partition, &cause),
        }
    }

    /// All that may be compacted. What only waits for a checkpoint gets one soon.
    fn survey(&mut self) -> Vec<Surveyed> {
        if self.is_failed {
            return Vec::new();
        }
        let mut surveyed = Vec::new();
        for partition in self.partitions.values().filter(|partition| is_compacted(partition)) {
            let upper = partition.replica.high_watermark();
            self.upkeep.flush_soon(partition.log.has_unsynced_closed(upper));
            if !partition.log.is_being_cleaned() {
                let cleanable = partition.log.cleanable(upper);
                surveyed.push(Surveyed { cleanable, points: Arc::clone(&self.recovery_points) });
            }
        }
        surveyed.retain(|one| !one.cleanable.segments.is_empty());
        surveyed
    }

    fn begin_cleaning(&mut self, id: TopicPartition) -> Option<BegunCleaning> {
        let token = self.seams.rng.next_u64();
        let partition = self.partitions.get_mut(&id).filter(|partition| is_compacted(partition))?;
        if !partition.log.begin_cleaning(token) {
            return None;
        }
        let producers = partition.replica.producers().iter();
        let last = |(id, producer): (ProducerId, &ottla_partition::Producer)| {
            Some((id, producer.batches.back()?.last_offset))
        };
        Some(BegunCleaning {
            id: CleaningId { partition: id, token },
            cleanable: partition.log.cleanable(partition.replica.high_watermark()),
            producers: producers.filter_map(last).collect(),
        })
    }

    fn swap(&mut self, id: CleaningId, step: SwapStep) -> bool {
        let now = self.seams.clock.monotonic();
        let Some(partition) = self.partitions.get_mut(&id.partition) else { return false };
        let (log, files, token) = (&mut partition.log, &mut self.files, id.token);
        let done = match step {
            SwapStep::Commit(base) => {
                let committed = log.commit_swap(&**files.disk(), token, base);
                // It counts or not: the end of the cleaning sees to it.
                return committed.unwrap_or(false);
            }
            SwapStep::Replace(cleaned) => {
                let delay = partition.settings.as_ref().map(|s| s.file_delete_delay);
                let due = now + delay.unwrap_or_default();
                match log.replace_segments(files, token, &cleaned) {
                    Ok(renamed) => {
                        let is_done = renamed.is_some();
                        let paths = renamed.into_iter().flatten();
                        paths.for_each(|path| self.upkeep.remove_later(path, due));
                        Ok(is_done)
                    }
                    Err(cause) => Err(cause.to_string()),
                }
            }
            SwapStep::Settle => log.settle_swap(files, token).map_err(|cause| cause.to_string()),
        };
        done.unwrap_or_else(|cause| {
            self.swap_failed(id.partition, &cause);
            false
        })
    }

    fn end_cleaning(&mut self, id: CleaningId) {
        let Some(partition) = self.partitions.get_mut(&id.partition) else { return };
        match partition.log.end_cleaning(&*self.seams.disk, id.token) {
            // A log that is compacted again and again must not grow for that.
            Ok(()) if partition.log.config().delete => self.upkeep.retain_soon(),
            Ok(()) => {}
            Err(cause) => self.swap_failed(id.partition, &cause.to_string()),
        }
    }

    fn swap_failed(&mut self, id: TopicPartition, cause: &str) {
        let Some(partition) = self.partitions.get(&id) else { return };
        let dir: &Path = partition.log.dir();
        error!(
            path = %dir.display(),
            "the partition stops, a compacted segment did not take its place: {cause}; check the disk, then restart the node"
        );
        self.stop_replica(id);
    }
}

fn is_compacted(partition: &Partition) -> bool {
    partition.settings.is_some() && partition.log.config().compact && !partition.log.is_failed()
}
