//! The latency of the answer at a fixed rate, counted from the moment at which a request *should* have been sent.
//!
//! Invariant: the schedule never waits for answers (an open loop), so a server that stalls is charged for every request
//! that was due meanwhile. One record is one request.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hdrhistogram::Histogram;

use crate::bench::shape::{self, Shape};
use crate::bench::{Moved, Share, cpu};
use crate::wire::{self, Wire};

/// The longest latency that is told apart, in nanoseconds; longer ones count as this.
const MAX_NS: u64 = 60_000_000_000;
/// Significant digits of a latency.
const DIGITS: u8 = 3;
/// Between the connections being there and the first request.
const LEAD: Duration = Duration::from_millis(5);

/// Latencies that were seen.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_max(MAX_NS, DIGITS).expect("the bounds are in order"))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// Takes over those of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// p50, p99 and the largest, in milliseconds.
    pub fn to_the_largest_ms(&self) -> Vec<f64> {
        [0.5, 0.99, 1.0].map(|at| self.0.value_at_quantile(at) as f64 / 1e6).to_vec()
    }

    /// p50, p99 and p99.9 in milliseconds.
    pub fn percentiles_ms(&self) -> Vec<f64> {
        [0.5, 0.99, 0.999].map(|at| self.0.value_at_quantile(at) as f64 / 1e6).to_vec()
    }
}

/// A load at a fixed rate.
#[derive(Clone, Debug)]
pub struct LatencyLoad {
    /// The topic, whose partitions take records.
    pub topic: String,
    /// Batches and connections; `in_flight` does not count here.
    pub shape: Shape,
    /// Requests a second on all connections together.
    pub rate: u32,
    /// How long requests are sent.
    pub limit: Duration,
}

/// When each request is due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    started: Instant,
    rate: u32,
    connections: usize,
    total: usize,
}

impl Schedule {
    fn due(&self, index: usize) -> Instant {
        self.started + Duration::from_nanos(index as u64 * 1_000_000_000 / u64::from(self.rate))
    }

    /// The due times of the requests of one connection: it has every so-many-th.
    fn of_connection(self, connection: usize) -> impl Iterator<Item = Instant> {
        (connection..self.total).step_by(self.connections).map(move |index| self.due(index))
    }
}

/// One connection as the sender sees it.
struct Outgoing {
    stream: TcpStream,
    /// A request for each of its partitions, in turn.
    frames: Vec<BytesMut>,
    sent: usize,
}

impl LatencyLoad {
    /// Runs the load against the leaders that `bootstrap` names.
    pub fn run(&self, bootstrap: &str) -> io::Result<(Moved, Latencies)> {
        let leaders =
            wire::retry(Duration::from_secs(30), || wire::leaders(bootstrap, &self.topic))?;
        let connections = self.shape.connections.max(1);
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        for connection in 0..connections {
            let (wire, out) = self.connect(&leaders, connection)?;
            incoming.push(wire);
            outgoing.push(out);
        }
        let total = (f64::from(self.rate) * self.limit.as_secs_f64()) as usize;
        let started = Instant::now() + LEAD;
        let schedule = Schedule { started, rate: self.rate, connections, total };
        let (sent, answered) = std::thread::scope(|scope| {
            let numbered = incoming.into_iter().enumerate();
            let readers: Vec<_> = numbered
                .map(|(index, wire)| {
                    scope.spawn(move || self.read(wire, schedule.of_connection(index)))
                })
                .collect();
            let sent = scope.spawn(move || send(outgoing, schedule)).join();
            let answered = readers.into_iter().map(|t| t.join().expect("a reader does not panic"));
            let answered: io::Result<Vec<_>> = answered.collect();
            (sent.expect("the sender does not panic"), answered)
        });
        let mut shares = vec![sent?];
        let mut latencies = Latencies::default();
        for (share, of_connection) in answered? {
            shares.push(share);
            latencies.add(&of_connection);
        }
        Ok((Moved::sum(shares, started.elapsed()), latencies))
    }

    fn connect(&self, leaders: &[String], connection: usize) -> io::Result<(Wire, Outgoing)> {
        let partitions = self.shape.partitions_of(connection);
        let address = &leaders[partitions[0] as usize];
        let there = partitions.iter().filter(|p| leaders[**p as usize] == *address);
        let frames = there.map(|p| self.shape.frame(&self.topic, *p)).collect();
        let wire = Wire::connect(address)?;
        let stream = wire.stream.try_clone()?;
        Ok((wire, Outgoing { stream, frames, sent: 0 }))
    }

    /// Takes the answers of one connection, which come in the order of the requests.
    fn read(
        &self,
        mut wire: Wire,
        due: impl Iterator<Item = Instant>,
    ) -> io::Result<(Share, Latencies)> {
        let mut latencies = Latencies::default();
        let mut moved = 0;
        for (expected, due) in due.enumerate() {
            let answer = wire.read_frame()?;
            latencies.record(due.elapsed());
            shape::check(answer, expected as i32)?;
            moved += self.shape.batch_bytes() as u64;
        }
        Ok((Share::of_this_thread(moved), latencies))
    }
}

/// Sends each request when it is due, on the connections in turn.
fn send(mut connections: Vec<Outgoing>, schedule: Schedule) -> io::Result<Share> {
    cpu::sleep_exactly();
    for index in 0..schedule.total {
        let turn = index % connections.len();
        let out = &mut connections[turn];
        let frame_turn = out.sent % out.frames.len();
        let frame = &mut out.frames[frame_turn];
        shape::number(frame, out.sent as i32);
        out.sent += 1;
        std::thread::sleep(schedule.due(index).saturating_duration_since(Instant::now()));
        if let Err(error) = out.stream.write_all(frame) {
            // The readers wait for answers that will not come.
            connections.iter().for_each(|out| drop(out.stream.shutdown(Shutdown::Both)));
            return Err(error);
        }
    }
    Ok(Share::of_this_thread(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds_and_merge() {
        let (mut fast, mut slow) = (Latencies::default(), Latencies::default());
        (0..985).for_each(|_| fast.record(Duration::from_micros(500)));
        (0..14).for_each(|_| slow.record(Duration::from_millis(20)));
        slow.record(Duration::from_millis(300));
        fast.add(&slow);
        let rounded: Vec<f64> =
            fast.percentiles_ms().iter().map(|ms| (ms * 10.0).round() / 10.0).collect();
        assert_eq!(rounded, [0.5, 20.0, 20.0]);
    }

    #[test]
    fn each_request_is_due_once_and_at_even_distances() {
        let started = Instant::now();
        let schedule = Schedule { started, rate: 100, connections: 3, total: 10 };
        let mut all: Vec<_> = (0..3).flat_map(|c| schedule.of_connection(c)).collect();
        all.sort_unstable();
        let expected: Vec<_> = (0..10).map(|i| started + Duration::from_millis(10 * i)).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_sink_answers_every_record_that_was_due() {
        let shape = Shape {
            partitions: 2,
            acks: -1,
            record_bytes: 100,
            batch_records: 1,
            connections: 2,
            in_flight: 1,
        };
        let topic = "sink".to_owned();
        let load = LatencyLoad { topic, shape, rate: 1_000, limit: Duration::from_millis(51) };
        let sink = crate::bench::sink::start(2).unwrap();
        let (moved, latencies) = load.run(&sink).unwrap();
        assert_eq!((moved.bytes, latencies.0.len()), (5_100, 51));
    }
}
