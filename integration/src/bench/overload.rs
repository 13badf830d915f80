//! More produce than a node takes, and what becomes of everything else meanwhile.
//!
//! First what the node takes is measured, with the same requests; then four times that is offered, while members of groups beat
//! and commit and others ask what clients ask. Latencies count from the moment at which a request was due.

mod crowd;
mod flood;
mod probes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bench::latency::Latencies;
use crate::bench::produce::ProduceLoad;
use crate::bench::shape::Shape;

/// How many times what the node takes is offered.
const TIMES: f64 = 4.0;
/// How long what the node takes is measured.
const CALIBRATION: Duration = Duration::from_secs(4);
/// The others ask for so long before the flood begins.
const LEAD: Duration = Duration::from_millis(500);
/// Between two looks.
const POLL: Duration = Duration::from_millis(10);
/// Single records: the most requests a byte. A hundred connections, each with more requests than a gateway works on at a time.
pub const SINGLES: Shape = Shape {
    partitions: 10,
    acks: 1,
    record_bytes: 1_000,
    batch_records: 1,
    connections: 100,
    in_flight: 64,
};

/// What one kind of request saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Which, with its class.
    pub name: String,
    /// From when it was due to its answer.
    pub latencies: Latencies,
    /// Answers with an error, and requests without an answer.
    pub failed: u64,
}

/// What a flood came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// MB of record values a second that the node took when it was asked for no more.
    pub takes: f64,
    /// The same under the flood.
    pub took: f64,
    /// MB of record values a second that were due.
    pub offered: f64,
    /// Every kind of request.
    pub seen: Vec<Seen>,
    /// Members that were put out of their groups, or told to join again because another was.
    pub members_lost: u64,
}

/// How far a run is, for all its parts.
#[derive(Clone, Default)]
struct Course {
    /// All groups have come together.
    together: Arc<AtomicBool>,
    /// The flood is over.
    over: Arc<AtomicBool>,
}

impl Course {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Floods a topic of [`SINGLES`] for so long.
///
/// # Errors
/// The system cannot be asked at all.
pub fn run(bootstrap: &str, topic: &str, lasts: Duration) -> io::Result<Outcome> {
    let calibration = ProduceLoad {
        topic: topic.to_owned(),
        // As many connections as partitions: a load has no more.
        shape: Shape { connections: SINGLES.partitions as usize, ..SINGLES },
        limit: CALIBRATION,
        limit_bytes: u64::MAX,
    };
    let takes = calibration.run(bootstrap)?.mb_per_second();
    let rate = takes * TIMES * 1e6 / SINGLES.batch_bytes() as f64;
    let course = Course::default();
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| crowd::run(bootstrap, topic, &course));
        while !course.together.load(Ordering::SeqCst) && !crowd.is_finished() {
            std::thread::sleep(POLL);
        }
        let probes = scope.spawn(|| probes::run(bootstrap, topic, &course));
        std::thread::sleep(LEAD);
        let flood = flood::run(bootstrap, topic, (rate, lasts));
        course.over.store(true, Ordering::SeqCst);
        let (beats, members_lost) = crowd.join().expect("members do not panic")?;
        let mut seen = probes.join().expect("probes do not panic")?;
        let (produce, took) = flood?;
        seen.extend(beats);
        seen.push(produce);
        Ok(Outcome { takes, took, offered: takes * TIMES, seen, members_lost })
    })
}
