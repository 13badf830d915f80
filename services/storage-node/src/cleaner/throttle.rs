//! How fast the cleaner may read and write (`log.cleaner.io.max.bytes.per.second`), all its threads together.
//!
//! Invariant: over any time, no more bytes than the rate and one step of each thread.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// See the module.
pub(super) struct Throttle {
    bytes_per_second: Option<u64>,
    /// Monotonic time at which all that was done so far may be done.
    free_at: Mutex<Duration>,
}

impl Throttle {
    /// `None`: no limit.
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(Duration::ZERO) }
    }

    /// How long to wait after so many bytes, which were read or written by `now`.
    pub(super) fn pause_after(&self, bytes: u64, now: Duration) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now).saturating_add(takes);
        free_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_rate_and_idle_time_is_not_saved_up() {
        let throttle = Throttle::new(Some(1_000));
        let ms = Duration::from_millis;
        assert_eq!(throttle.pause_after(500, ms(0)), ms(500));
        assert_eq!(throttle.pause_after(500, ms(0)), ms(1000));
        assert_eq!(throttle.pause_after(100, ms(600)), ms(500));
        assert_eq!(throttle.pause_after(100, ms(9_000)), ms(100));
        assert_eq!(Throttle::new(None).pause_after(u64::MAX, ms(0)), ms(0));
    }
}
