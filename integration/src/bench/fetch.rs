//! Raw replay of Fetch: every record is read once from the start; the bytes of the records are dropped in the kernel.
//!
//! All batches of the topic have the same size (the produce load wrote them), so the next offset follows from the number
//! of bytes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};

use crate::bench::produce::batch;
use crate::bench::{Moved, RECORD_BYTES};
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
    /// Its partitions; a connection each.
    pub partitions: i32,
    /// Bytes of record values in one batch.
    pub batch_bytes: usize,
    /// Bytes of record values in each partition.
    pub partition_bytes: u64,
    /// How often each is read.
    pub rounds: usize,
}

impl FetchLoad {
    /// Runs the load.
    pub fn run(&self, bootstrap: &str) -> io::Result<Moved> {
        let leaders =
            wire::retry(Duration::from_secs(30), || wire::leaders(bootstrap, &self.topic))?;
        let started = Instant::now();
        let moved: io::Result<Vec<u64>> = std::thread::scope(|scope| {
            let start = |partition: i32| {
                let address = leaders[partition as usize].clone();
                scope.spawn(move || self.partition(&address, partition))
            };
            let threads: Vec<_> = (0..self.partitions).map(start).collect();
            threads.into_iter().map(|t| t.join().expect("a load thread does not panic")).collect()
        });
        Ok(Moved { bytes: moved?.iter().sum(), elapsed: started.elapsed() })
    }

    fn partition(&self, address: &str, partition: i32) -> io::Result<u64> {
        let mut wire = Wire::connect(address)?;
        let records_of_batch = (self.batch_bytes / RECORD_BYTES).max(1);
        let bytes_of_batch = batch(records_of_batch).len();
        let mut moved = 0;
        for _ in 0..self.rounds {
            let (mut offset, mut read) = (0_i64, 0_u64);
            while read < self.partition_bytes {
                wire.stream.write_all(&self.frame(partition, offset))?;
                let batches = self.skip_answer(&mut wire.stream)? / bytes_of_batch;
                if batches == 0 {
                    return Err(io::Error::other(format!("no batch at offset {offset}")));
                }
                offset += (batches * records_of_batch) as i64;
                read += (batches * records_of_batch * RECORD_BYTES) as u64;
            }
            moved += read;
        }
        Ok(moved)
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

    /// Reads one answer and drops its records; their length.
    fn skip_answer(&self, stream: &mut TcpStream) -> io::Result<usize> {
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
        drop_bytes(stream, records)?;
        Ok(records)
    }
}

/// Takes `left` bytes off the socket without copying them to this process.
fn drop_bytes(stream: &TcpStream, mut left: usize) -> io::Result<()> {
    let mut scratch = vec![0_u8; (1 << 20).min(left.max(1))];
    while left > 0 {
        let want = left.min(scratch.len());
        let flags = rustix::net::RecvFlags::TRUNC;
        let (_, dropped) = rustix::net::recv(stream.as_fd(), &mut scratch[..want], flags)?;
        if dropped == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= dropped;
    }
    Ok(())
}
