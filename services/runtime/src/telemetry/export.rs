//! Spans to a collector, over OTLP.
//!
//! Invariant: exporting runs on a thread of its own behind a bounded queue; a collector that fails is reported when it begins to
//! fail and when it is back, not in between.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::{info, warn};

use crate::telemetry::TelemetryOptions;
use crate::telemetry::settings::{Env, Traces};

/// Spans that wait for export; more are dropped.
const QUEUE_SPANS: usize = 16 << 10;
/// How long a span waits for others, unless `OTEL_BSP_SCHEDULE_DELAY` says otherwise.
const EXPORT_DELAY: Duration = Duration::from_secs(1);

/// A provider that exports what it is given: what is not sampled never gets here.
pub(super) fn provider(
    traces: &Traces,
    options: &TelemetryOptions,
    env: Env<'_>,
) -> Result<SdkTracerProvider, String> {
    let builder = OtlpExporter::builder().with_tonic();
    let builder = match &traces.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint),
        None => builder,
    };
    let exporter = builder
        .build()
        .map_err(|error| format!("{error}; set OTEL_EXPORTER_OTLP_ENDPOINT to http://HOST:4317"))?;
    let mut batches = BatchConfigBuilder::default();
    if env("OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
        batches = batches.with_max_queue_size(QUEUE_SPANS);
    }
    if env("OTEL_BSP_SCHEDULE_DELAY").is_none() {
        batches = batches.with_scheduled_delay(EXPORT_DELAY);
    }
    let processor = BatchSpanProcessor::builder(Watched::new(exporter))
        .with_batch_config(batches.build())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource(options, env))
        .build())
}

/// The environment's words go before the process's own.
fn resource(options: &TelemetryOptions, env: Env<'_>) -> Resource {
    let named = env("OTEL_SERVICE_NAME").is_some()
        || env("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="));
    let own =
        options.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let builder = Resource::builder().with_attributes(own);
    if named {
        builder.build()
    } else {
        builder.with_service_name(options.service_name.clone()).build()
    }
}

/// An exporter that tells the log when its collector goes and comes.
struct Watched<E> {
    exporter: E,
    is_failing: AtomicBool,
}

impl<E> Watched<E> {
    fn new(exporter: E) -> Self {
        Self { exporter, is_failing: AtomicBool::new(false) }
    }
}

impl<E> fmt::Debug for Watched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => warn!(
                "traces are lost, requests are not: the collector does not take them ({error}); \
                 check OTEL_EXPORTER_OTLP_ENDPOINT"
            ),
            Ok(()) if was_failing => info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
