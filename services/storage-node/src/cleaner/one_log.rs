//! The compaction of one log, from its first dirty key to the checkpoint.
//!
//! Invariant: the order that `log/compaction.rs` gives: written and synced, committed, replaced, settled, the folder synced between; the
//! checkpoint last. Between two steps it may be stopped, wait for its rate, or learn that the partition is gone.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ottla_log_format::compaction::{KeyHasher, OffsetMap};
use ottla_types::{Offset, ProducerId};
use tokio::sync::watch;
use tracing::info;

use super::{Common, Stopped, ask};
use crate::log::{
    Cleanable, CleanedSegment, ClosedSegment, CompactionError, Dirty, KeyScan, Progress,
    RecoveryPoints, Rewrite, RewriteRules, group_segments,
};
use crate::shard::ShardHandle;
use crate::shard::cleaning::{BegunCleaning, CleanerAsk, CleaningId, SwapStep};
use crate::shard::message::Message;

/// Why a cleaning ended early.
pub(super) enum Ended {
    /// The node stops.
    Stopped,
    /// The log cannot be compacted.
    Failed(CompactionError),
}

impl From<CompactionError> for Ended {
    fn from(error: CompactionError) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// See the module.
pub(super) struct OneLog<'a> {
    common: &'a Common,
    stopped: watch::Receiver<bool>,
    shard: &'a ShardHandle,
    id: CleaningId,
    log: Arc<Cleanable>,
    producers: BTreeMap<ProducerId, Offset>,
    points: &'a RecoveryPoints,
    bytes_before: u64,
    bytes_after: u64,
}

impl<'a> OneLog<'a> {
    pub(super) fn new(
        common: &'a Common,
        stopped: watch::Receiver<bool>,
        shard: &'a ShardHandle,
        begun: BegunCleaning,
        points: &'a RecoveryPoints,
    ) -> Self {
        let BegunCleaning { id, cleanable, producers } = begun;
        Self {
            common,
            stopped,
            shard,
            id,
            log: Arc::new(cleanable),
            producers,
            points,
            bytes_before: 0,
            bytes_after: 0,
        }
    }

    /// Does all of it. An end because the partition is gone is no failure.
    pub(super) async fn run(mut self) -> Result<(), Ended> {
        let clock = Arc::clone(&self.common.seams.clock);
        let (began, now) = (clock.monotonic(), clock.wall());
        let topic = self.log.topic.clone();
        let partition = self.id.partition.partition;
        let checkpoint = self.points.cleaned().get(&topic, partition);
        let disk = Arc::clone(&self.common.seams.disk);
        let dirty = Dirty::of(&self.log, checkpoint, &*disk, now)?;
        let map = self.note_keys(&dirty).await?;
        let (end, keys, map_bytes) = (map.end().min(dirty.end), map.key_count(), map.size_bytes());
        // From now on offsets may be missing between its batches, and a start must know.
        self.points
            .cleaned()
            .set(&topic, partition, dirty.start)
            .map_err(|e| self.checkpoint(e))?;
        let producers = std::mem::take(&mut self.producers);
        let mut rules = RewriteRules { map, now, producers, keeps_tombstones: false };
        for group in group_segments(&self.log, end, &*disk) {
            if !self.compact_group(group, &mut rules).await? {
                return Ok(());
            }
        }
        self.points.cleaned().set(&topic, partition, end).map_err(|e| self.checkpoint(e))?;
        let took_ms = clock.monotonic().saturating_sub(began).as_millis();
        let (before, after) = (self.bytes_before, self.bytes_after);
        info!(
            topic = &*topic, %partition, up_to = %end, keys, map_bytes, before, after, took_ms,
            "a log is compacted"
        );
        Ok(())
    }

    fn checkpoint(&self, error: crate::log::RecoveryPointsError) -> Ended {
        let path = self.log.dir.clone();
        Ended::Failed(CompactionError::Io { path, source: io::Error::other(error) })
    }

    fn buffer_bytes(&self) -> usize {
        // One to read and one to write, for each thread.
        self.common.config.io_buffer_bytes / self.common.config.threads.max(1) / 2
    }

