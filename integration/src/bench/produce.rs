//! Raw replay of Produce: connections that keep a number of requests in flight, each answer checked.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_log_format::BatchBuilder;
use ottla_types::{Offset, TimestampMs};

use crate::bench::{Moved, RECORD_BYTES};
use crate::wire::{self, Wire};

/// The Produce version that is replayed: the newest with topic names.
const VERSION: i16 = 12;
/// Where the correlation id stands in a frame: after length, api key and version.
const CORRELATION_ID: std::ops::Range<usize> = 8..12;

/// How long a new topic may take until all its partitions take records.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// A produce load.
#[derive(Clone, Debug)]
pub struct ProduceLoad {
    /// The topic, which exists.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// 1 or -1.
    pub acks: i16,
    /// Bytes of record values in one batch.
    pub batch_bytes: usize,
    /// Connections; the partitions are shared out among them.
    pub connections: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
    /// The load ends after this long,
    pub limit: Duration,
    /// or after about this many bytes of record values.
    pub limit_bytes: u64,
}

impl ProduceLoad {
    /// Runs the load against the leaders that `bootstrap` names.
    pub fn run(&self, bootstrap: &str) -> io::Result<Moved> {
        let leaders =
            wire::retry(Duration::from_secs(30), || wire::leaders(bootstrap, &self.topic))?;
        let started = Instant::now();
        let moved: io::Result<Vec<u64>> = std::thread::scope(|scope| {
            let start = |index: usize| {
                let mine: Vec<_> = (0..self.partitions)
                    .filter(|p| *p as usize % self.connections == index % self.connections)
                    .collect();
                let leaders = &leaders;
                scope.spawn(move || self.connection(leaders, &mine, started))
            };
            let threads: Vec<_> =
                (0..self.connections.min(self.partitions.max(1) as usize)).map(start).collect();
            threads.into_iter().map(|t| t.join().expect("a load thread does not panic")).collect()
        });
        Ok(Moved { bytes: moved?.iter().sum(), elapsed: started.elapsed() })
    }

    /// Waits until each partition took a batch: CreateTopics of Kafka answers before that.
    pub fn wait_ready(&self, bootstrap: &str) -> io::Result<()> {
        let one_each = Self {
            limit_bytes: self.partitions.max(self.connections as i32) as u64
                * self.batch_bytes as u64
                * 2,
            limit: READY_PATIENCE,
            ..self.clone()
        };
        wire::retry(READY_PATIENCE, || one_each.run(bootstrap)).map(drop)
    }

    fn connection(
        &self,
        leaders: &[String],
        partitions: &[i32],
        started: Instant,
    ) -> io::Result<u64> {
        let address = &leaders[partitions[0] as usize];
        let mine: Vec<_> =
            partitions.iter().copied().filter(|p| leaders[*p as usize] == *address).collect();
        let mut wire = Wire::connect(address)?;
        let mut frames: Vec<_> = mine.iter().map(|p| BytesMut::from(&self.frame(*p)[..])).collect();
        let records = self.batch_bytes / RECORD_BYTES;
        let share = self.limit_bytes / self.connections.max(1) as u64;
        let (mut sent, mut moved) = (0_u64, 0_u64);
        let mut in_flight = VecDeque::new();
        loop {
            let more = moved + in_flight.len() as u64 * self.batch_bytes as u64;
            if more < share && started.elapsed() < self.limit && in_flight.len() < self.in_flight {
                let turn = sent as usize % frames.len();
                let frame = &mut frames[turn];
                frame[CORRELATION_ID].copy_from_slice(&(sent as i32).to_be_bytes());
                wire.stream.write_all(frame)?;
                in_flight.push_back(sent as i32);
                sent += 1;
                continue;
            }
            let Some(expected) = in_flight.pop_front() else { return Ok(moved) };
            check(wire.read_frame()?, expected)?;
            moved += (records * RECORD_BYTES) as u64;
        }
    }

    fn frame(&self, partition: i32) -> Bytes {
        let request = ProduceRequest {
            acks: self.acks,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(batch(self.batch_bytes / RECORD_BYTES)),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        wire::encode(VERSION, 0, &request)
    }
}

/// A batch of `records` records of [`RECORD_BYTES`] each, stamped now.
pub fn batch(records: usize) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = TimestampMs(now.map_or(0, |since| since.as_millis() as i64));
    let value: Vec<u8> = (0..RECORD_BYTES).map(|at| b'a' + (at * 7 % 26) as u8).collect();
    let mut builder = BatchBuilder::new(Offset(0));
    for _ in 0..records.max(1) {
        builder = builder.record(now, None, Some(&value));
    }
    builder.build()
}

fn check(frame: Bytes, expected: i32) -> io::Result<()> {
    let (correlation_id, response) =
        frames::decode_response::<ProduceRequest>(frame, VERSION).map_err(io::Error::other)?;
    if correlation_id != expected {
        return Err(io::Error::other(format!("answer {correlation_id}, expected {expected}")));
    }
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.map(|p| p.error_code).find(|code| *code != 0) {
        None => Ok(()),
        Some(code) => Err(io::Error::other(format!("Produce: error {code}"))),
    }
}
