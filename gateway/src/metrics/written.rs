//! A gateway's figures by API, as a scrape shows them: under our names, and under those that Kafka's dashboards ask for.
//!
//! Invariant: an API that nobody used has no samples; labels are APIs, versions, phases and error codes, so their number is bounded.

use std::sync::{Arc, Mutex, PoisonError};

use ottla_runtime::metrics::{Kind, Recent, Scrape, Source};
use ottla_runtime::seams::Clock;

use super::api::{ApiMetrics, Phase};

/// Kafka's names of the phases.
const KAFKAS_PHASES: [(Phase, &str, &str); 6] = [
    (
        Phase::Queue,
        "kafka_network_requestmetrics_requestqueuetimems",
        "Milliseconds until a request was begun",
    ),
    (
        Phase::Local,
        "kafka_network_requestmetrics_localtimems",
        "Milliseconds of work of the gateway",
    ),
    (
        Phase::Remote,
        "kafka_network_requestmetrics_remotetimems",
        "Milliseconds of waiting for other roles",
    ),
    (Phase::Throttle, "kafka_network_requestmetrics_throttletimems", "Milliseconds of throttling"),
    (
        Phase::Response,
        "kafka_network_requestmetrics_responsesendtimems",
        "Milliseconds from the answer to its end",
    ),
    (
        Phase::Total,
        "kafka_network_requestmetrics_totaltimems",
        "Milliseconds from a request's last byte to its answer's last",
    ),
];

/// What a scrape reads.
pub(super) struct Written {
    apis: Arc<[ApiMetrics]>,
    clock: Arc<dyn Clock>,
    /// Only scrapes take it.
    recent: Mutex<Recent>,
}

impl Written {
    pub(super) fn new(apis: Arc<[ApiMetrics]>, clock: Arc<dyn Clock>) -> Self {
        Self { apis, clock, recent: Mutex::default() }
    }

    fn used(&self) -> impl Iterator<Item = &ApiMetrics> {
        self.apis.iter().filter(|api| api.requests().next().is_some())
    }

    fn write_counts(&self, scrape: &mut Scrape) {
        let mut family =
            scrape.family(Kind::Counter, "ottla_gateway_requests", "Requests answered");
        for api in self.used() {
            family.add(&[("api", api.name)], api.requests().map(|(_, count)| count).sum::<u64>());
        }
        let mut family =
            scrape.family(Kind::Counter, "ottla_gateway_errors", "Error codes told in answers");
        for api in self.used() {
            for (code, count) in api.errors().filter(|(code, _)| !code.is_none()) {
                family.add(&[("api", api.name), ("code", code.name())], count);
            }
        }
        let mut family = scrape.family(
            Kind::Counter,
            "ottla_gateway_request_bytes",
            "Bytes of requests, by API",
        );
        self.used().for_each(|api| family.add(&[("api", api.name)], api.bytes().0));
        let mut family =
            scrape.family(Kind::Counter, "ottla_gateway_answer_bytes", "Bytes of answers, by API");
        self.used().for_each(|api| family.add(&[("api", api.name)], api.bytes().1));
    }

    fn write_times(&self, scrape: &mut Scrape) {
        let help = "Time of requests by phase: queue, local, remote, throttle, response";
        let mut family = scrape.family(Kind::Histogram, "ottla_gateway_request_seconds", help);
        for api in self.used() {
            for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Total) {
                family.histogram(&[("api", api.name), ("phase", phase.name())], api.phase(phase));
            }
        }
        let help = "Time from a request's last byte to its answer's last";
        let mut family =
            scrape.family(Kind::Histogram, "ottla_gateway_request_duration_seconds", help);
        for api in self.used() {
            family.histogram(&[("api", api.name)], api.phase(Phase::Total));
        }
    }

    fn write_kafkas_counts(&self, scrape: &mut Scrape) {
        let name = "kafka_network_requestmetrics_requests";
        let mut family = scrape.family(Kind::Counter, name, "Requests answered");
        for api in self.used() {
            for (version, count) in api.requests() {
                let version = version.to_string();
                for name in kafkas_names(api.name) {
                    family.add(&[("request", name), ("version", &version)], count);
                }
            }
        }
        let name = "kafka_network_requestmetrics_errors";
        let mut family =
            scrape.family(Kind::Counter, name, "Codes told in answers, success included");
        for api in self.used() {
            for (code, count) in api.errors() {
                for name in kafkas_names(api.name) {
                    family.add(&[("request", name), ("error", code.name())], count);
                }
            }
        }
    }

    fn write_kafkas_times(&self, scrape: &mut Scrape) {
        let all = self.apis.iter().flat_map(|api| Phase::ALL.map(|phase| api.phase(phase).read()));
        let all: Vec<_> = all.collect();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.since_minutes(self.clock.monotonic(), all.clone());
        for (phase, name, help) in KAFKAS_PHASES {
            let mut family = scrape.family(Kind::Summary, name, help);
            for (at, api) in self.apis.iter().enumerate() {
                let at = at * Phase::ALL.len() + phase as usize;
                if all[at].count() == 0 {
                    continue;
                }
                for name in kafkas_names(api.name) {
                    family.summary_ms(&[("request", name)], &recent[at], &all[at]);
                }
            }
        }
    }
}

/// Kafka counts a fetch twice: as what it is, and by who asks. Here consumers do.
fn kafkas_names(api: &'static str) -> impl Iterator<Item = &'static str> {
    let more = (api == "Fetch").then_some("FetchConsumer");
    [api].into_iter().chain(more)
}

impl Source for Written {
    fn write(&self, scrape: &mut Scrape) {
        self.write_counts(scrape);
        self.write_times(scrape);
        self.write_kafkas_counts(scrape);
        self.write_kafkas_times(scrape);
    }
}
