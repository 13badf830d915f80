//! What `/metrics` of a running `ottla dev` offers: the table in ARCHITECTURE.md is written from it, and figures are right.
//!
//! Invariant: a metric that is not in the table does not exist, and one that is in it does.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use ottla_integration::node::{http_get, http_get_as};
use ottla_integration::process::{Process, ottla, root, wait_until};
use ottla_integration::wire::{self, Wire};
use ottla_integration::{ports, records};
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

/// Longest wait for something that takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a scrape by Prometheus accepts.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
/// Around the table.
const BEGIN: &str = "<!-- metrics -->\n";
const END: &str = "<!-- /metrics -->";
/// Labels that every histogram and every summary has.
const LABELS_OF_KINDS: [&str; 2] = ["le", "quantile"];

/// One family of a scrape.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
    samples: BTreeMap<String, f64>,
}

/// A running `ottla dev`.
struct Dev {
    _process: Process,
    _dir: tempfile::TempDir,
    bootstrap: String,
    http: String,
}

impl Dev {
    fn start() -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), ports::free_ports(5));
        let mut command = Command::new(ottla());
        command.args(["dev", "--port", &port.to_string(), "--data"]).arg(dir.path().join("data"));
        // Nobody takes the traces, which is nothing to a process.
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        let process = Process::start("dev", &mut command, &dir.path().join("dev.log")).unwrap();
        let dev = Self {
            _process: process,
            _dir: dir,
            bootstrap: format!("127.0.0.1:{port}"),
            http: format!("127.0.0.1:{}", port + 4),
        };
        wait_until("ottla dev is ready", PATIENCE, || {
            http_get(&dev.http, "/health/ready").is_ok_and(|(status, _)| status == 200)
        });
        dev
    }

    /// Ten records in one batch are written and read, and a group commits the third.
    fn work(&self) {
        wire::create_topic(&self.bootstrap, "measured", (2, 1), &[]).unwrap();
        let mut leader = records::leader(&self.bootstrap, "measured", 0).unwrap();
        let values: Vec<_> = (0..10).map(|number| format!("value {number}")).collect();
        records::produce(&mut leader, "measured", 0, records::batch(&values, &[])).unwrap();
        assert_eq!(records::read_all(&mut leader, "measured", 0, 0).unwrap().len(), 10);
        assert!(records::read_all(&mut leader, "missing", 0, 0).is_err());
        wire::retry(PATIENCE, || self.commit("billing", "measured", 3)).unwrap();
    }

    fn commit(&self, group: &str, topic: &str, offset: i64) -> std::io::Result<()> {
        let mut wire = Wire::connect(&self.bootstrap)?;
        let find = FindCoordinatorRequest { key: group.to_owned(), ..Default::default() };
        wire.call(2, &find)?;
        let partition =
            OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let commit = OffsetCommitRequest {
            group_id: group.to_owned(),
            topics: vec![topic],
            ..Default::default()
        };
        match wire.call(7, &commit)?.topics[0].partitions[0].error_code {
            0 => Ok(()),
            code => Err(std::io::Error::other(format!("OffsetCommit: error {code}"))),
        }
    }

    fn scrape(&self) -> String {
        let (status, body) = http_get_as(&self.http, "/metrics", OPEN_METRICS).unwrap();
        assert_eq!(status, 200);
        body
    }
}

/// The families of an OpenMetrics text.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines().take_while(|line| *line != "# EOF") {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            current = name.to_owned();
            let family =
                Family { help: help.trim_end_matches('.').to_owned(), ..Default::default() };
            assert!(families.insert(current.clone(), family).is_none(), "{name} is there twice");
            continue;
        }
        let family = families.get_mut(&current).expect("a family begins with its help");
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            assert_eq!(name, current);
            family.kind = kind.to_owned();
            continue;
        }
        // Without the exemplar.
        let sample = line.split(" # ").next().unwrap();
        let (name, value) = sample.rsplit_once(' ').unwrap();
        assert!(name.starts_with(&current), "{line} is not of {current}");
        family.samples.insert(name.to_owned(), value.parse().unwrap());
        let labels = name.split_once('{').map_or("", |(_, labels)| labels);
        let names = labels.split("\",").filter_map(|label| label.split_once("=\""));
        let names = names.map(|(name, _)| name).filter(|name| !LABELS_OF_KINDS.contains(name));
        family.labels.extend(names.map(str::to_owned));
    }
    families
}

