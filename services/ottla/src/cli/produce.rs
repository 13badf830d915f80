//! `ottla produce`: lines in, records out, acknowledged by all in-sync replicas.
//!
//! Invariant: lines of one key keep their order.

mod partitioner;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use rskafka::client::partition::{Compression, PartitionClient};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::cli::failure::Failure;
use crate::cli::kafka::{Kafka, record};
use crate::cli::output::{Format, Rows};

/// Most lines of one batch.
const BATCH_LINES: usize = 1_000;
/// Most bytes of one batch; a longer line travels alone.
const BATCH_BYTES: usize = 256 * 1024;
/// Most bytes that wait in the batches of all partitions together.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// Lines between two reports of progress.
const PROGRESS_LINES: u64 = 100_000;

/// What `produce` is told.
#[derive(Debug, clap::Args)]
pub(super) struct ProduceArgs {
    /// The topic; it is made if the cluster allows that.
    topic: String,
    /// Text between key and value of a line; without it a line is the value.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// How batches are compressed.
    #[arg(long, value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// Add a header to every record.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = crate::cli::assignment)]
    headers: Vec<(String, String)>,
}

/// Compression by Kafka's names.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Serialize)]
struct Produced {
    topic: String,
    records: u64,
    partitions: Vec<ProducedPartition>,
}

#[derive(Clone, Copy, Serialize)]
struct ProducedPartition {
    partition: i32,
    records: u64,
    last_offset: i64,
}

impl Rows for Produced {
    fn heads(&self) -> Vec<&'static str> {
        vec!["TOPIC", "PARTITION", "RECORDS", "LAST OFFSET"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |p: &ProducedPartition| {
            vec![
                self.topic.clone(),
                p.partition.to_string(),
                p.records.to_string(),
                p.last_offset.to_string(),
            ]
        };
        self.partitions.iter().map(row).collect()
    }
}

/// Sends standard input, a record a line.
pub(super) async fn run(bootstrap: &str, args: ProduceArgs, format: Format) -> Result<(), Failure> {
    let kafka = Kafka::connect(bootstrap).await?;
    let partitions = kafka.partitions_made(&args.topic).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut sender = Sender::new(&kafka, &partitions, &args);
    while let Some(line) = lines.next_segment().await? {
        sender.take(&line).await?;
    }
    sender.flush_all().await?;
    format.print(&sender.into_result(args.topic.clone()))?;
    Ok(())
}

struct Sender<'a> {
    kafka: &'a Kafka,
    args: &'a ProduceArgs,
    targets: Vec<Target>,
    /// Where records without a key go until the batch is full.
    sticky: usize,
    bytes: usize,
    sent: u64,
}

/// A partition, and what waits for it.
struct Target {
    /// Made when the first batch leaves: a partition that gets no record may be without a leader.
    client: Option<PartitionClient>,
    batch: Vec<rskafka::record::Record>,
    bytes: usize,
    result: ProducedPartition,
}

impl<'a> Sender<'a> {
    fn new(kafka: &'a Kafka, partitions: &[i32], args: &'a ProduceArgs) -> Self {
        let target = |&partition: &i32| {
            let result = ProducedPartition { partition, records: 0, last_offset: -1 };
            Target { client: None, batch: Vec::new(), bytes: 0, result }
        };
        let targets: Vec<_> = partitions.iter().map(target).collect();
        // Small runs begin at a partition of their own each, or the first one would get all of them.
        let sticky = partitioner::partition_of(&random_bytes(), targets.len());
        Self { kafka, args, targets, sticky, bytes: 0, sent: 0 }
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        let (key, value) = split_key(line, self.args.key_separator.as_deref());
        let headers: BTreeMap<_, _> =
            self.args.headers.iter().map(|(k, v)| (k.clone(), v.clone().into_bytes())).collect();
        let at = key
            .as_deref()
            .map_or(self.sticky, |key| partitioner::partition_of(key, self.targets.len()));
        let target = &mut self.targets[at];
        // A batch that would become too long leaves without this line, so that the topic's limit is met wherever it can be.
        if !target.batch.is_empty() && target.bytes + line.len() > BATCH_BYTES {
            self.flush(at).await?;
        }
        let target = &mut self.targets[at];
        target.bytes += line.len();
        self.bytes += line.len();
        target.batch.push(record(key, value, headers));
        if target.batch.len() >= BATCH_LINES || target.bytes >= BATCH_BYTES {
            self.flush(at).await?;
            self.sticky = (self.sticky + usize::from(at == self.sticky)) % self.targets.len();
        }
        match self.bytes >= WAITING_BYTES {
            true => self.flush_all().await,
            false => Ok(()),
        }
    }

    async fn flush_all(&mut self) -> Result<(), Failure> {
        for at in 0..self.targets.len() {
            self.flush(at).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, at: usize) -> Result<(), Failure> {
        let target = &mut self.targets[at];
        if target.batch.is_empty() {
            return Ok(());
        }
        if target.client.is_none() {
            let made = self.kafka.partition(&self.args.topic, target.result.partition).await?;
            target.client = Some(made);
        }
        let client = target.client.as_ref().expect("made above");
        let batch = std::mem::take(&mut target.batch);
        let count = batch.len() as u64;
        let produced = client.produce(batch, self.args.compression.into()).await;
        let produced = produced.map_err(|error| self.kafka.failure(&error))?;
        target.result.records += count;
        target.result.last_offset = produced.last().copied().unwrap_or(target.result.last_offset);
        self.bytes -= std::mem::take(&mut target.bytes);
        if (self.sent + count) / PROGRESS_LINES > self.sent / PROGRESS_LINES {
            eprintln!("{} records acknowledged", self.sent + count);
        }
        self.sent += count;
        Ok(())
    }

    fn into_result(self, topic: String) -> Produced {
        let partitions: Vec<_> =
            self.targets.into_iter().map(|t| t.result).filter(|p| p.records > 0).collect();
        Produced { topic, records: self.sent, partitions }
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::NoCompression,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

/// Others in every run, from the standard library's per-process random keys.
fn random_bytes() -> [u8; 8] {
    RandomState::new().hash_one(std::process::id()).to_le_bytes()
}

fn split_key(line: &[u8], separator: Option<&str>) -> (Option<Vec<u8>>, Vec<u8>) {
    let at = separator.filter(|separator| !separator.is_empty()).and_then(|s| {
        line.windows(s.len()).position(|w| w == s.as_bytes()).map(|at| (at, s.len()))
    });
    match at {
        Some((at, len)) => (Some(line[..at].to_vec()), line[at + len..].to_vec()),
        None => (None, line.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        assert_eq!(split_key(b"a:b:c", Some(":")), (Some(b"a".to_vec()), b"b:c".to_vec()));
        assert_eq!(split_key(b"abc", Some(":")), (None, b"abc".to_vec()));
        assert_eq!(split_key(b"a:b", None), (None, b"a:b".to_vec()));
        assert_eq!(split_key(b"a:b", Some("")), (None, b"a:b".to_vec()));
    }
}
