//! `ottla produce`: lines in, records out, acknowledged by all in-sync replicas.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    let partitions = kafka.partitions(&args.topic).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut sender = Sender::new(&kafka, partitions, &args);
    while let Some(line) = lines.next_segment().await? {
        sender.take(&line).await?;
    }
    sender.flush().await?;
    format.print(&sender.into_result(args.topic.clone()))?;
    Ok(())
}

struct Sender<'a> {
    kafka: &'a Kafka,
    args: &'a ProduceArgs,
    partitions: Vec<(Arc<PartitionClient>, ProducedPartition)>,
    next: usize,
    batch: Vec<rskafka::record::Record>,
    bytes: usize,
    sent: u64,
}

impl<'a> Sender<'a> {
    fn new(kafka: &'a Kafka, clients: Vec<Arc<PartitionClient>>, args: &'a ProduceArgs) -> Self {
        let start = |client: Arc<PartitionClient>| {
            let partition = client.partition();
            (client, ProducedPartition { partition, records: 0, last_offset: -1 })
        };
        let partitions = clients.into_iter().map(start).collect();
        Self { kafka, args, partitions, next: 0, batch: Vec::new(), bytes: 0, sent: 0 }
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        let (key, value) = split_key(line, self.args.key_separator.as_deref());
        let headers: BTreeMap<_, _> =
            self.args.headers.iter().map(|(k, v)| (k.clone(), v.clone().into_bytes())).collect();
        self.bytes += line.len();
        self.batch.push(record(key, value, headers));
        if self.batch.len() >= BATCH_LINES || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let compression = match self.args.compression {
            Codec::None => Compression::NoCompression,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        };
        let (client, result) = &mut self.partitions[self.next];
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        let produced = client.produce(batch, compression).await;
        let produced = produced.map_err(|error| self.kafka.failure(&error))?;
        result.records += count;
        result.last_offset = produced.last().copied().unwrap_or(result.last_offset);
        self.next = (self.next + 1) % self.partitions.len();
        self.bytes = 0;
        if (self.sent + count) / PROGRESS_LINES > self.sent / PROGRESS_LINES {
            eprintln!("{} records acknowledged", self.sent + count);
        }
        self.sent += count;
        Ok(())
    }

    fn into_result(self, topic: String) -> Produced {
        let partitions: Vec<_> =
            self.partitions.into_iter().map(|(_, p)| p).filter(|p| p.records > 0).collect();
        Produced { topic, records: self.sent, partitions }
    }
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
