//! What a gateway counts and measures.
//!
//! Invariant: a request finds its counters without a lookup: they are made for every row of the table at the start.
//! Deliberately measures only what the gateway sees; the phases of storage nodes are theirs.

use std::time::Duration;

use ottla_kafka_wire::ApiKey;
use ottla_runtime::metrics::{LatencyHistogram, Metrics};
use ottla_types::TraceParent;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::router::{Route, TABLE};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

/// Kafka's name of the label, for dashboards that exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    request: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    api: &'static str,
    phase: &'static str,
}

/// The figures of one API.
#[derive(Clone, Debug)]
pub(crate) struct ApiMetrics {
    requests: Counter,
    kafka_requests: Counter,
    /// Until the request found a place of its class.
    queue: LatencyHistogram,
    /// Until its answer was there.
    work: LatencyHistogram,
    /// Until its answer was sent, answers before it included.
    response: LatencyHistogram,
}

/// When a request reached each step, in monotonic time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// Read.
    pub(crate) received: Duration,
    /// Given to its handler.
    pub(crate) started: Duration,
    /// Answered by its handler.
    pub(crate) answered: Duration,
}

/// The figures of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    apis: Vec<ApiMetrics>,
    /// Connections now.
    pub(crate) connections: Gauge,
    /// Connections that a limit kept out.
    pub(crate) connections_refused: Counter,
    /// Connections closed for what the client sent or did not take.
    pub(crate) connections_failed: Counter,
    /// Bytes of requests.
    pub(crate) bytes_in: Counter,
    /// Bytes of answers.
    pub(crate) bytes_out: Counter,
    /// Bytes of answers that are in memory now.
    pub(crate) answer_bytes: Gauge,
}

impl GatewayMetrics {
    /// Registers all figures.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let requests = metrics.register(
            "ottla_gateway_requests",
            "Requests answered, by API.",
            Family::<ApiLabel, Counter>::default(),
        );
        let kafka_requests = metrics.register(
            "kafka_network_requestmetrics_requests",
            "Requests answered, by API, under the name of Kafka's dashboards.",
            Family::<RequestLabel, Counter>::default(),
        );
        let seconds = metrics.register(
            "ottla_gateway_request_seconds",
            "Time of requests by API and phase: queue, work, response.",
            Family::<PhaseLabel, LatencyHistogram>::default(),
        );
        let of_api = |route: &Route| {
            let api = ApiKey::from_code(route.key()).map_or("unknown", ApiKey::name);
            let phase = |phase| seconds.get_or_create(&PhaseLabel { api, phase }).clone();
            ApiMetrics {
                requests: requests.get_or_create(&ApiLabel { api }).clone(),
                kafka_requests: kafka_requests
                    .get_or_create(&RequestLabel { request: api })
                    .clone(),
                queue: phase("queue"),
                work: phase("work"),
                response: phase("response"),
            }
        };
        let counter = |name, help| metrics.register(name, help, Counter::default());
        Self {
            apis: TABLE.iter().map(of_api).collect(),
            connections: metrics.register(
                "ottla_gateway_connections",
                "Connections of Kafka clients.",
                Gauge::default(),
            ),
            connections_refused: counter(
                "ottla_gateway_connections_refused",
                "Connections that a limit kept out.",
            ),
            connections_failed: counter(
                "ottla_gateway_connections_failed",
                "Connections closed for what the client sent or did not take.",
            ),
            bytes_in: counter("ottla_gateway_received_bytes", "Bytes of requests."),
            bytes_out: counter("ottla_gateway_sent_bytes", "Bytes of answers."),
            answer_bytes: metrics.register(
                "ottla_gateway_held_answer_bytes",
                "Memory of answers that are not sent, and of those that storage nodes are asked for.",
                Gauge::default(),
            ),
        }
    }

    /// The figures of a row of the table.
    pub(crate) fn of(&self, route: &Route) -> &ApiMetrics {
        let at = TABLE.iter().position(|row| row.key() == route.key());
        &self.apis[at.expect("every route is a row of the table")]
    }
}

impl ApiMetrics {
    /// Counts a request whose answer left at `sent`.
    pub(crate) fn count(&self, steps: &Steps, sent: Duration, trace: Option<TraceParent>) {
        self.requests.inc();
        self.kafka_requests.inc();
        self.queue.observe(steps.started.saturating_sub(steps.received), trace);
        self.work.observe(steps.answered.saturating_sub(steps.started), trace);
        self.response.observe(sent.saturating_sub(steps.answered), trace);
    }
}
