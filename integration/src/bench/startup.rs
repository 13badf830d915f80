//! From the start of the processes to the first acknowledged record, on data directories that are new.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::produce::ProduceLoad;
use crate::bench::shape::Shape;
use crate::bench::systems::{Kind, Settings, System};
use crate::wire;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One record of 1 KB, and no more.
const ONE_RECORD: Shape = Shape {
    partitions: 1,
    acks: -1,
    record_bytes: 1_000,
    batch_records: 1,
    connections: 1,
    in_flight: 1,
};

/// Starts a system, creates a topic, has one record acknowledged. How long that took, and the system.
pub fn first_record(kind: Kind, settings: Settings, dir: &Path) -> io::Result<(Duration, System)> {
    let started = Instant::now();
    let system = System::start(kind, settings, dir)?;
    wire::retry(PATIENCE, || wire::create_topic(&system.bootstrap, "first", (1, 1), &[]))?;
    let load = ProduceLoad {
        topic: "first".to_owned(),
        shape: ONE_RECORD,
        limit: PATIENCE,
        limit_bytes: 1,
    };
    wire::retry(PATIENCE, || load.run(&system.bootstrap))?;
    Ok((started.elapsed(), system))
}
