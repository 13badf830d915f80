//! Which shard holds which partition.
//!
//! Invariant: a partition is at one place from its first assignment to its removal.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ottla_types::TopicPartition;

/// Where a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the directory.
    pub(crate) dir: usize,
    /// Index of the shard, over all directories.
    pub(crate) shard: usize,
}

/// All places.
#[derive(Default)]
pub(crate) struct Places {
    places: RwLock<BTreeMap<TopicPartition, Place>>,
    /// Partitions whose files are corrupt, and who looks after the folder: they are not served, and not made anew (R16).
    quarantined: RwLock<BTreeMap<TopicPartition, Place>>,
}

impl Places {
    /// The places as they are now. Not to be held over an await.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<TopicPartition, Place>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: TopicPartition) -> Option<Place> {
        self.read().get(&id).copied()
    }

    pub(crate) fn set(&self, id: TopicPartition, place: Place) {
        self.places.write().unwrap_or_else(PoisonError::into_inner).insert(id, place);
    }

    pub(crate) fn remove(&self, id: TopicPartition) -> Option<Place> {
        self.places.write().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    pub(crate) fn quarantine(&self, id: TopicPartition, place: Place) {
        self.quarantined.write().unwrap_or_else(PoisonError::into_inner).insert(id, place);
    }

    /// Forgets quarantined partitions of which this holds, and answers where they were.
    pub(crate) fn take_quarantined(
        &self,
        is_gone: impl Fn(&TopicPartition) -> bool,
    ) -> Vec<(TopicPartition, Place)> {
        let mut quarantined = self.quarantined.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> =
            quarantined.iter().filter(|(id, _)| is_gone(id)).map(|(id, at)| (*id, *at)).collect();
        quarantined.retain(|id, _| !is_gone(id));
        gone
    }

    pub(crate) fn quarantined_count(&self) -> usize {
        self.quarantined.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn is_quarantined(&self, id: TopicPartition) -> bool {
        self.quarantined.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// The sound directory with the fewest partitions; the first if none is sound.
    pub(crate) fn emptiest_dir(&self, dirs: usize, is_sound: impl Fn(usize) -> bool) -> usize {
        let mut counts = vec![0_usize; dirs.max(1)];
        for place in self.read().values() {
            if let Some(count) = counts.get_mut(place.dir) {
                *count += 1;
            }
        }
        (0..counts.len()).filter(|&dir| is_sound(dir)).min_by_key(|&dir| counts[dir]).unwrap_or(0)
    }
}

/// The shard of a partition within its directory: spread by topic and index, the same at every start.
pub(crate) fn shard_of(id: TopicPartition, dir: usize, shards_per_dir: usize) -> Place {
    let bytes = id.topic.0.as_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Neighbouring partitions of a topic lie on neighbouring shards.
    let spread = hash.wrapping_add(u64::from(id.partition.0.unsigned_abs()));
    let shards = shards_per_dir.max(1);
    let within = usize::try_from(spread % shards as u64).unwrap_or(0);
    Place { dir, shard: dir * shards + within }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_api::storage::topic_partition;
    use ottla_types::TopicId;

    #[test]
    fn partitions_of_a_topic_are_spread_evenly_over_the_shards_of_a_directory() {
        let places: Vec<_> =
            (0..8).map(|p| shard_of(topic_partition(TopicId::default(), p), 1, 4).shard).collect();
        for shard in 4..8 {
            assert_eq!(places.iter().filter(|s| **s == shard).count(), 2);
        }
    }

    #[test]
    fn new_partitions_go_to_the_directory_with_the_fewest() {
        let places = Places::default();
        for partition in 0..5 {
            let id = topic_partition(TopicId::default(), partition);
            places.set(id, Place { dir: places.emptiest_dir(2, |_| true), shard: 0 });
        }
        assert_eq!(places.read().values().filter(|p| p.dir == 0).count(), 3);
        assert_eq!(places.emptiest_dir(2, |dir| dir == 0), 0);
    }
}
