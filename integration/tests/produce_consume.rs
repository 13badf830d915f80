//! One process end to end: records go in and come out, a restart keeps them, a kill -9 keeps every acknowledged one.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::process::{Process, ottla, wait_until};
use ottla_integration::wire::{self, Wire};
use ottla_integration::{ports, records};

/// Longest wait for something that takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Produces batches of numbered values until the connection ends; the acknowledged values by offset.
fn produce_until_it_ends(
    mut wire: Wire,
    topic: &str,
    kill: impl FnOnce(),
) -> BTreeMap<i64, String> {
    const ENOUGH: usize = 2_000;
    let (mut acknowledged, mut kill, mut number) = (BTreeMap::new(), Some(kill), 0);
    loop {
        let values: Vec<_> = (0..20).map(|at| format!("{topic}-{}", number + at)).collect();
        number += 20;
        let sent = records::produce(&mut wire, topic, 0, records::batch(&values, &[]));
        let Ok(base) = sent else { return acknowledged };
        acknowledged.extend((base..).zip(values));
        if acknowledged.len() >= ENOUGH
            && let Some(kill) = kill.take()
        {
            kill();
        }
    }
}

fn assert_holds(bootstrap: &str, topic: &str, expected: &BTreeMap<i64, String>) {
    let mut leader = records::leader(bootstrap, topic, 0).unwrap();
    let found = wire::retry(PATIENCE, || records::read_all(&mut leader, topic, 0, 0)).unwrap();
    for (at, (offset, _)) in found.iter().enumerate() {
        assert_eq!(*offset, at as i64, "offsets follow one another");
    }
    let found: BTreeMap<i64, Bytes> = found.into_iter().collect();
    for (offset, value) in expected {
        let there = found.get(offset).map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(there.as_deref(), Some(value.as_str()), "the record at offset {offset}");
    }
}

fn records_outlive(mut cluster: Cluster, storage: i32) {
    cluster.start();
    let bootstrap = cluster.bootstrap();
    wire::create_topic(&bootstrap, "stopped", (1, 1), &[]).unwrap();
    let mut leader = records::leader(&bootstrap, "stopped", 0).unwrap();
    let mut before = BTreeMap::new();
    for turn in 0..50 {
        let values: Vec<_> = (0..7).map(|at| format!("value {turn} {at}")).collect();
        let batch = records::batch(&values, &[]);
        let base = records::produce(&mut leader, "stopped", 0, batch).unwrap();
        before.extend((base..).zip(values));
    }
    assert_holds(&bootstrap, "stopped", &before);

    let node = cluster.node(storage);
    assert_eq!(node.process().stop(), Some(0), "SIGTERM ends it by itself:\n{}", node.log_tail());
    cluster.node(storage).start();
    cluster.wait_ready();
    wire::retry(PATIENCE, || wire::leaders(&bootstrap, "stopped")).unwrap();
    assert_holds(&bootstrap, "stopped", &before);

    wire::create_topic(&bootstrap, "killed", (1, 1), &[]).unwrap();
    let leader = records::leader(&bootstrap, "killed", 0).unwrap();
    let node = cluster.node(storage);
    let acknowledged = produce_until_it_ends(leader, "killed", || node.process().signal("KILL"));
    assert!(acknowledged.len() >= 2_000, "only {} were acknowledged", acknowledged.len());
    cluster.node(storage).kill();
    cluster.node(storage).start();
    cluster.wait_ready();
    wire::retry(PATIENCE, || wire::leaders(&bootstrap, "killed")).unwrap();
    assert_holds(&bootstrap, "killed", &acknowledged);
    assert_holds(&bootstrap, "stopped", &before);
}

#[test]
fn records_outlive_a_restart_and_a_kill_of_the_one_process() {
    let dir = tempfile::tempdir().unwrap();
    records_outlive(Cluster::one_process(dir.path()), 1);
}

#[test]
fn records_outlive_a_restart_and_a_kill_of_a_storage_node_apart() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { controllers: 1, storage: 1, gateways: 1 };
    records_outlive(Cluster::apart(dir.path(), shape), 1);
}

