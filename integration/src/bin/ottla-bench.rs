//! Ottla beside Apache Kafka, in one run: `cargo run --release -p ottla-integration --bin ottla-bench -- --help`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use ottla_integration::bench::fetch::FetchLoad;
use ottla_integration::bench::produce::ProduceLoad;
use ottla_integration::bench::systems::{Durability, Kind, System};
use ottla_integration::bench::table::{Row, Table};
use ottla_integration::bench::{Moved, sink, startup};
use ottla_integration::wire;

/// Measures Apache Kafka and Ottla in turn on the same disk with the same load and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// Where data may be written; emptied afterwards.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Seconds of each load.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of the load that warms a system up, not counted.
    #[arg(long, default_value_t = 10.0)]
    warm_up: f64,
    /// Most GB of each load.
    #[arg(long, default_value_t = 4.0)]
    max_gb: f64,
    /// Only these systems.
    #[arg(long, value_delimiter = ',', default_value = "kafka,one,apart")]
    systems: Vec<String>,
    /// Only these durabilities.
    #[arg(long, value_delimiter = ',', default_value = "page-cache,fsync")]
    durability: Vec<String>,
    /// Where the JSON goes.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Bytes of record values in one batch.
const BATCH_BYTES: usize = 64_000;

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut table = Table::default();
    generator_alone(&args, &mut table)?;
    for durability in [Durability::PageCache, Durability::Fsync] {
        if !args.durability.iter().any(|name| name.replace('-', " ") == durability.name()) {
            continue;
        }
        for kind in [Kind::Kafka, Kind::OttlaOne, Kind::OttlaApart] {
            let name = match kind {
                Kind::Kafka => "kafka",
                Kind::OttlaOne => "one",
                Kind::OttlaApart => "apart",
            };
            if args.systems.iter().any(|wanted| wanted == name) {
                let dir = args.dir.join(format!("{name}-{}", durability.name().replace(' ', "-")));
                measure(&args, kind, durability, &dir, &mut table)?;
            }
        }
    }
    println!("{}", table.markdown());
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&table)?)?;
    }
    Ok(())
}

fn load(args: &Args, topic: &str, partitions: i32, acks: i16) -> ProduceLoad {
    ProduceLoad {
        topic: topic.to_owned(),
        partitions,
        acks,
        batch_bytes: BATCH_BYTES,
        connections: if partitions == 1 { 1 } else { 6 },
        in_flight: 5,
        limit: Duration::from_secs_f64(args.seconds),
        limit_bytes: (args.max_gb * 1e9) as u64,
    }
}

fn generator_alone(args: &Args, table: &mut Table) -> io::Result<()> {
    for partitions in [1, 100] {
        let moved = load(args, "sink", partitions, 1).run(&sink::start(partitions)?)?;
        table.push(Row {
            work: format!("produce, {partitions} partitions: the generator alone, into nothing"),
            system: "null sink".to_owned(),
            unit: "MB/s",
            value: moved.mb_per_second(),
            cpu_seconds_per_gb: None,
        });
    }
    Ok(())
}

fn measure(
    args: &Args,
    kind: Kind,
    durability: Durability,
    dir: &Path,
    table: &mut Table,
) -> io::Result<()> {
    let _ = std::fs::remove_dir_all(dir);
    let (took, system) = startup::first_record(kind, durability, dir)?;
    let mut push = |work: String, unit, value, cpu_seconds_per_gb| {
        table.push(Row { work, system: kind.name().to_owned(), unit, value, cpu_seconds_per_gb });
    };
    if durability == Durability::Fsync {
        push("start to the first acknowledged record".to_owned(), "s", took.as_secs_f64(), None);
        push("memory, idle".to_owned(), "MB", system.resident_mb(), None);
    }
    let warm_up = Args {
        seconds: args.warm_up,
        systems: vec![],
        durability: vec![],
        dir: PathBuf::new(),
        json: None,
        ..*args
    };
    produce(&warm_up, &system, ("warm-up", 100, 1))?;
    for partitions in [1, 100] {
        for (acks, acks_name) in [(1, "1"), (-1, "all")] {
            let topic = format!("produce-{partitions}-{acks_name}");
            let (moved, cpu) = produce(args, &system, (&topic, partitions, acks))?;
            let work = format!(
                "produce 1 KB, acks={acks_name}, {partitions} partitions, {}",
                durability.name()
            );
            push(work, "MB/s", moved.mb_per_second(), Some(cpu / moved.gb()));
        }
    }
    if durability == Durability::PageCache {
        let (moved, cpu) = consume(args, &system)?;
        push(
            "consume 1 KB, cached, 6 partitions".to_owned(),
            "MB/s",
            moved.mb_per_second(),
            Some(cpu / moved.gb()),
        );
    } else {
        push("memory, after load".to_owned(), "MB", system.resident_mb(), None);
    }
    drop(system);
    std::fs::remove_dir_all(dir)
}

/// One produce load on a topic of its own, which is deleted afterwards. What moved, and the server's CPU-seconds.
fn produce(args: &Args, system: &System, work: (&str, i32, i16)) -> io::Result<(Moved, f64)> {
    let (topic, partitions, acks) = work;
    wire::create_topic(&system.bootstrap, topic, (partitions, 1), &[])?;
    let load = load(args, topic, partitions, acks);
    load.wait_ready(&system.bootstrap)?;
    let before = system.cpu_seconds();
    let moved = load.run(&system.bootstrap)?;
    let cpu = system.cpu_seconds() - before;
    wire::delete_topic(&system.bootstrap, topic)?;
    Ok((moved, cpu))
}

fn consume(args: &Args, system: &System) -> io::Result<(Moved, f64)> {
    const PARTITIONS: i32 = 6;
    const BATCHES: u64 = 2_500;
    wire::create_topic(&system.bootstrap, "consume", (PARTITIONS, 1), &[])?;
    let partition_bytes = BATCHES * BATCH_BYTES as u64;
    let mut fill = load(args, "consume", PARTITIONS, 1);
    fill.connections = PARTITIONS as usize;
    fill.limit = Duration::from_secs(120);
    fill.limit_bytes = partition_bytes * PARTITIONS as u64;
    fill.wait_ready(&system.bootstrap)?;
    fill.run(&system.bootstrap)?;
    let read = |rounds| {
        let topic = "consume".to_owned();
        FetchLoad {
            topic,
            partitions: PARTITIONS,
            batch_bytes: BATCH_BYTES,
            partition_bytes,
            rounds,
        }
        .run(&system.bootstrap)
    };
    read(2)?;
    let before = system.cpu_seconds();
    let moved = read(8)?;
    let cpu = system.cpu_seconds() - before;
    wire::delete_topic(&system.bootstrap, "consume")?;
    Ok((moved, cpu))
}
