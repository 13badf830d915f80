//! Where each leader epoch of a partition began (`leader-epoch-checkpoint`).
//!
//! Invariant: epochs and start offsets grow. It is cut where the log is cut (R8). Batches carry their epoch, so what was
//! not written to the file yet is found again by recovery. Does no I/O.

use ottla_log_format::checkpoint::EpochEntry;
use ottla_types::{LeaderEpoch, Offset};

/// The leader epochs of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
    is_dirty: bool,
}

impl EpochCache {
    /// The entries of a checkpoint file.
    pub fn from_entries(entries: Vec<EpochEntry>) -> Self {
        Self { entries, is_dirty: false }
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch; `None` if none is known.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start_offset`. An epoch that is not newer than the latest changes nothing.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if epoch.0 < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        // An epoch in which nothing was written gives way, as in Kafka.
        while self.entries.last().is_some_and(|last| last.start_offset >= start_offset) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        self.is_dirty = true;
    }

    /// KIP-279: the largest epoch not above `epoch`, and where it ended (`log_end` for the latest). `None` if no such
    /// epoch is known.
    pub fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let after = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let found = self.entries.get(after.checked_sub(1)?)?;
        let end = self.entries.get(after).map_or(log_end, |next| next.start_offset);
        Some((found.epoch, end))
    }

    /// The epoch in which `offset` was written; `None` if it is older than all that is known.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map(|index| self.entries[index].epoch)
    }

    /// The log now ends at `end`: epochs that began there or later are gone.
    pub fn truncate_end(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end);
        self.is_dirty |= kept < self.entries.len();
        self.entries.truncate(kept);
    }

    /// The log now begins at `start`: the epoch of the first offset begins there, older ones are gone.
    pub fn truncate_start(&mut self, start: Offset) {
        let after = self.entries.partition_point(|entry| entry.start_offset <= start);
        let Some(first) = after.checked_sub(1) else { return };
        if first == 0 && self.entries[0].start_offset == start {
            return;
        }
        self.entries.drain(..first);
        self.entries[0].start_offset = start;
        self.is_dirty = true;
    }

    /// Whether there is something to write; it counts as written from now on.
    pub(super) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// What `take_dirty` took was not written after all.
    pub(super) fn set_dirty(&mut self) {
        self.is_dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        let mut cache = EpochCache::default();
        entries.iter().for_each(|&(epoch, start)| cache.assign(LeaderEpoch(epoch), Offset(start)));
        cache
    }

    fn entries(cache: &EpochCache) -> Vec<(i32, i64)> {
        cache.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
    }

    #[test]
    fn an_old_epoch_is_not_assigned_again() {
        assert_eq!(
            entries(&cache(&[(0, 0), (2, 10), (2, 11), (1, 12), (3, 20)])),
            [(0, 0), (2, 10), (3, 20)]
        );
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next_one() {
        let cache = cache(&[(1, 5), (3, 10), (6, 30)]);
        let end =
            |epoch| cache.end_offset_for(LeaderEpoch(epoch), Offset(50)).map(|(e, o)| (e.0, o.0));
        assert_eq!(
            [end(0), end(1), end(2), end(5), end(6), end(9)],
            [None, Some((1, 10)), Some((1, 10)), Some((3, 30)), Some((6, 50)), Some((6, 50))]
        );
        assert_eq!(cache.epoch_at(Offset(4)), None);
        assert_eq!(cache.epoch_at(Offset(29)), Some(LeaderEpoch(3)));
    }

    #[test]
    fn the_cache_is_cut_with_the_log_on_either_side() {
        let mut cut = cache(&[(1, 5), (3, 10), (6, 30)]);
        cut.truncate_end(Offset(30));
        assert_eq!(entries(&cut), [(1, 5), (3, 10)]);
        cut.truncate_start(Offset(12));
        assert_eq!(entries(&cut), [(3, 12)]);
        cut.truncate_start(Offset(12));
        assert_eq!(entries(&cut), [(3, 12)]);
        cut.truncate_end(Offset(12));
        assert_eq!(entries(&cut), []);
    }
}