#[test]
fn dev_serves_at_once_and_keeps_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let (kafka, data) = (ports::free_port(), dir.path().join("data"));
    let mut overrides = vec![format!("advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}")];
    overrides.push(format!(
        "listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{}",
        ports::free_port()
    ));
    for listener in ["storage", "admin", "http"] {
        overrides.push(format!("ottla.{listener}.listener=127.0.0.1:{}", ports::free_port()));
    }
    let start = || {
        let mut command = std::process::Command::new(ottla());
        command.args(["dev", "--data"]).arg(&data);
        command.env("OTEL_TRACES_EXPORTER", "none");
        for setting in &overrides {
            command.args(["--override", setting]);
        }
        Process::start("dev", &mut command, &dir.path().join("dev.log")).unwrap()
    };
    let bootstrap = format!("127.0.0.1:{kafka}");
    let began = Instant::now();
    let mut dev = start();
    wait_until("dev serves", PATIENCE, || {
        assert!(dev.runs(), "dev ended:\n{}", dev.output());
        wire::create_topic(&bootstrap, "first", (3, 1), &[]).is_ok()
    });
    println!("dev served its first topic after {:?}", began.elapsed());
    let mut leader = records::leader(&bootstrap, "first", 2).unwrap();
    records::produce(&mut leader, "first", 2, records::batch(&["kept"], &[])).unwrap();
    assert_eq!(dev.stop(), Some(0), "SIGTERM ends it by itself:\n{}", dev.output());
    let mut dev = start();
    let found = wire::retry(PATIENCE, || {
        let mut leader = Wire::connect(&wire::leaders(&bootstrap, "first")?[2])?;
        records::read_all(&mut leader, "first", 2, 0)
    });
    assert_eq!(found.unwrap(), [(0, Bytes::from_static(b"kept"))]);
    assert!(dev.runs());
    assert!(dev.output().contains(&bootstrap), "it says where it listens:\n{}", dev.output());
}

/// A `dev` on free ports, with its temporary folder below `dir`; and what its clients are told.
struct Dev {
    process: Process,
    port: u16,
    temporary: std::path::PathBuf,
}

impl Dev {
    fn start(dir: &std::path::Path, port: u16) -> Self {
        let temporary = dir.join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = std::process::Command::new(ottla());
        command.args(["dev", "--port", &port.to_string()]);
        command.env("OTEL_TRACES_EXPORTER", "none").env("TMPDIR", &temporary);
        let log = dir.join("dev.log");
        _ = std::fs::remove_file(&log);
        let mut process = Process::start("dev", &mut command, &log).unwrap();
        wait_until("dev is ready", PATIENCE, || {
            assert!(process.runs(), "dev ended:\n{}", process.output());
            process.output().contains("Ottla is ready")
        });
        Self { process, port, temporary }
    }

    /// Runs a client command with the input; exit code, standard output and standard error.
    fn client(&self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let addresses = [self.port, self.port + 3].map(|port| format!("127.0.0.1:{port}"));
        client(&addresses[0], &addresses[1], line, input)
    }

