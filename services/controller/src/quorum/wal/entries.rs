//! Where the log's entries lie on disk, and the newest of them in memory.
//!
//! Invariant: places are contiguous from `start.index + 1`; the cache is a suffix of them, of at most [`MAX_CACHE_BYTES`].

use std::collections::VecDeque;

use raft::eraftpb::Entry;

use super::batch::Position;

/// Bytes of entries kept in memory.
pub(super) const MAX_CACHE_BYTES: usize = 16 << 20;

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) term: u64,
    /// The segment, by its first sequence.
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) checksum: u32,
}

/// The log's table of contents.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The last position that is not in the log any more.
    pub(super) start: Position,
    places: VecDeque<Place>,
    cache: VecDeque<Entry>,
    cache_bytes: usize,
}

impl Entries {
    pub(super) fn last_index(&self) -> u64 {
        self.start.index + self.places.len() as u64
    }

    pub(super) fn place(&self, index: u64) -> Option<&Place> {
        let nth = index.checked_sub(self.start.index + 1)?;
        self.places.get(usize::try_from(nth).ok()?)
    }

    pub(super) fn cached(&self, index: u64) -> Option<&Entry> {
        let first = self.cache.front()?.index;
        self.cache.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Takes an entry in; whatever had its index or a higher one is gone. The caller has checked that there is no gap.
    pub(super) fn push(&mut self, entry: Entry, place: Place) {
        self.truncate_from(entry.index);
        self.places.push_back(place);
        self.cache_bytes += entry_bytes(&entry);
        self.cache.push_back(entry);
        while self.cache_bytes > MAX_CACHE_BYTES && self.cache.len() > 1 {
            self.forget_oldest_cached();
        }
    }

    fn truncate_from(&mut self, index: u64) {
        let keep = index.saturating_sub(self.start.index + 1);
        self.places.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        while self.cache.back().is_some_and(|last| last.index >= index) {
            let entry = self.cache.pop_back().expect("there is a last entry");
            self.cache_bytes -= entry_bytes(&entry);
        }
    }

    /// Forgets everything: the log goes on after `start`.
    pub(super) fn reset(&mut self, start: Position) {
        *self = Self { start, ..Self::default() };
    }

    /// Forgets what is not after `start`; keeps the rest.
    pub(super) fn drop_up_to(&mut self, start: Position) {
        if start.index >= self.last_index() {
            return self.reset(start);
        }
        for _ in self.start.index..start.index {
            self.places.pop_front();
        }
        while self.cache.front().is_some_and(|first| first.index <= start.index) {
            self.forget_oldest_cached();
        }
        self.start = start;
    }

    fn forget_oldest_cached(&mut self) {
        if let Some(oldest) = self.cache.pop_front() {
            self.cache_bytes -= entry_bytes(&oldest);
        }
    }
}

fn entry_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.data.len() + entry.context.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u64, bytes: usize) -> Entries {
        let mut entries = Entries::default();
        for index in 1..=count {
            push(&mut entries, index, 1, bytes);
        }
        entries
    }

    fn push(entries: &mut Entries, index: u64, term: u64, bytes: usize) {
        let place = Place { term, segment: 1, offset: index, length: 0, checksum: 0 };
        let data = vec![0; bytes].into();
        entries.push(Entry { index, term, data, ..Entry::default() }, place);
    }

    #[test]
    fn an_entry_of_a_later_term_replaces_the_tail() {
        let mut entries = entries(5, 10);
        push(&mut entries, 3, 2, 10);
        assert_eq!(entries.last_index(), 3);
        assert_eq!(entries.place(3).unwrap().term, 2);
        assert_eq!(entries.cached(3).unwrap().term, 2);
        assert!(entries.cached(4).is_none() && entries.place(4).is_none());
    }

    #[test]
    fn the_cache_stays_within_its_bound() {
        let entries = entries(40, MAX_CACHE_BYTES / 16);
        assert!(entries.cache_bytes <= MAX_CACHE_BYTES);
        assert!(entries.cached(1).is_none() && entries.place(1).is_some());
        assert!(entries.cached(40).is_some());
    }

    #[test]
    fn what_is_dropped_is_gone_and_the_rest_stays() {
        let mut entries = entries(5, 10);
        entries.drop_up_to(Position { index: 3, term: 1 });
        assert!(entries.place(3).is_none() && entries.cached(3).is_none());
        assert_eq!(entries.cached(4).unwrap().index, 4);
        assert_eq!(entries.last_index(), 5);
        entries.drop_up_to(Position { index: 9, term: 1 });
        assert_eq!(entries.last_index(), 9);
    }
}