fn table(families: &BTreeMap<String, Family>) -> String {
    let mut text = "| metric | type | labels | what |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, family) in families {
        let total = if family.kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = family.labels.iter().map(String::as_str).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        writeln!(text, "| `{name}{total}` | {} | {labels} | {} |", family.kind, family.help)
            .expect("a string takes all that is written to it");
    }
    text
}

fn assert_table(families: &BTreeMap<String, Family>) {
    let path = root().join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("ARCHITECTURE.md has the table's place");
    let (found, tail) = rest.split_once(END).expect("ARCHITECTURE.md has the table's end");
    let wanted = table(families);
    if std::env::var_os("OTTLA_WRITE_METRICS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "stale: run with OTTLA_WRITE_METRICS=1");
}

fn assert_values(families: &BTreeMap<String, Family>) {
    let at = "topic=\"measured\",partition=\"0\"";
    let of_group = format!("consumergroup=\"billing\",{at}");
    for (name, labels, wanted) in [
        ("kafka_topic_partition_current_offset", at, 10.0),
        ("kafka_log_log_logendoffset", at, 10.0),
        ("kafka_topic_partition_under_replicated_partition", at, 0.0),
        ("kafka_consumergroup_current_offset", &of_group, 3.0),
        ("kafka_consumergroup_lag", &of_group, 7.0),
        ("ottla_groups", "state=\"Empty\"", 1.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", "", 0.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", "", 1.0),
        ("kafka_brokers", "", 1.0),
    ] {
        let labelled =
            if labels.is_empty() { name.to_owned() } else { format!("{name}{{{labels}}}") };
        let found = families[name].samples.get(&labelled);
        assert_eq!(found, Some(&wanted), "{labelled}: {:?}", families[name].samples);
    }
    for (name, sample) in [
        ("kafka_server_brokertopicmetrics_messagesin", "_total{topic=\"measured\"}"),
        ("kafka_server_brokertopicmetrics_bytesin", "_total{topic=\"measured\"}"),
        ("ottla_gateway_requests", "_total{api=\"Produce\"}"),
        ("ottla_gateway_errors", "_total{api=\"Fetch\",code=\"UNKNOWN_TOPIC_OR_PARTITION\"}"),
        ("ottla_gateway_request_seconds", "_count{api=\"Fetch\",phase=\"remote\"}"),
        ("kafka_network_requestmetrics_totaltimems", "_count{request=\"FetchConsumer\"}"),
        ("ottla_storage_commit_seconds", "_count"),
        ("ottla_quorum_log_sync_seconds", "_count"),
        ("ottla_partition_log_bytes", &format!("{{{at}}}")),
    ] {
        let found = families[name].samples.get(&format!("{name}{sample}")).copied();
        assert!(found.is_some_and(|value| value > 0.0), "{name}{sample}: {:?}", families[name]);
    }
    let records = &families["kafka_server_brokertopicmetrics_messagesin"].samples;
    assert_eq!(
        records["kafka_server_brokertopicmetrics_messagesin_total{topic=\"measured\"}"],
        10.0
    );
}

#[test]
fn the_table_of_metrics_says_what_a_running_process_offers() {
    let dev = Dev::start();
    dev.work();
    // What is measured when an answer has left may come a moment after it.
    let is_counted = |text: &str| {
        text.contains("ottla_gateway_requests_total{api=\"OffsetCommit\"}")
            && text.contains("kafka_consumergroup_lag{consumergroup=\"billing\"")
    };
    wait_until("the work is counted", PATIENCE, || is_counted(&dev.scrape()));
    let text = dev.scrape();
    let families = families(&text);
    assert_values(&families);
    assert_table(&families);
    let traced = |line: &str| line.contains("api=\"Produce\"") && line.contains(" # {trace_id=\"");
    assert!(text.lines().any(traced), "no exemplar of a Produce:\n{text}");
}

#[test]
fn who_does_not_ask_for_open_metrics_gets_the_text_format() {
    let dev = Dev::start();
    let (status, text) = http_get(&dev.http, "/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(!text.contains(" # {") && !text.contains("# EOF"), "{text}");
    for line in text.lines().filter(|line| line.ends_with(" counter")) {
        let name = line.strip_prefix("# TYPE ").unwrap().strip_suffix(" counter").unwrap();
        assert!(name.ends_with("_total"), "{line}");
    }
}
