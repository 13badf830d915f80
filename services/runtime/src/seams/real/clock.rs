//! The clocks of the machine: the wall clock may jump, the monotonic one counts from the making of this value.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use ottla_types::TimestampMs;

use crate::seams::Clock;

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    started: Instant,
}

impl RealClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn wall(&self) -> TimestampMs {
        // A clock set before 1970 reads as 1970: a negative time would mean "none" to Kafka's clients.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
