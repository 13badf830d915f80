//! One replica: its log's ends, what it remembers, and the role that the metadata gave it.
//!
//! Invariant: `start <= high_watermark <= end` and `durable <= written <= end` (a cut or a raised start moves them together).
//! The shell reports facts in the order in which they happened: `replay` (a batch got its place), `written`, `durable`.
//! Deliberately does not know files, nor when a round begins and ends.

mod reads;
mod roles;
#[cfg(test)]
mod tests;

use ottla_types::{NodeId, Offset, TimestampMs};

pub use roles::{Assignment, ProgressReport, ReplicaRole};

use crate::append::{AppendRefusal, Batch, Decision, Placement, TimestampPolicy, check_batch};
use crate::effect::{Effect, Ticket};
use crate::high_watermark::r4_advance;
use crate::leader_epochs::LeaderEpochs;
use crate::open_transactions::OpenTransactions;
use crate::producers::{BatchMemory, Producers, Sequencing};

/// When an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced (`flush.messages=1`).
    Synced,
    /// Once it is written (any other value).
    Written,
}

/// What of a topic's configuration a replica obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// When an offset counts.
    pub durability: Durability,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamps: TimestampPolicy,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
}

/// What recovery found of a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredState {
    /// First offset of the log.
    pub start: Offset,
    /// Offset after the last record; all below is durable.
    pub end: Offset,
    /// The watermark that is known to have been reached; 0 if none.
    pub high_watermark: Offset,
    /// Its epochs.
    pub epochs: LeaderEpochs,
    /// Its producers.
    pub producers: Producers,
    /// Its open transactions.
    pub open_transactions: OpenTransactions,
}

/// One replica of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    me: NodeId,
    config: ReplicaConfig,
    start: Offset,
    end: Offset,
    written: Offset,
    durable: Offset,
    high_watermark: Offset,
    epochs: LeaderEpochs,
    producers: Producers,
    open_transactions: OpenTransactions,
    role: ReplicaRole,
}

impl Replica {
    /// A replica on node `me`, as recovery found it (or new), without a role yet.
    pub fn new(me: NodeId, config: ReplicaConfig, found: RecoveredState) -> Self {
        Self {
            me,
            config,
            start: found.start,
            end: found.end,
            written: found.end,
            durable: found.end,
            high_watermark: found.high_watermark.max(found.start).min(found.end),
            epochs: found.epochs,
            producers: found.producers,
            open_transactions: found.open_transactions,
            role: ReplicaRole::Unassigned,
        }
    }

    /// Decides on a batch that a client sent; changes nothing. `needs_all` is `acks=all`.
    pub fn decide_append(
        &self,
        batch: &Batch,
        needs_all: bool,
        now: TimestampMs,
    ) -> Result<Decision, AppendRefusal> {
        let leader = match &self.role {
            ReplicaRole::Leader(leader) => leader,
            ReplicaRole::Offline => return Err(AppendRefusal::Offline),
            ReplicaRole::Follower(_) | ReplicaRole::Unassigned => {
                return Err(AppendRefusal::NotLeader);
            }
        };
        let (isr, min) = (leader.isr.len(), self.config.min_insync_replicas);
        if needs_all && isr < min {
            return Err(AppendRefusal::NotEnoughReplicas { isr, min });
        }
        check_batch(batch, self.config.max_message_bytes, self.config.timestamps, now)?;
        if let Some(producer) = &batch.producer {
            if let Sequencing::Duplicate(memory) =
                self.producers.check(producer, batch.record_count)?
            {
                return Ok(Decision::Duplicate(memory));
            }
            // Nothing opens a transaction yet; the verification of KIP-890 will stand here.
            if batch.is_transactional && !self.open_transactions.is_open(producer.id) {
                return Err(AppendRefusal::InvalidTransactionState);
            }
        }
        let end_offset = self.end.0.checked_add(i64::from(batch.record_count));
        let end_offset = Offset(end_offset.ok_or(AppendRefusal::OffsetsExhausted)?);
        let stamped = self.config.timestamps == TimestampPolicy::LogAppendTime;
        Ok(Decision::Append(Placement {
            base_offset: self.end,
            end_offset,
            leader_epoch: leader.epoch,
            log_append_time: stamped.then_some(now),
        }))
    }

    /// A batch has its place: on the leader as decided, on a follower as its leader placed it. Its offsets do not count yet.
    pub fn replay(&mut self, batch: &Batch, place: &Placement, now: TimestampMs) {
        debug_assert_eq!(place.base_offset, self.end, "a log has no gaps");
        self.epochs.assign(place.leader_epoch, place.base_offset);
        if let Some(producer) = batch.producer.filter(|p| p.base_sequence.0 >= 0) {
            let last = batch.record_count.saturating_sub(1).max(0);
            let memory = BatchMemory {
                first_sequence: producer.base_sequence,
                last_sequence: producer.base_sequence.plus(last),
                base_offset: place.base_offset,
                last_offset: place.end_offset.plus(-1),
                timestamp: place.log_append_time.unwrap_or(batch.max_timestamp),
            };
            self.producers.replay(&producer, memory, now, &self.open_transactions);
        }
        self.end = place.end_offset;
    }

    /// Lets a produce wait until its end offset counts; answered with an effect of a later call. False: this replica leads no
    /// more, and will not answer.
    #[must_use]
    pub fn await_acknowledgement(&mut self, ticket: Ticket, end: Offset, needs_all: bool) -> bool {
        let ReplicaRole::Leader(leader) = &mut self.role else { return false };
        leader.wait(ticket, end, needs_all);
        true
    }

    /// The produce waits no longer (its time is over); whether it still did.
    pub fn stop_waiting(&mut self, ticket: Ticket, end: Offset) -> bool {
        match &mut self.role {
            ReplicaRole::Leader(leader) => leader.stop_waiting(ticket, end),
            _ => false,
        }
    }

    /// The log is written up to here.
    pub fn written(&mut self, end: Offset, effects: &mut Vec<Effect>) {
        self.written = self.written.max(end.min(self.end));
        self.settle(effects);
    }

    /// The log is durable up to here.
    pub fn durable(&mut self, end: Offset, effects: &mut Vec<Effect>) {
        self.written = self.written.max(end.min(self.end));
        self.durable = self.durable.max(end.min(self.end));
        self.settle(effects);
    }

    /// Retention or DeleteRecords raised the first offset.
    pub fn start_raised(&mut self, start: Offset, effects: &mut Vec<Effect>) {
        self.start = self.start.max(start.min(self.end));
        self.epochs.truncate_from_start(self.start);
        self.high_watermark = self.high_watermark.max(self.start);
        self.settle(effects);
    }

    /// The topic's configuration changed.
    pub fn reconfigure(&mut self, config: ReplicaConfig, effects: &mut Vec<Effect>) {
        self.config = config;
        self.settle(effects);
    }

    /// Forgets producers that were silent too long; how many.
    pub fn expire_producers(&mut self, now: TimestampMs) -> usize {
        self.producers.expire(now, self.config.producer_expiration_ms, &self.open_transactions)
    }

    /// Moves the watermark as far as the facts allow, and answers those who waited for it.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let counting_end = self.counting_end();
        let ReplicaRole::Leader(leader) = &mut self.role else { return };
        let ends = leader.counting_ends((self.me, counting_end));
        let min = self.config.min_insync_replicas;
        if let Some(moved) = r4_advance(self.high_watermark, ends, leader.isr.len(), min) {
            self.high_watermark = moved;
            effects.push(Effect::WakeFetches { high_watermark: moved });
        }
        leader.r7_acknowledge(counting_end, self.high_watermark, effects);
    }
}
