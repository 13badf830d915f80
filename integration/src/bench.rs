//! Ottla beside Apache Kafka: the same load, the same machine, one run, as ratios and CPU-seconds per GB.
//!
//! The load is a raw replay: one encoded Produce request is sent again and again, so that the generator costs little and
//! the server is what is measured. GB = 10⁹ bytes of record values.

pub mod fetch;
pub mod produce;
pub mod sink;
pub mod startup;
pub mod systems;
pub mod table;

use std::time::Duration;

/// Bytes of one record's value.
pub const RECORD_BYTES: usize = 1_000;

/// What one load moved.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Bytes of record values.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Moved {
    /// MB (10⁶ bytes) a second.
    pub fn mb_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// GB moved.
    pub fn gb(&self) -> f64 {
        self.bytes as f64 / 1e9
    }
}
