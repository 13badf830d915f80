//! Ottla beside Apache Kafka, in one run: `cargo run --release -p ottla-integration --bin ottla-bench -- --help`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ottla_integration::bench::plan::PHASES;
use ottla_integration::bench::systems::Kind;
use ottla_integration::bench::table::Table;
use ottla_integration::bench::{Options, generator, session};
use ottla_integration::process::ottla;

/// Measures Apache Kafka and Ottla in turn on the same disk with the same load and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// Where data may be written; emptied afterwards.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Seconds of each load.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Most seconds that each kind of load warms a system up (the first of a JVM thrice that), not counted; less once its
    /// just-in-time compilers rest.
    #[arg(long, default_value_t = 10.0)]
    warm_up: f64,
    /// Most GB of each load.
    #[arg(long, default_value_t = 4.0)]
    max_gb: f64,
    /// Only these systems.
    #[arg(long, value_delimiter = ',', default_value = "kafka,one,apart,generator")]
    systems: Vec<String>,
    /// Only these durabilities; the rows of many partitions belong to `page-cache`.
    #[arg(long, value_delimiter = ',', default_value = "page-cache,fsync")]
    durability: Vec<String>,
    /// Only rows whose name contains this. A row of memory shows what the rows that ran before it left.
    #[arg(long, default_value = "", value_name = "SUBSTRING")]
    rows: String,
    /// Where the JSON goes.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The name of a system on the command line.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Kafka => "kafka",
        Kind::OttlaOne => "one",
        Kind::OttlaApart => "apart",
    }
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let options = Options {
        dir: args.dir.clone(),
        limit: Duration::from_secs_f64(args.seconds),
        warm_up: Duration::from_secs_f64(args.warm_up),
        limit_bytes: (args.max_gb * 1e9) as u64,
        rows: args.rows.clone(),
    };
    let wanted = |name: &str| args.systems.iter().any(|wanted| wanted == name);
    let mut table = Table::default();
    // Built now, so that no start of a system waits for it.
    eprintln!("  … building Ottla");
    ottla();
    for phase in PHASES {
        let durability = phase.settings().durability.name();
        if args.durability.iter().any(|name| name.replace('-', " ") == durability) {
            for kind in phase.order().into_iter().filter(|kind| wanted(name(*kind))) {
                session::run(&options, kind, phase, &mut table)?;
            }
        }
    }
    if wanted("generator") {
        generator::run(&options, &mut table)?;
    }
    println!("{}", table.markdown());
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&table)?)?;
    }
    Ok(())
}
