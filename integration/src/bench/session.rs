//! One running system, through its rows in one part of the plan.
//!
//! Invariant: nothing of a row runs into the next one: its topic's files are gone, and nothing is left
//! to be written back, before that begins. A load is preceded
//! by the same load unmeasured, on a topic of its own, until the system is warm.

mod coordination;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::fetch::FetchLoad;
use crate::bench::latency::{Latencies, LatencyLoad};
use crate::bench::plan::{Phase, Task, Work};
use crate::bench::produce::ProduceLoad;
use crate::bench::shape::Shape;
use crate::bench::systems::{Kind, Settings, System};
use crate::bench::table::{Row, Table};
use crate::bench::{Moved, Options, startup};
use crate::wire;

/// A JVM whose compilers take less than this part of the CPU time is warm.
const WARM_SHARE: f64 = 0.1;
/// How often warmth is looked at.
const WARM_CHUNK: Duration = Duration::from_secs(2);
/// What is enough for a system without a JVM.
const WARM_NATIVE: Duration = Duration::from_secs(1);
/// The first load of a JVM warms it up as often as this, on a new topic each time.
const FIRST_ROUNDS: u32 = 3;
/// How long the files of a deleted topic may stay.
const DELETE_PATIENCE: Duration = Duration::from_secs(10);
/// How often they are looked for.
const DELETE_POLL: Duration = Duration::from_millis(20);
/// How long filling a topic that is read afterwards may take.
const FILL_PATIENCE: Duration = Duration::from_secs(120);
/// Batches in each partition that is read afterwards.
const FILL_BATCHES: u64 = 2_500;
/// Requests of a latency row, at least: fewer say nothing of p99.9.
const FEWEST_ANSWERS: f64 = 5_000.0;
/// But it lasts at most this many times as long as the other rows.
const LONGEST_LATENCY: u32 = 2;

/// Measures the rows of one system in one part of the plan.
pub fn run(options: &Options, kind: Kind, phase: Phase, table: &mut Table) -> io::Result<()> {
    let works = phase.works(kind);
    let mut works = works.iter().filter(|work| work.name.contains(&options.rows)).peekable();
    if works.peek().is_none() {
        return Ok(());
    }
    let dir = options.dir.join(format!("{kind:?}").to_lowercase());
    let _ = std::fs::remove_dir_all(&dir);
    let mut session = Session::start(options, (kind, phase.settings()), &dir)?;
    for work in works {
        session.measure(work)?.into_iter().for_each(|row| table.push(row));
    }
    session.say("removing what it left");
    drop(session);
    std::fs::remove_dir_all(&dir)?;
    rustix::fs::sync();
    Ok(())
}

struct Session<'a> {
    options: &'a Options,
    kind: Kind,
    system: System,
    /// From the start of the processes to the first acknowledged record.
    start: Duration,
    /// Loads that the system is warm for.
    warm: Vec<Task>,
    topics: u32,
}

/// What a load brought, and what it cost the system.
struct Measured {
    moved: Moved,
    latencies: Option<Latencies>,
    cpu_seconds: f64,
    /// The part of it that compilers of a JVM took; `None` where there are none.
    compiler_share: Option<f64>,
}

impl<'a> Session<'a> {
    fn start(options: &'a Options, what: (Kind, Settings), dir: &Path) -> io::Result<Self> {
        let (kind, settings) = what;
        let (start, system) = startup::first_record(kind, settings, dir)?;
        Ok(Self { options, kind, system, start, warm: Vec::new(), topics: 0 })
    }

    fn measure(&mut self, work: &Work) -> io::Result<Vec<Row>> {
        let row = |unit, figure| vec![Row::new(work, self.kind.name(), unit, vec![figure])];
        match work.task {
            Task::Start => Ok(row("s", self.start.as_secs_f64())),
            Task::Memory => Ok(row("MB", self.system.resident_mb())),
            Task::Many(many) => {
                let took = many.run(&self.system.bootstrap, |text| self.say(&text))?;
                Ok(row("s", took.as_secs_f64()))
            }
            Task::Produce(shape) | Task::Consume(shape) | Task::Latency(shape, _) => {
                let measured = self.load(work.task, shape)?;
                Ok(vec![self.row(work, shape, &measured)])
            }
            Task::Groups(groups) => coordination::groups(self, work, groups),
            Task::Overload => coordination::overload(self),
        }
    }

    fn row(&self, work: &Work, shape: Shape, measured: &Measured) -> Row {
        let moved = &measured.moved;
        let (unit, figures) = match &measured.latencies {
            Some(latencies) => ("ms", latencies.percentiles_ms()),
            None => ("MB/s", vec![moved.mb_per_second()]),
        };
        let cores = measured.cpu_seconds / moved.elapsed.as_secs_f64();
        let records = moved.mb_per_second() / shape.record_bytes as f64;
        Row {
            million_records_per_second: (shape.record_bytes < 1_000).then_some(records),
            cpu_seconds_per_gb: Some(measured.cpu_seconds / moved.gb()),
            cores: measured.latencies.is_some().then_some(cores),
            compiler_share: measured.compiler_share,
            ..Row::new(work, self.kind.name(), unit, figures)
        }
    }

