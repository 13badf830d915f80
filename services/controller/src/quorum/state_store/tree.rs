//! An ordered tree of bytes: sled's, or one in memory for simulations.
//!
//! Invariant: a batch is taken over as a whole or not at all.
//! Deliberately outside the disk seam: sled opens its own files and threads. A simulation runs the tree in memory instead.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::StoreError;

/// sled's cache; its own default is 1 GiB.
const SLED_CACHE_BYTES: u64 = 8 << 20;

/// Writes (`Some`) and removals (`None`).
pub(super) type TreeBatch = Vec<(Vec<u8>, Option<Vec<u8>>)>;
/// From, to.
pub(super) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// In which order a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Called with key and value; says whether to go on.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError>;

pub(super) trait Tree: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    fn scan(&self, range: KeyRange, order: Order, visit: Visit<'_>) -> Result<(), StoreError>;
    fn write(&self, batch: TreeBatch) -> Result<(), StoreError>;
}

/// All keys that begin with a prefix.
pub(super) fn prefix(prefix: &[u8]) -> KeyRange {
    (Bound::Included(prefix.to_vec()), end_of(prefix))
}

/// The end of all keys that begin with a prefix.
pub(super) fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

pub(super) struct SledTree(sled::Db);

impl SledTree {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new().path(path).cache_capacity(SLED_CACHE_BYTES);
        // sled panics on some kinds of damage.
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(opened) => Ok(Self(opened.map_err(database)?)),
            Err(_) => Err(StoreError::Damaged),
        }
    }
}

impl Tree for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).map_err(database)?.map(|value| value.to_vec()))
    }

    fn scan(&self, range: KeyRange, order: Order, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut found = self.0.range(range);
        loop {
            let next = match order {
                Order::Ascending => found.next(),
                Order::Descending => found.next_back(),
            };
            let Some(pair) = next else { return Ok(()) };
            let (key, value) = pair.map_err(database)?;
            if !visit(&key, &value)? {
                return Ok(());
            }
        }
    }

    fn write(&self, batch: TreeBatch) -> Result<(), StoreError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.0.apply_batch(changes).map_err(database)
    }
}

fn database(error: sled::Error) -> StoreError {
    StoreError::Database(error.to_string())
}

#[derive(Default)]
pub(super) struct MemoryTree(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl MemoryTree {
    fn next(
        &self,
        range: (&Bound<Vec<u8>>, &Bound<Vec<u8>>),
        order: Order,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let (begin, end) = range;
        // A map's range must not be empty between two exclusive ends.
        if let (Bound::Excluded(begin) | Bound::Included(begin), Bound::Excluded(end)) =
            (begin, end)
            && begin >= end
        {
            return None;
        }
        let tree = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = tree.range::<Vec<u8>, _>((begin.as_ref(), end.as_ref()));
        let found = match order {
            Order::Ascending => found.next(),
            Order::Descending => found.next_back(),
        };
        found.map(|(key, value)| (key.clone(), value.clone()))
    }
}

impl Tree for MemoryTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, range: KeyRange, order: Order, visit: Visit<'_>) -> Result<(), StoreError> {
        let (mut begin, mut end) = range;
        // The lock is not held while visiting: a visit may read.
        while let Some((key, value)) = self.next((&begin, &end), order) {
            if !visit(&key, &value)? {
                return Ok(());
            }
            match order {
                Order::Ascending => begin = Bound::Excluded(key),
                Order::Descending => end = Bound::Excluded(key),
            }
        }
        Ok(())
    }

    fn write(&self, batch: TreeBatch) -> Result<(), StoreError> {
        let mut tree = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch {
            match value {
                Some(value) => tree.insert(key, value),
                None => tree.remove(&key),
            };
        }
        Ok(())
    }
}
