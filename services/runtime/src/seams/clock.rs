//! Time as a seam. In a simulation both clocks are virtual.

use std::time::Duration;

use futures::future::BoxFuture;
use ottla_types::TimestampMs;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Wall time, for timestamps that leave the process. It may jump.
    fn wall(&self) -> TimestampMs;

    /// Time since some fixed point of this process; never goes back. For time-outs and measures.
    fn monotonic(&self) -> Duration;

    /// Completes after `duration` of monotonic time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
