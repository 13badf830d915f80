//! `ottla consume`: records of all partitions of a topic, as they come.

use std::sync::Arc;

use rskafka::client::partition::{OffsetAt, PartitionClient};
use rskafka::record::RecordAndOffset;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    count: Option<u64>,
    /// Only this partition.
    #[arg(
        long,
        value_name = "INDEX",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(0..)
    )]
    partition: Option<i32>,
}

/// A record as programs get it.
#[derive(Serialize)]
pub(super) struct Consumed {
    /// Where it is.
    pub partition: i32,
    /// Where it is there.
    pub offset: i64,
    /// Its time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Content>,
    /// Its value.
    pub value: Option<Content>,
    /// Its headers.
    pub headers: std::collections::BTreeMap<String, Content>,
}

impl Consumed {
    /// A record that was read.
    pub(super) fn new(partition: i32, found: RecordAndOffset) -> Self {
        Self {
            partition,
            offset: found.offset,
            timestamp_ms: found.record.timestamp.timestamp_millis(),
            key: found.record.key.map(Content::from),
            value: found.record.value.map(Content::from),
            headers: found.record.headers.into_iter().map(|(k, v)| (k, v.into())).collect(),
        }
    }
}

/// Text where the bytes are UTF-8, else `{"hex": …}`: what is printed is what was stored.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes {
        /// Two digits a byte.
        hex: String,
    },
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| {
                let bytes = error.as_bytes().iter();
                Self::Bytes { hex: bytes.map(|byte| format!("{byte:02x}")).collect() }
            },
            Self::Text,
        )
    }
}

/// A partition and its next records.
type Batch = Result<(i32, Vec<RecordAndOffset>), Failure>;

/// Prints records until `--count` is reached or the user stops it.
pub(super) async fn run(bootstrap: &str, args: ConsumeArgs, format: Format) -> Result<(), Failure> {
    let kafka = Arc::new(Kafka::connect(bootstrap).await?);
    let partitions = chosen(&args, kafka.partitions(&args.topic).await?)?;
    let at = if args.from_beginning { OffsetAt::Earliest } else { OffsetAt::Latest };
    let mut readers = Readers::new(kafka.clone());
    for index in partitions {
        let partition = kafka.partition(&args.topic, index).await?;
        let from = partition.get_offset(at).await.map_err(|error| kafka.failure(&error))?;
        readers.read(partition, from);
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let (partition, records) = readers.next().await?;
        for record in records.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            print(partition, record, format)?;
        }
    }
    Ok(())
}

/// The partitions that are asked for, of those that are there.
fn chosen(args: &ConsumeArgs, partitions: Vec<i32>) -> Result<Vec<i32>, Failure> {
    match args.partition {
        None => Ok(partitions),
        Some(index) if partitions.contains(&index) => Ok(vec![index]),
        Some(index) => Err(Failure::Refused {
            reason: "UnknownTopicOrPartition".to_owned(),
            message: format!(
                "{} has no partition {index}; it has 0 to {}",
                args.topic,
                partitions.last().copied().unwrap_or_default()
            ),
        }),
    }
}

/// Readers of partitions, whose records come together.
pub(super) struct Readers {
    kafka: Arc<Kafka>,
    batches: mpsc::Sender<Batch>,
    inbox: mpsc::Receiver<Batch>,
    tasks: JoinSet<()>,
}

impl Readers {
    /// None yet.
    pub(super) fn new(kafka: Arc<Kafka>) -> Self {
        let (batches, inbox) = mpsc::channel(QUEUE_BATCHES);
        Self { kafka, batches, inbox, tasks: JoinSet::new() }
    }

    /// Reads a partition from an offset on.
    pub(super) fn read(&mut self, partition: PartitionClient, from: i64) {
        self.tasks.spawn(read(self.kafka.clone(), partition, from, self.batches.clone()));
    }

    /// The next records of a partition.
    pub(super) async fn next(&mut self) -> Batch {
        self.inbox.recv().await.expect("a sender is kept here")
    }
}

async fn read(
    kafka: Arc<Kafka>,
    partition: PartitionClient,
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
    let value = found.record.value.clone().unwrap_or_default();
    let element = Consumed::new(partition, found);
    format.print_element(&value, &element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_printed_as_they_are() {
        let json = |bytes: &[u8]| serde_json::to_string(&Content::from(bytes.to_vec())).unwrap();
        assert_eq!(json("Grüße".as_bytes()), "\"Grüße\"");
        assert_eq!(json(b"\xff\x00a"), r#"{"hex":"ff0061"}"#);
    }

    #[test]
    fn a_partition_that_is_not_there_is_refused_with_those_that_are() {
        let args = |partition| ConsumeArgs {
            topic: "orders".to_owned(),
            from_beginning: false,
            count: None,
            partition,
        };
        assert_eq!(chosen(&args(None), vec![0, 1]).unwrap(), [0, 1]);
        assert_eq!(chosen(&args(Some(1)), vec![0, 1]).unwrap(), [1]);
        let refused = chosen(&args(Some(7)), vec![0, 1]).unwrap_err();
        assert!(matches!(refused, Failure::Refused { .. }));
        assert!(refused.to_string().contains("it has 0 to 1"), "{refused}");
    }
}
