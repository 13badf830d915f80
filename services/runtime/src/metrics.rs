//! The process's metrics: what counts them, and how a scrape is answered.
//!
//! Invariant: a scrape reads counters and never waits for the data path, nor does the data path wait for a scrape. Names and
//! meanings are the roles' business; all of them are in the table of ARCHITECTURE.md.

mod latency;
mod plain_text;
mod process;
mod recent;
mod scrape;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::{Metric, Registry};

pub use latency::{Bucket, Buckets, Exemplar, LatencyHistogram};
pub use recent::Recent;
pub use scrape::{Family, Format, Kind, Labels, Scrape};

/// Figures that are written when somebody asks for them.
pub trait Source: Send + Sync + 'static {
    /// Asks others for what they know, before [`Self::write`]; may be dropped before it completed, when it takes too long.
    fn refresh(&self) -> BoxFuture<'_, ()> {
        futures::future::ready(()).boxed()
    }

    /// Writes its families. No two sources of a process write the same one.
    fn write(&self, scrape: &mut Scrape);
}

/// All metrics of a process. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    sources: Arc<Mutex<Vec<Arc<dyn Source>>>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
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
    /// is without `_total`. Counters and gauges only: what else there is comes from a [`Source`].
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        // The text format ends the help with a stop of its own.
        self.registry().register(name, help.trim_end_matches('.'), metric.clone());
        metric
    }

    /// Adds figures that are written when they are asked for.
    pub fn add(&self, source: Arc<dyn Source>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Lets all sources ask for what they do not have at hand.
    pub async fn refresh(&self) {
        let sources = self.sources();
        join_all(sources.iter().map(|source| source.refresh())).await;
    }

    /// All metrics as text, as of the last [`Self::refresh`] where somebody had to be asked.
    pub fn write(&self, format: Format) -> String {
        let mut counted = String::new();
        encode_registry(&mut counted, &self.registry())
            .expect("a string takes all that is written to it");
        let mut scrape = Scrape::new(format);
        scrape.text = match format {
            Format::OpenMetrics => counted,
            Format::PlainText => plain_text::from_open_metrics(&counted),
        };
        for source in self.sources() {
            source.write(&mut scrape);
        }
        if format == Format::OpenMetrics {
            scrape.text.push_str("# EOF\n");
        }
        scrape.text
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::TraceParent;
    use prometheus_client::metrics::counter::Counter;
    use std::time::Duration;

    struct Waiting(LatencyHistogram);

    impl Source for Waiting {
        fn write(&self, scrape: &mut Scrape) {
            let mut family = scrape.family(Kind::Histogram, "ottla_wait_seconds", "Waiting.");
            family.histogram(&[("phase", "queue")], &self.0);
        }
    }

    #[test]
    fn what_is_counted_is_in_the_text_with_its_exemplar() {
        let metrics = Metrics::new().with_process();
        let count: Counter = metrics.register("ottla_things", "Things.", Counter::default());
        count.inc_by(3);
        let latency = LatencyHistogram::default();
        metrics.add(Arc::new(Waiting(latency.clone())));
        let trace = TraceParent { trace_id: 0xabc, span_id: 1, sampled: true };
        latency.observe(Duration::from_micros(700), Some(trace));
        latency.observe(Duration::from_secs(3), Some(TraceParent { sampled: false, ..trace }));
        let text = metrics.write(Format::OpenMetrics);
        assert!(text.contains("ottla_things_total 3\n"), "{text}");
        let exemplar = format!(
            "ottla_wait_seconds_bucket{{phase=\"queue\",le=\"0.0008\"}} 1 # {{trace_id=\"{:032x}\"}} 0.0007\n",
            0xabc
        );
        assert!(text.contains(&exemplar), "{text}");
        assert_eq!(text.matches(" # {").count(), 1, "{text}");
        assert!(text.contains("ottla_wait_seconds_count{phase=\"queue\"} 2\n"), "{text}");
        assert!(
            text.contains("\nprocess_resident_memory_bytes ") && text.ends_with("# EOF\n"),
            "{text}"
        );
        let plain = metrics.write(Format::PlainText);
        assert!(plain.contains("# TYPE ottla_things_total counter\n"), "{plain}");
        assert!(!plain.contains(" # {") && !plain.contains("# EOF"), "{plain}");
    }
}
