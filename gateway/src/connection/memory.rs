//! The memory that requests and answers may take, in all connections together.
//!
//! Invariant: the sum of all permits is at most the budget (`queued.max.request.bytes`), which is at least one request of the
//! largest size. Deliberately does not know what the memory holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frame_reader::OTHER_WEIGHT;

/// The budget is counted in units of this many bytes.
const UNIT_BYTES: usize = 1024;

/// What may be taken.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
}

/// What is taken; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryPermit {
    permit: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// A budget of this many bytes, or of one request of the largest size if that is more.
    pub(crate) fn new(bytes: usize, largest_request_bytes: usize) -> Self {
        let largest = largest_request_bytes.saturating_mul(OTHER_WEIGHT);
        let units = bytes.max(largest).div_ceil(UNIT_BYTES);
        Self { units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Makes a permit hold this many bytes; waits for others to give theirs back.
    pub(crate) async fn grow(&self, permit: &mut MemoryPermit, bytes: usize) {
        let missing = bytes.div_ceil(UNIT_BYTES).saturating_sub(permit.units());
        let Ok(missing) = u32::try_from(missing) else { return };
        if missing == 0 {
            return;
        }
        let taken = match self.units.clone().try_acquire_many_owned(missing) {
            Ok(taken) => taken,
            Err(_) => {
                let more = self.units.clone().acquire_many_owned(missing).await;
                more.expect("the semaphore is never closed")
            }
        };
        match &mut permit.permit {
            Some(permit) => permit.merge(taken),
            none => *none = Some(taken),
        }
    }
}

impl MemoryPermit {
    fn units(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// Memory that answers take until they are sent.
#[derive(Clone, Debug)]
pub(crate) struct AnswerMemory {
    limit: usize,
    held: Arc<AtomicUsize>,
}

/// The memory of one answer; given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldAnswer {
    bytes: usize,
    held: Arc<AtomicUsize>,
}

impl AnswerMemory {
    /// Room for this many bytes. It is a mark, not a wall: what has come from a storage node is sent.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// Bytes that may still be asked for.
    pub(crate) fn left(&self) -> usize {
        self.limit.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    /// Counts an answer until the value is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> HeldAnswer {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        HeldAnswer { bytes, held: self.held.clone() }
    }
}

impl Drop for HeldAnswer {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back() {
        let budget = MemoryBudget::new(10 * UNIT_BYTES, 0);
        let mut first = MemoryPermit::default();
        budget.grow(&mut first, 1).now_or_never().unwrap();
        budget.grow(&mut first, 8 * UNIT_BYTES).now_or_never().unwrap();
        let mut second = MemoryPermit::default();
        assert!(budget.grow(&mut second, 3 * UNIT_BYTES).now_or_never().is_none());
        drop(first);
        budget.grow(&mut second, 3 * UNIT_BYTES).now_or_never().unwrap();
    }

    #[test]
    fn the_largest_request_always_fits() {
        let budget = MemoryBudget::new(1, 100 * UNIT_BYTES);
        let mut permit = MemoryPermit::default();
        assert!(budget.grow(&mut permit, 100 * UNIT_BYTES * OTHER_WEIGHT).now_or_never().is_some());
    }

    #[test]
    fn an_answer_is_counted_until_it_is_sent() {
        let memory = AnswerMemory::new(100);
        let held = memory.hold(70);
        let more = memory.hold(70);
        assert_eq!(memory.left(), 0);
        drop(more);
        assert_eq!(memory.left(), 30);
        drop(held);
        assert_eq!(memory.left(), 100);
    }
}