    /// The last offset of each key in the dirty part, or in as much of it as there is room for.
    async fn note_keys(&mut self, dirty: &Dirty) -> Result<OffsetMap, Ended> {
        let config = self.common.config;
        let hasher = KeyHasher::new(self.common.seams.rng.next_u128());
        let max_bytes = config.dedupe_bytes / config.threads.max(1);
        let mut map = OffsetMap::new(hasher, max_bytes, config.load_percent, dirty.start);
        let log = Arc::clone(&self.log);
        let is_dirty = |one: &&ClosedSegment| one.end > dirty.start && one.end <= dirty.end;
        for segment in log.segments.iter().filter(is_dirty) {
            let disk = &*self.common.seams.disk;
            let mut scan = KeyScan::begin(disk, &log, segment, self.buffer_bytes())?;
            loop {
                let (bytes, progress) = scan.step(dirty.start, &mut map)?;
                self.rest(bytes).await?;
                match progress {
                    Progress::GoesOn => {}
                    Progress::SegmentIsOver => break,
                    Progress::MapIsFull => return Ok(map),
                }
            }
        }
        Ok(map)
    }

    /// Compacts some neighbours into one; false if the partition is gone.
    async fn compact_group(
        &mut self,
        group: Vec<ClosedSegment>,
        rules: &mut RewriteRules,
    ) -> Result<bool, Ended> {
        let disk = Arc::clone(&self.common.seams.disk);
        let Some(base) = group.first().map(|first| first.base) else { return Ok(true) };
        let size: u64 = group.iter().map(|segment| u64::from(segment.size)).sum();
        self.bytes_before += size;
        let written = self.write(group, rules).await;
        let swapped = match written {
            Ok(cleaned) if cleaned.is_unchanged => {
                self.bytes_after += size;
                Rewrite::discard(&*disk, &self.log, base);
                return Ok(true);
            }
            Ok(cleaned) => {
                self.bytes_after += u64::from(cleaned.size);
                self.swap(cleaned).await
            }
            Err(ended) => Err(ended),
        };
        if !matches!(swapped, Ok(true)) {
            // Of no use any more; what was committed is not called so any more, and the end of the cleaning sees to it.
            Rewrite::discard(&*disk, &self.log, base);
        }
        swapped
    }

    async fn write(
        &mut self,
        group: Vec<ClosedSegment>,
        rules: &mut RewriteRules,
    ) -> Result<CleanedSegment, Ended> {
        let (disk, log) = (&self.common.seams.disk, &self.log);
        let mut rewrite = Rewrite::begin(disk, log, group, self.buffer_bytes())?;
        while let Some(bytes) = rewrite.step(rules)? {
            self.rest(bytes).await?;
        }
        Ok(rewrite.finish()?)
    }

    /// Puts a written segment in its place; false if the partition is gone.
    async fn swap(&self, cleaned: CleanedSegment) -> Result<bool, Ended> {
        if !self.step(SwapStep::Commit(cleaned.base)).await? {
            return Ok(false);
        }
        // Now it counts. An error here ends the cleaning, and with it the commit.
        self.sync_folder()?;
        if !self.step(SwapStep::Replace(cleaned)).await? {
            return Ok(false);
        }
        // Now nothing is left of the old ones. After an error nobody knows: the partition stops (R16).
        if let Err(cause) = self.sync_folder() {
            let fail = CleanerAsk::Fail(self.id, cause.to_string());
            self.shard.send(Message::Clean(fail)).await.map_err(|_| Stopped)?;
            return Err(cause.into());
        }
        let is_settled = self.step(SwapStep::Settle).await?;
        if is_settled {
            self.sync_folder()?;
        }
        Ok(is_settled)
    }

    async fn step(&self, step: SwapStep) -> Result<bool, Stopped> {
        ask(self.shard, |answer| CleanerAsk::Swap(self.id, step, answer)).await
    }

    fn sync_folder(&self) -> Result<(), CompactionError> {
        match self.common.seams.disk.sync_dir(&self.log.dir) {
            // The partition was deleted: the next step is not done.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(CompactionError::Io { path: self.log.dir.clone(), source }),
            Ok(()) => Ok(()),
        }
    }

    /// Waits as long as the rate demands.
    async fn rest(&mut self, bytes: u64) -> Result<(), Stopped> {
        if *self.stopped.borrow() || self.stopped.has_changed().is_err() {
            return Err(Stopped);
        }
        let clock = &self.common.seams.clock;
        let pause = self.common.throttle.pause_after(bytes, clock.monotonic());
        if pause.is_zero() {
            return Ok(());
        }
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => Err(Stopped),
            () = clock.sleep(pause) => Ok(()),
        }
    }
}
