//! Logs and traces of a process: text lines on stderr, spans over OTLP.
//!
//! Invariant: neither start-up nor a request ever waits for a collector: spans go through a bounded queue that drops when it is
//! full, and a collector that is not there costs one warning. Without sampling no span is built.
//! Deliberately outside the network seam: the exporter is OpenTelemetry's own, and a simulation runs without it.

mod export;
mod log;
mod sampling;
mod settings;
mod span;
#[cfg(test)]
mod tests;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::warn;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::seams::Seams;

pub use sampling::{Sampling, is_on};
pub use settings::TelemetryOptions;
pub use span::{
    SPAN_TARGET, SpanKind, TRACE_LINKS_MAX, child_of_remote, mark_error, root_span, sampled,
    set_attribute, span_from_remote, trace_parent_of,
};
/// For [`child_span!`](crate::child_span), which expands in crates that need not name it.
pub use tracing;

/// How long the last spans may take to leave at shutdown.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// The process's telemetry; held by `main` until the end.
#[must_use = "the last spans leave in `shutdown`"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging, and tracing where the environment (`OTEL_*`) or the options ask for it. Called once, inside the tokio
    /// runtime of the process. What is wrong with the settings is logged, and tracing stays off: a process serves without it.
    pub fn start(options: &TelemetryOptions) -> Self {
        let env = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let traces = settings::traces(options, &env);
        let built = match &traces {
            Ok(Some(traces)) => export::provider(traces, options, &env).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error.clone()),
        };
        let provider = built.as_ref().ok().cloned().flatten();
        let spans = provider.as_ref().map(span_layer);
        let lines = log::layer(&env);
        // A subscriber that is already there is a test's: it stays.
        _ = tracing_subscriber::registry().with(spans).with(lines).try_init();
        log::log_panics();
        if let Err(error) = built {
            warn!("tracing is off: {error}");
        }
        if let (Some(_), Ok(Some(traces))) = (&provider, traces) {
            sampling::set(Some(traces.sampling));
        }
        Self { provider }
    }

    /// Whether spans are exported.
    pub fn is_tracing(&self) -> bool {
        self.provider.is_some()
    }

    /// Sends the last spans, for two seconds at most.
    pub async fn shutdown(mut self, seams: &Seams) {
        sampling::set(None);
        let Some(provider) = self.provider.take() else { return };
        let flush = seams.tasks.run_blocking(Box::new(move || {
            // Whether a collector took the last spans changes nothing for a process that ends.
            _ = provider.shutdown_with_timeout(SHUTDOWN_LIMIT);
        }));
        let limit = seams.clock.sleep(SHUTDOWN_LIMIT + Duration::from_millis(500));
        futures::future::select(flush, limit).await;
    }
}

/// Takes Ottla's own spans, and what Ottla logs inside them; nothing of h2, hyper, tonic and tower.
fn span_layer(provider: &SdkTracerProvider) -> impl Layer<Registry> + use<> {
    let ours = filter_fn(|metadata| {
        if metadata.is_span() {
            metadata.target() == SPAN_TARGET
        } else {
            metadata.target().starts_with("ottla") && *metadata.level() <= tracing::Level::INFO
        }
    });
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("ottla"))
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_location(true)
        .with_filter(ours)
}
