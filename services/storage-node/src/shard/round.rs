//! The end of a round: one sync for all partitions, then watermarks, answers, wake-ups.
//!
//! Invariant: `settle` is the only place from which produces are acknowledged, and it runs after `commit`.

use std::collections::BTreeSet;

use ottla_partition::Effect;
use ottla_runtime::child_span;
use ottla_runtime::telemetry::trace_parent_of;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, TopicPartition};
use tokio::sync::oneshot;
use tracing::Span;

use super::Shard;
use super::parked::Waiter;
use crate::log::{Committed, Journal, JournalError, Round, RoundError};

/// What a round gathers.
pub(super) struct RoundWork {
    /// Frames of the journal.
    pub(super) frames: Round,
    /// Partitions whose ends may count anew.
    pub(super) touched: BTreeSet<TopicPartition>,
    /// Bytes of batches since the last commit.
    pub(super) bytes: usize,
    /// What is durable already.
    pub(super) committed: Vec<Committed>,
    /// Sampled produces that wait.
    pub(super) traced: Vec<(Span, usize)>,
    /// Partitions were made: nothing more may be answered before they are durable.
    pub(super) has_new_partitions: bool,
    /// Whoever waits for assignments to be durable.
    pub(super) assigned: Vec<oneshot::Sender<()>>,
}

impl RoundWork {
    pub(super) fn new(journal: &Journal) -> Self {
        Self {
            frames: Round::new(journal),
            touched: BTreeSet::new(),
            bytes: 0,
            committed: Vec::new(),
            traced: Vec::new(),
            has_new_partitions: false,
            assigned: Vec::new(),
        }
    }
}

impl Shard {
    /// Makes the round durable: writes the journal and syncs it once.
    pub(super) async fn commit(&mut self, round: &mut RoundWork) -> Result<(), RoundError> {
        if self.is_failed {
            return Ok(());
        }
        let (began, is_empty) = (self.seams.clock.monotonic(), round.frames.is_empty());
        let spans: Vec<_> =
            round.traced.iter().map(|(span, _)| child_span!(span, "journal.sync")).collect();
        let committed = loop {
            match round.frames.commit(&*self.seams.disk, &mut self.journal) {
                // Its retired file must be emptied before the round can be durable.
                Err(RoundError::Journal(JournalError::Full)) => self.empty_journal().await?,
                outcome => break outcome?,
            }
        };
        drop(spans);
        if !is_empty {
            let trace = round.traced.first().and_then(|(span, _)| trace_parent_of(span));
            let took = self.seams.clock.monotonic().saturating_sub(began);
            self.figures.commits.observe(took, trace);
        }
        round.committed.extend(committed);
        round.bytes = 0;
        Ok(())
    }

    /// A request is larger than a round may be: what there is becomes durable, and nobody is told yet.
    pub(super) async fn commit_midway(&mut self, round: &mut RoundWork) {
        if let Err(error) = self.commit(round).await {
            self.r16_fail(&error);
        }
    }

    /// What the round made durable counts now: moves watermarks, answers, wakes.
    pub(super) fn settle(&mut self, round: RoundWork, outcome: Result<(), RoundError>) {
        for (span, key) in &round.traced {
            self.produces.wait_begins(*key, || child_span!(span, "high_watermark.wait"));
        }
        if let Err(error) = outcome {
            self.r16_fail(&error);
        }
        if !self.is_failed {
            for committed in &round.committed {
                if let Some(partition) = self.partitions.get_mut(&committed.partition) {
                    partition.log.apply_commit(committed);
                }
            }
            for id in &round.touched {
                self.ends_count(*id);
            }
        }
        for assigned in round.assigned {
            _ = assigned.send(());
        }
        self.expire();
    }

    /// Tells the replica how far its log is written and durable, and obeys.
    pub(super) fn ends_count(&mut self, id: TopicPartition) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let mut effects = Vec::new();
        partition.replica.written(partition.log.end(), &mut effects);
        partition.replica.durable(partition.log.durable_end(), &mut effects);
        self.obey(id, effects);
    }

    /// Carries out what a replica wants, after any change of it.
    pub(super) fn obey(&mut self, id: TopicPartition, effects: Vec<Effect>) {
        if let Some(partition) = self.partitions.get(&id) {
            partition.tell();
        }
        for effect in effects {
            let Some(partition) = self.partitions.get_mut(&id) else { return };
            let log_start = partition.replica.start();
            match effect {
                Effect::Acknowledge(ticket) => {
                    self.produces.settle(ticket, ErrorCode::None, log_start);
                }
                Effect::Refuse(ticket, code) => self.produces.settle(ticket, code, log_start),
                Effect::WakeFetches { .. } => {
                    let bytes = std::mem::take(&mut partition.bytes_unseen).max(1);
                    let waiters = self.parked.bytes_came(id, bytes);
                    self.wake(waiters);
                }
            }
        }
    }

    /// Answers fetches that waited, with what there is; lets callers ask again.
    pub(super) fn wake(&mut self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Fetch(job) => {
                    let results = self.read_all(&job);
                    self.answer_fetch(job, results);
                }
                Waiter::Caller(waker) => _ = waker.upgrade().map(|waker| waker.notify_one()),
            }
        }
    }

    /// Answers those whose time is over.
    fn expire(&mut self) {
        let now = self.seams.clock.monotonic();
        let partitions = &mut self.partitions;
        self.produces.expire(now, |id, ticket, end| {
            if let Some(partition) = partitions.get_mut(&id) {
                partition.replica.stop_waiting(ticket, end);
            }
        });
        let waiters = self.parked.expire(now);
        self.wake(waiters);
    }

    /// R16: one replica stops; those who wait for it are told.
    pub(super) fn stop_replica(&mut self, id: TopicPartition) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        partition.log.fail();
        let mut effects = Vec::new();
        partition.replica.r16_stop(&mut effects);
        self.obey(id, effects);
        let waiters = self.parked.partition_changed(id);
        self.wake(waiters);
    }

    /// Who leads a partition, if it is another node.
    pub(super) fn known_other_leader(&self, id: TopicPartition) -> Option<(NodeId, LeaderEpoch)> {
        let leader = self.partitions.get(&id)?.replica.known_leader()?;
        (leader.0 != self.me).then_some(leader)
    }
}