    /// One load on a topic of its own, once the system is warm for it.
    fn load(&mut self, task: Task, shape: Shape) -> io::Result<Measured> {
        let mut topic = self.create(task, shape)?;
        // Creating and deleting make a JVM compile again what it took for settled: it warms up across both.
        let rounds =
            if self.warm.is_empty() && self.kind == Kind::Kafka { FIRST_ROUNDS } else { 1 };
        let cold = !self.warm.contains(&task);
        for _ in 0..rounds * u32::from(cold) {
            self.warm_up(task, &topic)?;
            if matches!(task, Task::Produce(_)) {
                self.delete(&topic)?;
                topic = self.create(task, shape)?;
            }
        }
        self.warm.push(task);
        rustix::fs::sync();
        let measured = self.run_once(task, &topic, self.limit(task))?;
        self.delete(&topic)?;
        Ok(measured)
    }

    fn limit(&self, task: Task) -> Duration {
        let limit = self.options.limit;
        let Task::Latency(_, rate) = task else { return limit };
        let enough = Duration::from_secs_f64(FEWEST_ANSWERS / f64::from(rate));
        limit.max(enough.min(limit * LONGEST_LATENCY))
    }

    /// Repeats a load until compilers take little of the time, or for as long or as much as is allowed.
    fn warm_up(&self, task: Task, topic: &str) -> io::Result<()> {
        let chunk = if self.kind == Kind::Kafka { WARM_CHUNK } else { WARM_NATIVE };
        let (started, mut bytes) = (Instant::now(), 0);
        loop {
            let left = self.options.warm_up.saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            let measured = self.run_once(task, topic, left.min(chunk))?;
            bytes += measured.moved.bytes;
            let share = measured.compiler_share.unwrap_or(0.0);
            let compilers =
                measured.compiler_share.map(|s| format!(", compilers {:.0} %", s * 100.0));
            self.say(&format!("warming up{}", compilers.unwrap_or_default()));
            let read_only = matches!(task, Task::Consume(_));
            if share < WARM_SHARE || (bytes >= self.options.limit_bytes && !read_only) {
                break;
            }
        }
        Ok(())
    }

    fn run_once(&self, task: Task, topic: &str, limit: Duration) -> io::Result<Measured> {
        let (topic, bootstrap) = (topic.to_owned(), &self.system.bootstrap);
        let (cpu, compilers) = (self.system.cpu_seconds(), self.system.compiler_seconds());
        let (moved, latencies) = match task {
            Task::Produce(shape) => {
                let limit_bytes = self.options.limit_bytes;
                (ProduceLoad { topic, shape, limit, limit_bytes }.run(bootstrap)?, None)
            }
            Task::Consume(shape) => {
                let partition_bytes = FILL_BATCHES * shape.batch_bytes() as u64;
                (FetchLoad { topic, shape, partition_bytes, limit }.run(bootstrap)?, None)
            }
            Task::Latency(shape, rate) => {
                let (moved, latencies) =
                    LatencyLoad { topic, shape, rate, limit }.run(bootstrap)?;
                (moved, Some(latencies))
            }
            Task::Start | Task::Memory | Task::Many(_) | Task::Groups(_) | Task::Overload => {
                return Err(io::Error::other("this row is not a load"));
            }
        };
        let cpu_seconds = self.system.cpu_seconds() - cpu;
        let of_compilers = (self.system.compiler_seconds() - compilers).max(0.0);
        let share = of_compilers / cpu_seconds.max(f64::MIN_POSITIVE);
        let compiler_share = (self.kind == Kind::Kafka).then_some(share);
        Ok(Measured { moved, latencies, cpu_seconds, compiler_share })
    }

    /// A new topic, each of whose partitions took a batch; filled, if it is to be read.
    fn create(&mut self, task: Task, shape: Shape) -> io::Result<String> {
        self.topics += 1;
        let topic = format!("bench-{}", self.topics);
        let bootstrap = &self.system.bootstrap;
        wire::create_topic(bootstrap, &topic, (shape.partitions, 1), &[])?;
        let fill = ProduceLoad {
            topic: topic.clone(),
            shape,
            limit: FILL_PATIENCE,
            limit_bytes: FILL_BATCHES * shape.batch_bytes() as u64 * shape.partitions as u64,
        };
        fill.wait_ready(bootstrap)?;
        if matches!(task, Task::Consume(_)) {
            fill.run(bootstrap)?;
        }
        Ok(topic)
    }

    /// Deletes a topic and waits until its files are gone.
    fn delete(&self, topic: &str) -> io::Result<()> {
        wire::delete_topic(&self.system.bootstrap, topic)?;
        let started = Instant::now();
        while self.system.has_files_of(topic)? {
            if started.elapsed() > DELETE_PATIENCE {
                self.say(&format!("the files of {topic} stay, they may disturb the next row"));
                break;
            }
            std::thread::sleep(DELETE_POLL);
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        eprintln!("  … {}: {what}", self.kind.name());
    }
}
