//! The shape of a Produce load: how records become batches, and batches requests on connections. Encodes the one request
//! that is replayed, and judges its answers.

use bytes::{Bytes, BytesMut};
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_kafka_wire::messages::produce_response::ProduceResponse;
use ottla_log_format::BatchBuilder;
use ottla_types::{Offset, TimestampMs};
use std::io;

use crate::wire;

/// The Produce version that is replayed: the newest with topic names.
pub const VERSION: i16 = 12;
/// Where the correlation id stands in a frame: after length, api key and version.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;
/// How long the server may take for one request, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

/// How a load is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Partitions of the topic.
    pub partitions: i32,
    /// 1 or -1.
    pub acks: i16,
    /// Bytes of one record's value.
    pub record_bytes: usize,
    /// Records in a batch; a request carries one batch.
    pub batch_records: usize,
    /// Connections; the partitions are shared out among them.
    pub connections: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
}

impl Shape {
    /// Bytes of record values in one batch.
    pub fn batch_bytes(&self) -> usize {
        self.record_bytes * self.batch_records
    }

    /// The partitions of one connection; never none.
    pub fn partitions_of(&self, connection: usize) -> Vec<i32> {
        let mine = |partition: &i32| *partition as usize % self.connections == connection;
        let of_connection: Vec<i32> = (0..self.partitions).filter(mine).collect();
        if of_connection.is_empty() { vec![0] } else { of_connection }
    }

    /// One batch, stamped now.
    pub fn batch(&self) -> Bytes {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = TimestampMs(now.map_or(0, |since| since.as_millis() as i64));
        let value: Vec<u8> = (0..self.record_bytes).map(|at| b'a' + (at * 7 % 26) as u8).collect();
        let batch = BatchBuilder::new(Offset(0));
        (0..self.batch_records)
            .fold(batch, |batch, _| batch.record(now, None, Some(&value)))
            .build()
    }

    /// A request with one batch for each of `partitions`.
    pub fn request(&self, topic: &str, partitions: &[i32]) -> ProduceRequest {
        let records = self.batch();
        let data =
            |index: &i32| PartitionProduceData { index: *index, records: Some(records.clone()) };
        ProduceRequest {
            acks: self.acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: partitions.iter().map(data).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// The request for one partition, as it is replayed.
    pub fn frame(&self, topic: &str, partition: i32) -> BytesMut {
        BytesMut::from(&wire::encode(VERSION, 0, &self.request(topic, &[partition]))[..])
    }
}

/// Gives an encoded request its correlation id.
pub fn number(frame: &mut BytesMut, correlation_id: i32) {
    frame[CORRELATION_ID].copy_from_slice(&correlation_id.to_be_bytes());
}

/// Whether an answer is the expected one, and a success for all its partitions.
pub fn check(frame: Bytes, expected: i32) -> io::Result<()> {
    let (correlation_id, response) =
        frames::decode_response::<ProduceRequest>(frame, VERSION).map_err(io::Error::other)?;
    if correlation_id != expected {
        return Err(io::Error::other(format!("answer {correlation_id}, expected {expected}")));
    }
    match codes(&response).find(|(_, code)| *code != 0) {
        None => Ok(()),
        Some((_, code)) => Err(io::Error::other(format!("Produce: error {code}"))),
    }
}

/// The error code of each partition that was answered.
pub fn codes(response: &ProduceResponse) -> impl Iterator<Item = (i32, i16)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| (partition.index, partition.error_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        partitions: 8,
        acks: 1,
        record_bytes: 100,
        batch_records: 600,
        connections: 3,
        in_flight: 5,
    };

    #[test]
    fn every_partition_has_one_connection() {
        let mut all: Vec<i32> =
            (0..3).flat_map(|connection| SHAPE.partitions_of(connection)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_takes_its_correlation_id_where_the_header_has_it() {
        let mut frame = SHAPE.frame("topic", 3);
        number(&mut frame, 0x0102_0304);
        let mut reader = ottla_kafka_wire::Reader::new(Bytes::copy_from_slice(&frame[4..]));
        assert_eq!(frames::decode_request_header(&mut reader).unwrap().correlation_id, 0x0102_0304);
    }
}
