//! The load generator alone, against a null sink in the same process: what a row can show at most.

use std::io;

use crate::bench::latency::LatencyLoad;
use crate::bench::plan::{Phase, Task, Work};
use crate::bench::produce::ProduceLoad;
use crate::bench::systems::{Durability, Kind};
use crate::bench::table::{GENERATOR, Row, Table};
use crate::bench::{Moved, Options, sink};

/// A generator needs this part of a row's time to show its speed: it has nothing to warm up.
const PART: u32 = 2;

/// Measures the generator for each row of loads into the page cache: durability makes no difference to it.
pub fn run(options: &Options, table: &mut Table) -> io::Result<()> {
    let works = Phase::Loads(Durability::PageCache).works(Kind::OttlaOne);
    for work in works.iter().filter(|work| work.name.contains(&options.rows)) {
        if let Some(row) = row(options, work)? {
            table.push(row);
        }
    }
    Ok(())
}

fn row(options: &Options, work: &Work) -> io::Result<Option<Row>> {
    let (topic, limit) = ("sink".to_owned(), options.limit / PART);
    let row = match work.task {
        Task::Produce(shape) => {
            let load = ProduceLoad { topic, shape, limit, limit_bytes: options.limit_bytes };
            let moved = load.run(&sink::start(shape.partitions)?)?;
            let row = Row::new(work, GENERATOR, "MB/s", vec![moved.mb_per_second()]);
            Row { cpu_seconds_per_gb: Some(own_cpu(&moved)), ..row }
        }
        Task::Latency(shape, rate) => {
            let load = LatencyLoad { topic, shape, rate, limit };
            let (moved, latencies) = load.run(&sink::start(shape.partitions)?)?;
            let row = Row::new(work, GENERATOR, "ms", latencies.percentiles_ms());
            Row { cpu_seconds_per_gb: Some(own_cpu(&moved)), ..row }
        }
        Task::Start | Task::Memory | Task::Consume(_) => return Ok(None),
        Task::Many(_) | Task::Groups(_) | Task::Overload => return Ok(None),
    };
    Ok(Some(row))
}

/// What the generator's threads used per GB; the sink's are not among them.
fn own_cpu(moved: &Moved) -> f64 {
    moved.generator_cpu_seconds / moved.gb()
}
