//! Which leader epoch wrote which offsets (Kafka's `leader-epoch-checkpoint`).
//!
//! Invariant: epochs and start offsets both grow strictly from entry to entry (KIP-101).
//! Deliberately does not know the file that holds it.

use ottla_types::{LeaderEpoch, Offset};

/// Where an epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Offset of its first record.
    pub start: Offset,
}

/// The epochs of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochStart>,
}

impl LeaderEpochs {
    /// Takes entries as a file gave them; ones that break the invariant make later entries win.
    pub fn from_entries(entries: impl IntoIterator<Item = EpochStart>) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start);
        }
        epochs
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// A record of `epoch` is at `start`; returns whether this is news. An epoch that began already keeps its start; entries
    /// that contradict the new one (same or larger epoch, or begin at or after it) are dropped.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch.0 < 0 || self.latest() == Some(epoch) {
            return false;
        }
        self.entries.retain(|entry| entry.epoch < epoch && entry.start < start);
        self.entries.push(EpochStart { epoch, start });
        true
    }

    /// The largest epoch not after `epoch` and the offset where it ends (exclusive); `log_end` ends the newest one. An epoch older
    /// than all here ends where the oldest begins. `None`: this log never heard of an epoch that new (KIP-101, KIP-279).
    pub fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if epoch == latest {
            return Some((latest, log_end));
        }
        if epoch > latest {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.epoch <= epoch);
        // `epoch < latest`, so that an entry follows.
        let end = self.entries.get(after)?.start;
        let found = after.checked_sub(1).and_then(|at| self.entries.get(at));
        Some((found.map_or(epoch, |entry| entry.epoch), end))
    }

    /// The epoch that wrote the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start <= offset);
        Some(self.entries.get(after.checked_sub(1)?)?.epoch)
    }

    /// The log was cut: it now ends at `end`. An epoch that began there or later is gone (R8).
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.entries.retain(|entry| entry.start < end);
    }

    /// The log now begins at `start`: only the epoch that covers `start` and later ones stay.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let after = self.entries.partition_point(|entry| entry.start <= start);
        let Some(covering) = after.checked_sub(1) else { return };
        self.entries.drain(..covering);
        if let Some(first) = self.entries.first_mut() {
            first.start = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs::from_entries(
            entries.iter().map(|&(e, s)| EpochStart { epoch: LeaderEpoch(e), start: Offset(s) }),
        )
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let epochs = epochs(&[(1, 0), (3, 10), (7, 25)]);
        let end =
            |epoch| epochs.end_offset_for(LeaderEpoch(epoch), Offset(40)).map(|(e, o)| (e.0, o.0));
        assert_eq!(end(0), Some((0, 0)));
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(3), Some((3, 25)));
        assert_eq!(end(7), Some((7, 40)));
        assert_eq!(end(8), None);
    }

    #[test]
    fn the_epoch_of_a_record_is_the_last_one_that_began_before_it() {
        let epochs = epochs(&[(1, 5), (3, 10)]);
        let at = |offset| epochs.epoch_at(Offset(offset)).map(|e| e.0);
        assert_eq!(
            (at(4), at(5), at(9), at(10), at(99)),
            (None, Some(1), Some(1), Some(3), Some(3))
        );
    }

    #[test]
    fn cutting_the_end_forgets_epochs_that_began_there() {
        let mut epochs = epochs(&[(1, 0), (3, 10), (7, 25)]);
        epochs.truncate_from_end(Offset(10));
        assert_eq!(epochs.latest(), Some(LeaderEpoch(1)));
    }

    #[test]
    fn cutting_the_start_keeps_the_epoch_that_covers_it() {
        let mut epochs = epochs(&[(1, 0), (3, 10), (7, 25)]);
        epochs.truncate_from_start(Offset(12));
        assert_eq!(epochs.entries()[0], EpochStart { epoch: LeaderEpoch(3), start: Offset(12) });
        assert_eq!(epochs.entries().len(), 2);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next() {
        let epochs = epochs(&[(1, 0), (2, 10), (3, 10)]);
        assert_eq!(epochs.entries().len(), 2);
        assert_eq!(epochs.latest(), Some(LeaderEpoch(3)));
    }
}
