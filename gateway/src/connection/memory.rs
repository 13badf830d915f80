//! The memory that requests may take, in all connections together.
//!
//! Invariant: the sum of all permits is at most the budget (`queued.max.request.bytes`), which is at least one request of the
//! largest size. Deliberately does not know what the memory holds.

use std::sync::Arc;

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
}
