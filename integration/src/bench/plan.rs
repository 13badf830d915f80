//! What is measured, in which order, and what Ottla aims at. One phase is one fresh start of each system.
//!
//! The aims are for one broker and for the same durability on both sides.

use crate::bench::groups::Groups;
use crate::bench::many::Many;
use crate::bench::shape::Shape;
use crate::bench::systems::{Durability, Kind, Settings};

/// One row for a system.
#[derive(Clone, Debug)]
pub struct Work {
    /// What the row is called.
    pub name: String,
    /// What is done.
    pub task: Task,
    /// What Ottla means to reach.
    pub aim: Option<&'static str>,
}

/// What is done for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The time from the start of the processes to the first acknowledged record.
    Start,
    /// The memory that the processes hold: freshly started, or after what ran before in the phase.
    Memory,
    /// As much as goes through.
    Produce(Shape),
    /// Records read from the page cache, written in this shape.
    Consume(Shape),
    /// Answers at this many requests a second.
    Latency(Shape, u32),
    /// Many partitions created until each took a record.
    Many(Many),
    /// The time from the first join until all groups are stable.
    Groups(Groups),
    /// Four times the produce that the system takes: what each kind of request sees meanwhile. Several rows.
    Overload,
}

/// 1 KB records in batches of about 64 KiB, five in flight on each of six connections.
const KB: Shape = Shape {
    partitions: 6,
    acks: 1,
    record_bytes: 1_000,
    batch_records: 64,
    connections: 6,
    in_flight: 5,
};
/// Batches of nearly 1 MiB: with their overhead still under Kafka's `message.max.bytes`.
const MIB: Shape = Shape { batch_records: 1_030, ..KB };
/// Small records in batches of about 64 KiB.
const SMALL: Shape = Shape { record_bytes: 100, batch_records: 595, ..KB };
/// One record a request.
const SINGLE: Shape = Shape { acks: -1, batch_records: 1, in_flight: 1, ..KB };
/// Topics of a thousand partitions.
const MANY: Many = Many { topics: 10, shape: Shape { partitions: 1_000, acks: 1, ..SINGLE } };
/// One large group.
const LARGE: Groups = Groups { groups: 1, members: 100, partitions: 500 };
/// As Kafka is shipped; and room for a connection of each member.
const DELAYED: [&str; 2] = ["group.initial.rebalance.delay.ms=3000", "max.connections=19000"];
/// As Kafka's own tests have it.
const UNDELAYED: [&str; 2] = ["group.initial.rebalance.delay.ms=0", "max.connections=19000"];
/// Records a second of the latency rows.
const STEADY: u32 = 5_000;
/// The same where each is synced: what a disk can do one by one.
const STEADY_SYNCED: u32 = 500;

/// A part of the run: each system in turn gets a fresh start for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Loads.
    Loads(Durability),
    /// Many partitions: last, as Kafka leaves tens of thousands of files to be removed.
    Many,
    /// Groups, with Kafka's initial delay of 3 s or without one.
    Groups {
        /// Whether members wait for others at the beginning.
        delayed: bool,
    },
    /// More than a system takes.
    Overload,
}

/// All parts, in order.
pub const PHASES: [Phase; 6] = [
    Phase::Loads(Durability::PageCache),
    Phase::Loads(Durability::Fsync),
    Phase::Groups { delayed: true },
    Phase::Groups { delayed: false },
    Phase::Overload,
    Phase::Many,
];

impl Phase {
    /// How the systems run in this part.
    pub fn settings(self) -> Settings {
        let (durability, lines): (_, &[&str]) = match self {
            Self::Loads(durability) => (durability, &[]),
            Self::Many | Self::Overload => (Durability::PageCache, &[]),
            Self::Groups { delayed: true } => (Durability::PageCache, &DELAYED),
            Self::Groups { delayed: false } => (Durability::PageCache, &UNDELAYED),
        };
        Settings { durability, lines }
    }

    /// The rows of one system.
    pub fn works(self, kind: Kind) -> Vec<Work> {
        match self {
            Self::Loads(Durability::PageCache) => page_cache(),
            Self::Loads(Durability::Fsync) => fsync(kind),
            Self::Many => many(),
            Self::Groups { delayed } => groups(if delayed { "3 s" } else { "none" }),
            Self::Overload => vec![work("overload".to_owned(), Task::Overload, None)],
        }
    }

    /// The systems in the order in which they run: whoever leaves most to be removed is last.
    pub fn order(self) -> [Kind; 3] {
        match self {
            Self::Loads(_) | Self::Groups { .. } | Self::Overload => {
                [Kind::Kafka, Kind::OttlaOne, Kind::OttlaApart]
            }
            Self::Many => [Kind::OttlaOne, Kind::OttlaApart, Kind::Kafka],
        }
    }
}

