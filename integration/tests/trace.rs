//! The spans of a request, as an OTLP receiver gets them: one tree through every role, in one process and with roles apart.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::otlp::{Kind, Receiver, Span, Trace};
use ottla_integration::{records, wire};

/// How long the exporters may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a producer wrote into its record header.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRODUCER_SPAN: &str = "00f067aa0ba902b7";
/// Steps of a produce at the storage node, each below it.
const PRODUCE_STEPS: [&str; 3] = ["append", "journal.sync", "high_watermark.wait"];
/// Steps of a metadata change at the controller, in order.
const METADATA_STEPS: [&str; 4] = ["propose", "append", "commit", "apply"];

fn start(mut cluster: Cluster) -> (Cluster, Receiver) {
    let receiver = Receiver::start();
    cluster.env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint);
    // Spans leave a batch processor after this many milliseconds.
    cluster.env("OTEL_BSP_SCHEDULE_DELAY", "200");
    cluster.start();
    (cluster, receiver)
}

fn one_process() -> (tempfile::TempDir, Cluster, Receiver) {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, receiver) = start(Cluster::one_process(dir.path()));
    (dir, cluster, receiver)
}

fn apart() -> (tempfile::TempDir, Cluster, Receiver) {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { controllers: 3, storage: 1, gateways: 1 };
    let (cluster, receiver) = start(Cluster::apart(dir.path(), shape));
    (dir, cluster, receiver)
}

/// Checks the tree of one produce. The storage node's span is what the steps hang under.
fn assert_produce_tree(trace: &Trace, apart: bool) {
    let gateway = trace
        .named("Produce")
        .find(|span| span.kind == Kind::Server && span.parent == PRODUCER_SPAN);
    let gateway =
        gateway.unwrap_or_else(|| panic!("no Produce under the producer's span in\n{trace}"));
    for step in PRODUCE_STEPS {
        let found = trace.below(gateway, step);
        let [step] = found[..] else {
            panic!("{} spans {step} below Produce in\n{trace}", found.len())
        };
        let parent = trace.parent(step).unwrap();
        assert!(
            parent.id != gateway.id,
            "{} hangs under the storage node's span:\n{trace}",
            step.name
        );
        assert!(
            step.nanos.0 <= step.nanos.1 && gateway.nanos.0 <= step.nanos.0,
            "times fit:\n{trace}"
        );
    }
    let storage = trace.parent(trace.below(gateway, "append")[0]).unwrap();
    let between = trace.parent(storage).unwrap();
    if apart {
        assert_eq!(
            (gateway.service.as_str(), storage.service.as_str()),
            ("ottla-gateway", "ottla-storage"),
            "\n{trace}"
        );
        assert_eq!(storage.kind, Kind::Server, "\n{trace}");
        assert_eq!(between.kind, Kind::Client, "\n{trace}");
        assert!(between.id == gateway.id || trace.is_below(between, gateway), "\n{trace}");
    } else {
        assert!(storage.id == gateway.id || trace.is_below(storage, gateway), "\n{trace}");
    }
    println!("{trace}");
}

fn a_produce_is_one_tree(
    (_dir, cluster, receiver): (tempfile::TempDir, Cluster, Receiver),
    apart: bool,
) {
    let bootstrap = cluster.bootstrap();
    wire::create_topic(&bootstrap, "traced", (1, 1), &[]).unwrap();
    let mut leader = records::leader(&bootstrap, "traced", 0).unwrap();
    let traceparent = format!("00-{TRACE}-{PRODUCER_SPAN}-01");
    let headers: [(&str, &[u8]); 1] = [("traceparent", traceparent.as_bytes())];
    let batch = records::batch(&["one record"], &headers);
    records::produce(&mut leader, "traced", 0, batch.clone()).unwrap();
    // The storage node's span has the same name, and each process exports in its own time.
    ottla_integration::process::wait_until("the gateway's Produce arrives", PATIENCE, || {
        receiver.trace(TRACE).named("Produce").any(|span| span.parent == PRODUCER_SPAN)
    });
    let names = ["Produce", "append", "journal.sync", "high_watermark.wait"];
    let trace = receiver.wait_for(TRACE, &names, PATIENCE);
    assert_produce_tree(&trace, apart);

    // What was traced came out as it went in.
    let found = records::read_all(&mut leader, "traced", 0, 0).unwrap();
    assert_eq!(&found[0].1[..], b"one record");

    // A larger batch has many producers: it continues no one's trace and is linked with each.
    let batch = records::batch(&["one", "of", "three"], &headers);
    records::produce(&mut leader, "traced", 0, batch).unwrap();
    let linked =
        |span: &Span| span.name == "Produce" && span.links.iter().any(|link| link == TRACE);
    ottla_integration::process::wait_until("a linked Produce arrives", PATIENCE, || {
        !receiver.traces_with(linked).is_empty()
    });
    let id = &receiver.traces_with(linked)[0];
    assert_ne!(id, TRACE);
    receiver.wait_for(id, &names, PATIENCE);
}

#[test]
fn a_produce_is_one_tree_under_its_producer_in_one_process() {
    a_produce_is_one_tree(one_process(), false);
}

#[test]
fn a_produce_is_one_tree_under_its_producer_through_roles_apart() {
    a_produce_is_one_tree(apart(), true);
}

fn a_created_topic_is_one_tree(
    (_dir, cluster, receiver): (tempfile::TempDir, Cluster, Receiver),
    apart: bool,
) {
    wire::create_topic(&cluster.bootstrap(), "traced", (2, 1), &[]).unwrap();
    // The controller's span has the same name: the trace begins at the gateway.
    let gateway = if apart { "ottla-gateway" } else { "ottla" };
    let is_create = |span: &Span| {
        span.name == "CreateTopics" && span.kind == Kind::Server && span.service == gateway
    };
    ottla_integration::process::wait_until("a CreateTopics arrives", PATIENCE, || {
        !receiver.traces_with(is_create).is_empty()
    });
    let id = &receiver.traces_with(is_create)[0];
    let names: Vec<_> = ["CreateTopics"].into_iter().chain(METADATA_STEPS).collect();
    let trace = receiver.wait_for(id, &names, PATIENCE);
    let gateway = trace.spans.iter().find(|span| is_create(span)).unwrap();
    assert_eq!(gateway.parent, "", "\n{trace}");
    let mut began = gateway.nanos.0;
    for step in METADATA_STEPS {
        let found = trace.below(gateway, step);
        assert!(!found.is_empty(), "no {step} below CreateTopics in\n{trace}");
        let controller = found.iter().find(|span| !apart || span.service == "ottla-controller");
        let step =
            controller.unwrap_or_else(|| panic!("{step} is not the controller's in\n{trace}"));
        assert!(step.nanos.0 >= began, "{} begins before what precedes it:\n{trace}", step.name);
        began = step.nanos.0;
    }
    println!("{trace}");
}

#[test]
fn a_created_topic_is_one_tree_through_raft_in_one_process() {
    a_created_topic_is_one_tree(one_process(), false);
}

#[test]
fn a_created_topic_is_one_tree_through_raft_with_roles_apart() {
    a_created_topic_is_one_tree(apart(), true);
}
