//! Which sessions are kept, and which one goes when there is no room.
//!
//! Invariant: no more sessions than slots, and no more partitions than the limit. The rule is Kafka's: what was not used for
//! [`EVICTION_AGE`] goes first; else, of the sessions that are older than that, the smallest, if the new one is larger.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::EVICTION_AGE;
use super::session::Session;

struct Entry {
    session: Arc<Mutex<Session>>,
    /// Partitions, when it was last used.
    size: usize,
    created: Duration,
    used: Duration,
    /// It was old enough when it was last used.
    gives_way: bool,
}

/// The sessions by id. Times are monotonic.
pub(super) struct Cache {
    slots: usize,
    max_partitions: usize,
    partitions: usize,
    entries: HashMap<i32, Entry>,
    by_use: BTreeSet<(Duration, i32)>,
    giving_way: BTreeSet<(usize, i32)>,
}

impl Cache {
    pub(super) fn new(slots: usize, max_partitions: usize) -> Self {
        Self {
            slots,
            max_partitions,
            partitions: 0,
            entries: HashMap::new(),
            by_use: BTreeSet::new(),
            giving_way: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, id: i32) -> Option<Arc<Mutex<Session>>> {
        self.entries.get(&id).map(|entry| Arc::clone(&entry.session))
    }

    pub(super) fn holds(&self, id: i32) -> bool {
        self.entries.contains_key(&id)
    }

    pub(super) fn remove(&mut self, id: i32) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.partitions -= entry.size;
        self.by_use.remove(&(entry.used, id));
        self.giving_way.remove(&(entry.size, id));
    }

    /// Whether a session of this size may be begun; evicts one for it if need be.
    pub(super) fn makes_room(&mut self, size: usize, now: Duration) -> bool {
        let fits = |cache: &Self| {
            cache.entries.len() < cache.slots && cache.partitions + size <= cache.max_partitions
        };
        if !fits(self)
            && let Some(id) = self.evictable(size, now)
        {
            self.remove(id);
        }
        fits(self)
    }

    fn evictable(&self, size: usize, now: Duration) -> Option<i32> {
        let (used, stale) = self.by_use.first()?;
        if now.saturating_sub(*used) > EVICTION_AGE {
            return Some(*stale);
        }
        let (smallest, id) = self.giving_way.first()?;
        (size > *smallest).then_some(*id)
    }

    pub(super) fn insert(&mut self, id: i32, session: Session, now: Duration) {
        let size = session.len();
        let session = Arc::new(Mutex::new(session));
        let entry = Entry { session, size, created: now, used: now, gives_way: false };
        self.entries.insert(id, entry);
        self.by_use.insert((now, id));
        self.partitions += size;
    }

    /// The session was used, and has this many partitions now. False: it is not kept (any more).
    pub(super) fn touch(&mut self, id: i32, size: usize, now: Duration) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        self.by_use.remove(&(entry.used, id));
        self.by_use.insert((now, id));
        if entry.gives_way {
            self.giving_way.remove(&(entry.size, id));
        }
        entry.gives_way = now.saturating_sub(entry.created) > EVICTION_AGE;
        if entry.gives_way {
            self.giving_way.insert((size, id));
        }
        self.partitions = self.partitions - entry.size + size;
        (entry.size, entry.used) = (size, now);
        let fits = self.partitions <= self.max_partitions;
        if !fits {
            self.remove(id);
        }
        fits
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        assert_eq!(self.by_use.len(), self.entries.len());
        assert!(self.giving_way.len() <= self.entries.len());
        (self.entries.len(), self.partitions)
    }
}
