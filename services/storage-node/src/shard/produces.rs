//! Produces that wait: for this round's sync, or for the high watermark.
//!
//! Invariant: each is answered exactly once, when all its partitions are settled or its time is over. A ticket names a produce
//! and one of its partitions, and is unique while it waits.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_api::storage::ProducePartitionResult;
use ottla_partition::Ticket;
use ottla_types::{ErrorCode, Offset, TimestampMs, TopicPartition};
use slab::Slab;
use tokio::sync::oneshot;
use tracing::Span;

/// Produces that may wait for watermarks at once; more are refused.
pub(super) const MAX_WAITING_PRODUCES: usize = 65_536;

/// The answer that one waiting partition will get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) slot: usize,
    pub(super) end: Offset,
}

struct Pending {
    answer: oneshot::Sender<Vec<ProducePartitionResult>>,
    results: Vec<ProducePartitionResult>,
    waiting: Vec<Waiting>,
    deadline: Duration,
    /// From the sync to the answer.
    wait_span: Span,
}

/// A produce whose partitions are being settled.
pub(super) struct Produces {
    pending: Slab<Pending>,
    deadlines: BTreeSet<(Duration, usize)>,
}

impl Produces {
    pub(super) fn new() -> Self {
        Self { pending: Slab::new(), deadlines: BTreeSet::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_WAITING_PRODUCES
    }

    /// Begins a produce whose partitions `waiting` are not settled; its key.
    pub(super) fn begin(
        &mut self,
        answer: oneshot::Sender<Vec<ProducePartitionResult>>,
        results: Vec<ProducePartitionResult>,
        waiting: Vec<Waiting>,
        deadline: Duration,
    ) -> usize {
        let wait_span = Span::none();
        let key = self.pending.insert(Pending { answer, results, waiting, deadline, wait_span });
        self.deadlines.insert((deadline, key));
        key
    }

    pub(super) const fn ticket(key: usize, slot: usize) -> Ticket {
        Ticket(((key as u64) << 32) | slot as u64)
    }

    /// The time from the sync to the answer begins for this produce, if it still waits.
    pub(super) fn wait_begins(&mut self, key: usize, span: impl FnOnce() -> Span) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.wait_span = span();
        }
    }

    /// One partition is settled; answers the produce if it was the last.
    pub(super) fn settle(&mut self, ticket: Ticket, error: ErrorCode, log_start: Offset) {
        let (key, slot) = split(ticket);
        let Some(pending) = self.pending.get_mut(key) else { return };
        pending.waiting.retain(|waiting| waiting.slot != slot);
        if let Some(result) = pending.results.get_mut(slot) {
            if error == ErrorCode::None {
                result.log_start_offset = log_start;
            } else {
                fail(result, error, None);
            }
        }
        if pending.waiting.is_empty() {
            self.finish(key);
        }
    }

    /// When the next produce's time is over.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Answers those whose time is over with REQUEST_TIMED_OUT; gives their tickets to `forget`.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        mut forget: impl FnMut(TopicPartition, Ticket, Offset),
    ) {
        while let Some(&(deadline, key)) = self.deadlines.first()
            && deadline <= now
        {
            let Some(pending) = self.pending.get_mut(key) else {
                self.deadlines.remove(&(deadline, key));
                continue;
            };
            for waiting in std::mem::take(&mut pending.waiting) {
                let result = &mut pending.results[waiting.slot];
                forget(result.partition, Self::ticket(key, waiting.slot), waiting.end);
                fail(result, ErrorCode::RequestTimedOut, None);
            }
            self.finish(key);
        }
    }

    fn finish(&mut self, key: usize) {
        let pending = self.pending.remove(key);
        self.deadlines.remove(&(pending.deadline, key));
        // Whoever asked may be gone.
        _ = pending.answer.send(pending.results);
    }
}

const fn split(ticket: Ticket) -> (usize, usize) {
    ((ticket.0 >> 32) as usize, (ticket.0 & 0xffff_ffff) as usize)
}

/// Turns an answer into a refusal.
pub(crate) fn fail(result: &mut ProducePartitionResult, error: ErrorCode, message: Option<String>) {
    result.error = error;
    result.error_message = message;
    result.base_offset = Offset::NONE;
    result.log_append_time = TimestampMs::NONE;
    result.log_start_offset = Offset::NONE;
}

/// An answer that says that nothing was appended.
pub(crate) fn refusal(
    partition: TopicPartition,
    error: ErrorCode,
    message: Option<String>,
) -> ProducePartitionResult {
    ProducePartitionResult {
        partition,
        error,
        error_message: message,
        base_offset: Offset::NONE,
        log_append_time: TimestampMs::NONE,
        log_start_offset: Offset::NONE,
        record_errors: Vec::new(),
        current_leader: None,
    }
}
