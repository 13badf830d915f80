//! Fetches that wait for records, and callers that want to be woken.
//!
//! Invariant: bounded; each leaves exactly once: when enough bytes came, when a partition of it changed hands, or when its time is
//! over. Deliberately does not know records: bytes are what the partitions say came in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;
use std::time::Duration;

use ottla_types::TopicPartition;
use slab::Slab;
use tokio::sync::Notify;

use super::message::FetchJob;

/// Fetches that may wait at once; more are answered with what there is.
pub(super) const MAX_PARKED: usize = 16_384;

/// So many may wait before those that are gone are looked for.
const MIN_SWEEP: usize = 256;

/// Who waits.
pub(super) enum Waiter {
    /// A fetch that this shard answers.
    Fetch(FetchJob),
    /// A caller that asks again, unless it is gone.
    Caller(Weak<Notify>),
}

impl Waiter {
    fn is_gone(&self) -> bool {
        match self {
            Self::Fetch(job) => job.answer.is_closed(),
            Self::Caller(waker) => waker.strong_count() == 0,
        }
    }
}

struct Entry {
    waiter: Waiter,
    partitions: Vec<TopicPartition>,
    /// Bytes that must still come.
    missing: usize,
    deadline: Duration,
}

/// All that wait at one shard.
#[derive(Default)]
pub(super) struct Parked {
    entries: Slab<Entry>,
    by_partition: BTreeMap<TopicPartition, Vec<usize>>,
    deadlines: BTreeSet<(Duration, usize)>,
    /// When so many wait, those that are gone are looked for.
    sweep_at: usize,
}

impl Parked {
    /// Parks a waiter, or gives it back when too many wait already. A partition that is named twice counts once: a waiter is
    /// listed at most once under each, so that it cannot be taken out twice.
    pub(super) fn park(
        &mut self,
        waiter: Waiter,
        mut partitions: Vec<TopicPartition>,
        missing: usize,
        deadline: Duration,
    ) -> Option<Waiter> {
        partitions.sort_unstable();
        partitions.dedup();
        if self.entries.len() >= self.sweep_at {
            self.sweep();
        }
        if self.entries.len() >= MAX_PARKED {
            return Some(waiter);
        }
        let key = self.entries.insert(Entry { waiter, partitions, missing, deadline });
        for partition in &self.entries[key].partitions {
            self.by_partition.entry(*partition).or_default().push(key);
        }
        self.deadlines.insert((deadline, key));
        None
    }

    /// `bytes` more can be read in a partition; takes out those who have enough now.
    pub(super) fn bytes_came(&mut self, partition: TopicPartition, bytes: usize) -> Vec<Waiter> {
        let Some(keys) = self.by_partition.get(&partition) else { return Vec::new() };
        let mut done = Vec::new();
        for &key in keys {
            let entry = &mut self.entries[key];
            entry.missing = entry.missing.saturating_sub(bytes);
            if entry.missing == 0 {
                done.push(key);
            }
        }
        done.into_iter().map(|key| self.take(key)).collect()
    }

    /// A partition is not what it was: takes out all that wait for it.
    pub(super) fn partition_changed(&mut self, partition: TopicPartition) -> Vec<Waiter> {
        let keys = self.by_partition.get(&partition).cloned().unwrap_or_default();
        keys.into_iter().map(|key| self.take(key)).collect()
    }

    /// Takes out those whose time is over.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        while let Some(&(deadline, key)) = self.deadlines.first()
            && deadline <= now
        {
            waiters.push(self.take(key));
        }
        waiters
    }

    /// Takes out those that nobody waits for any more: their clients went away, or were woken by another shard.
    fn sweep(&mut self) {
        let is_gone = |(key, entry): (usize, &Entry)| entry.waiter.is_gone().then_some(key);
        let gone: Vec<_> = self.entries.iter().filter_map(is_gone).collect();
        for key in gone {
            drop(self.take(key));
        }
        self.sweep_at = (2 * self.entries.len()).clamp(MIN_SWEEP, MAX_PARKED);
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> Vec<Waiter> {
        self.expire(Duration::MAX)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn take(&mut self, key: usize) -> Waiter {
        let entry = self.entries.remove(key);
        self.deadlines.remove(&(entry.deadline, key));
        for partition in &entry.partitions {
            if let Some(keys) = self.by_partition.get_mut(partition) {
                keys.retain(|k| *k != key);
                if keys.is_empty() {
                    self.by_partition.remove(partition);
                }
            }
        }
        entry.waiter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use ottla_api::storage::topic_partition;
    use ottla_types::TopicId;

    fn partition(index: i32) -> TopicPartition {
        topic_partition(TopicId::default(), index)
    }

    /// A waiter whose caller waits for ever.
    fn waiter() -> Waiter {
        Waiter::Caller(Arc::downgrade(Box::leak(Box::new(Arc::default()))))
    }

    fn park(parked: &mut Parked, partitions: &[i32], missing: usize, deadline_ms: u64) {
        let refused = parked.park(
            waiter(),
            partitions.iter().map(|&p| partition(p)).collect(),
            missing,
            Duration::from_millis(deadline_ms),
        );
        assert!(refused.is_none());
    }

    #[test]
    fn a_waiter_leaves_when_enough_bytes_came_over_all_its_partitions() {
        let mut parked = Parked::default();
        park(&mut parked, &[1, 2], 100, 50);
        park(&mut parked, &[2], 1, 60);
        assert!(parked.bytes_came(partition(1), 60).is_empty());
        assert_eq!(parked.bytes_came(partition(2), 40).len(), 2);
        assert!(parked.by_partition.is_empty() && parked.deadlines.is_empty());
    }

    #[test]
    fn a_waiter_leaves_when_its_time_is_over_or_its_partition_changed() {
        let mut parked = Parked::default();
        park(&mut parked, &[1], 100, 50);
        park(&mut parked, &[1, 2], 100, 60);
        assert_eq!(parked.next_deadline(), Some(Duration::from_millis(50)));
        assert_eq!(parked.expire(Duration::from_millis(50)).len(), 1);
        assert_eq!(parked.partition_changed(partition(2)).len(), 1);
        assert!(parked.next_deadline().is_none());
    }

    #[test]
    fn a_partition_that_is_named_twice_lets_its_waiter_go_once() {
        let mut parked = Parked::default();
        park(&mut parked, &[1, 2, 1], 100, 50);
        assert!(parked.bytes_came(partition(1), 60).is_empty(), "60 bytes are not 120");
        assert_eq!(parked.bytes_came(partition(1), 40).len(), 1);
        park(&mut parked, &[3, 3], 1, 50);
        assert_eq!(parked.partition_changed(partition(3)).len(), 1);
        assert!(parked.by_partition.is_empty() && parked.deadlines.is_empty());
    }

    #[test]
    fn those_that_are_gone_make_room() {
        let mut parked = Parked::default();
        for _ in 0..10 * MAX_PARKED {
            let gone = Waiter::Caller(Weak::new());
            assert!(parked.park(gone, vec![partition(1)], 1, Duration::MAX).is_none());
            assert!(parked.entries.len() <= MIN_SWEEP);
        }
    }

    #[test]
    fn no_more_than_the_bound_wait() {
        let mut parked = Parked::default();
        for _ in 0..MAX_PARKED {
            park(&mut parked, &[], 1, 1);
        }
        let refused = parked.park(waiter(), vec![], 1, Duration::ZERO);
        assert!(refused.is_some());
    }
}
