//! The cleaner: threads that compact logs beside everything else. One thread works on one log at a time, the dirtiest first.
//!
//! Invariant: it touches no file that a shard reads or writes, but through the shard's own renames. What it has read counts only once it
//! is written, synced and swapped in; until then its end at any point loses nothing. Memory is one map of keys and two buffers a thread.
//! Deliberately decides on no record.

mod one_log;
mod throttle;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use ottla_runtime::Seams;
use ottla_types::TopicPartition;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::config::CleanerConfig;
use crate::log::{CompactionError, Dirty};
use crate::shard::ShardHandle;
use crate::shard::cleaning::{BegunCleaning, CleanerAsk, Surveyed};
use crate::shard::message::Message;
use one_log::OneLog;
use throttle::Throttle;

/// All threads of a node's cleaner.
pub(crate) struct Cleaner {
    stop: watch::Sender<bool>,
    ended: Vec<Shared<BoxFuture<'static, ()>>>,
}

/// Why a thread of the cleaner does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// What the threads share.
struct Common {
    seams: Seams,
    config: CleanerConfig,
    shards: Vec<ShardHandle>,
    throttle: Throttle,
    /// Partitions with a segment that cannot be compacted: they are left alone until the node starts anew, as in Kafka.
    uncleanable: Mutex<BTreeSet<TopicPartition>>,
}

impl Cleaner {
    /// Starts the threads.
    pub(crate) fn start(seams: &Seams, config: CleanerConfig, shards: Vec<ShardHandle>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let common = Arc::new(Common {
            seams: seams.clone(),
            config,
            shards,
            throttle: Throttle::new(config.max_bytes_per_second),
            uncleanable: Mutex::default(),
        });
        let begin = |number: usize| {
            let thread = Thread { common: Arc::clone(&common), stopped: stopped.clone() };
            let actor = Box::new(move || thread.run().boxed_local());
            let task = seams.tasks.spawn_actor(format!("log-cleaner-{number}"), actor);
            let ended = async move {
                if let Err(cause) = task.join().await {
                    error!("a thread of the log cleaner ended: {cause}; report this as a bug");
                }
            };
            ended.boxed().shared()
        };
        Self { stop, ended: (0..config.threads).map(begin).collect() }
    }

    /// Ends what is under way, which is begun anew at the next start.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        join_all(self.ended.iter().cloned()).await;
    }
}

/// One thread.
struct Thread {
    common: Arc<Common>,
    stopped: watch::Receiver<bool>,
}

/// A log that is worth it, and how dirty it is.
struct Candidate {
    surveyed: Surveyed,
    millionths: u64,
    shard: usize,
}

impl Thread {
    async fn run(mut self) {
        loop {
            let Ok(has_cleaned) = self.clean_dirtiest().await else { return };
            if has_cleaned {
                continue;
            }
            let rest = self.common.seams.clock.sleep(self.common.config.backoff);
            tokio::select! {
                biased;
                // Also when the node is gone without a word.
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                () = rest => {}
            }
        }
    }

    /// Compacts the dirtiest log that is worth it; false if there is none.
    async fn clean_dirtiest(&self) -> Result<bool, Stopped> {
        let mut candidates = self.candidates().await?;
        candidates.sort_by_key(|one| std::cmp::Reverse(one.millionths));
        for candidate in candidates {
            let shard = &self.common.shards[candidate.shard];
            let id = candidate.surveyed.cleanable.partition;
            let begun = ask(shard, |answer| CleanerAsk::Begin(id, answer)).await?;
            // Another thread was quicker, or it is gone.
            let Some(begun) = begun else { continue };
            if self.clean_one(shard, begun, &candidate.surveyed).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, Stopped> {
        let mut candidates = Vec::new();
        for (shard, handle) in self.common.shards.iter().enumerate() {
            for surveyed in ask(handle, CleanerAsk::Survey).await? {
                let id = surveyed.cleanable.partition;
                if self.common.is_uncleanable(id) {
                    continue;
                }
                match self.dirty_part(&surveyed) {
                    Ok(dirty) if dirty.is_worth_it(&surveyed.cleanable.config) => {
                        let millionths = dirty.millionths();
                        candidates.push(Candidate { surveyed, millionths, shard });
                    }
                    Ok(_) => {}
                    Err(cause) => self.common.give_up(&surveyed, &cause),
                }
            }
        }
        Ok(candidates)
    }

    fn dirty_part(&self, surveyed: &Surveyed) -> Result<Dirty, CompactionError> {
        let log = &surveyed.cleanable;
        let checkpoint = surveyed.points.cleaned().get(&log.topic, log.partition.partition);
        let (disk, now) = (&*self.common.seams.disk, self.common.seams.clock.wall());
        Dirty::of(log, checkpoint, disk, now)
    }

    /// Compacts a log; whether that came about.
    async fn clean_one(
        &self,
        shard: &ShardHandle,
        begun: BegunCleaning,
        surveyed: &Surveyed,
    ) -> Result<bool, Stopped> {
        let id = begun.id;
        let work = OneLog::new(&self.common, self.stopped.clone(), shard, begun, &surveyed.points);
        let outcome = work.run().await;
        // Whatever became of it; a shard that is gone needs no word.
        ask(shard, |answer| CleanerAsk::End(id, answer)).await?;
        match outcome {
            Ok(()) => Ok(true),
            Err(one_log::Ended::Stopped) => Err(Stopped),
            Err(one_log::Ended::Failed(cause)) => {
                self.common.give_up(surveyed, &cause);
                Ok(false)
            }
        }
    }
}

impl Common {
    fn is_uncleanable(&self, id: TopicPartition) -> bool {
        self.uncleanable.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn give_up(&self, surveyed: &Surveyed, cause: &CompactionError) {
        let id = surveyed.cleanable.partition;
        if let CompactionError::Io { source, .. } = cause {
            // One that is not there was deleted meanwhile. Else the disk may be full: it is tried again.
            if source.kind() != std::io::ErrorKind::NotFound {
                warn!(topic = &*surveyed.cleanable.topic, partition = %id.partition, "not compacted now: {cause}");
            }
            return;
        }
        error!(
            topic = &*surveyed.cleanable.topic, partition = %id.partition,
            "this log is not compacted any more: {cause}; it is served, and grows; check the disk, then restart the node"
        );
        self.uncleanable.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }
}

/// Asks a shard, which may be gone: then the cleaner has nothing to do.
async fn ask<T>(
    shard: &ShardHandle,
    question: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> CleanerAsk,
) -> Result<T, Stopped> {
    shard.ask(|answer| Message::Clean(question(answer))).await.map_err(|_| Stopped)
}
