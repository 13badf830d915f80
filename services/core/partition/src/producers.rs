//! What a partition remembers of idempotent producers, so that a batch sent twice is stored once.
//!
//! Invariant: of each known producer the last five batches of its newest epoch are remembered (a client has at most five in
//! flight), and a batch that is accepted follows the one before it without a gap. Bounded: when full, the producers that were
//! silent longest are forgotten, never one with an open transaction.
//! Deliberately does not know clocks: the time comes with each batch.

use std::collections::{BTreeMap, VecDeque};

use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::append::{AppendRefusal, BatchProducer};
use crate::open_transactions::OpenTransactions;

/// Batches remembered of one producer: `max.in.flight.requests.per.connection` of an idempotent client is at most 5.
pub const REMEMBERED_BATCHES: usize = 5;
/// Producers remembered of one partition.
pub const MAX_PRODUCERS: usize = 10_000;
/// Producers forgotten at once when the memory is full.
const FORGOTTEN_WHEN_FULL: usize = MAX_PRODUCERS / 10;

/// One remembered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMemory {
    /// Sequence of its first record.
    pub first_sequence: Sequence,
    /// Sequence of its last record.
    pub last_sequence: Sequence,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Its largest timestamp, which a duplicate is answered with under `LogAppendTime`.
    pub timestamp: TimestampMs,
}

/// One remembered producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// Its last batches in this epoch, oldest first; empty right after an epoch was raised by a marker.
    pub batches: VecDeque<BatchMemory>,
    /// When it was last heard of, by the wall clock of whoever appended.
    pub last_seen: TimestampMs,
}

impl Producer {
    fn duplicate_of(&self, batch: &BatchProducer, last: Sequence) -> Option<BatchMemory> {
        if self.epoch != batch.epoch {
            return None;
        }
        let same =
            |b: &&BatchMemory| b.first_sequence == batch.base_sequence && b.last_sequence == last;
        self.batches.iter().find(same).copied()
    }
}

/// Whether a batch is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequencing {
    /// It follows what is there.
    New,
    /// It is there already.
    Duplicate(BatchMemory),
}

/// The producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    known: BTreeMap<ProducerId, Producer>,
}

impl Producers {
    /// Remembered producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// How many producers are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no producer is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is remembered of one producer.
    pub fn get(&self, id: ProducerId) -> Option<&Producer> {
        self.known.get(&id)
    }

    /// Puts back what a snapshot remembered.
    pub fn restore(&mut self, id: ProducerId, producer: Producer) {
        self.known.insert(id, producer);
    }

    /// Whether a batch of `count` records may follow. A producer that is not known may begin with any sequence: its state may
    /// have expired, or been deleted with its records (as Kafka since 2.5, KIP-360).
    pub fn check(&self, batch: &BatchProducer, count: i32) -> Result<Sequencing, AppendRefusal> {
        let Some(known) = self.known.get(&batch.id) else { return Ok(Sequencing::New) };
        let last = batch.base_sequence.plus(count.saturating_sub(1).max(0));
        if let Some(memory) = known.duplicate_of(batch, last) {
            return Ok(Sequencing::Duplicate(memory));
        }
        if batch.epoch < known.epoch {
            return Err(AppendRefusal::InvalidProducerEpoch {
                known: known.epoch,
                got: batch.epoch,
            });
        }
        let expected = match known.batches.back() {
            Some(newest) if batch.epoch == known.epoch => newest.last_sequence.plus(1),
            _ => Sequence(0),
        };
        if batch.base_sequence == expected {
            return Ok(Sequencing::New);
        }
        Err(AppendRefusal::OutOfOrderSequence { expected, got: batch.base_sequence })
    }

    /// The batch is in the log: remember it. `batch.id` must be a producer's.
    pub fn replay(
        &mut self,
        batch: &BatchProducer,
        memory: BatchMemory,
        now: TimestampMs,
        open: &OpenTransactions,
    ) {
        if !self.known.contains_key(&batch.id) && self.known.len() >= MAX_PRODUCERS {
            self.forget_the_silent(open);
        }
        let producer = self.known.entry(batch.id).or_insert_with(|| Producer {
            epoch: batch.epoch,
            batches: VecDeque::new(),
            last_seen: now,
        });
        if producer.epoch != batch.epoch {
            producer.epoch = batch.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(memory);
        producer.last_seen = producer.last_seen.max(now);
    }

    /// Forgets producers that were silent for `expiration_ms` (`producer.id.expiration.ms`); how many.
    pub fn expire(
        &mut self,
        now: TimestampMs,
        expiration_ms: i64,
        open: &OpenTransactions,
    ) -> usize {
        let before = self.known.len();
        self.known.retain(|id, producer| {
            now.since_ms(producer.last_seen) < expiration_ms || open.is_open(*id)
        });
        before - self.known.len()
    }

    fn forget_the_silent(&mut self, open: &OpenTransactions) {
        let mut by_silence: Vec<_> = self
            .known
            .iter()
            .filter(|(id, _)| !open.is_open(**id))
            .map(|(id, producer)| (producer.last_seen, *id))
            .collect();
        by_silence.sort_unstable();
        for (_, id) in by_silence.into_iter().take(FORGOTTEN_WHEN_FULL) {
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
