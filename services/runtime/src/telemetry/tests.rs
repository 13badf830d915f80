//! Sampling, parents, links and log lines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SpanData, SpanExporter};
use ottla_types::TraceParent;

use super::settings::{Traces, traces};
use super::*;
use crate::child_span;

#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Runs with this sampling and returns the spans by name; such tests wait for each other, as sampling is the process's.
fn spans_of(sampling: Option<Sampling>, run: impl FnOnce()) -> BTreeMap<String, SpanData> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let collector = Collector::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(collector.clone())
        .with_sampler(Sampler::AlwaysOn)
        .build();
    let subscriber = tracing_subscriber::registry().with(span_layer(&provider));
    sampling::set(sampling);
    tracing::subscriber::with_default(subscriber, run);
    sampling::set(None);
    let spans = std::mem::take(&mut *collector.0.lock().unwrap());
    spans.into_iter().map(|span| (span.name.to_string(), span)).collect()
}

fn caller(sampled: bool) -> TraceParent {
    TraceParent { trace_id: 0xabc << 64, span_id: 0x1_0000_0002, sampled }
}

#[test]
fn a_trace_goes_from_the_producer_through_two_roles() {
    let spans = spans_of(Some(Sampling::EVERYTHING), || {
        let root = root_span("gateway", "Produce", SpanKind::Server, Some(caller(true)), &[]);
        let client = child_span!(root, "storage.append", bytes = 7);
        let sent = trace_parent_of(&client);
        std::thread::scope(|threads| {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            threads.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    let server = span_from_remote("storage", "Append", SpanKind::Server, sent);
                    set_attribute(&server, "partitions", 3);
                    let sync = child_span!(&server, "journal.sync");
                    sync.in_scope(|| tracing::info!(target: "ottla_storage", "inside"));
                    mark_error(&sync, "the disk is full");
                });
            });
        });
    });
    assert_eq!(spans.len(), 4);
    let id = |name: &str| spans[name].span_context.span_id();
    assert_eq!(spans["Produce"].parent_span_id, 0x1_0000_0002.into());
    assert!(spans["Produce"].parent_span_is_remote);
    assert_eq!(spans["storage.append"].parent_span_id, id("Produce"));
    assert_eq!(spans["Append"].parent_span_id, id("storage.append"));
    assert_eq!(spans["journal.sync"].parent_span_id, id("Append"));
    assert_eq!(spans["journal.sync"].events.len(), 1);
    assert!(spans.values().all(|span| span.span_context.trace_id() == (0xabc_u128 << 64).into()));
    assert_eq!(spans["Produce"].span_kind, opentelemetry::trace::SpanKind::Server);
    let has = |name: &str, key: &str| spans[name].attributes.iter().any(|a| a.key.as_str() == key);
    assert!(
        has("Produce", "ottla.role")
            && has("Append", "partitions")
            && has("storage.append", "bytes")
    );
}

#[test]
fn an_unsampled_request_builds_no_span() {
    let unsampled = |sampling, parent| {
        let spans = spans_of(sampling, || {
            let root = root_span("gateway", "Produce", SpanKind::Server, parent, &[]);
            assert!(!sampled(&root) && !sampled(&child_span!(root, "append")));
            assert_eq!(trace_parent_of(&root), None);
            set_attribute(&root, "a", 1);
            assert!(!sampled(&span_from_remote("storage", "Append", SpanKind::Server, None)));
            assert!(!sampled(&child_of_remote("apply", Some(caller(false)))));
        });
        assert!(spans.is_empty());
    };
    unsampled(None, Some(caller(true)));
    unsampled(Some(Sampling { ratio: 0.0, ..Sampling::EVERYTHING }), None);
    unsampled(Some(Sampling::EVERYTHING), Some(caller(false)));
}

#[test]
fn the_spans_of_libraries_are_not_exported() {
    let spans = spans_of(Some(Sampling::EVERYTHING), || {
        drop(tracing::info_span!(target: "h2::proto", "frame"));
        drop(root_span("gateway", "Fetch", SpanKind::Server, None, &[]));
    });
    assert_eq!(spans.keys().collect::<Vec<_>>(), ["Fetch"]);
}

#[test]
fn a_batch_links_its_producers_and_is_traced_for_their_sake() {
    let never = Sampling { ratio: 0.0, ..Sampling::EVERYTHING };
    let links: Vec<_> = (1..=200).map(|span_id| TraceParent { span_id, ..caller(true) }).collect();
    let spans = spans_of(Some(never), || {
        drop(root_span("gateway", "Produce", SpanKind::Server, None, &links));
    });
    assert_eq!(spans["Produce"].links.len(), TRACE_LINKS_MAX);
    assert_ne!(spans["Produce"].span_context.trace_id(), (0xabc_u128 << 64).into());
}

#[test]
fn a_ratio_samples_about_that_share() {
    let count = std::cell::Cell::new(0);
    spans_of(Some(Sampling { is_parent_based: true, ratio: 0.1 }), || {
        let is_sampled = |_: &i32| sampling::decide(None, &[]);
        count.set((0..10_000).filter(is_sampled).count());
    });
    assert!((800..1200).contains(&count.get()), "{}", count.get());
}

#[test]
fn the_environment_decides_whether_to_trace() {
    let read = |default: Option<&str>, vars: &[(&str, &str)]| {
        let options = TelemetryOptions {
            service_name: "ottla".into(),
            attributes: Vec::new(),
            default_endpoint: default.map(str::to_owned),
        };
        let vars: BTreeMap<_, _> =
            vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        traces(&options, &|key| vars.get(key).cloned())
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger:4317");
    assert_eq!(read(None, &[]), Ok(None));
    assert_eq!(
        read(Some("http://localhost:4317"), &[]),
        Ok(Some(Traces {
            endpoint: Some("http://localhost:4317".into()),
            sampling: Sampling::EVERYTHING
        }))
    );
    let ratio = [
        endpoint,
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    let expected =
        Traces { endpoint: None, sampling: Sampling { is_parent_based: true, ratio: 0.25 } };
    assert_eq!(read(Some("unused"), &ratio), Ok(Some(expected)));
    assert_eq!(read(Some("x"), &[("OTEL_SDK_DISABLED", "true")]), Ok(None));
    for bad in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ] {
        assert!(
            read(None, &[endpoint, bad]).is_err_and(|error| error.contains("; set ")),
            "{bad:?}"
        );
    }
}

#[test]
fn a_log_line_cannot_be_forged() {
    let line = "client \u{1b}[31mevil\r\nINFO all is well\u{9b}\n".as_bytes();
    assert_eq!(log::escaped(line), "client \\u{1b}[31mevil\\r\\nINFO all is well\\u{9b}\n");
    assert_eq!(log::escaped("größer\n".as_bytes()), "größer\n");
}
