//! Virtual time: tokio's own (which a simulation pauses and moves), or one that a test moves by hand.
//!
//! Invariant: wall time begins at a fixed moment, never at the machine's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use ottla_types::TimestampMs;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::seams::Clock;

/// Where every simulated wall clock begins: 2025-01-01T00:00:00Z.
const SIMULATED_EPOCH: TimestampMs = TimestampMs(1_735_689_600_000);

fn wall_after(elapsed: Duration) -> TimestampMs {
    SIMULATED_EPOCH.plus_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// The time of the tokio runtime that it is made in.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    started: Instant,
    /// Virtual time that had passed before: a host that starts again finds its wall clock ahead.
    earlier: Duration,
}

impl SimClock {
    /// A clock of the present runtime; inside a turmoil simulation its wall time is the simulation's.
    pub fn new() -> Self {
        #[cfg(feature = "sim")]
        let earlier = turmoil::sim_elapsed().unwrap_or_default();
        #[cfg(not(feature = "sim"))]
        let earlier = Duration::ZERO;
        Self { started: Instant::now(), earlier }
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn wall(&self) -> TimestampMs {
        wall_after(self.earlier + self.started.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    elapsed: watch::Sender<Duration>,
    wall_shift_ms: Arc<Mutex<i64>>,
}

impl ManualClock {
    /// A clock at the beginning of simulated time.
    pub fn new() -> Self {
        Self { elapsed: watch::Sender::new(Duration::ZERO), wall_shift_ms: Arc::default() }
    }

    /// Moves both clocks forward and wakes those whose sleep is over.
    pub fn advance(&self, duration: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += duration);
    }

    /// Moves only the wall clock, in either direction, as an administrator or NTP would.
    pub fn jump_wall(&self, by_ms: i64) {
        *self.wall_shift_ms.lock().unwrap_or_else(PoisonError::into_inner) += by_ms;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> TimestampMs {
        let shift_ms = *self.wall_shift_ms.lock().unwrap_or_else(PoisonError::into_inner);
        wall_after(self.monotonic()).plus_ms(shift_ms)
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.monotonic() + duration;
        let mut elapsed = self.elapsed.subscribe();
        Box::pin(async move {
            // A clock that is gone moves no more: whoever sleeps by it sleeps for ever.
            if elapsed.wait_for(|now| *now >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_when_it_is_moved() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep(Duration::from_millis(10));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_millis(9));
        assert!(sleep.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!(clock.wall(), SIMULATED_EPOCH.plus_ms(10));
        clock.jump_wall(-50);
        assert_eq!(
            (clock.wall(), clock.monotonic()),
            (SIMULATED_EPOCH.plus_ms(-40), Duration::from_millis(10))
        );
    }
}
