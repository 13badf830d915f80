//! A storage shard: one thread that owns some partitions, their files and their journal.
//!
//! Invariant (law 3, durable, then visible): in each turn of the loop batches are placed and written, the journal is synced once, and
//! only then watermarks move and callers are answered. Nothing waits for a timer to be batched: a round is what was queued.
//! Deliberately does not know the network, nor which other shards there are.

pub(crate) mod cleaning;
pub(crate) mod failures;
mod fetch;
mod lifecycle;
pub(crate) mod message;
mod offsets;
mod parked;
mod partition;
mod produce;
pub(crate) mod produces;
pub(crate) mod replicas;
mod round;
pub(crate) mod topic_settings;
pub(crate) mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Seams;
use ottla_runtime::seams::TaskHandle;
use ottla_types::{ErrorCode, NodeId, TopicPartition};
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::unconstrained;
use tracing::error;

use crate::figures::NodeFigures;
use crate::log::{Files, Journal, RecoveryPoints};
use crate::mutant::Mutation;
use failures::Failures;
use message::Message;
use parked::Parked;
use produces::Produces;
use round::RoundWork;
use upkeep::Upkeep;

pub(crate) use offsets::answer as offset_answer;
pub(crate) use partition::Partition;

/// Messages that may wait at a shard; whoever sends more waits.
pub(crate) const INBOX_MESSAGES: usize = 4096;
/// Messages that one round takes.
const ROUND_MESSAGES: usize = 4096;
/// Bytes of batches and frames after which a round takes no more messages; a small journal takes less.
const ROUND_BYTES: usize = 16 << 20;
/// A round takes at most this part of a journal file, so that the last batch always fits.
const ROUNDS_PER_JOURNAL: u64 = 4;

/// Deleted partitions of an earlier life are removed after this: the default of `file.delete.delay.ms`.
const LEFTOVER_DELAY: Duration = Duration::from_secs(60);

/// How other actors reach a shard.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    inbox: mpsc::Sender<Message>,
}

/// The shard is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardGone;

impl ShardHandle {
    /// Puts a message into the inbox; waits while it is full, in the order of first polls.
    pub(crate) async fn send(&self, message: Message) -> Result<(), ShardGone> {
        // Unconstrained: tokio's budget must not put a first poll off until after a later caller's.
        unconstrained(self.inbox.send(message)).await.map_err(|_| ShardGone)
    }

    /// Sends a message that carries the way back, and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, ShardGone> {
        let (answer, answered) = oneshot::channel();
        self.send(message(answer)).await?;
        answered.await.map_err(|_| ShardGone)
    }
}

/// What a shard is made of.
pub(crate) struct ShardParts {
    /// Over all directories of the node.
    pub(crate) index: usize,
    pub(crate) me: NodeId,
    pub(crate) seams: Seams,
    pub(crate) log_dir: PathBuf,
    pub(crate) files: Files,
    pub(crate) journal: Journal,
    /// Bytes of one of the journal's files.
    pub(crate) journal_bytes: u64,
    pub(crate) recovery_points: Arc<RecoveryPoints>,
    pub(crate) partitions: Vec<Partition>,
    /// Folders that are not served.
    pub(crate) quarantined: BTreeMap<TopicPartition, PathBuf>,
    /// Folders of partitions that were deleted in an earlier life.
    pub(crate) deleted: Vec<PathBuf>,
    pub(crate) periods: upkeep::Periods,
    pub(crate) failures: Arc<Failures>,
    pub(crate) figures: Arc<NodeFigures>,
    pub(crate) mutation: Mutation,
}

/// The state of a shard.
pub(super) struct Shard {
    index: usize,
    me: NodeId,
    seams: Seams,
    log_dir: PathBuf,
    files: Files,
    journal: Journal,
    /// Bytes after which a round is committed.
    round_bytes: usize,
    recovery_points: Arc<RecoveryPoints>,
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Folders that are not served; they go when their topics do.
    quarantined: BTreeMap<TopicPartition, PathBuf>,
    produces: Produces,
    parked: Parked,
    upkeep: Upkeep,
    mutation: Mutation,
    failures: Arc<Failures>,
    figures: Arc<NodeFigures>,
    /// Partitions that could not be made.
    unmade: BTreeSet<TopicPartition>,
    /// R16: the journal or a sync failed; nothing is appended any more.
    is_failed: bool,
}

/// Starts a shard on a thread of its own.
pub(crate) fn start(parts: ShardParts) -> (ShardHandle, TaskHandle) {
    let (inbox, messages) = mpsc::channel(INBOX_MESSAGES);
    let tasks = Arc::clone(&parts.seams.tasks);
    let name = format!("shard-{}", parts.index);
    let actor = Box::new(move || {
        let shard = Shard::new(parts);
        Box::pin(run(shard, messages)) as futures::future::LocalBoxFuture<'static, ()>
    });
    (ShardHandle { inbox }, tasks.spawn_actor(name, actor))
}

