//! Many partitions at once: topics are created, one request each, until every partition took a record.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crate::bench::shape::{self, Shape};
use crate::wire::{self, Wire};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two tries with partitions that did not take their record.
const PAUSE: Duration = Duration::from_millis(5);
/// How often progress is said.
const PROGRESS: Duration = Duration::from_secs(2);

/// What is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Many {
    /// Topics.
    pub topics: usize,
    /// What each partition takes: one such batch.
    pub shape: Shape,
}

impl Many {
    /// Creates all, then writes to all. How long that took; `say` hears of the progress.
    pub fn run(&self, bootstrap: &str, mut say: impl FnMut(String)) -> io::Result<Duration> {
        let started = Instant::now();
        let mut said = started;
        let mut progress = |text: String| {
            if said.elapsed() > PROGRESS {
                said = Instant::now();
                say(text);
            }
        };
        for topic in 0..self.topics {
            let size = (self.shape.partitions, 1);
            wire::create_topic(bootstrap, &name(topic), size, &[])?;
            progress(format!("{} of {} topics created", topic + 1, self.topics));
        }
        for topic in 0..self.topics {
            let mut pending: Vec<i32> = (0..self.shape.partitions).collect();
            while !pending.is_empty() {
                if started.elapsed() > PATIENCE {
                    let left = pending.len();
                    return Err(io::Error::other(format!("{left} partitions took no record")));
                }
                let missing = self.write(bootstrap, &name(topic), &pending);
                let paused = missing.as_ref().map_or(true, |left| !left.is_empty());
                pending = missing.unwrap_or(pending);
                progress(format!("topic {topic}: {} partitions took no record yet", pending.len()));
                if paused {
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(started.elapsed())
    }

    /// Sends a record to each of these partitions; those that did not take it.
    fn write(&self, bootstrap: &str, topic: &str, partitions: &[i32]) -> io::Result<Vec<i32>> {
        let leaders = wire::leaders(bootstrap, topic)?;
        let mut of_leader: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        let mut missing = Vec::new();
        for partition in partitions {
            match leaders.get(*partition as usize) {
                Some(leader) => of_leader.entry(leader).or_default().push(*partition),
                None => missing.push(*partition),
            }
        }
        for (leader, partitions) in of_leader {
            let request = self.shape.request(topic, &partitions);
            let response = Wire::connect(leader)?.call(shape::VERSION, &request)?;
            let failed = shape::codes(&response).filter(|(_, code)| *code != 0);
            missing.extend(failed.map(|(partition, _)| partition));
        }
        Ok(missing)
    }
}

fn name(topic: usize) -> String {
    format!("many-{topic}")
}
