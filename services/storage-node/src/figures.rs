//! What shards count: atomics that they add to, and that scrapes read.
//!
//! Invariant: a shard never waits for a scrape but to add or remove a partition, and then for no longer than copying the list
//! takes. What a partition counted stays in the sums of its shard when the partition goes.
//! Deliberately does not know what the figures are called: see `metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ottla_runtime::metrics::LatencyHistogram;
use ottla_types::{Offset, TopicPartition};

/// The figures of a node.
#[derive(Debug, Default)]
pub(crate) struct NodeFigures {
    partitions: RwLock<BTreeMap<TopicPartition, Arc<PartitionFigures>>>,
    /// Of all shards together.
    pub(crate) traffic: Traffic,
    /// How long a round took to be durable.
    pub(crate) commits: LatencyHistogram,
}

/// What came and went.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Records appended.
    pub(crate) records_in: Count,
    /// Bytes of batches appended.
    pub(crate) bytes_in: Count,
    /// Bytes of batches given to readers.
    pub(crate) bytes_out: Count,
    /// Appends that were asked for.
    pub(crate) produces: Count,
    /// Of those, the refused.
    pub(crate) failed_produces: Count,
    /// Reads that were answered.
    pub(crate) fetches: Count,
    /// Of those, the refused.
    pub(crate) failed_fetches: Count,
}

/// The figures of one partition.
#[derive(Debug)]
pub(crate) struct PartitionFigures {
    /// Its topic's name.
    pub(crate) topic: String,
    pub(crate) traffic: Traffic,
    leads: AtomicBool,
    start: AtomicI64,
    end: AtomicI64,
    high_watermark: AtomicI64,
    segments: AtomicU64,
    /// Bytes of all segments but the last.
    closed_bytes: AtomicU64,
    active_bytes: AtomicU64,
    min_isr: AtomicU64,
}

/// What a partition says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionState {
    /// Whether this node leads it.
    pub(crate) leads: bool,
    /// The first offset that can be read.
    pub(crate) start: Offset,
    /// Behind the last record.
    pub(crate) end: Offset,
    /// Behind the last record that readers see.
    pub(crate) high_watermark: Offset,
    pub(crate) segments: u64,
    /// Of all segments.
    pub(crate) bytes: u64,
    /// `min.insync.replicas`.
    pub(crate) min_isr: u64,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl NodeFigures {
    pub(crate) fn add(&self, id: TopicPartition, figures: Arc<PartitionFigures>) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).insert(id, figures);
    }

    pub(crate) fn remove(&self, id: TopicPartition) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn get(&self, id: TopicPartition) -> Option<Arc<PartitionFigures>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All partitions that the node holds.
    pub(crate) fn partitions(&self) -> Vec<(TopicPartition, Arc<PartitionFigures>)> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.iter().map(|(id, figures)| (*id, Arc::clone(figures))).collect()
    }
}

impl PartitionFigures {
    pub(crate) fn new(topic: &str) -> Arc<Self> {
        Arc::new(Self {
            topic: topic.to_owned(),
            traffic: Traffic::default(),
            leads: AtomicBool::new(false),
            start: AtomicI64::new(0),
            end: AtomicI64::new(0),
            high_watermark: AtomicI64::new(0),
            segments: AtomicU64::new(0),
            closed_bytes: AtomicU64::new(0),
            active_bytes: AtomicU64::new(0),
            min_isr: AtomicU64::new(1),
        })
    }

    /// Where the partition is now.
    pub(crate) fn tell_offsets(&self, leads: bool, [start, end, high_watermark]: [Offset; 3]) {
        self.leads.store(leads, Ordering::Relaxed);
        self.start.store(start.0, Ordering::Relaxed);
        self.end.store(end.0, Ordering::Relaxed);
        self.high_watermark.store(high_watermark.0, Ordering::Relaxed);
    }

    /// How large it is now; what closed segments take is asked for only when there are more or fewer of them than before.
    pub(crate) fn tell_size(&self, segments: u64, active: u64, all: impl FnOnce() -> u64) {
        if self.segments.swap(segments, Ordering::Relaxed) != segments {
            self.closed_bytes.store(all().saturating_sub(active), Ordering::Relaxed);
        }
        self.active_bytes.store(active, Ordering::Relaxed);
    }

    /// The next [`Self::tell_size`] counts anew: segments may have changed behind its back.
    pub(crate) fn forget_size(&self) {
        self.segments.store(0, Ordering::Relaxed);
    }

    pub(crate) fn tell_min_isr(&self, min_isr: u64) {
        self.min_isr.store(min_isr, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> PartitionState {
        let offset = |at: &AtomicI64| Offset(at.load(Ordering::Relaxed));
        let bytes = |part: &AtomicU64| part.load(Ordering::Relaxed);
        PartitionState {
            leads: self.leads.load(Ordering::Relaxed),
            start: offset(&self.start),
            end: offset(&self.end),
            high_watermark: offset(&self.high_watermark),
            segments: bytes(&self.segments),
            bytes: bytes(&self.closed_bytes) + bytes(&self.active_bytes),
            min_isr: bytes(&self.min_isr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_segments_are_counted_when_their_number_changes_or_somebody_says_so() {
        let figures = PartitionFigures::new("t");
        figures.tell_size(1, 10, || 10);
        figures.tell_size(1, 15, || unreachable!("nothing was closed"));
        assert_eq!(figures.state().bytes, 15);
        figures.tell_size(2, 3, || 103);
        figures.tell_size(2, 5, || unreachable!("nothing was closed"));
        assert_eq!((figures.state().bytes, figures.state().segments), (105, 2));
        figures.forget_size();
        figures.tell_size(2, 5, || 45);
        assert_eq!(figures.state().bytes, 45);
    }
}