impl Shard {
    fn new(parts: ShardParts) -> Self {
        let now = parts.seams.clock.monotonic();
        let mut upkeep = Upkeep::new(parts.periods, now);
        for path in parts.deleted {
            upkeep.remove_later(path, now + LEFTOVER_DELAY);
        }
        let partitions: BTreeMap<_, _> =
            parts.partitions.into_iter().map(|p| (p.id(), p)).collect();
        for (id, partition) in &partitions {
            parts.figures.add(*id, Arc::clone(&partition.figures));
        }
        let round_bytes = usize::try_from(parts.journal_bytes / ROUNDS_PER_JOURNAL);
        Self {
            index: parts.index,
            me: parts.me,
            seams: parts.seams,
            log_dir: parts.log_dir,
            files: parts.files,
            journal: parts.journal,
            round_bytes: round_bytes.unwrap_or(ROUND_BYTES).min(ROUND_BYTES),
            recovery_points: parts.recovery_points,
            partitions,
            quarantined: parts.quarantined,
            produces: Produces::new(),
            parked: Parked::default(),
            upkeep,
            mutation: parts.mutation,
            failures: parts.failures,
            figures: parts.figures,
            unmade: BTreeSet::new(),
            is_failed: false,
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let wakes =
            [self.produces.next_deadline(), self.parked.next_deadline(), self.upkeep.next_wake()];
        wakes.into_iter().flatten().min()
    }
}

/// The loop: wait, drain, place, make durable, answer.
async fn run(mut shard: Shard, mut inbox: mpsc::Receiver<Message>) {
    loop {
        let first = shard.wait(&mut inbox).await;
        let mut round = RoundWork::new(&shard.journal);
        let mut stop = None;
        shard.drain(first, &mut inbox, &mut round, &mut stop).await;
        // Durable …
        let outcome = shard.commit(&mut round).await;
        // … then visible.
        shard.settle(round, outcome);
        shard.keep_up();
        if let Some(stopped) = stop {
            let is_clean = shard.close().await;
            _ = stopped.send(is_clean);
            return;
        }
        if inbox.is_closed() && inbox.is_empty() {
            return;
        }
    }
}

impl Shard {
    /// The first message of the next round; `None`: something else is due.
    async fn wait(&mut self, inbox: &mut mpsc::Receiver<Message>) -> Option<Message> {
        if let Ok(message) = inbox.try_recv() {
            return Some(message);
        }
        let now = self.seams.clock.monotonic();
        let pause = self.next_wake().map(|wake| wake.saturating_sub(now));
        if pause == Some(Duration::ZERO) {
            return None;
        }
        let sleep = async {
            match pause {
                Some(pause) => self.seams.clock.sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = inbox.recv() => message,
            () = self.upkeep.checkpoint_done() => None,
            () = sleep => None,
        }
    }

    /// Works on all that is queued, up to the bounds of a round. Reads are answered at once: they see what earlier rounds made
    /// durable.
    async fn drain(
        &mut self,
        first: Option<Message>,
        inbox: &mut mpsc::Receiver<Message>,
        round: &mut RoundWork,
        stop: &mut Option<oneshot::Sender<bool>>,
    ) {
        let mut next = first;
        for _ in 0..ROUND_MESSAGES {
            let Some(message) = next else { break };
            match message {
                Message::Produce(job) => self.place(job, round).await,
                Message::Fetch(job) => self.fetch(job),
                Message::Watch(job) => self.watch(job),
                Message::ListOffsets(job) => self.list_offsets(job),
                Message::EpochEnds(job) => self.epoch_ends(job),
                Message::DescribeProducers(job) => self.describe_producers(job),
                Message::PlanStarts(job) => self.plan_starts(job),
                Message::RaiseStarts(job) => self.raise_starts(job),
                Message::Clean(ask) => self.clean(ask),
                Message::Describe(answer) => _ = answer.send(self.describe()),
                Message::Assign(jobs, done) => self.assign(jobs, done, round).await,
                Message::Remove(ids, done) => self.remove(&ids, done, round),
                Message::Stop(stopped) => {
                    *stop = Some(stopped);
                    break;
                }
            }
            // A new partition is not seen by anybody before it is durable.
            if round.bytes >= self.round_bytes || round.has_new_partitions {
                break;
            }
            next = inbox.try_recv().ok();
        }
    }

    /// What to say of a partition that is not here.
    fn absent(&self, id: TopicPartition) -> ErrorCode {
        if self.is_failed || self.unmade.contains(&id) {
            ErrorCode::KafkaStorageError
        } else {
            ErrorCode::UnknownTopicOrPartition
        }
    }

    /// R16: the disk failed. Every replica stops; nothing is answered from them any more.
    fn r16_fail(&mut self, cause: &dyn std::error::Error) {
        if std::mem::replace(&mut self.is_failed, true) {
            return;
        }
        self.failures.add(self.index);
        error!(
            log_dir = %self.log_dir.display(),
            "this part of the log directory stops: {cause}; check the disk, then restart the node"
        );
        let ids: Vec<_> = self.partitions.keys().copied().collect();
        for id in ids {
            self.stop_replica(id);
        }
    }
}
