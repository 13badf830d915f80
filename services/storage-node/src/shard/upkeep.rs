//! What a shard does from time to time: checkpoints, retention, forgetting producers, removing what was deleted.
//!
//! Invariant: a journal file is freed only after its partitions' segments are synced and their recovery points written. At most one
//! checkpoint runs at a time, off the shard's thread. Nothing here delays a round, but for a full journal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_types::{Offset, TopicPartition};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tracing::{error, info, warn};

use super::Shard;
use crate::log::{Checkpoint, JournalError, RoundError, remove_renamed};
use crate::producer_state::snapshot_entries;

/// How often producers that were silent too long are looked for.
const PRODUCER_CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// How often things are done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Periods {
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub(crate) checkpoint: Duration,
    /// `log.retention.check.interval.ms`.
    pub(crate) retention: Duration,
}

/// A checkpoint that ran, or did not.
struct CheckpointOutcome {
    checkpoints: Vec<Checkpoint>,
    /// The journal file that it frees.
    generation: Option<u64>,
    result: Result<(), String>,
}

/// What is due when.
pub(super) struct Upkeep {
    periods: Periods,
    next_checkpoint: Duration,
    /// `flush.messages` or `flush.ms` of a partition are reached.
    wants_flush: bool,
    /// When `flush.ms` of the first partition is over.
    next_flush: Option<Duration>,
    next_retention: Duration,
    next_producer_check: Duration,
    running: Option<oneshot::Receiver<CheckpointOutcome>>,
    finished: Option<CheckpointOutcome>,
    /// Renamed files and folders, and when they may be removed.
    removals: BTreeMap<Duration, Vec<PathBuf>>,
    /// The node stops cleanly: the next checkpoint is the last one, and syncs what the next start trusts.
    is_closing: bool,
}

impl Upkeep {
    pub(super) fn new(periods: Periods, now: Duration) -> Self {
        Self {
            periods,
            next_checkpoint: now + periods.checkpoint,
            wants_flush: false,
            next_flush: None,
            next_retention: now + periods.retention,
            next_producer_check: now + PRODUCER_CHECK_INTERVAL,
            running: None,
            finished: None,
            is_closing: false,
            removals: BTreeMap::new(),
        }
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        let removal = self.removals.first_key_value().map(|(due, _)| *due);
        let timers = [self.next_checkpoint, self.next_retention, self.next_producer_check];
        timers.into_iter().chain(removal).chain(self.next_flush).min()
    }

    /// If so, a checkpoint begins with the next turn, in the background.
    pub(super) fn flush_soon(&mut self, is_wanted: bool) {
        self.wants_flush |= is_wanted;
    }

    /// Retention is applied with the next turn: it had to wait.
    pub(super) fn retain_soon(&mut self) {
        self.next_retention = Duration::ZERO;
    }

    /// What was renamed goes at `due`.
    pub(super) fn remove_later(&mut self, path: PathBuf, due: Duration) {
        self.removals.entry(due).or_default().push(path);
    }

    /// Takes note of a checkpoint that ended: a shard that is always busy never waits for it.
    fn look_at_checkpoint(&mut self) {
        let Some(running) = &mut self.running else { return };
        match running.try_recv() {
            Ok(outcome) => (self.running, self.finished) = (None, Some(outcome)),
            Err(TryRecvError::Closed) => self.running = None,
            Err(TryRecvError::Empty) => {}
        }
    }

    /// Completes when the running checkpoint ended; never while none runs.
    pub(super) async fn checkpoint_done(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let ended = running.await;
        self.running = None;
        self.finished = ended.ok();
    }
}

