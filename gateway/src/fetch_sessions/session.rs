//! One session: what its client wants of which partitions, and what it was told last.
//!
//! Invariant: each partition is there once. The order is that of the answers: a partition that gave records goes to the end, so
//! that none starves where an answer has no room for all. Deliberately does not know other sessions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_api::storage::FetchPartitionResult;
use ottla_kafka_wire::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic,
};
use ottla_types::{ErrorCode, Offset, Uuid};

/// How a session's requests name a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Id(Uuid),
    Name(Arc<str>),
}

/// A partition of a session.
struct Cached {
    topic: Topic,
    wanted: FetchPartition,
    /// As the client was last told; -1: it is to be told in any case.
    high_watermark: Offset,
    log_start: Offset,
}

/// A session.
pub(crate) struct Session {
    id: i32,
    by_id: bool,
    epoch: i32,
    /// A request is being answered.
    is_asked: bool,
    /// By place in the order.
    partitions: BTreeMap<u64, Cached>,
    next_place: u64,
    places: HashMap<Topic, BTreeMap<i32, u64>>,
}

impl Session {
    /// The session that begins with this request and its results.
    pub(super) fn begin(
        id: i32,
        by_id: bool,
        request: &FetchRequest,
        results: &[FetchPartitionResult],
    ) -> Self {
        let (partitions, places) = (BTreeMap::new(), HashMap::new());
        let (epoch, is_asked) = (1, false);
        let mut session = Self { id, by_id, epoch, is_asked, partitions, next_place: 0, places };
        let mut results = results.iter();
        for topic in &request.topics {
            let name = session.name(&topic.topic, topic.topic_id);
            for (wanted, result) in topic.partitions.iter().zip(&mut results) {
                let place = session.want(&name, wanted);
                if let Some(cached) = session.partitions.get_mut(&place) {
                    cached.high_watermark = result.high_watermark;
                    cached.log_start = result.log_start_offset;
                }
            }
        }
        session
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// How many partitions.
    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Takes a request, if it is the next one and the one before it is answered. The epoch after the last one is 1.
    pub(super) fn begin_answer(&mut self, epoch: i32, by_id: bool) -> Result<(), ErrorCode> {
        if epoch != self.epoch || self.is_asked {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if by_id != self.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.is_asked = true;
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        Ok(())
    }

    /// The request that was taken is answered, or given up.
    pub(super) fn answered(&mut self) {
        self.is_asked = false;
    }

    /// Adds and changes partitions, then takes some out.
    pub(super) fn update(&mut self, topics: &[FetchTopic], forgotten: &[ForgottenTopic]) {
        for topic in topics {
            let name = self.name(&topic.topic, topic.topic_id);
            for wanted in &topic.partitions {
                self.want(&name, wanted);
            }
        }
        for topic in forgotten {
            let name = self.name(&topic.topic, topic.topic_id);
            let Some(places) = self.places.get_mut(&name) else { continue };
            for partition in &topic.partitions {
                if let Some(place) = places.remove(partition) {
                    self.partitions.remove(&place);
                }
            }
            if places.is_empty() {
                self.places.remove(&name);
            }
        }
    }

    /// All partitions, in order, as a request names them.
    pub(super) fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last = None;
        for cached in self.partitions.values() {
            if last != Some(&cached.topic) {
                last = Some(&cached.topic);
                let (topic, topic_id) = match &cached.topic {
                    Topic::Id(id) => (String::new(), *id),
                    Topic::Name(name) => (name.to_string(), Uuid::ZERO),
                };
                topics.push(FetchTopic { topic, topic_id, ..Default::default() });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(cached.wanted.clone());
            }
        }
        topics
    }

    /// Which of the results, which are in order, are to be told; what is told is remembered.
    pub(super) fn choose(&mut self, results: &[FetchPartitionResult]) -> Vec<bool> {
        let mut chosen = Vec::with_capacity(results.len());
        let mut gave = Vec::new();
        for ((place, cached), result) in self.partitions.iter_mut().zip(results) {
            chosen.push(cached.is_news(result));
            if !result.records.is_empty() {
                gave.push(*place);
            }
        }
        gave.into_iter().for_each(|place| self.move_to_end(place));
        chosen
    }

    fn move_to_end(&mut self, place: u64) {
        let Some(cached) = self.partitions.remove(&place) else { return };
        let end = self.next_place;
        self.next_place += 1;
        if let Some(places) = self.places.get_mut(&cached.topic) {
            places.insert(cached.wanted.partition, end);
        }
        self.partitions.insert(end, cached);
    }

    /// Takes over what the client wants of a partition; its place.
    fn want(&mut self, topic: &Topic, wanted: &FetchPartition) -> u64 {
        let known = self.places.get(topic).and_then(|places| places.get(&wanted.partition));
        if let Some(&place) = known {
            if let Some(cached) = self.partitions.get_mut(&place) {
                cached.wanted = wanted.clone();
            }
            return place;
        }
        // The same text for all partitions of a topic.
        let topic =
            self.places.get_key_value(topic).map_or_else(|| topic.clone(), |(t, _)| t.clone());
        let place = self.next_place;
        self.next_place += 1;
        self.places.entry(topic.clone()).or_default().insert(wanted.partition, place);
        let (high_watermark, log_start) = (Offset::NONE, Offset::NONE);
        let cached = Cached { topic, wanted: wanted.clone(), high_watermark, log_start };
        self.partitions.insert(place, cached);
        place
    }

    fn name(&self, name: &str, id: Uuid) -> Topic {
        if self.by_id { Topic::Id(id) } else { Topic::Name(name.into()) }
    }
}

impl Cached {
    /// Whether the client has to hear of this; then it counts as told.
    fn is_news(&mut self, result: &FetchPartitionResult) -> bool {
        let has_moved = self.high_watermark != result.high_watermark
            || self.log_start != result.log_start_offset;
        self.high_watermark = result.high_watermark;
        self.log_start = result.log_start_offset;
        let is_special = result.error != ErrorCode::None || result.diverging_epoch.is_some();
        if is_special {
            // When that is over, it is news again.
            self.high_watermark = Offset::NONE;
        }
        has_moved
            || is_special
            || !result.records.is_empty()
            || result.preferred_read_replica.is_some()
    }
}
