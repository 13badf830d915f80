//! `ottla topic tail`: new records of all partitions of a topic, also of those that are added meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::seams::{Clock as _, RealClock};
use rskafka::client::partition::OffsetAt;
use rskafka::record::RecordAndOffset;

use crate::cli::consume::{Consumed, Content, Readers};
use crate::cli::failure::Failure;
use crate::cli::kafka::Kafka;
use crate::cli::output::Format;

/// Between two looks for partitions that were added.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What `tail` is told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TailArgs {
    /// Its name.
    name: String,
    /// Begin so many records before the end of each partition.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    last: u32,
    /// Stop after so many records.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    count: Option<u64>,
}

/// Prints records until the user stops it, or `--count` is reached.
pub(in crate::cli) async fn run(
    bootstrap: &str,
    args: TailArgs,
    format: Format,
) -> Result<(), Failure> {
    let kafka = Arc::new(Kafka::connect(bootstrap).await?);
    let mut known = kafka.partitions(&args.name).await?;
    let mut readers = Readers::new(kafka.clone());
    for index in &known {
        let partition = kafka.partition(&args.name, *index).await?;
        let failure = |error| kafka.failure(&error);
        let first = partition.get_offset(OffsetAt::Earliest).await.map_err(failure)?;
        let end = partition.get_offset(OffsetAt::Latest).await.map_err(failure)?;
        readers.read(partition, end.saturating_sub(i64::from(args.last)).max(first));
    }
    let clock = RealClock::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            biased;
            batch = readers.next() => {
                let (partition, records) = batch?;
                for record in records.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    left -= 1;
                    print(partition, record, format)?;
                }
            }
            () = clock.sleep(LOOK_INTERVAL) => {
                let now = kafka.partitions(&args.name).await?;
                let added: Vec<_> = now.iter().filter(|at| !known.contains(at)).copied().collect();
                if !added.is_empty() {
                    // The library asks once where partitions are: what it was told lacks the new ones.
                    let kafka = Kafka::connect(bootstrap).await?;
                    for index in added {
                        readers.read(kafka.partition(&args.name, index).await?, 0);
                    }
                }
                known = now;
            }
        }
    }
    Ok(())
}

fn print(partition: i32, found: RecordAndOffset, format: Format) -> std::io::Result<()> {
    let consumed = Consumed::new(partition, found);
    format.print_element(line(&consumed).as_bytes(), &consumed)
}

/// A record in one line: place, time, key, value.
fn line(record: &Consumed) -> String {
    let shown = |content: &Option<Content>| match content {
        None => "null".to_owned(),
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Bytes { hex }) => format!("0x{hex}"),
    };
    let time = rskafka::chrono::DateTime::from_timestamp_millis(record.timestamp_ms);
    let time = time.map(|time| format!("{time:?}"));
    let place = format!("{}@{}", record.partition, record.offset);
    let time = time.unwrap_or_else(|| record.timestamp_ms.to_string());
    match &record.key {
        None => format!("{place}\t{time}\t{}", shown(&record.value)),
        key => format!("{place}\t{time}\t{}\t{}", shown(key), shown(&record.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_when_and_what() {
        let record = |key: Option<&str>, value: Option<&str>| Consumed {
            partition: 2,
            offset: 41,
            timestamp_ms: 1_795_539_600_250,
            key: key.map(|text| text.as_bytes().to_vec().into()),
            value: value.map(|text| text.as_bytes().to_vec().into()),
            headers: Default::default(),
        };
        let at = "2@41\t2026-11-24T17:00:00.250Z";
        assert_eq!(line(&record(None, Some("v"))), format!("{at}\tv"));
        assert_eq!(line(&record(Some("k"), None)), format!("{at}\tk\tnull"));
    }
}
