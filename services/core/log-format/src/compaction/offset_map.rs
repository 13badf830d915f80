//! From a key to the last offset at which it was seen: 24 bytes each, in a table that grows as it is needed, up to a bound.
//!
//! Invariant: never takes more than its bound, the copy in which it grows included. What it says holds for offsets below `end`.
//! Deliberately keeps no key, only hashes of 128 bits.

use ottla_types::Offset;

use super::key_hash::{KeyHash, KeyHasher};

/// The table is in so many parts, each of which grows by itself: what is copied at a time is small.
const PARTS: usize = 64;
/// Slots that a part begins with.
const FIRST_SLOTS: usize = 16;
/// Bytes of a slot.
const SLOT_BYTES: usize = std::mem::size_of::<Slot>();

#[derive(Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    /// -1: the slot is free.
    offset: i64,
}

const FREE: Slot = Slot { hash: [0; 2], offset: -1 };

#[derive(Clone, Default)]
struct Part {
    slots: Vec<Slot>,
    used: usize,
}

/// The map.
#[derive(Clone)]
pub struct OffsetMap {
    hasher: KeyHasher,
    parts: Vec<Part>,
    max_slots_per_part: usize,
    /// Slots that may be used, of a hundred.
    load_percent: usize,
    end: Offset,
}

impl OffsetMap {
    /// An empty map that takes up to `max_bytes`, of whose slots up to `load_percent` percent are used. It covers nothing from
    /// `start` on.
    pub fn new(hasher: KeyHasher, max_bytes: usize, load_percent: u8, start: Offset) -> Self {
        // One part more: that in which a part grows.
        let max_slots_per_part = (max_bytes / SLOT_BYTES / (PARTS + 1)).max(FIRST_SLOTS);
        let load_percent = usize::from(load_percent.clamp(1, 95));
        Self {
            hasher,
            parts: vec![Part::default(); PARTS],
            max_slots_per_part,
            load_percent,
            end: start,
        }
    }

    /// Every offset below was seen.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Offsets below `end` were seen.
    pub(super) fn cover(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Keys in the map.
    pub fn key_count(&self) -> usize {
        self.parts.iter().map(|part| part.used).sum()
    }

    /// Bytes that the map takes now.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.slots.len() * SLOT_BYTES).sum()
    }

    /// Notes a key's offset, which is behind all that were noted before; false if there is no room for one more key.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hasher.hash(key);
        let part = &mut self.parts[part_of(hash)];
        if let Some(slot) = part.find(hash).filter(|&slot| part.slots[slot].offset >= 0) {
            part.slots[slot].offset = offset.0;
        } else if part.has_room(self.load_percent)
            || part.grow(self.max_slots_per_part, self.load_percent)
        {
            part.insert(Slot { hash: hash.0, offset: offset.0 });
        } else {
            return false;
        }
        self.cover(offset.plus(1));
        true
    }

    /// The last offset of a key, if it was seen.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hasher.hash(key);
        let part = &self.parts[part_of(hash)];
        let offset = part.slots[part.find(hash)?].offset;
        (offset >= 0).then_some(Offset(offset))
    }
}

fn part_of(hash: KeyHash) -> usize {
    (hash.0[0] % PARTS as u64) as usize
}

impl Part {
    /// The slot of a hash, or the free one where it would be; `None` without slots. There is always a free one.
    fn find(&self, hash: KeyHash) -> Option<usize> {
        let count = self.slots.len();
        if count == 0 {
            return None;
        }
        let mut at = ((u128::from(hash.0[1]) * count as u128) >> 64) as usize;
        while self.slots[at].offset >= 0 && self.slots[at].hash != hash.0 {
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        Some(at)
    }

    fn has_room(&self, load_percent: usize) -> bool {
        self.used < self.slots.len() * load_percent / 100
    }

    fn insert(&mut self, slot: Slot) {
        if let Some(at) = self.find(KeyHash(slot.hash)) {
            self.slots[at] = slot;
            self.used += 1;
        }
    }

    /// Takes half as many slots more; false if that makes no room within the bound.
    fn grow(&mut self, max_slots: usize, load_percent: usize) -> bool {
        let count = (self.slots.len() + self.slots.len() / 2).clamp(FIRST_SLOTS, max_slots);
        if self.used >= count * load_percent / 100 {
            return false;
        }
        let old = std::mem::replace(&mut self.slots, vec![FREE; count]);
        self.used = 0;
        old.into_iter().filter(|slot| slot.offset >= 0).for_each(|slot| self.insert(slot));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(max_bytes: usize) -> OffsetMap {
        OffsetMap::new(KeyHasher::new(7), max_bytes, 90, Offset(0))
    }

    #[test]
    fn the_last_offset_of_each_key_is_found() {
        let mut map = map(16 << 20);
        for offset in 0..300_000_i64 {
            assert!(map.put(&(offset % 100_000).to_be_bytes(), Offset(offset)));
        }
        assert_eq!((map.key_count(), map.end()), (100_000, Offset(300_000)));
        for key in 0..100_000_i64 {
            assert_eq!(map.get(&key.to_be_bytes()), Some(Offset(200_000 + key)));
        }
        assert_eq!(map.get(b"never seen"), None);
        assert!(map.size_bytes() < 100_000 * 24 * 2, "{}", map.size_bytes());
    }

    #[test]
    fn a_full_map_says_so_and_still_takes_known_keys() {
        let mut map = map(1 << 20);
        let full =
            (0_i64..).find(|offset| !map.put(&offset.to_be_bytes(), Offset(*offset))).unwrap();
        assert_eq!((map.end(), map.key_count()), (Offset(full), full as usize));
        assert!(map.size_bytes() <= 1 << 20 && map.size_bytes() > 900_000, "{}", map.size_bytes());
        // Nearly all slots are of use: 24 bytes for a key, at a load of 90 %.
        assert!(full > (1 << 20) / 24 * 8 / 10, "{full}");
        assert!(map.put(&0_i64.to_be_bytes(), Offset(full + 1)));
        assert_eq!(map.get(&0_i64.to_be_bytes()), Some(Offset(full + 1)));
    }

    #[test]
    fn an_empty_map_takes_nothing() {
        let map = map(128 << 20);
        assert_eq!((map.size_bytes(), map.get(b"a")), (0, None));
    }
}
