//! Points in time as Kafka counts them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time of a decision: an argument of every core that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For the stamps in events.
    pub wall: TimestampMs,
    /// For sessions, leases and other waits: time since some fixed point of this process, never set back.
    pub monotonic: Duration,
}

/// Milliseconds since the Unix epoch; -1 means none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// Kafka's `-1`: no timestamp.
    pub const NONE: Self = Self(-1);

    /// This point plus some milliseconds; saturates.
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point; saturates.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