impl Shard {
    /// Does what is due.
    pub(super) fn keep_up(&mut self) {
        self.upkeep.look_at_checkpoint();
        if let Some(outcome) = self.upkeep.finished.take() {
            self.end_checkpoint(outcome);
        }
        let now = self.seams.clock.monotonic();
        let is_due = self.journal.retired().is_some()
            || self.upkeep.wants_flush
            || now >= self.upkeep.next_checkpoint
            || self.upkeep.next_flush.is_some_and(|flush| now >= flush);
        if self.upkeep.running.is_none() && is_due {
            self.begin_checkpoint();
            self.upkeep.next_checkpoint = now + self.upkeep.periods.checkpoint;
        }
        if now >= self.upkeep.next_retention {
            self.apply_retention(now);
            self.tell_anew();
            self.upkeep.next_retention = now + self.upkeep.periods.retention;
        }
        if now >= self.upkeep.next_producer_check {
            let wall = self.seams.clock.wall();
            for partition in self.partitions.values_mut() {
                partition.replica.expire_producers(wall);
            }
            self.upkeep.next_producer_check = now + PRODUCER_CHECK_INTERVAL;
        }
        self.remove_due(now);
    }

    /// Begins to sync the segments of all partitions that have something unsynced; the journal's retired file is freed with it.
    fn begin_checkpoint(&mut self) {
        (self.upkeep.wants_flush, self.upkeep.next_flush) = (false, None);
        if self.is_failed {
            return;
        }
        let is_final = self.upkeep.is_closing;
        let retired = self.journal.retired();
        let generation = retired.map(|retired| retired.generation);
        let is_journaled =
            |id: TopicPartition| retired.is_some_and(|file| file.partitions.contains(&id));
        let mut checkpoints = Vec::new();
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            let log = &mut partition.log;
            let is_wanted =
                if is_final { log.wants_final_checkpoint() } else { log.wants_checkpoint() };
            // A failed log takes no more, but what the journal holds of it must be in its segments before the file is freed.
            if !is_wanted || (log.is_failed() && !is_journaled(id)) {
                continue;
            }
            partition.unflushed_records = 0;
            let begun = if is_final {
                log.begin_final_checkpoint(&mut self.files)
            } else {
                log.begin_checkpoint(&mut self.files)
            };
            match begun {
                Ok(checkpoint) => checkpoints.push(checkpoint),
                Err(cause) => return self.r16_fail(&cause),
            }
        }
        if checkpoints.is_empty() && generation.is_none() {
            return;
        }
        let (done, running) = oneshot::channel();
        let disk = Arc::clone(&self.seams.disk);
        let points = Arc::clone(&self.recovery_points);
        let work = self.seams.tasks.run_blocking(Box::new(move || {
            let synced = checkpoints.iter().try_for_each(|c| c.run(&*disk));
            let result = synced.map_err(|error| error.to_string());
            let result = result
                .and_then(|()| points.advance(&checkpoints).map_err(|error| error.to_string()));
            // The shard may have ended.
            _ = done.send(CheckpointOutcome { checkpoints, generation, result });
        }));
        drop(self.seams.tasks.spawn("checkpoint", work));
        self.upkeep.running = Some(running);
    }

    fn end_checkpoint(&mut self, outcome: CheckpointOutcome) {
        if let Err(cause) = outcome.result {
            for checkpoint in &outcome.checkpoints {
                if let Some(partition) = self.partitions.get_mut(&checkpoint.partition()) {
                    partition.log.fail_checkpoint(checkpoint);
                }
            }
            return self.r16_fail(&std::io::Error::other(cause));
        }
        for checkpoint in &outcome.checkpoints {
            if let Some(partition) = self.partitions.get_mut(&checkpoint.partition()) {
                partition.log.end_checkpoint(checkpoint);
                self.ends_count(checkpoint.partition());
            }
        }
        if let Some(generation) = outcome.generation {
            self.journal.free(generation);
        }
    }

    /// The journal has no room: waits until a checkpoint emptied its retired file.
    pub(super) async fn empty_journal(&mut self) -> Result<(), RoundError> {
        while let Some(retired) = self.journal.retired().map(|retired| retired.generation) {
            if self.upkeep.running.is_none() && self.upkeep.finished.is_none() {
                self.begin_checkpoint();
            }
            if self.upkeep.finished.is_none() {
                if self.upkeep.running.is_none() {
                    break;
                }
                self.upkeep.checkpoint_done().await;
            }
            match self.upkeep.finished.take() {
                Some(outcome) => self.end_checkpoint(outcome),
                None => break,
            }
            if self.is_failed {
                break;
            }
            if self.journal.retired().is_some_and(|still| still.generation == retired) {
                // That checkpoint began before the file was retired: one more is needed.
                continue;
            }
        }
        if self.is_failed || self.journal.retired().is_some() {
            return Err(JournalError::Failed(self.journal.dir().to_owned()).into());
        }
        Ok(())
    }

    /// Records of a partition that are written and not synced: obeys `flush.messages` and `flush.ms`, without anybody waiting.
    pub(super) fn note_unflushed(&mut self, id: TopicPartition, records: i32) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let Some(settings) = &partition.settings else { return };
        let Some(limit) = settings.flush_records else { return };
        partition.unflushed_records += i64::from(records);
        self.upkeep.wants_flush |= partition.unflushed_records >= limit;
        if let Some(interval) = settings.flush_interval {
            let due = self.seams.clock.monotonic() + interval;
            let next = self.upkeep.next_flush.get_or_insert(due);
            *next = due.min(*next);
        }
    }

    fn apply_retention(&mut self, now: Duration) {
        let wall = self.seams.clock.wall();
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            if partition.log.is_failed() || partition.settings.is_none() {
                continue;
            }
            let upper = partition.replica.high_watermark();
            let delay =
                partition.settings.as_ref().map(|s| s.file_delete_delay).unwrap_or_default();
            let renamed = match partition.log.apply_retention(&mut self.files, wall, upper) {
                Ok(renamed) => renamed,
                Err(cause) => {
                    error!(partition = %id, "old segments stay: {cause}");
                    continue;
                }
            };
            if renamed.is_empty() {
                continue;
            }
            let start = partition.log.log_start();
            info!(topic = partition.log.topic(), partition = %id.partition, %start, "old segments deleted");
            let mut effects = Vec::new();
            partition.replica.start_raised(start, &mut effects);
            for path in renamed {
                self.upkeep.remove_later(path, now + delay);
            }
            self.obey(id, effects);
        }
    }

    /// What scrapes see of partitions that nobody writes to, and of segments that changed behind their backs.
    fn tell_anew(&self) {
        for partition in self.partitions.values() {
            partition.figures.forget_size();
            partition.tell();
        }
    }

    fn remove_due(&mut self, now: Duration) {
        while let Some((&due, _)) = self.upkeep.removals.first_key_value()
            && due <= now
        {
            let Some((_, paths)) = self.upkeep.removals.pop_first() else { return };
            let disk = Arc::clone(&self.seams.disk);
            let work = self.seams.tasks.run_blocking(Box::new(move || {
                if let Err((path, cause)) = remove_renamed(&*disk, &paths) {
                    warn!(path = %path.display(), "cannot be removed: {cause}");
                }
            }));
            drop(self.seams.tasks.spawn("remove-deleted", work));
        }
    }

    /// Writes what is known of a partition's producers as of `offset`.
    pub(super) fn snapshot_producers(&mut self, id: TopicPartition, offset: Offset) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let entries = snapshot_entries(partition.replica.producers());
        if let Err(cause) = partition.log.write_producers(&self.files, offset, &entries) {
            warn!(partition = %id, "no snapshot of producers: {cause}");
        }
    }

    /// A clean stop: producers, then a checkpoint of everything. Whether all is in order.
    pub(super) async fn close(&mut self) -> bool {
        while self.upkeep.running.is_some() {
            self.upkeep.checkpoint_done().await;
        }
        if let Some(outcome) = self.upkeep.finished.take() {
            self.end_checkpoint(outcome);
        }
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            if let Some(partition) = self.partitions.get(&id)
                && !partition.replica.producers().is_empty()
            {
                let end = partition.log.end();
                self.snapshot_producers(id, end);
            }
        }
        self.upkeep.is_closing = true;
        self.begin_checkpoint();
        while self.upkeep.running.is_some() {
            self.upkeep.checkpoint_done().await;
        }
        if let Some(outcome) = self.upkeep.finished.take() {
            self.end_checkpoint(outcome);
        }
        let waiters = self.parked.drain();
        self.wake(waiters);
        let is_in_order =
            |p: &super::Partition| !p.log.is_failed() && !p.log.wants_final_checkpoint();
        !self.is_failed && self.partitions.values().all(is_in_order)
    }
}
