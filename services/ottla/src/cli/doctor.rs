//! `ottla doctor`: a record through the whole cluster, an offset through a group's coordinator, and a look at what it depends on.
//!
//! Invariant: each check ends in one line, whatever became of the others; the last line is the link to the record's trace, if a
//! collector has it. The exit code is 0 only if all went well; a trace that nobody took is a warning.

mod collector;
mod group;

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_runtime::seams::{Clock as _, RealClock};
use ottla_types::TraceParent;
use rskafka::client::partition::{Compression, PartitionClient};
use rskafka::record::Record;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::kafka::{Kafka, record};
use crate::cli::output::{Format, Rows, counted};
use crate::cli::status::{self, Status};

/// Proposals outstanding that are an alarm (`ottla status` says the same).
const MAX_PROPOSALS_OUTSTANDING: u64 = 100;
/// Most bytes of the fetch that reads the record back.
const FETCH_BYTES: i32 = 1024 * 1024;
/// Longest wait of that fetch, in milliseconds.
const FETCH_WAIT_MS: i32 = 5_000;

/// What `doctor` is told.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// The topic that the record goes through; it is made if it does not exist.
    #[arg(long, default_value = "ottla-doctor")]
    topic: String,
    /// Where Jaeger's page is.
    #[arg(
        long,
        value_name = "URL",
        env = "OTTLA_JAEGER",
        default_value = "http://localhost:16686"
    )]
    jaeger: String,
}

#[derive(Serialize)]
struct Report {
    healthy: bool,
    checks: Vec<Check>,
    trace: String,
}

#[derive(Serialize)]
struct Check {
    check: &'static str,
    ok: bool,
    /// Nothing is broken, but something is missing.
    warning: bool,
    detail: String,
}

impl Check {
    fn new(check: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { check, ok, warning: false, detail: detail.into() }
    }

    fn warning(check: &'static str, detail: String) -> Self {
        Self { check, ok: true, warning: true, detail }
    }
}

impl Rows for Report {
    fn heads(&self) -> Vec<&'static str> {
        vec!["CHECK", "RESULT", "DETAIL"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |c: &Check| {
            let result = match (c.ok, c.warning) {
                (false, _) => "FAILED",
                (true, true) => "warning",
                (true, false) => "ok",
            };
            vec![c.check.to_owned(), result.to_owned(), c.detail.clone()]
        };
        self.checks.iter().map(row).collect()
    }
}

/// Runs all checks: one that fails keeps none of the others from being made.
pub(super) async fn run(
    bootstrap: &str,
    admin: &str,
    args: DoctorArgs,
    format: Format,
) -> Result<(), Failure> {
    let mut checks = match ask(admin).await {
        Ok(status) => cluster_checks(&status),
        Err(failure) => vec![Check::new("admin API", false, failure.to_string())],
    };
    let trace = fresh_trace();
    let records = record_checks(bootstrap, &args.topic, trace).await;
    let is_traced = records.iter().any(|check| check.check == "produce" && check.ok);
    checks.extend(records);
    let mut is_found = false;
    if is_traced {
        let found = collector::find_trace(&args.jaeger, trace.trace_id).await;
        is_found = found.is_ok();
        checks.push(match found {
            Ok(()) => Check::new("trace", true, "the collector has it"),
            Err(cause) => Check::warning("trace", cause.to_string()),
        });
    }
    let report = Report {
        healthy: checks.iter().all(|check| check.ok),
        checks,
        trace: format!("{}/trace/{:032x}", args.jaeger.trim_end_matches('/'), trace.trace_id),
    };
    format.print(&report)?;
    if format == Format::Table && is_found {
        println!("\ntrace: {}", report.trace);
    }
    match report.healthy {
        true => Ok(()),
        false => Err(Failure::local("a check failed; its line says what to look at")),
    }
}

async fn ask(admin: &str) -> Result<Status, Failure> {
    status::ask(&Admin::connect(admin).await?).await
}

