//! Pauses between attempts that grow, with jitter.
//!
//! Invariant: a pause lies between half and the whole of its step; steps double up to the longest.

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Seams;
use ottla_runtime::seams::{Clock, Rng};

/// The pauses of one series of attempts.
pub(crate) struct Backoff {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(seams: &Seams, first: Duration, most: Duration) -> Self {
        Self {
            clock: Arc::clone(&seams.clock),
            rng: Arc::clone(&seams.rng),
            first,
            most,
            next: first,
        }
    }

    /// An attempt succeeded: the next pause is the first again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Waits for the next pause, or not at all where it would end after `limit`; whether it waited.
    pub(crate) async fn pause_within(&mut self, limit: Duration) -> bool {
        let pause = self.take();
        if pause >= limit {
            return false;
        }
        self.clock.sleep(pause).await;
        true
    }

    /// Waits for the next pause.
    pub(crate) async fn pause(&mut self) {
        let pause = self.take();
        self.clock.sleep(pause).await;
    }

    fn take(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.most);
        let half = step / 2;
        let jitter = self.rng.next_u64() % (half.as_nanos() as u64).max(1);
        half + Duration::from_nanos(jitter)
    }
}
