//! What clients asked and were told: the evidence that [`super::check`] judges.
//!
//! Invariant: things stand here in the order in which they happened. Deliberately judges nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::sim::commits::Commits;
use crate::sim::value::ValueId;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The topic's name.
    pub topic: Rc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// Its creation was asked for; whether it exists is unknown.
    Asked,
    /// Its creation was answered.
    Created,
    /// Its deletion was asked for; whether it exists is unknown.
    DeletionAsked,
    /// Its deletion was answered.
    Deleted,
}

/// Records of one batch that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Where.
    pub spot: Spot,
    /// The first one's offset; `None` where the answer only said that they are there.
    pub base_offset: Option<i64>,
    /// In order.
    pub values: Vec<ValueId>,
}

/// Everything that clients saw.
#[derive(Debug, Default)]
pub struct History {
    /// Values that were sent, with where to.
    pub sent: BTreeMap<ValueId, Spot>,
    /// Batches that were acknowledged, in the order of their answers.
    pub acknowledged: Vec<Acknowledged>,
    /// What was read: value by offset. A second reading that differs is in `contradictions`.
    pub read: BTreeMap<(Spot, i64), ValueId>,
    /// Readings that say something else than one before.
    pub contradictions: Vec<String>,
    /// High watermark as each reader saw it last.
    watermarks: BTreeMap<(u64, Spot), i64>,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicState>,
    /// Offsets that groups committed.
    pub commits: Commits,
    /// Partitions of topics whose creation was answered.
    pub partitions: BTreeMap<String, i32>,
}

impl History {
    /// Values leave for a partition.
    pub fn send(&mut self, spot: &Spot, values: &[ValueId]) {
        self.sent.extend(values.iter().map(|value| (*value, spot.clone())));
    }

    /// A batch was acknowledged.
    pub fn acknowledge(&mut self, spot: &Spot, base_offset: Option<i64>, values: &[ValueId]) {
        let (spot, values) = (spot.clone(), values.to_vec());
        self.acknowledged.push(Acknowledged { spot, base_offset, values });
    }

    /// Records acknowledged so far.
    pub fn acknowledged_records(&self) -> usize {
        self.acknowledged.iter().map(|batch| batch.values.len()).sum()
    }

    /// A record was read.
    pub fn read(&mut self, spot: &Spot, offset: i64, value: ValueId) {
        let before = self.read.insert((spot.clone(), offset), value);
        if let Some(before) = before.filter(|before| *before != value) {
            self.contradictions
                .push(format!("inconsistent-offset: {spot}@{offset} was {before} and is {value}"));
        }
    }

    /// A reader saw a high watermark.
    pub fn watermark(&mut self, reader: u64, spot: &Spot, offset: i64) {
        let before = self.watermarks.insert((reader, spot.clone()), offset);
        if let Some(before) = before.filter(|before| *before > offset) {
            self.contradictions
                .push(format!("watermark-back: {spot} went from {before} to {offset}"));
        }
    }

    /// Notes what is known of a topic from now on.
    pub fn topic(&mut self, name: &str, state: TopicState) {
        self.topics.insert(name.to_owned(), state);
    }
}
