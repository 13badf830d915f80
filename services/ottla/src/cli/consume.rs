//! `ottla consume`: records of all partitions of a topic, as they come.

use std::sync::Arc;

use rskafka::client::partition::{OffsetAt, PartitionClient};
use rskafka::record::RecordAndOffset;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::cli::failure::Failure;
use crate::cli::kafka::Kafka;
use crate::cli::output::Format;

/// Most bytes of one fetch.
const FETCH_BYTES: i32 = 1024 * 1024;
/// Longest wait of one fetch, in milliseconds.
const FETCH_WAIT_MS: i32 = 500;
/// Batches that may wait to be printed.
const QUEUE_BATCHES: usize = 8;

/// What `consume` is told.
#[derive(Debug, clap::Args)]
pub(super) struct ConsumeArgs {
    /// The topic.
    topic: String,
    /// Begin at the first record instead of the next one.
    #[arg(long)]
    from_beginning: bool,
    /// End after this many records.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Only this partition.
    #[arg(long, value_name = "INDEX")]
    partition: Option<i32>,
}

#[derive(Serialize)]
struct Consumed {
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<String>,
    value: Option<String>,
    headers: std::collections::BTreeMap<String, String>,
}

type Batch = Result<(i32, Vec<RecordAndOffset>), Failure>;

/// Prints records until `--count` is reached or the user stops it.
pub(super) async fn run(bootstrap: &str, args: ConsumeArgs, format: Format) -> Result<(), Failure> {
    let kafka = Arc::new(Kafka::connect(bootstrap).await?);
    let partitions = match args.partition {
        Some(index) => vec![Arc::new(kafka.partition(&args.topic, index).await?)],
        None => kafka.partitions(&args.topic).await?,
    };
    let (batches, mut inbox) = mpsc::channel::<Batch>(QUEUE_BATCHES);
    let at = if args.from_beginning { OffsetAt::Earliest } else { OffsetAt::Latest };
    let mut readers = tokio::task::JoinSet::new();
    for partition in partitions {
        let from = partition.get_offset(at).await.map_err(|error| kafka.failure(&error))?;
        readers.spawn(read(kafka.clone(), partition, from, batches.clone()));
    }
    drop(batches);
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(batch) = inbox.recv().await else { break };
        let (partition, records) = batch?;
        for record in records.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            print(partition, record, format)?;
        }
    }
    Ok(())
}

async fn read(
    kafka: Arc<Kafka>,
    partition: Arc<PartitionClient>,
    mut from: i64,
    batches: mpsc::Sender<Batch>,
) {
    loop {
        let fetched = partition.fetch_records(from, 1..FETCH_BYTES, FETCH_WAIT_MS).await;
        let batch = match fetched {
            Ok((records, _)) if records.is_empty() => continue,
            Ok((records, _)) => {
                from = records.last().map_or(from, |last| last.offset + 1);
                Ok((partition.partition(), records))
            }
            Err(error) => Err(kafka.failure(&error)),
        };
        let failed = batch.is_err();
        if batches.send(batch).await.is_err() || failed {
            return;
        }
    }
}

fn print(partition: i32, found: RecordAndOffset, format: Format) -> std::io::Result<()> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let value = found.record.value.clone().unwrap_or_default();
    let element = Consumed {
        partition,
        offset: found.offset,
        timestamp_ms: found.record.timestamp.timestamp_millis(),
        key: found.record.key.map(text),
        value: found.record.value.map(text),
        headers: found.record.headers.into_iter().map(|(k, v)| (k, text(v))).collect(),
    };
    format.print_element(&value, &element)
}
