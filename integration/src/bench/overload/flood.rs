//! The flood: requests are due at a fixed rate on all connections, whether the node takes them or not.
//!
//! Invariant: a connection sends what is due as fast as the node reads it; what is still due in the end was offered and not taken.
//! The latency of a request counts from the moment at which it was handed to the socket: before, it waited for its own like.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::LocalSet;

use super::{SINGLES, Seen};
use crate::bench::latency::Latencies;
use crate::bench::link::read_frame;
use crate::bench::shape;
use crate::wire;

/// How often a connection looks what is due.
const TICK: Duration = Duration::from_millis(5);
/// Requests that one write takes at most.
const MOST_A_WRITE: u64 = 16;
/// How long answers are waited for after the last request.
const DRAIN: Duration = Duration::from_secs(60);

/// When each request of a connection was handed over, as far as it has no answer.
type Sent = Rc<RefCell<VecDeque<Instant>>>;

/// Offers so many requests a second for so long; the answers, and the MB of record values that were taken a second.
pub(super) fn run(
    bootstrap: &str,
    topic: &str,
    (rate, lasts): (f64, Duration),
) -> io::Result<(Seen, f64)> {
    let leaders = wire::retry(DRAIN, || wire::leaders(bootstrap, topic))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let started = Instant::now();
        let mut readers = Vec::new();
        for connection in 0..SINGLES.connections {
            let partition = connection as i32 % SINGLES.partitions;
            let stream = TcpStream::connect(&leaders[partition as usize]).await?;
            stream.set_nodelay(true)?;
            let (reader, writer) = stream.into_split();
            let sent = Sent::default();
            let frame = SINGLES.frame(topic, partition);
            let each = rate / SINGLES.connections as f64;
            let pace = Pace { started, rate: each, lasts };
            tokio::task::spawn_local(write(writer, frame, (pace, sent.clone())));
            readers.push(tokio::task::spawn_local(read(reader, sent, started + lasts)));
        }
        let mut seen = Seen { name: "produce, from the socket".to_owned(), ..Seen::default() };
        let mut taken = 0;
        for reader in readers {
            let (latencies, in_time, failed) = reader.await.map_err(io::Error::other)?;
            seen.latencies.add(&latencies);
            seen.failed += failed;
            taken += in_time;
        }
        let bytes = taken as f64 * SINGLES.batch_bytes() as f64;
        Ok((seen, bytes / 1e6 / lasts.as_secs_f64()))
    })
}

#[derive(Clone, Copy)]
struct Pace {
    started: Instant,
    rate: f64,
    lasts: Duration,
}

/// Sends what is due; ends when the time is over or the node hangs up.
async fn write(mut writer: OwnedWriteHalf, mut frame: BytesMut, (pace, sent): (Pace, Sent)) {
    let (mut count, mut chunk) = (0_u64, BytesMut::new());
    while pace.started.elapsed() < pace.lasts {
        let due = (pace.started.elapsed().as_secs_f64() * pace.rate) as u64;
        if count == due {
            tokio::time::sleep(TICK).await;
            continue;
        }
        chunk.clear();
        for _ in 0..(due - count).min(MOST_A_WRITE) {
            shape::number(&mut frame, count as i32);
            chunk.extend_from_slice(&frame);
            count += 1;
            sent.borrow_mut().push_back(Instant::now());
        }
        let left = pace.lasts.saturating_sub(pace.started.elapsed());
        // What is cut off in the middle of a write can be followed by nothing.
        let written = tokio::time::timeout(left, writer.write_all(&chunk)).await;
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    // The node answers what it read, and then ends the connection.
    _ = writer.shutdown().await;
}

/// Takes answers until the node ends the connection: latencies, answers before `end`, and errors.
async fn read(mut reader: OwnedReadHalf, sent: Sent, end: Instant) -> (Latencies, u64, u64) {
    let (mut latencies, mut in_time, mut failed) = (Latencies::default(), 0, 0);
    let mut number = 0;
    loop {
        let left = (end + DRAIN).saturating_duration_since(Instant::now());
        let Ok(Ok(frame)) = tokio::time::timeout(left, read_frame(&mut reader)).await else {
            return (latencies, in_time, failed);
        };
        let since = sent.borrow_mut().pop_front();
        if let Some(since) = since {
            latencies.record(since.elapsed());
        }
        let is_good = shape::check(frame, number).is_ok();
        number += 1;
        failed += u64::from(!is_good);
        in_time += u64::from(is_good && Instant::now() < end);
    }
}
