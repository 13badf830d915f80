//! Records in and out through the raw client: batches made here, values read back.
//!
//! Deliberately finds no leaders by itself: the caller says which address it speaks to.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_kafka_wire::messages::produce_response::ProduceResponse;
use ottla_log_format::{BatchBuilder, Records, batches};
use ottla_types::{Offset, TimestampMs};

use crate::wire::{self, Wire};

/// The newest Produce version with topic names.
pub const PRODUCE_VERSION: i16 = 12;
/// The newest Fetch version with topic names.
const FETCH_VERSION: i16 = 12;
/// Most bytes of one answer.
const FETCH_BYTES: i32 = 8 << 20;
/// How long a new topic may take until its leader is named.
const LEADER_PATIENCE: Duration = Duration::from_secs(60);

/// Now, in Kafka's milliseconds.
pub fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// An uncompressed batch of these values, stamped now; each record with the same headers.
pub fn batch<V: AsRef<[u8]>>(values: &[V], headers: &[(&str, &[u8])]) -> Bytes {
    let (stamp, mut builder) = (now(), BatchBuilder::new(Offset(0)));
    for value in values {
        builder = builder.record_with_headers(stamp, None, Some(value.as_ref()), headers);
    }
    builder.build()
}

/// A Produce request of one batch to one partition.
pub fn produce_request(topic: &str, partition: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned(),
            partition_data: vec![PartitionProduceData { index: partition, records: Some(batch) }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The base offset in an answer to [`produce_request`], or its error code as an error.
pub fn base_offset(response: &ProduceResponse) -> io::Result<i64> {
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    match partition {
        Some(partition) if partition.error_code == 0 => Ok(partition.base_offset),
        Some(partition) => Err(io::Error::other(format!(
            "Produce: error {} {}",
            partition.error_code,
            partition.error_message.as_deref().unwrap_or_default()
        ))),
        None => Err(io::Error::other("Produce: empty answer")),
    }
}

/// Sends one batch with acks=all and waits; its base offset.
pub fn produce(wire: &mut Wire, topic: &str, partition: i32, batch: Bytes) -> io::Result<i64> {
    let request = produce_request(topic, partition, -1, batch);
    base_offset(&wire.call(PRODUCE_VERSION, &request)?)
}

/// Offsets and values of a partition, from `from` to its high watermark.
pub fn read_all(
    wire: &mut Wire,
    topic: &str,
    partition: i32,
    from: i64,
) -> io::Result<Vec<(i64, Bytes)>> {
    let (mut found, mut next) = (Vec::new(), from);
    loop {
        let (high_watermark, bytes) = fetch(wire, topic, partition, next)?;
        for batch in batches(&bytes) {
            let batch = batch.map_err(io::Error::other)?;
            let records = Records::of(&batch.header, batch.bytes).map_err(io::Error::other)?;
            for record in records {
                let record = record.map_err(io::Error::other)?;
                if record.offset.0 >= next {
                    let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
                    found.push((record.offset.0, value));
                }
            }
            next = batch.header.last_offset().0 + 1;
        }
        if next >= high_watermark {
            return Ok(found);
        }
    }
}

/// One Fetch of one partition: its high watermark and what came.
pub fn fetch(wire: &mut Wire, topic: &str, partition: i32, from: i64) -> io::Result<(i64, Bytes)> {
    let request = FetchRequest {
        max_wait_ms: 200,
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                partition,
                fetch_offset: from,
                partition_max_bytes: FETCH_BYTES,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = wire.call(FETCH_VERSION, &request)?;
    let partition = response.responses.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if partition.error_code == 0 => {
            Ok((partition.high_watermark, partition.records.clone().unwrap_or_default()))
        }
        Some(partition) => {
            Err(io::Error::other(format!("Fetch from {from}: error {}", partition.error_code)))
        }
        None => {
            Err(io::Error::other(format!("Fetch: empty answer, error {}", response.error_code)))
        }
    }
}

/// A connection to the leader of a partition, once it has one.
pub fn leader(bootstrap: &str, topic: &str, partition: usize) -> io::Result<Wire> {
    let leaders = wire::retry(LEADER_PATIENCE, || wire::leaders(bootstrap, topic))?;
    let address = leaders.get(partition).ok_or_else(|| io::Error::other("no such partition"))?;
    Wire::connect(address)
}
