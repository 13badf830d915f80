//! The process's metrics, as OpenMetrics text.
//!
//! Invariant: a scrape reads counters and never waits for the data path. Names and meanings are the roles' business.

mod latency;
mod process;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry};

pub use latency::{LatencyHistogram, TraceLabel};

/// What a scrape answers as `Content-Type`.
pub const OPEN_METRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a process. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the figures of the process itself: memory, CPU time, descriptors, threads.
    pub fn with_process(self) -> Self {
        self.registry().register_collector(Box::new(process::ProcessCollector));
        self
    }

    /// Adds a metric and gives it back. The full name is given (`ottla_…`, or a name that existing dashboards expect); a counter's
    /// is without `_total`.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        // The text format ends the help with a stop of its own.
        self.registry().register(name, help.trim_end_matches('.'), metric.clone());
        metric
    }

    /// For what `register` cannot do: units, collectors, prefixes.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry()).expect("a string takes all that is written to it");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::TraceParent;
    use prometheus_client::metrics::counter::Counter;
    use std::time::Duration;

    #[test]
    fn what_is_registered_is_in_the_text_with_its_exemplar() {
        let metrics = Metrics::new().with_process();
        let count: Counter = metrics.register("ottla_things", "Things.", Counter::default());
        count.inc_by(3);
        let latency =
            metrics.register("ottla_wait_seconds", "Waiting.", LatencyHistogram::default());
        let trace = TraceParent { trace_id: 0xabc, span_id: 1, sampled: true };
        latency.observe(Duration::from_micros(700), Some(trace));
        latency.observe(Duration::from_secs(3), None);
        let text = metrics.encode();
        assert!(text.contains("ottla_things_total 3\n"), "{text}");
        let exemplar = format!(
            "ottla_wait_seconds_bucket{{le=\"0.0008\"}} 1 # {{trace_id=\"{:032x}\"}} 0.0007",
            0xabc
        );
        assert!(text.contains(&exemplar), "{text}");
        assert!(text.contains("ottla_wait_seconds_count 2\n"), "{text}");
        assert!(
            text.contains("\nprocess_resident_memory_bytes ") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }
}
