//! Raw replay of Produce: connections that keep a number of requests in flight, each answer checked.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::bench::shape::{self, Shape};
use crate::bench::{Moved, Share};
use crate::wire::{self, Wire};

/// How long a new topic may take until all its partitions take records.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// A produce load.
#[derive(Clone, Debug)]
pub struct ProduceLoad {
    /// The topic, which exists.
    pub topic: String,
    /// Batches and connections.
    pub shape: Shape,
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
        let connections = self.connections();
        let mut frames: Vec<_> =
            (0..connections).map(|index| self.prepare(&leaders, index)).collect();
        let started = Instant::now();
        let shares: io::Result<Vec<Share>> = std::thread::scope(|scope| {
            let start =
                |(address, frames)| scope.spawn(move || self.connection(address, frames, started));
            let threads: Vec<_> = frames.drain(..).map(start).collect();
            threads.into_iter().map(|t| t.join().expect("a load thread does not panic")).collect()
        });
        Ok(Moved::sum(shares?, started.elapsed()))
    }

    /// Waits until each partition took a batch: CreateTopics of Kafka answers before that.
    pub fn wait_ready(&self, bootstrap: &str) -> io::Result<()> {
        let batches = self.shape.partitions.max(self.shape.connections as i32) as u64 * 2;
        let limit_bytes = batches * self.shape.batch_bytes() as u64;
        let one_each = Self { limit_bytes, limit: READY_PATIENCE, ..self.clone() };
        wire::retry(READY_PATIENCE, || one_each.run(bootstrap)).map(drop)
    }

    fn connections(&self) -> usize {
        self.shape.connections.min(self.shape.partitions.max(1) as usize)
    }

    /// The address of a connection, and what it will send: a request for each of its partitions there.
    fn prepare<'a>(&self, leaders: &'a [String], index: usize) -> (&'a str, Vec<BytesMut>) {
        let mine = self.shape.partitions_of(index);
        let address = &leaders[mine[0] as usize];
        let there = mine.iter().filter(|p| leaders[**p as usize] == *address);
        (address, there.map(|p| self.shape.frame(&self.topic, *p)).collect())
    }

    fn connection(
        &self,
        address: &str,
        mut frames: Vec<BytesMut>,
        started: Instant,
    ) -> io::Result<Share> {
        let mut wire = Wire::connect(address)?;
        let batch_bytes = self.shape.batch_bytes() as u64;
        let allowed = self.limit_bytes / self.connections().max(1) as u64;
        let (mut sent, mut moved) = (0_u64, 0_u64);
        let mut in_flight = VecDeque::new();
        loop {
            let more = moved + in_flight.len() as u64 * batch_bytes < allowed;
            if more && started.elapsed() < self.limit && in_flight.len() < self.shape.in_flight {
                let turn = sent as usize % frames.len();
                let frame = &mut frames[turn];
                shape::number(frame, sent as i32);
                wire.stream.write_all(frame)?;
                in_flight.push_back(sent as i32);
                sent += 1;
                continue;
            }
            let Some(expected) = in_flight.pop_front() else {
                return Ok(Share::of_this_thread(moved));
            };
            shape::check(wire.read_frame()?, expected)?;
            moved += batch_bytes;
        }
    }
}
