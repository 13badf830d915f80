//! Readers: they follow the partitions, and now and then read again what they read before.
//!
//! Invariant: a reader asks for nothing beyond what it was told is there, so that "out of range" is always a finding.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_log_format::{Records, batches};
use ottla_types::ErrorCode;

use super::{BASE_TOPICS, Shared, Stage, pause};
use crate::sim::client::{CallError, Client};
use crate::sim::history::Spot;
use crate::sim::value::ValueId;

/// The Fetch version in use: the newest with names of topics.
const FETCH_VERSION: i16 = 12;
/// Bytes of one answer.
const FETCH_BYTES: i32 = 256 << 10;
/// How long a fetch may wait for records.
const FETCH_WAIT_MS: i32 = 300;
/// One fetch in so many reads old records again.
const REWIND: u64 = 8;

/// An answer of Fetch for one partition.
pub struct Fetched {
    /// The code.
    pub error: ErrorCode,
    /// The high watermark.
    pub high_watermark: i64,
    /// Offset and value of each record from the asked offset on; `None` where a value is not intact.
    pub records: Vec<(i64, Option<ValueId>)>,
}

/// Asks a partition's leader for records. `Ok(None)`: no leader is known.
pub async fn fetch(
    client: &mut Client,
    spot: &Spot,
    from: i64,
) -> Result<Option<Fetched>, CallError> {
    if client.leader(spot).is_none() {
        client.refresh().await?;
    }
    let Some(leader) = client.leader(spot) else { return Ok(None) };
    let request = FetchRequest {
        max_wait_ms: FETCH_WAIT_MS,
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        topics: vec![FetchTopic {
            topic: spot.topic.to_string(),
            partitions: vec![FetchPartition {
                partition: spot.partition,
                fetch_offset: from,
                partition_max_bytes: FETCH_BYTES,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let answer = client.call(&leader, FETCH_VERSION, &request).await?;
    let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
    let Some(partition) = partition else {
        let error = ErrorCode::from_code(answer.error_code);
        return Ok(Some(Fetched { error, high_watermark: -1, records: Vec::new() }));
    };
    Ok(Some(Fetched {
        error: ErrorCode::from_code(partition.error_code),
        high_watermark: partition.high_watermark,
        records: decode(&partition.records.clone().unwrap_or_default(), from)?,
    }))
}

fn decode(bytes: &Bytes, from: i64) -> Result<Vec<(i64, Option<ValueId>)>, CallError> {
    let nonsense = |error: String| CallError::Nonsense(error);
    let mut found = Vec::new();
    for batch in batches(bytes) {
        let batch = batch.map_err(|error| nonsense(error.to_string()))?;
        let records = Records::of(&batch.header, batch.bytes);
        for record in records.map_err(|error| nonsense(error.to_string()))? {
            let record = record.map_err(|error| nonsense(error.to_string()))?;
            if record.offset.0 >= from {
                let value = record.value.and_then(ValueId::of);
                found.push((record.offset.0, value));
            }
        }
    }
    Ok(found)
}

/// Reads until the cluster is healed.
pub async fn run(shared: Rc<Shared>, number: u64) {
    let name = format!("reader-{number}");
    let mut client = Client::new(shared.bootstrap.clone(), shared.seed ^ (number << 40));
    let mut positions: BTreeMap<Spot, i64> = BTreeMap::new();
    for (topic, count) in BASE_TOPICS {
        let spot = |partition| Spot { topic: topic.into(), partition };
        positions.extend((0..count).map(|partition| (spot(partition), 0)));
    }
    let spots: Vec<_> = positions.keys().cloned().collect();
    shared.until(Stage::Chaos).await;
    while shared.stage.get() == Stage::Chaos {
        let spot = &spots[client.rng.below(spots.len() as u64) as usize];
        let reached = positions[spot];
        let rewinds = client.rng.below(REWIND) == 0;
        let from = if rewinds { client.rng.below(reached as u64 + 1) as i64 } else { reached };
        match fetch(&mut client, spot, from).await {
            Ok(Some(fetched)) if fetched.error == ErrorCode::None => {
                let next = take(&shared, (&name, number), (spot, from), &fetched);
                positions.insert(spot.clone(), reached.max(next));
            }
            Ok(Some(fetched)) => {
                refused(&shared, &name, (spot, from), fetched.error);
                client.forget(spot);
                pause().await;
            }
            Ok(None) => pause().await,
            Err(error) => {
                if let CallError::Nonsense(what) = &error {
                    shared.trace.problem(format_args!("{name}: {spot}@{from}: {what}"));
                }
                shared.trace.note(&name, format_args!("{spot}@{from}: {error}"));
                client.forget(spot);
                pause().await;
            }
        }
    }
    shared.done(&name);
}

/// Keeps what was read; the next offset.
fn take(
    shared: &Shared,
    (name, number): (&str, u64),
    (spot, from): (&Spot, i64),
    fetched: &Fetched,
) -> i64 {
    let mut history = shared.history.borrow_mut();
    history.watermark(number, spot, fetched.high_watermark);
    let mut next = from;
    for (offset, value) in &fetched.records {
        if *offset != next {
            shared.trace.problem(format_args!("{name}: {spot}@{next} is missing before {offset}"));
        }
        if *offset >= fetched.high_watermark {
            shared.trace.problem(format_args!("{name}: {spot}@{offset} is above the watermark"));
        }
        match value {
            Some(value) => history.read(spot, *offset, *value),
            None => shared.trace.problem(format_args!("{name}: {spot}@{offset} is corrupt")),
        }
        next = offset + 1;
    }
    drop(history);
    let (count, end) = (fetched.records.len(), fetched.high_watermark);
    shared.trace.note(name, format_args!("{spot}@{from} gave {count}, watermark {end}"));
    next
}

fn refused(shared: &Shared, name: &str, (spot, from): (&Spot, i64), code: ErrorCode) {
    let what = format!("{name}: {spot}@{from}: {}", code.name());
    if code.is_retriable() && code != ErrorCode::CorruptMessage {
        shared.trace.note(name, format_args!("{what}"));
    } else {
        shared.trace.problem(format_args!("unread: {what}"));
    }
}
