//! One node of the model: a replica's core, and the log that a shell would keep for it.

use ottla_partition::{
    Batch, BatchProducer, Decision, Durability, Effect, OpenTransactions, Placement, Producers,
    RecoveredState, Replica, ReplicaConfig, TimestampPolicy,
};
use ottla_partition::{BatchMemory, LeaderEpochs};
use ottla_types::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// One record: who wrote it, and its number.
pub(crate) type Value = (usize, i32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) epoch: LeaderEpoch,
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// `None` while the process is down.
    pub(crate) replica: Option<Replica>,
    pub(crate) log: Vec<Entry>,
    pub(crate) durable: usize,
}

pub(crate) fn batch_of(value: Value) -> Batch {
    let producer = BatchProducer {
        id: ProducerId(value.0 as i64),
        epoch: ProducerEpoch(0),
        base_sequence: Sequence(value.1),
    };
    Batch {
        size_bytes: 1,
        record_count: 1,
        producer: Some(producer),
        base_timestamp: TimestampMs(0),
        max_timestamp: TimestampMs(0),
        is_transactional: false,
        is_control: false,
    }
}

pub(crate) fn place_of(offset: usize, epoch: LeaderEpoch) -> Placement {
    Placement {
        base_offset: Offset(offset as i64),
        end_offset: Offset(offset as i64 + 1),
        leader_epoch: epoch,
        log_append_time: None,
    }
}

impl Node {
    pub(crate) fn new(id: usize) -> Self {
        let mut node = Self { id: NodeId(id as i32), replica: None, log: Vec::new(), durable: 0 };
        node.start();
        node
    }

    /// Loses what was not durable.
    pub(crate) fn crash(&mut self) {
        self.replica = None;
        self.log.truncate(self.durable);
    }

    pub(crate) fn start(&mut self) {
        let mut epochs = LeaderEpochs::default();
        for (offset, entry) in self.log.iter().enumerate() {
            epochs.assign(entry.epoch, Offset(offset as i64));
        }
        let found = RecoveredState {
            end: Offset(self.log.len() as i64),
            epochs,
            producers: self.producers_of(self.log.len()),
            ..RecoveredState::default()
        };
        let config = ReplicaConfig {
            durability: Durability::Synced,
            min_insync_replicas: 1,
            max_message_bytes: 1_000,
            timestamps: TimestampPolicy::LogAppendTime,
            producer_expiration_ms: i64::MAX,
        };
        self.replica = Some(Replica::new(self.id, config, found));
    }

    /// What the first `len` entries tell of producers.
    pub(crate) fn producers_of(&self, len: usize) -> Producers {
        let mut producers = Producers::default();
        for (offset, entry) in self.log[..len].iter().enumerate() {
            let producer = batch_of(entry.value).producer.expect("every value has one");
            let memory = BatchMemory {
                first_sequence: producer.base_sequence,
                last_sequence: producer.base_sequence,
                base_offset: Offset(offset as i64),
                last_offset: Offset(offset as i64),
                timestamp: TimestampMs(0),
            };
            producers.replay(&producer, memory, TimestampMs(0), &OpenTransactions::default());
        }
        producers
    }

    /// What a client's produce comes to: the offset where the value is, or nothing.
    pub(crate) fn produce(&mut self, value: Value, now: TimestampMs) -> Option<Offset> {
        let replica = self.replica.as_mut()?;
        let batch = batch_of(value);
        match replica.decide_append(&batch, true, now).ok()? {
            Decision::Append(place) => {
                replica.replay(&batch, &place, now);
                self.log.push(Entry { value, epoch: place.leader_epoch });
                Some(place.base_offset)
            }
            Decision::Duplicate(memory) => Some(memory.base_offset),
        }
    }

    pub(crate) fn sync(&mut self, effects: &mut Vec<Effect>) {
        self.durable = self.log.len();
        if let Some(replica) = &mut self.replica {
            replica.durable(Offset(self.durable as i64), effects);
        }
    }

    pub(crate) fn cut(&mut self, end: Offset) {
        let end = (end.0 as usize).min(self.log.len());
        let producers = self.producers_of(end);
        let replica = self.replica.as_mut().expect("a live node cuts");
        replica.r8_cut(Offset(end as i64), producers).expect("R9: nothing committed is cut");
        self.log.truncate(end);
        self.durable = self.durable.min(end);
    }
}
