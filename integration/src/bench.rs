//! Ottla beside Apache Kafka: the same load, the same machine, one run, as ratios and CPU-seconds per GB.
//!
//! The load is a raw replay: one encoded Produce request is sent again and again, so that the generator costs little and
//! the server is what is measured. GB = 10⁹ bytes of record values.

pub mod cpu;
pub mod discard;
pub mod fetch;
pub mod generator;
pub mod groups;
pub mod latency;
pub mod link;
pub mod many;
pub mod overload;
pub mod plan;
pub mod produce;
pub mod session;
pub mod shape;
pub mod sink;
pub mod startup;
pub mod systems;
pub mod table;

use std::path::PathBuf;
use std::time::Duration;

/// What holds for all rows of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where data may be written; emptied afterwards.
    pub dir: PathBuf,
    /// How long a load lasts.
    pub limit: Duration,
    /// The longest that one kind of load warms a system up.
    pub warm_up: Duration,
    /// Most bytes of record values of a load.
    pub limit_bytes: u64,
    /// Only rows whose name contains this.
    pub rows: String,
}

/// What one load moved.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Bytes of record values.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// What the threads of the load generator used, in CPU-seconds.
    pub generator_cpu_seconds: f64,
}

impl Moved {
    /// What several threads moved together.
    fn sum(threads: impl IntoIterator<Item = Share>, elapsed: Duration) -> Self {
        let nothing = Self { bytes: 0, elapsed, generator_cpu_seconds: 0.0 };
        threads.into_iter().fold(nothing, |sum, share| Self {
            bytes: sum.bytes + share.bytes,
            generator_cpu_seconds: sum.generator_cpu_seconds + share.cpu_seconds,
            ..sum
        })
    }

    /// MB (10⁶ bytes) a second.
    pub fn mb_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// GB moved.
    pub fn gb(&self) -> f64 {
        self.bytes as f64 / 1e9
    }
}

/// What one thread of a load moved.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Bytes of record values.
    bytes: u64,
    /// What the thread used so far.
    cpu_seconds: f64,
}

impl Share {
    /// Of the thread that calls this at its end.
    fn of_this_thread(bytes: u64) -> Self {
        Self { bytes, cpu_seconds: cpu::of_this_thread() }
    }
}
