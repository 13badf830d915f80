//! Clients that ask for much and take nothing of it: small answers piled up behind a long poll, large ones left unread.
//!
//! Invariant: together they ask for several times the memory that a gateway has for answers, each for what it is allowed.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_kafka_wire::messages::metadata_request::MetadataRequest;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::hostile::session::{Outcome, Tally};
use crate::{records, wire};

/// Topics of which Metadata has much to tell, and the partitions of each.
const WIDE_TOPICS: usize = 4;
/// See [`WIDE_TOPICS`].
const WIDE_PARTITIONS: i32 = 500;
/// A topic of which Fetch has much to give.
const FAT_TOPIC: &str = "fat";
/// Batches in it, and the bytes of each.
const FAT_BATCHES: usize = 24;
/// See [`FAT_BATCHES`].
const FAT_BATCH_BYTES: usize = 1_000_000;
/// Clients that pile up Metadata: 100 times 127 answers of 50 KB and more are above 600 MB.
const PILING: usize = 100;
/// Requests that each of them sends behind its long poll: as many as a gateway takes in.
const PILED: usize = 127;
/// Clients that fetch and do not read: 60 times 24 MB are above 1.4 GB.
const FETCHING: usize = 60;
/// How long the long poll in front waits.
const POLL_MS: i32 = 3_000;
/// How long a client may wait for the first byte: slow ones before it are cut off after a while.
const FIRST_BYTE_PATIENCE: Duration = Duration::from_secs(90);
/// What the kernel keeps of an answer for such a client.
const RECEIVE_BUFFER_BYTES: usize = 4 << 10;
/// Versions of the requests: old and short.
const FETCH_VERSION: i16 = 11;
/// See [`FETCH_VERSION`].
const METADATA_VERSION: i16 = 9;

/// Clients that still have their connections.
pub struct Hoard {
    /// Whether anything came at each.
    pub tally: Tally,
    /// Open until this is dropped.
    _streams: Vec<TcpStream>,
}

impl Hoard {
    /// Makes the topics, connects all, has each send what it wants, and waits until each got the first byte or was cut off: by
    /// then its answers are built.
    pub fn gather(bootstrap: &str) -> io::Result<Self> {
        for topic in (0..WIDE_TOPICS).map(wide) {
            wire::create_topic(bootstrap, &topic, (WIDE_PARTITIONS, 1), &[])?;
        }
        fatten(bootstrap)?;
        let piling = (0..PILING).map(|_| connect(bootstrap, &pile()));
        let fetching = (0..FETCHING).map(|_| connect(bootstrap, &fetch(FAT_TOPIC, 0)));
        let mut streams = piling.chain(fetching).collect::<io::Result<Vec<_>>>()?;
        let mut tally = Tally::default();
        for stream in &mut streams {
            tally.count(first_byte(stream));
        }
        Ok(Self { tally, _streams: streams })
    }
}

fn wide(number: usize) -> String {
    format!("wide-{number}")
}

fn fatten(bootstrap: &str) -> io::Result<()> {
    wire::create_topic(bootstrap, FAT_TOPIC, (1, 1), &[])?;
    let mut leader = records::leader(bootstrap, FAT_TOPIC, 0)?;
    let value = vec![7; FAT_BATCH_BYTES];
    for _ in 0..FAT_BATCHES {
        records::produce(&mut leader, FAT_TOPIC, 0, records::batch(&[&value], &[]))?;
    }
    Ok(())
}

/// A long poll, and behind it questions about all topics.
fn pile() -> Bytes {
    let mut bytes = fetch(&wide(0), POLL_MS).to_vec();
    let all = MetadataRequest { topics: None, ..Default::default() };
    let question = wire::encode(METADATA_VERSION, 1, &all);
    (0..PILED).for_each(|_| bytes.extend_from_slice(&question));
    bytes.into()
}

fn fetch(topic: &str, max_wait_ms: i32) -> Bytes {
    let partition = FetchPartition { partition_max_bytes: i32::MAX, ..Default::default() };
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: i32::MAX,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    wire::encode(FETCH_VERSION, 1, &request)
}

fn connect(address: &str, bytes: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER_BYTES)?;
    stream.set_read_timeout(Some(FIRST_BYTE_PATIENCE))?;
    stream.write_all(bytes)?;
    Ok(stream)
}

fn first_byte(stream: &mut TcpStream) -> Outcome {
    match stream.read(&mut [0]) {
        Ok(1..) => Outcome::Answered,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Outcome::Silent,
        Ok(_) | Err(_) => Outcome::Closed,
    }
}