fn cluster_checks(status: &Status) -> Vec<Check> {
    let quorum = &status.quorum;
    let leader = quorum.leader.map_or_else(
        || "no active controller: start a majority of the voters".to_owned(),
        |node| format!("node {node} is active, term {}", quorum.term),
    );
    let proposals = format!("{} outstanding", quorum.proposals_outstanding);
    let nodes_that = |role: &str, are: &dyn Fn(&str) -> bool| -> Vec<String> {
        let found = status.nodes.iter().filter(|node| node.role == role && are(&node.state));
        found.map(|node| node.node.to_string()).collect()
    };
    let waiting = nodes_that("storage", &|state| state != "active");
    let silent = nodes_that("controller", &|state| state == "silent");
    let controllers = match (silent.is_empty(), quorum.leader) {
        (false, _) => format!("silent: {}; start them, or look at their logs", silent.join(", ")),
        (true, Some(leader)) if leader != quorum.members_told_by => {
            format!("only node {leader}, the active one, knows of the others: ask it with --admin")
        }
        (true, _) => "all heard".to_owned(),
    };
    let gateways = status.nodes.iter().filter(|node| node.role == "gateway").count();
    let storage = match waiting.is_empty() {
        true => "all active".to_owned(),
        false => format!("fenced: {}; look at their logs", waiting.join(", ")),
    };
    let offline =
        format!("{} of {} without a leader", status.offline_partitions, status.partitions);
    vec![
        Check::new("quorum", quorum.leader.is_some(), leader),
        Check::new("controllers", silent.is_empty(), controllers),
        Check::new(
            "proposals",
            quorum.proposals_outstanding <= MAX_PROPOSALS_OUTSTANDING,
            proposals,
        ),
        Check::new("storage nodes", waiting.is_empty(), storage),
        Check::new(
            "gateways",
            gateways > 0,
            format!("{} registered", counted(gateways as u64, "gateway")),
        ),
        Check::new("partitions", status.offline_partitions == 0, offline),
    ]
}

async fn record_checks(bootstrap: &str, topic: &str, trace: TraceParent) -> Vec<Check> {
    let failed = |check, failure: Failure| Check::new(check, false, failure.to_string());
    let kafka = match Kafka::connect(bootstrap).await {
        Ok(kafka) => kafka,
        Err(failure) => return vec![failed("Kafka", failure)],
    };
    let value = format!("ottla doctor {:032x}", trace.trace_id).into_bytes();
    let headers = BTreeMap::from([("traceparent".to_owned(), trace.to_string().into_bytes())]);
    let sent = record(None, value.clone(), headers);
    let (partition, offset, took) = match produce(&kafka, topic, sent).await {
        Ok(produced) => produced,
        Err(failure) => return vec![failed("produce", failure)],
    };
    let place = format!("{topic}-0 at offset {offset}, acknowledged after {}", human(took));
    let consumed = match read_back(&partition, offset, &value).await {
        Ok(true) => Check::new("consume", true, "the same record came back"),
        Ok(false) => Check::new("consume", false, "another record came back; look at the logs"),
        Err(error) => failed("consume", kafka.failure(&error)),
    };
    let group = match group::commit_and_read_back(bootstrap, topic, offset + 1).await {
        Ok(coordinator) => {
            let place = format!("group {} committed {} at {coordinator}", group::GROUP, offset + 1);
            Check::new("group", true, place)
        }
        Err(failure) => failed("group", failure),
    };
    vec![Check::new("produce", offset >= 0, place), consumed, group]
}

async fn produce(
    kafka: &Kafka,
    topic: &str,
    sent: Record,
) -> Result<(PartitionClient, i64, Duration), Failure> {
    let partition = kafka.partition(topic, 0).await?;
    let clock = RealClock::new();
    let produced = partition.produce(vec![sent], Compression::NoCompression).await;
    let produced = produced.map_err(|error| kafka.failure(&error))?;
    let took = clock.monotonic();
    Ok((partition, produced.first().copied().unwrap_or(-1), took))
}

async fn read_back(
    partition: &PartitionClient,
    offset: i64,
    value: &[u8],
) -> Result<bool, rskafka::client::error::Error> {
    let (records, _) = partition.fetch_records(offset, 1..FETCH_BYTES, FETCH_WAIT_MS).await?;
    let record = records.into_iter().find(|candidate| candidate.offset == offset);
    Ok(record.is_some_and(|found| found.record.value.as_deref() == Some(value)))
}

fn human(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

/// A trace of its own, sampled. The ids come from the standard library's per-process random keys.
fn fresh_trace() -> TraceParent {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = || RandomState::new().hash_one(std::process::id());
    TraceParent {
        trace_id: ((u128::from(bits()) << 64) | u128::from(bits())).max(1),
        span_id: bits().max(1),
        sampled: true,
    }
}
