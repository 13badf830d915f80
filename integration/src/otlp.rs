//! A receiver of OTLP over gRPC that keeps what it is sent, and the questions that tests ask of spans.
//!
//! Invariant: a span is kept once it was acknowledged to the exporter; nothing is ever dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as proto;
use tokio::runtime::Runtime;

/// Between two looks at what has come.
const POLL: Duration = Duration::from_millis(20);

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work asked for by another process.
    Server,
    /// Waiting for another process.
    Client,
    /// Anything else.
    Internal,
}

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct Span {
    /// In hexadecimal.
    pub trace: String,
    /// In hexadecimal.
    pub id: String,
    /// In hexadecimal; empty for the first of a trace.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// `service.name` of the process.
    pub service: String,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Traces that it is linked with, in hexadecimal.
    pub links: Vec<String>,
    /// Begin and end in nanoseconds since 1970.
    pub nanos: (u64, u64),
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// A running receiver.
pub struct Receiver {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub endpoint: String,
    spans: Spans,
    _runtime: Runtime,
}

impl Receiver {
    /// Starts one on a free loopback port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let spans = Spans::default();
        let address = SocketAddr::from(([127, 0, 0, 1], crate::ports::free_port()));
        let service = TraceServiceServer::new(Store(spans.clone()));
        let server = tonic::transport::Server::builder().add_service(service).serve(address);
        runtime.spawn(server);
        Self { endpoint: format!("http://{address}"), spans, _runtime: runtime }
    }

    /// The spans of one trace so far.
    pub fn trace(&self, id: &str) -> Trace {
        let spans = self.spans.lock().expect("nobody panics with the lock");
        Trace { spans: spans.iter().filter(|span| span.trace == id).cloned().collect() }
    }

    /// Ids of traces with a span that `wanted` holds of, in the order in which they came.
    pub fn traces_with(&self, wanted: impl Fn(&Span) -> bool) -> Vec<String> {
        let spans = self.spans.lock().expect("nobody panics with the lock");
        let mut found: Vec<String> = Vec::new();
        for span in spans.iter().filter(|span| wanted(span)) {
            if !found.contains(&span.trace) {
                found.push(span.trace.clone());
            }
        }
        found
    }

    /// Waits until the trace has all these spans; it. Panics with what has come after `patience`.
    pub fn wait_for(&self, id: &str, names: &[&str], patience: Duration) -> Trace {
        let deadline = Instant::now() + patience;
        loop {
            let trace = self.trace(id);
            if names.iter().all(|name| trace.named(name).next().is_some()) {
                return trace;
            }
            assert!(Instant::now() < deadline, "trace {id} lacks some of {names:?}:\n{trace}");
            std::thread::sleep(POLL);
        }
    }
}

struct Store(Spans);

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let mut spans = self.0.lock().expect("nobody panics with the lock");
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map_or_else(Vec::new, |found| found.attributes);
            let service = texts(attributes).remove("service.name").unwrap_or_default();
            let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(all.map(|span| Span::new(span, &service)));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Span {
    fn new(span: proto::Span, service: &str) -> Self {
        let kind = match span.kind() {
            proto::span::SpanKind::Server => Kind::Server,
            proto::span::SpanKind::Client => Kind::Client,
            _ => Kind::Internal,
        };
        Self {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            kind,
            service: service.to_owned(),
            attributes: texts(span.attributes),
            links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
            nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
        }
    }
}

/// The spans of one trace.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In the order in which they came.
    pub spans: Vec<Span>,
}

impl Trace {
    /// All spans of a name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The span that this one hangs under.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|candidate| candidate.id == span.parent)
    }

    /// Whether `span` hangs somewhere under `ancestor`.
    pub fn is_below(&self, span: &Span, ancestor: &Span) -> bool {
        let mut at = self.parent(span);
        while let Some(found) = at {
            if found.id == ancestor.id {
                return true;
            }
            at = self.parent(found);
        }
        false
    }

    /// Spans of this name somewhere under `ancestor`.
    pub fn below<'a>(&'a self, ancestor: &Span, name: &'a str) -> Vec<&'a Span> {
        self.named(name).filter(|span| self.is_below(span, ancestor)).collect()
    }

    fn print(
        &self,
        f: &mut std::fmt::Formatter<'_>,
        span: &Span,
        depth: usize,
    ) -> std::fmt::Result {
        let micros = span.nanos.1.saturating_sub(span.nanos.0) / 1_000;
        let indent = "  ".repeat(depth);
        writeln!(f, "{indent}{} ({:?}, {}, {micros} µs)", span.name, span.kind, span.service)?;
        let mut children: Vec<_> =
            self.spans.iter().filter(|child| child.parent == span.id).collect();
        children.sort_by_key(|child| child.nanos);
        children.into_iter().try_for_each(|child| self.print(f, child, depth + 1))
    }
}

/// The tree, for people.
impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let roots = self.spans.iter().filter(|span| self.parent(span).is_none());
        roots.into_iter().try_for_each(|root| self.print(f, root, 0))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|any| any.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
