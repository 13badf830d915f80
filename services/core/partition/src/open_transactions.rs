//! Transactions that have records in the log and no marker yet, and the last stable offset that follows from them.
//!
//! Invariant: the last stable offset is never above the high watermark. Until transactions are served nothing opens one, and the two are equal.

use std::collections::BTreeMap;

use ottla_types::{Offset, ProducerId};

/// Open transactions of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenTransactions {
    /// Offset of the first record of each.
    first_offsets: BTreeMap<ProducerId, Offset>,
}

impl OpenTransactions {
    /// A transactional record of this producer is at `offset`; the first one opens its transaction.
    pub fn note_record(&mut self, producer: ProducerId, offset: Offset) {
        self.first_offsets.entry(producer).or_insert(offset);
    }

    /// A marker ended this producer's transaction; the offset of its first record, if it was open.
    pub fn note_marker(&mut self, producer: ProducerId) -> Option<Offset> {
        self.first_offsets.remove(&producer)
    }

    /// Whether this producer has a transaction open: then its state must not expire.
    pub fn is_open(&self, producer: ProducerId) -> bool {
        self.first_offsets.contains_key(&producer)
    }

    /// Offset of the first record of this producer's open transaction.
    pub fn first_offset(&self, producer: ProducerId) -> Option<Offset> {
        self.first_offsets.get(&producer).copied()
    }

    /// The log was cut to end at `end`: transactions that began there or later are gone (R8).
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.first_offsets.retain(|_, first| *first < end);
    }

    /// End of what `read_committed` may see.
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        self.first_offsets.values().copied().fold(high_watermark, Offset::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stable_offset_is_the_first_open_record_or_the_watermark() {
        let mut open = OpenTransactions::default();
        assert_eq!(open.last_stable_offset(Offset(9)), Offset(9));
        open.note_record(ProducerId(1), Offset(4));
        open.note_record(ProducerId(1), Offset(6));
        open.note_record(ProducerId(2), Offset(20));
        assert_eq!(open.last_stable_offset(Offset(9)), Offset(4));
        assert_eq!(open.note_marker(ProducerId(1)), Some(Offset(4)));
        assert_eq!(open.last_stable_offset(Offset(9)), Offset(9));
    }
}
