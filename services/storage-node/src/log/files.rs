//! Open files, as few as needed: a bounded cache of descriptors that one shard thread owns.
//!
//! Invariant: never more than `capacity` files are held here. A file that was taken out stays usable for whoever holds it;
//! evicting it only closes it later. Deliberately does not know what is written or synced.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, DiskFile, OpenMode};
use ottla_types::{Offset, TopicPartition};

use super::names::{FileKind, SWAP, file_path, suffixed};

/// A file of a segment, among all files of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    pub(super) log: TopicPartition,
    pub(super) base: Offset,
    pub(super) kind: FileKind,
    /// Of a compacted segment that still bears the name of its swap.
    pub(super) is_swap: bool,
}

impl FileKey {
    /// Where the file is.
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        let path = file_path(dir, self.base, self.kind);
        if self.is_swap { suffixed(&path, SWAP) } else { path }
    }
}

struct Slot {
    key: FileKey,
    file: Arc<dyn DiskFile>,
    /// Used since the hand last passed (second chance).
    is_warm: bool,
}

/// A disk, and the files of it that a shard has open.
pub struct Files {
    disk: Arc<dyn Disk>,
    capacity: usize,
    slots: Vec<Slot>,
    places: HashMap<FileKey, usize>,
    hand: usize,
}

impl Files {
    /// No open file yet; at most `capacity` (at least 1) later.
    pub fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        Self { disk, capacity: capacity.max(1), slots: Vec::new(), places: HashMap::new(), hand: 0 }
    }

    /// The disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Files that are open now.
    pub fn open_count(&self) -> usize {
        self.slots.len()
    }

    /// A file of a segment in `dir`, made if it is not there.
    pub(super) fn create(&mut self, dir: &Path, key: FileKey) -> io::Result<Arc<dyn DiskFile>> {
        self.get(dir, key, OpenMode::Create)
    }

    /// A file of a segment in `dir`, which must be there.
    pub(super) fn open(&mut self, dir: &Path, key: FileKey) -> io::Result<Arc<dyn DiskFile>> {
        self.get(dir, key, OpenMode::ReadWrite)
    }

    fn get(&mut self, dir: &Path, key: FileKey, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(&place) = self.places.get(&key) {
            let slot = &mut self.slots[place];
            slot.is_warm = true;
            return Ok(Arc::clone(&slot.file));
        }
        let file = self.disk.open(&key.path(dir), mode)?;
        self.keep(key, Arc::clone(&file));
        Ok(file)
    }

    fn keep(&mut self, key: FileKey, file: Arc<dyn DiskFile>) {
        let slot = Slot { key, file, is_warm: true };
        let place = if self.slots.len() < self.capacity {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.coldest();
            self.places.remove(&self.slots[place].key);
            self.slots[place] = slot;
            place
        };
        self.places.insert(key, place);
    }

    /// The first place that was not used since the hand last passed; after two rounds there is one.
    fn coldest(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[place].is_warm) {
                return place;
            }
        }
    }

    /// Closes the files of one segment.
    pub(super) fn forget_segment(&mut self, log: TopicPartition, base: Offset) {
        self.forget(|key| key.log == log && key.base == base);
    }

    /// Closes the files of one log.
    pub(super) fn forget_log(&mut self, log: TopicPartition) {
        self.forget(|key| key.log == log);
    }

    fn forget(&mut self, is_gone: impl Fn(&FileKey) -> bool) {
        self.slots.retain(|slot| !is_gone(&slot.key));
        self.places =
            self.slots.iter().enumerate().map(|(place, slot)| (slot.key, place)).collect();
        self.hand = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::seams::SimDisk;

    #[test]
    fn no_more_files_are_open_than_allowed_and_the_used_ones_stay() {
        let disk = SimDisk::new(1);
        let mut files = Files::new(Arc::new(disk), 3);
        let log = TopicPartition { topic: Default::default(), partition: Default::default() };
        let key = |base| FileKey { log, base: Offset(base), kind: FileKind::Log, is_swap: false };
        for base in 0..10 {
            files.create(Path::new("/"), key(base)).unwrap();
            files.create(Path::new("/"), key(0)).unwrap();
            assert!(files.open_count() <= 3);
        }
        assert!(files.places.contains_key(&key(0)));
        files.forget_segment(log, Offset(0));
        assert_eq!(files.open_count(), 2);
        assert!(files.open(Path::new("/"), key(0)).is_ok());
        files.forget_log(log);
        assert_eq!(files.open_count(), 0);
    }
}
