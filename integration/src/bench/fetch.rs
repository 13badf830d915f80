//! Raw replay of Fetch: a partition is read from its start, again and again; the bytes of the records are dropped in the kernel.
//!
//! All batches of the topic have the same size (the produce load wrote them), so the next offset follows from the number
//! of bytes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};

use crate::bench::discard::Discard;
use crate::bench::shape::Shape;
use crate::bench::{Moved, Share};
use crate::wire::{self, Wire};

/// The Fetch version that is replayed: the oldest that Kafka 4 serves, with a fixed layout.
const VERSION: i16 = 4;
/// Most bytes of one answer.
const MAX_BYTES: i32 = 8 << 20;
/// Bytes of an answer before topic name and records: correlation id, throttle, counts, index, code, offsets, lengths.
const FIXED_BYTES: usize = 4 + 4 + 4 + 2 + 4 + 4 + 2 + 8 + 8 + 4 + 4;

/// A fetch load.
#[derive(Clone, Debug)]
pub struct FetchLoad {
    /// The topic.
    pub topic: String,
    /// How it was written; each partition is read on a connection of its own.
    pub shape: Shape,
    /// Bytes of record values in each partition.
    pub partition_bytes: u64,
    /// How long they are read.
    pub limit: Duration,
}

impl FetchLoad {
    /// Runs the load.
    pub fn run(&self, bootstrap: &str) -> io::Result<Moved> {
        let leaders =
            wire::retry(Duration::from_secs(30), || wire::leaders(bootstrap, &self.topic))?;
        let started = Instant::now();
        let shares: io::Result<Vec<Share>> = std::thread::scope(|scope| {
            let start = |partition: i32| {
                let address = leaders[partition as usize].clone();
                scope.spawn(move || self.partition(&address, partition, started))
            };
            let threads: Vec<_> = (0..self.shape.partitions).map(start).collect();
            threads.into_iter().map(|t| t.join().expect("a load thread does not panic")).collect()
        });
        Ok(Moved::sum(shares?, started.elapsed()))
    }

    fn partition(&self, address: &str, partition: i32, started: Instant) -> io::Result<Share> {
        let mut wire = Wire::connect(address)?;
        let mut discard = Discard::default();
        let bytes_of_batch = self.shape.batch().len();
        let (mut batches, mut moved) = (0, 0_u64);
        while started.elapsed() < self.limit {
            let offset = (batches * self.shape.batch_records) as i64;
            wire.stream.write_all(&self.frame(partition, offset))?;
            let records = self.answer_head(&mut wire.stream)?;
            discard.bytes(&wire.stream, records)?;
            let read = records / bytes_of_batch;
            if read == 0 {
                return Err(io::Error::other(format!("no batch at offset {offset}")));
            }
            moved += (read * self.shape.batch_bytes()) as u64;
            batches += read;
            if (batches * self.shape.batch_bytes()) as u64 >= self.partition_bytes {
                batches = 0;
            }
        }
        Ok(Share::of_this_thread(moved))
    }

    fn frame(&self, partition: i32, offset: i64) -> BytesMut {
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: MAX_BYTES,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: MAX_BYTES,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        BytesMut::from(&wire::encode(VERSION, 0, &request)[..])
    }

    /// Reads one answer up to its records; their length.
    fn answer_head(&self, stream: &mut TcpStream) -> io::Result<usize> {
        let head_len = FIXED_BYTES + self.topic.len();
        let mut head = vec![0; 4 + head_len];
        stream.read_exact(&mut head)?;
        let length = i32::from_be_bytes(head[..4].try_into().expect("four bytes")) as usize;
        let tail = &head[head.len() - 4..];
        let records = i32::from_be_bytes(tail.try_into().expect("four bytes")).max(0) as usize;
        if length != head_len + records {
            return Err(io::Error::other(format!(
                "an answer of {length} bytes with {records} of records: an error, or aborted transactions"
            )));
        }
        Ok(records)
    }
}
