//! A long attack on every port of a cluster of three processes; what it says at the end is the verdict.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::hostile::attack::{self, Depth, Ports, Report};

/// Sends counts of 2³¹−1 in every API and version, then mutated frames to every port.
#[derive(Debug, Parser)]
struct Args {
    /// Mutated frames.
    #[arg(long, env = "OTTLA_FUZZ_FRAMES", default_value_t = 1_000_000)]
    frames: u64,
    /// Seed of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most memory that a process may ever hold, in MB.
    #[arg(long, default_value_t = attack::RESIDENT_LIMIT_MB)]
    limit_mb: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let dir = tempfile::tempdir()?;
    let shape = Shape { controllers: 1, storage: 1, gateways: 1 };
    let mut cluster = Cluster::apart(dir.path(), shape);
    cluster.start();
    let ports = Ports::of(&cluster, &attack::cluster_id(&cluster));
    let mut faults = 0;
    let mut report = |what: &str, sent: Report, started: Instant, cluster: &mut Cluster| {
        println!("{what}, in {:.0} s", started.elapsed().as_secs_f64());
        sent.iter().for_each(|(port, tally)| println!("  {port}: {tally}"));
        for node in &mut cluster.nodes {
            let peak = node.process().peak_resident_mb();
            println!("  {}: at most {peak:.0} MB resident", node.name);
        }
        for fault in attack::faults(cluster, args.limit_mb) {
            faults += 1;
            println!("  FAULT {fault}");
        }
    };
    let started = Instant::now();
    let sent = attack::claims(&ports, Depth::Thorough)?;
    report("counts of 2^31-1 in every API and version", sent, started, &mut cluster);
    let started = Instant::now();
    let sent = attack::mutated(&ports, args.frames, args.seed)?;
    report("mutated frames on every port", sent, started, &mut cluster);
    let started = Instant::now();
    let hoard = attack::hoard(&ports)?;
    let sent = vec![("Kafka listener", hoard.tally)];
    report("answers asked for and left unread", sent, started, &mut cluster);
    drop(hoard);
    println!("{faults} faults");
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
