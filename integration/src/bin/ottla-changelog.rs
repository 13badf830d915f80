//! Writes a changelog and checks what compaction left of it, against Ottla or Apache Kafka.
//!
//! What the log holds is a function of the offset, so a load that was cut off by a kill is gone on with where the log ends. Beside a load,
//! single records are written to another topic at a steady pace, and their latencies told.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use ottla_integration::bench::latency::Latencies;
use ottla_integration::changelog::Changelog;
use ottla_integration::records;
use ottla_integration::wire::{self, Wire};
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_log_format::Codec;

/// Records of a batch.
const BATCH_RECORDS: u64 = 1000;
/// Requests in flight.
const IN_FLIGHT: usize = 5;
/// Between two of the records whose latency is taken.
const PACE: Duration = Duration::from_millis(5);
/// How long a new topic may take until its leader takes records.
const READY_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Args {
    /// Where to begin.
    #[arg(long)]
    bootstrap: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// Keys of the changelog.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the topic with these configs.
    Create {
        /// NAME=VALUE
        configs: Vec<String>,
    },
    /// Writes until the log ends at this offset. An end of the connection is told, and no failure.
    Load {
        /// Where the log is to end.
        #[arg(long)]
        to: u64,
        /// Latencies of single records of this topic are taken meanwhile.
        #[arg(long)]
        beside: Option<String>,
        /// Compress every second batch with lz4.
        #[arg(long)]
        mixed: bool,
    },
    /// Reads all, and fails if it is not what it must be.
    Check {
        /// Last tombstones may be gone.
        #[arg(long)]
        gone: bool,
    },
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let log = Changelog { keys: args.keys };
    match &args.command {
        Command::Create { configs } => {
            let configs: Option<Vec<_>> =
                configs.iter().map(|config| config.split_once('=')).collect();
            let configs = configs.ok_or_else(|| io::Error::other("a config is NAME=VALUE"))?;
            wire::retry(READY_PATIENCE, || {
                wire::create_topic(&args.bootstrap, &args.topic, (1, 1), &configs)
            })
        }
        Command::Load { to, beside, mixed } => load(&args, log, (*to, *mixed), beside.as_deref()),
        Command::Check { gone } => {
            let mut wire = records::leader(&args.bootstrap, &args.topic, 0)?;
            let seen = log.check(&mut wire, &args.topic, *gone)?;
            println!(
                "end {} records {} tombstones {} gone {}",
                seen.end, seen.records, seen.tombstones, seen.gone
            );
            Ok(())
        }
    }
}

fn load(
    args: &Args,
    log: Changelog,
    (to, mixed): (u64, bool),
    beside: Option<&str>,
) -> io::Result<()> {
    let mut wire = records::leader(&args.bootstrap, &args.topic, 0)?;
    let (end, _) = wire::retry(READY_PATIENCE, || records::fetch(&mut wire, &args.topic, 0, 0))?;
    let from = u64::try_from(end).unwrap_or(0);
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let (written, latencies) = std::thread::scope(|scope| {
        let latencies = beside.map(|topic| scope.spawn(|| pace(&args.bootstrap, topic, &is_over)));
        let waiting = VecDeque::new();
        let topic = &args.topic;
        let mut load = Load { wire, topic, log, mixed, waiting, acknowledged: from };
        let written = load.run(from, to).map_err(|error| (load.acknowledged, error));
        is_over.store(true, Ordering::Relaxed);
        (written, latencies.map(|thread| thread.join().expect("it does not panic")))
    });
    let took = began.elapsed().as_secs_f64();
    match written {
        Ok(()) => println!("end {to} seconds {took:.1}"),
        Err((acknowledged, error)) => {
            println!("acknowledged {acknowledged} when the connection ended: {error}");
        }
    }
    if let Some(Ok(latencies)) = latencies {
        let ms: Vec<_> = latencies.percentiles_ms().iter().map(|ms| format!("{ms:.2}")).collect();
        println!("latency p50 {} p99 {} p99.9 {}", ms[0], ms[1], ms[2]);
    }
    Ok(())
}

/// Single records at a steady pace. A connection that ends, ends it.
fn pace(bootstrap: &str, topic: &str, is_over: &AtomicBool) -> io::Result<Latencies> {
    let mut wire = records::leader(bootstrap, topic, 0)?;
    let mut latencies = Latencies::default();
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        if records::produce(&mut wire, topic, 0, records::batch(&[[b'x'; 100]], &[])).is_err() {
            break;
        }
        // From the moment at which it was due: who stalls is charged for what waits.
        latencies.record(due.elapsed());
        due += PACE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(latencies)
}

struct Load<'a> {
    wire: Wire,
    topic: &'a str,
    log: Changelog,
    mixed: bool,
    /// Request, and the offset that it must get.
    waiting: VecDeque<(i32, u64)>,
    /// Offsets below were acknowledged; of the last batch only the first one is counted.
    acknowledged: u64,
}

impl Load<'_> {
    fn run(&mut self, from: u64, to: u64) -> io::Result<()> {
        let mut next = from;
        let mut sent = 0_i32;
        while next < to {
            if self.waiting.len() == IN_FLIGHT {
                self.take_answer()?;
            }
            let count = BATCH_RECORDS.min(to - next);
            let codec = if self.mixed && sent % 2 == 1 { Codec::Lz4 } else { Codec::None };
            let batch = self.log.batch(next, count, codec)?;
            let request = records::produce_request(self.topic, 0, -1, batch);
            let frame = wire::encode(records::PRODUCE_VERSION, sent, &request);
            self.wire.stream.write_all(&frame)?;
            self.waiting.push_back((sent, next));
            sent = sent.wrapping_add(1);
            next += count;
        }
        while !self.waiting.is_empty() {
            self.take_answer()?;
        }
        Ok(())
    }

    fn take_answer(&mut self) -> io::Result<()> {
        let frame = self.wire.read_frame()?;
        let version = records::PRODUCE_VERSION;
        let (id, response) =
            frames::decode_response::<ProduceRequest>(frame, version).map_err(io::Error::other)?;
        let base = records::base_offset(&response)?;
        match self.waiting.pop_front() {
            Some((sent, offset)) if (sent, offset as i64) == (id, base) => {
                self.acknowledged = offset + 1;
                Ok(())
            }
            other => Err(io::Error::other(format!("answer {id} at {base}, expected {other:?}"))),
        }
    }
}
