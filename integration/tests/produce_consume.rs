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
