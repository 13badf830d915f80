//! How logs are compacted.
//!
//! Invariant: each field is one key of the table, within what makes sense for it. Deliberately does not know what compaction is.

use std::time::Duration;

use super::sections::required_millis;
use crate::config::settings::Settings;

/// The log cleaner.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerConfig {
    /// Whether there is one (`log.cleaner.enable`).
    pub is_enabled: bool,
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`.
    pub dedupe_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`, in percent: from 1 to 95.
    pub load_percent: u8,
    /// `log.cleaner.io.buffer.size`.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`; `None` for no limit.
    pub max_bytes_per_second: Option<u64>,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
}

impl CleanerConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        let rate: f64 = settings.required("log.cleaner.io.max.bytes.per.second");
        let dedupe_bytes: i64 = settings.required("log.cleaner.dedupe.buffer.size");
        let load: f64 = settings.required("log.cleaner.io.buffer.load.factor");
        Self {
            is_enabled: settings.is_true("log.cleaner.enable"),
            threads: settings.required("log.cleaner.threads"),
            dedupe_bytes: usize::try_from(dedupe_bytes).unwrap_or(0),
            load_percent: (load * 100.0).clamp(1.0, 95.0) as u8,
            io_buffer_bytes: settings.required("log.cleaner.io.buffer.size"),
            // What does not fit a u64 is no limit; Kafka's default is the largest number there is.
            max_bytes_per_second: (rate < u64::MAX as f64).then_some(rate.max(1.0) as u64),
            backoff: required_millis(settings, "log.cleaner.backoff.ms"),
        }
    }
}
