//! What a gateway counts and measures.
//!
//! Invariant: a request finds its counters without a lookup of names, and counting neither waits nor allocates.
//! Deliberately measures only what the gateway sees; what storage nodes count is theirs.

mod api;
mod written;

use std::sync::Arc;

use ottla_kafka_wire::{ApiKey, ErrorTally};
use ottla_runtime::metrics::Metrics;
use ottla_runtime::seams::Clock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::router::{Route, TABLE};
use api::ApiMetrics;
pub(crate) use api::{Ended, Steps};
use written::Written;

/// The figures of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    /// By row of the table.
    apis: Arc<[ApiMetrics]>,
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
    /// Makes all figures known.
    pub(crate) fn new(metrics: &Metrics, clock: &Arc<dyn Clock>) -> Self {
        let apis: Arc<[ApiMetrics]> = TABLE.iter().map(ApiMetrics::new).collect();
        metrics.add(Arc::new(Written::new(apis.clone(), clock.clone())));
        let counter = |name, help| metrics.register(name, help, Counter::default());
        let gauge = |name, help| metrics.register(name, help, Gauge::default());
        Self {
            apis,
            connections: gauge("ottla_gateway_connections", "Connections of Kafka clients."),
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
            answer_bytes: gauge(
                "ottla_gateway_held_answer_bytes",
                "Memory of answers that are not sent, and of those that storage nodes are asked for.",
            ),
        }
    }

    /// The figures of a row of the table.
    pub(crate) fn of(&self, route: &Route) -> &ApiMetrics {
        self.find(route.key()).expect("every route is a row of the table")
    }

    /// Counts the error codes of an answer.
    pub(crate) fn tell_errors(&self, key: ApiKey, errors: &ErrorTally) {
        if let Some(api) = self.find(key.code()) {
            api.tell_errors(errors);
        }
    }

    fn find(&self, key: i16) -> Option<&ApiMetrics> {
        TABLE.iter().position(|row| row.key() == key).map(|at| &self.apis[at])
    }
}
