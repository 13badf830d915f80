//! `ottla doctor`: a record through the whole cluster, and a look at what it depends on.
//!
//! Each check ends in one line; the last line is the link to the record's trace. The exit code is 0 only if all went well.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_runtime::seams::{Clock as _, RealClock};
use ottla_types::TraceParent;
use rskafka::client::partition::{Compression, PartitionClient};
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::kafka::{Kafka, record};
use crate::cli::output::{Format, Rows};
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
    #[arg(long, env = "OTTLA_JAEGER", default_value = "http://localhost:16686")]
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
    detail: String,
}

impl Check {
    fn new(check: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { check, ok, detail: detail.into() }
    }
}

impl Rows for Report {
    fn heads(&self) -> Vec<&'static str> {
        vec!["CHECK", "RESULT", "DETAIL"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |c: &Check| {
            let result = if c.ok { "ok" } else { "FAILED" };
            vec![c.check.to_owned(), result.to_owned(), c.detail.clone()]
        };
        self.checks.iter().map(row).collect()
    }
}

/// Runs all checks.
pub(super) async fn run(
    bootstrap: &str,
    admin: &str,
    args: DoctorArgs,
    format: Format,
) -> Result<(), Failure> {
    let status = status::ask(&Admin::connect(admin).await?).await?;
    let mut checks = cluster_checks(&status);
    let trace = fresh_trace();
    checks.extend(record_checks(bootstrap, &args.topic, trace).await?);
    let report = Report {
        healthy: checks.iter().all(|check| check.ok),
        checks,
        trace: format!("{}/trace/{:032x}", args.jaeger.trim_end_matches('/'), trace.trace_id),
    };
    format.print(&report)?;
    if format == Format::Table {
        println!("\ntrace: {}", report.trace);
    }
    match report.healthy {
        true => Ok(()),
        false => Err(Failure::local("a check failed; its line says what to look at")),
    }
}

fn cluster_checks(status: &Status) -> Vec<Check> {
    let quorum = &status.quorum;
    let leader = quorum.leader.map_or_else(
        || "no active controller: start a majority of the voters".to_owned(),
        |node| format!("node {node} is active, term {}", quorum.term),
    );
    let proposals = format!("{} outstanding", quorum.proposals_outstanding);
    let waiting: Vec<_> = status
        .nodes
        .iter()
        .filter(|node| node.role == "storage" && node.state != "active")
        .map(|node| node.node.to_string())
        .collect();
    let gateways = status.nodes.iter().filter(|node| node.role == "gateway").count();
    let storage = match waiting.is_empty() {
        true => "all active".to_owned(),
        false => format!("fenced: {}; look at their logs", waiting.join(", ")),
    };
    let offline =
        format!("{} of {} without a leader", status.offline_partitions, status.partitions);
    vec![
        Check::new("quorum", quorum.leader.is_some(), leader),
        Check::new(
            "proposals",
            quorum.proposals_outstanding <= MAX_PROPOSALS_OUTSTANDING,
            proposals,
        ),
        Check::new("storage nodes", waiting.is_empty(), storage),
        Check::new("gateways", gateways > 0, format!("{gateways} registered")),
        Check::new("partitions", status.offline_partitions == 0, offline),
    ]
}

async fn record_checks(
    bootstrap: &str,
    topic: &str,
    trace: TraceParent,
) -> Result<Vec<Check>, Failure> {
    let kafka = Kafka::connect(bootstrap).await?;
    let partition = kafka.partition(topic, 0).await?;
    let value = format!("ottla doctor {:032x}", trace.trace_id).into_bytes();
    let headers = BTreeMap::from([("traceparent".to_owned(), trace.to_string().into_bytes())]);
    let sent = record(None, value.clone(), headers);
    let clock = RealClock::new();
    let produced = partition.produce(vec![sent], Compression::NoCompression).await;
    let produced = produced.map_err(|error| kafka.failure(&error))?;
    let took = clock.monotonic();
    let offset = produced.first().copied().unwrap_or(-1);
    let place = format!("{topic}-0 at offset {offset}, acknowledged after {}", human(took));
    let mut checks = vec![Check::new("produce", offset >= 0, place)];
    let found = read_back(&partition, offset, &value).await.map_err(|e| kafka.failure(&e))?;
    let detail = if found { "the same record came back" } else { "another record came back" };
    checks.push(Check::new("consume", found, detail));
    Ok(checks)
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