fn page_cache() -> Vec<Work> {
    let mode = Durability::PageCache;
    let mut works = hundred_and_one(mode);
    works.extend([
        produce(KB, mode, Some("≥ 2 GB/s and ≥ 2 ×; ≤ 0.8 CPU-s/GB, apart ≤ 1.3")),
        produce(MIB, mode, Some("≥ 2 GB/s, ≤ 0.7 CPU-s/GB")),
        produce(SMALL, mode, Some("≤ 0.8 CPU-s/GB")),
        work(
            "consume 1 KB, cached, 6 partitions".to_owned(),
            Task::Consume(KB),
            Some("≤ 0.3 CPU-s/GB"),
        ),
        latency(STEADY, mode, None),
        work(format!("memory, after load, {}", mode.name()), Task::Memory, Some("≤ 100 MB")),
    ]);
    works
}

fn fsync(kind: Kind) -> Vec<Work> {
    let mode = Durability::Fsync;
    let start = "start to the first acknowledged record".to_owned();
    let mut works = vec![
        work(start, Task::Start, Some("≤ 0.1 s")),
        work("memory, idle".to_owned(), Task::Memory, Some("≤ 20 MB a process")),
    ];
    works.extend(hundred_and_one(mode));
    works.push(produce(Shape { acks: -1, ..KB }, mode, Some("≥ 4 ×, ≤ 1.5 CPU-s/GB")));
    works.push(latency(STEADY_SYNCED, mode, Some("p50 ≤ 0.5 ms; p99 ≤ 1/10")));
    if kind != Kind::Kafka {
        // Kafka syncs too slowly to keep this rate: its queue would only grow.
        works.push(latency(STEADY, mode, Some("≤ Apache Kafka's from the page cache")));
    }
    let memory = format!("memory, after load, {}", mode.name());
    works.push(work(memory, Task::Memory, Some("≤ 100 MB")));
    works
}

/// A hundred partitions and one, with either acks. The hundred first: more requests warm a JVM up sooner.
fn hundred_and_one(durability: Durability) -> Vec<Work> {
    let shapes = [(100, 6, 1), (100, 6, -1), (1, 1, 1), (1, 1, -1)];
    let shape = |(partitions, connections, acks)| Shape { partitions, connections, acks, ..KB };
    shapes.map(|sizes| produce(shape(sizes), durability, None)).to_vec()
}

fn many() -> Vec<Work> {
    let name = "10 topics of 1,000 partitions";
    vec![
        work(format!("{name}, until each took a record"), Task::Many(MANY), Some("≤ 2 s")),
        work(format!("{name}: memory afterwards"), Task::Memory, Some("≤ 60 MB")),
    ]
}

fn groups(delay: &str) -> Vec<Work> {
    let name = "a group of 100 members on 500 partitions";
    vec![work(format!("{name}, until stable, initial delay {delay}"), Task::Groups(LARGE), None)]
}

fn work(name: String, task: Task, aim: Option<&'static str>) -> Work {
    Work { name, task, aim }
}

fn produce(shape: Shape, durability: Durability, aim: Option<&'static str>) -> Work {
    let record = if shape.record_bytes >= 1_000 { "1 KB" } else { "100 B" };
    let batch = if shape.batch_bytes() > 1_000_000 { "1 MiB" } else { "64 KiB" };
    let partitions = match shape.partitions {
        1 => "1 partition".to_owned(),
        several => format!("{several} partitions"),
    };
    let name = format!(
        "produce {record} in batches of {batch}, acks={}, {partitions}, {}",
        if shape.acks < 0 { "all" } else { "1" },
        durability.name()
    );
    work(name, Task::Produce(shape), aim)
}

fn latency(rate: u32, durability: Durability, aim: Option<&'static str>) -> Work {
    let rate_name = if rate == STEADY { "5,000" } else { "500" };
    let name = format!("answer at {rate_name} records/s of 1 KB, acks=all, {}", durability.name());
    work(name, Task::Latency(SINGLE, rate), aim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka's `message.max.bytes`.
    const MESSAGE_MAX_BYTES: usize = 1_048_588;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let works: Vec<_> = PHASES.iter().flat_map(|phase| phase.works(Kind::OttlaOne)).collect();
        let names: std::collections::BTreeSet<_> = works.iter().map(|work| &work.name).collect();
        assert_eq!(works.len(), names.len(), "{names:?}");
    }

    #[test]
    fn batches_have_the_size_that_their_rows_name() {
        for (shape, named) in [(KB, 65_536), (SMALL, 65_536), (MIB, MESSAGE_MAX_BYTES)] {
            let bytes = shape.batch().len();
            assert!(bytes <= named && bytes * 100 > named * 98, "{bytes} for {named}");
        }
    }
}
