//! Faults that stop a start: each is one line with cause and cure on standard error, and exit code 1.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::node::Node;
use ottla_integration::process::{Process, wait_until};
use ottla_integration::{ports, records, wire};

/// Longest time until a faulty start ends.
const PATIENCE: Duration = Duration::from_secs(90);

/// Starts a node that must end by itself; its one line.
fn refused(node: &Node) -> String {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("refused.log");
    let mut process = Process::start(&node.name, &mut node.command().unwrap(), &log).unwrap();
    let code = process.wait(PATIENCE);
    let output = process.output();
    assert_eq!(code, Some(1), "exit code 1:\n{output}");
    assert!(!output.contains("panicked"), "no panic:\n{output}");
    let errors: Vec<_> = output.lines().filter(|line| line.starts_with("error: ")).collect();
    let [line] = errors[..] else { panic!("one line that begins with `error: `:\n{output}") };
    assert_eq!(output.lines().last(), Some(line), "the cause comes last:\n{output}");
    println!("{line}");
    line.to_owned()
}

/// Cause and cure are parted by a semicolon; each of these is said.
fn assert_says(line: &str, parts: &[&str]) {
    assert!(line.contains("; "), "cause; cure: {line}");
    for part in parts {
        assert!(line.contains(part), "{part} is not in: {line}");
    }
}

fn node(dir: &Path) -> Node {
    Cluster::one_process(dir).nodes.remove(0)
}

#[test]
fn an_unknown_key_is_refused_with_the_name_that_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path());
    node.set("num.partitons", "3");
    assert_says(&refused(&node), &["num.partitons", "num.partitions"]);
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path());
    node.set("num.io.threads", "many");
    assert_says(&refused(&node), &["num.io.threads=many", "ottla.properties:"]);
}

#[test]
fn a_missing_role_and_a_missing_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path());
    node.properties.retain(|(key, _)| key != "process.roles");
    assert_says(&refused(&node), &["process.roles"]);

    let mut command = std::process::Command::new(ottla_integration::process::ottla());
    let output = command.args(["server", "/no/such/file.properties"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/no/such/file.properties") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_security_protocol_that_is_not_served_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path());
    node.set("listener.security.protocol.map", "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT");
    assert_says(&refused(&node), &["SASL_SSL"]);
}

#[test]
fn a_port_that_is_taken_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path());
    for key in ["ottla.http.listener", "ottla.admin.listener", "ottla.storage.listener"] {
        let taken = TcpListener::bind(node.property(key)).unwrap();
        assert_says(&refused(&node), &[&taken.local_addr().unwrap().port().to_string()]);
    }
    let address = ottla_integration::cluster::listener(&node, "PLAINTEXT");
    let _taken = TcpListener::bind(&address).unwrap();
    let port = address.rsplit(':').next().unwrap();
    assert_says(&refused(&node), &[port]);
}

#[test]
fn too_little_disk_space_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path());
    node.set("ottla.min.free.disk.bytes", &i64::MAX.to_string());
    let line = refused(&node);
    assert_says(&line, &["ottla.min.free.disk.bytes", &node.data.display().to_string()]);
}

#[test]
fn a_directory_in_use_or_of_another_node_or_cluster_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::one_process(dir.path());
    cluster.start();
    let data = cluster.nodes[0].data.display().to_string();

    let other = tempfile::tempdir().unwrap();
    let mut second = node(other.path());
    second.set("log.dirs", &data);
    assert_says(&refused(&second), &["use", &data]);
    assert!(cluster.nodes[0].is_ready(), "the first one goes on");
    cluster.nodes[0].process().stop();

    second.set("node.id", "2");
    let voters = second.property("controller.quorum.voters").replace("1@", "2@");
    second.set("controller.quorum.voters", &voters);
    assert_says(&refused(&second), &["node.id", &data]);

    let third = tempfile::tempdir().unwrap();
    let meta = cluster.nodes[0].data.join("meta.properties");
    let text = std::fs::read_to_string(&meta).unwrap();
    let mut third = node(third.path());
    third.set("log.dirs", &format!("{data},{}", third.data.display()));
    std::fs::create_dir_all(&third.data).unwrap();
    let foreign: String = text
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("cluster.id", _)) => "cluster.id=QUJDREVGR0hJSktMTU5PUA\n".to_owned(),
            Some(("directory.id", _)) => "directory.id=MTIzNDU2Nzg5MDEyMzQ1Ng\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(third.data.join("meta.properties"), foreign).unwrap();
    let place = third.data.display().to_string();
    assert_says(&refused(&third), &["belongs to cluster QUJDREVGR0hJSktMTU5PUA", &place]);
}

#[test]
fn a_quorum_that_cannot_be_reached_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::apart(dir.path(), Shape { controllers: 1, storage: 1, gateways: 1 });
    let nobody = format!("127.0.0.1:{}", ports::free_port());
    cluster.set("controller.quorum.voters", &format!("101@{nobody}"));
    // Kafka's key, and its meaning: how long a node that was never registered goes on trying.
    cluster.set("initial.broker.registration.timeout.ms", "2000");
    assert_says(&refused(cluster.node(1)), &[&nobody, "controller.quorum.voters"]);
    // A gateway has nothing to lose by waiting. It says what it misses, and is not ready.
    let gateway = cluster.node(201);
    gateway.start();
    wait_until("the gateway says what it misses", PATIENCE, || {
        let says = |line: &str| line.contains(&nobody) && line.contains("cannot be reached");
        gateway.output().lines().any(says)
    });
    assert!(gateway.runs() && !gateway.is_ready());
}

#[test]
fn a_corrupt_segment_is_named_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::one_process(dir.path());
    cluster.start();
    let bootstrap = cluster.bootstrap();
    for topic in ["broken", "whole"] {
        wire::create_topic(&bootstrap, topic, (1, 1), &[("segment.bytes", "1048576")]).unwrap();
        let mut leader = records::leader(&bootstrap, topic, 0).unwrap();
        for turn in 0..6 {
            let values = vec![vec![b'a' + turn; 1_000]; 500];
            records::produce(&mut leader, topic, 0, records::batch(&values, &[])).unwrap();
        }
    }
    let node = &mut cluster.nodes[0];
    assert_eq!(node.process().stop(), Some(0), "{}", node.log_tail());
    let segment = node.data.join("broken-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xa5);
    std::fs::write(&segment, bytes).unwrap();
    // Nothing says that the logs were left in order, nor up to where they are sound: they are read from their start.
    std::fs::remove_file(node.data.join(".kafka_cleanshutdown")).unwrap();
    let _ = std::fs::remove_file(node.data.join("recovery-point-offset-checkpoint"));
    node.start();
    wait_until("the segment is named", PATIENCE, || {
        let output = node.output();
        let parts = ["broken-0/00000000000000000000.log is corrupt", "delete the topic"];
        output.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
    node.wait_ready();
    let mut leader = records::leader(&bootstrap, "whole", 0).unwrap();
    assert_eq!(records::read_all(&mut leader, "whole", 0, 0).unwrap().len(), 3_000);
}