    fn folders(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.temporary).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn client(bootstrap: &str, admin: &str, line: &str, input: &str) -> (Option<i32>, String, String) {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = std::process::Command::new(ottla());
    command.args(line.split(' ')).env("OTTLA_BOOTSTRAP", bootstrap).env("OTTLA_ADMIN", admin);
    command.env("OTTLA_JAEGER", "http://127.0.0.1:1");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_keeps_keys_together_and_says_why_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ports::free_ports(5));
    assert_eq!(dev.client("topic create orders --partitions 3", "").0, Some(0));
    let lines: String = (0..60).map(|at| format!("key-{}:value-{at:02}\n", at % 6)).collect();
    let produced = dev.client("-o json produce orders --key-separator :", &lines).1;
    let produced: serde_json::Value = serde_json::from_str(&produced).unwrap();
    assert!(produced["partitions"].as_array().unwrap().len() > 1, "keys are spread: {produced}");
    let (_, found, _) = dev.client("-o json consume orders --from-beginning --count 60", "");
    let mut by_key: BTreeMap<String, (i64, Vec<String>)> = BTreeMap::new();
    for line in found.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let partition = record["partition"].as_i64().unwrap();
        let key = by_key.entry(record["key"].to_string()).or_insert((partition, Vec::new()));
        assert_eq!(key.0, partition, "one key, one partition");
        key.1.push(record["value"].to_string());
    }
    assert_eq!(by_key.len(), 6);
    assert!(by_key.values().all(|(_, values)| values.len() == 10 && values.is_sorted()));

    let refused = |line: &str, parts: &[&str]| {
        let (code, _, said) = dev.client(line, &"x".repeat(2_000_000));
        assert_eq!(code, Some(3), "{line}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{line}: {said}");
    };
    refused("consume nope --count 1", &["no topic \"nope\"", "ottla topic list"]);
    refused("topic delete nope", &["no topic \"nope\"", "ottla topic list"]);
    refused("consume orders --partition 7", &["no partition 7", "0 to 2"]);
    refused("produce bad?name", &["InvalidTopicException", "249 letters"]);
    refused("produce orders", &["MessageTooLarge", "max.message.bytes"]);
    let (_, topics, _) = dev.client("topic list", "");
    assert!(!topics.contains("nope"), "reading makes no topic:\n{topics}");
    let (code, checks, _) = dev.client("doctor", "");
    assert_eq!(code, Some(0), "{checks}");
    assert!(checks.contains("warning") && !checks.contains("/trace/"), "{checks}");
    let wrong = format!("status --admin 127.0.0.1:{}", dev.port);
    let (code, _, said) = dev.client(&wrong, "");
    assert!(code == Some(4) && said.contains("not as the admin API"), "{said}");
    let (code, _, said) = dev.client(&format!("health 127.0.0.1:{}", dev.port), "");
    assert!(code == Some(4) && said.contains("does not speak HTTP"), "{said}");
}

#[test]
fn dev_names_its_option_where_ports_are_taken_and_clears_away_what_a_killed_one_left() {
    let dir = tempfile::tempdir().unwrap();
    let port = ports::free_ports(5);
    let mut dev = Dev::start(dir.path(), port);
    let next = format!("ottla produce orders --bootstrap 127.0.0.1:{port}\n");
    assert!(dev.process.output().contains(&next), "{}", dev.process.output());
    let (code, _, said) = dev.client(&format!("dev --port {port} --data /proc/none"), "");
    assert!(code == Some(1) && said.contains("--data /proc/none"), "{said}");
    let data = dir.path().join("data").display().to_string();
    let (code, _, said) = dev.client(&format!("dev --port {port} --data {data}"), "");
    assert!(code == Some(1) && said.contains(&format!(":{port}: ")), "{said}");
    assert!(said.contains("--port PORT") && !said.contains("active controller"), "{said}");

    let left = dev.folders();
    assert_eq!(left.len(), 1);
    dev.process.kill();
    let mut dev = Dev::start(dir.path(), port);
    let living = dev.folders();
    assert!(living.len() == 1 && living != left, "{living:?} after {left:?}");
    assert_eq!(dev.process.stop(), Some(0), "{}", dev.process.output());
    assert!(dev.folders().is_empty());
}

#[test]
fn what_a_storage_node_that_is_down_costs_is_a_refusal_that_names_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { controllers: 1, storage: 1, gateways: 1 };
    let mut cluster = Cluster::apart(dir.path(), shape);
    cluster.start();
    let (bootstrap, admin) = (cluster.bootstrap(), cluster.admin());
    let run = |line: &str| client(&bootstrap, &admin, line, "");
    assert_eq!(run("topic create ottla-doctor --partitions 1").0, Some(0));
    cluster.node(1).kill();
    wait_until("the storage node is fenced", PATIENCE, || run("status").1.contains("fenced"));
    let (code, checks, _) = run("doctor");
    assert_eq!(code, Some(1), "{checks}");
    let line = |name: &str| checks.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("storage nodes").contains("FAILED"), "{checks}");
    assert!(line("quorum").contains("ok"), "{checks}");
    let produce = line("produce");
    assert!(produce.contains("LeaderNotAvailable") && produce.contains("ottla status"), "{checks}");
}
