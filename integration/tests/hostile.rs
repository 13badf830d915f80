//! Bytes that no honest client sends, on every port of real processes: they go on, nothing panics, memory stays bounded.
//!
//! The short form of `integration/conformance/hostile`, which sends a million frames; `OTTLA_FUZZ_FRAMES` sets how many.

use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::hostile::attack::{self, Depth, Ports, RESIDENT_LIMIT_MB};

/// Mutated frames unless the environment says otherwise.
const FRAMES: u64 = 20_000;

#[test]
fn hostile_bytes_on_every_port_cost_neither_a_process_nor_its_memory() {
    let frames = std::env::var("OTTLA_FUZZ_FRAMES").ok().and_then(|text| text.parse().ok());
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::apart(dir.path(), Shape { controllers: 1, storage: 1, gateways: 1 });
    cluster.start();
    let ports = Ports::of(&cluster, &attack::cluster_id(&cluster));
    let sent = attack::claims(&ports, Depth::Quick).unwrap();
    println!("counts of 2^31-1: {sent:#?}");
    let faults = attack::faults(&mut cluster, RESIDENT_LIMIT_MB);
    assert!(faults.is_empty(), "after the counts of 2^31-1: {faults:#?}");
    let sent = attack::mutated(&ports, frames.unwrap_or(FRAMES), 1).unwrap();
    println!("mutated frames: {sent:#?}");
    let faults = attack::faults(&mut cluster, RESIDENT_LIMIT_MB);
    assert!(faults.is_empty(), "after the mutated frames: {faults:#?}");
    // They still hold all that they asked for while honest clients are served.
    let hoard = attack::hoard(&ports).unwrap();
    println!("answers left unread: {}", hoard.tally);
    for node in &mut cluster.nodes {
        let peak = node.process().peak_resident_mb();
        println!("{}: at most {peak:.0} MB resident", node.name);
    }
    let faults = attack::faults(&mut cluster, RESIDENT_LIMIT_MB);
    assert!(faults.is_empty(), "while answers are left unread: {faults:#?}");
}
