//! How fast a partition log and its journal are on this disk: `cargo run --release -p ottla-storage-node --example log_speed -- DIR`.
//!
//! Measures appends to the page cache, and durable rounds through the journal and with direct syncs: what the constants of
//! `log/round.rs` were chosen by. Deliberately measures the log alone: no shard, no network.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log_format::{BatchBuilder, PlacedBatch, validate_produced};
use ottla_runtime::seams::{Clock, Disk, RealClock, RealDisk};
use ottla_storage_node::log::{
    Files, Journal, JournalConfig, JournalError, LogConfig, PartitionLog, Round, RoundError,
};
use ottla_types::{
    LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition, Uuid,
};

/// Bytes that each measurement writes, at most.
const BYTES: u64 = 1 << 30;
/// Rounds that a measurement of syncs makes, at most.
const ROUNDS: u64 = 500;
/// How many files are kept open.
const OPEN_FILES: usize = 256;

struct Bench {
    disk: Arc<dyn Disk>,
    clock: RealClock,
    files: Files,
    journal: Journal,
    logs: Vec<PartitionLog>,
}

impl Bench {
    fn new(dir: &Path, partitions: i32, durable: bool) -> Result<Self, Box<dyn Error>> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        if disk.exists(dir)? {
            disk.remove_dir_all(dir)?;
        }
        disk.create_dir_all(dir)?;
        let files = Files::new(Arc::clone(&disk), OPEN_FILES);
        let journal =
            Journal::start(&disk, dir, 0, JournalConfig { file_bytes: 64 << 20, salt: 1 })?;
        let config = Arc::new(LogConfig { durable, ..LogConfig::default() });
        let create = |partition| {
            let topic = TopicId(Uuid::from_random(1));
            let id = TopicPartition { topic, partition: PartitionIndex(partition) };
            PartitionLog::create(&files, dir, "bench", id, Arc::clone(&config))
        };
        let logs = (0..partitions).map(create).collect::<Result<_, _>>()?;
        Ok(Self { disk, clock: RealClock::new(), files, journal, logs })
    }

    /// One batch for each partition, made durable if they are.
    fn round(&mut self, batch: &Bytes) -> Result<(), Box<dyn Error>> {
        let mut round = Round::new(&self.journal);
        for log in &mut self.logs {
            let header = validate_produced(batch)?;
            let placed = PlacedBatch::new(batch.clone(), header, log.end(), LeaderEpoch(1));
            round.append(log, &mut self.files, vec![placed], TimestampMs(1))?;
        }
        let committed = loop {
            match round.commit(&*self.disk, &mut self.journal) {
                Err(RoundError::Journal(JournalError::Full)) => {
                    // The journal is freed unsynced: this measures rounds, not checkpoints.
                    let generation = self.journal.retired().map_or(0, |retired| retired.generation);
                    self.journal.free(generation);
                }
                other => break other?,
            }
        };
        // Both are in the order of the partitions.
        for (log, committed) in self.logs.iter_mut().zip(&committed) {
            log.apply_commit(committed);
        }
        Ok(())
    }

    fn run(mut self, name: &str, batch: &Bytes, rounds: u64) -> Result<(), Box<dyn Error>> {
        for _ in 0..rounds / 10 {
            self.round(batch)?;
        }
        let start = self.clock.monotonic();
        for _ in 0..rounds {
            self.round(batch)?;
        }
        let seconds = (self.clock.monotonic() - start).as_secs_f64();
        let bytes = rounds as f64 * batch.len() as f64 * self.logs.len() as f64;
        println!(
            "{name:>44}: {:8.0} MB/s, {:9.1} µs a round",
            bytes / seconds / 1e6,
            seconds / rounds as f64 * 1e6
        );
        Ok(())
    }
}

fn batch(bytes: usize) -> Bytes {
    let value = vec![b'x'; bytes.saturating_sub(80)];
    BatchBuilder::new(Offset(0)).record(TimestampMs(1), None, Some(&value)).build()
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "log-speed".to_owned());
    let dir = Path::new(&dir);
    for kib in [1, 16, 64, 1024] {
        let batch = batch(kib * 1024);
        let rounds = (BYTES / batch.len() as u64).min(300_000);
        Bench::new(dir, 1, false)?.run(&format!("page cache, {kib} KiB"), &batch, rounds)?;
    }
    for partitions in [1, 2, 4, 10, 100] {
        for kib in [4, 64, 256, 1024] {
            let batch = batch(kib * 1024);
            let rounds = (BYTES / (batch.len() as u64 * partitions as u64)).min(ROUNDS);
            if rounds >= 10 {
                let name = format!("durable, {partitions} partitions × {kib} KiB");
                Bench::new(dir, partitions, true)?.run(&name, &batch, rounds)?;
            }
        }
    }
    RealDisk.remove_dir_all(dir)?;
    Ok(())
}
