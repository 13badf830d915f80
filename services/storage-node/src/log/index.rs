//! A sparse index of a segment: entries in a file, and the newest ones in memory until they are flushed.
//!
//! Invariant: entries grow, and the file's `flushed` entries come before the tail. An index is a hint: whoever follows an
//! entry checks the batch that it points to, because indexes are not synced on the way to an answer and may be torn.

use std::io::{self, IoSlice};

use ottla_log_format::index::{OffsetIndexEntry, TimeIndexEntry};
use ottla_runtime::seams::DiskFile;

use super::names::FileKind;

/// Entries that are read at once when the search has narrowed down to them.
const SEARCH_BLOCK_ENTRIES: u32 = 256;
/// The tail is flushed (not synced) when it has this many entries: about 4 MiB of log.
const MAX_TAIL_ENTRIES: usize = 1024;
/// The largest index file that is read, in bytes; `segment.index.bytes` is below it.
const MAX_INDEX_BYTES: u64 = 1 << 30;

/// An entry of fixed size.
pub(super) trait Entry: Copy {
    const BYTES: usize;
    const FILE: FileKind;
    fn read(bytes: &[u8]) -> Option<Self>;
    fn write(self, out: &mut Vec<u8>);
    /// Whether this may stand right after `before`.
    fn follows(self, before: Self) -> bool;
}

impl Entry for OffsetIndexEntry {
    const BYTES: usize = Self::BYTES;
    const FILE: FileKind = FileKind::Index;

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes)
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encode());
    }

    fn follows(self, before: Self) -> bool {
        self.relative_offset > before.relative_offset && self.position > before.position
    }
}

impl Entry for TimeIndexEntry {
    const BYTES: usize = Self::BYTES;
    const FILE: FileKind = FileKind::TimeIndex;

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes)
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encode());
    }

    fn follows(self, before: Self) -> bool {
        self.timestamp > before.timestamp && self.relative_offset >= before.relative_offset
    }
}

/// The index of the active segment.
#[derive(Clone, Debug)]
pub(super) struct SparseIndex<E> {
    flushed: u32,
    tail: Vec<E>,
    last: Option<E>,
}

impl<E> Default for SparseIndex<E> {
    fn default() -> Self {
        Self { flushed: 0, tail: Vec::new(), last: None }
    }
}

impl<E: Entry> SparseIndex<E> {
    /// An index of which `flushed` entries are in the file already, `last` being the last of them.
    pub(super) fn of_file(flushed: u32, last: Option<E>) -> Self {
        Self { flushed, tail: Vec::new(), last }
    }

    pub(super) fn last(&self) -> Option<E> {
        self.last
    }

    pub(super) fn size_bytes(&self) -> u64 {
        (u64::from(self.flushed) + self.tail.len() as u64) * E::BYTES as u64
    }

    pub(super) fn push(&mut self, entry: E) {
        self.tail.push(entry);
        self.last = Some(entry);
    }

    pub(super) fn wants_flush(&self) -> bool {
        self.tail.len() >= MAX_TAIL_ENTRIES
    }

    pub(super) fn has_tail(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Writes the tail to the file. Not synced.
    pub(super) fn flush(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.tail.len() * E::BYTES);
        self.tail.iter().for_each(|entry| entry.write(&mut bytes));
        let at = u64::from(self.flushed) * E::BYTES as u64;
        file.write_all_at(&[IoSlice::new(&bytes)], at)?;
        self.flushed += self.tail.len() as u32;
        self.tail = Vec::new();
        Ok(())
    }

    /// The last entry for which `is_before` holds; it must hold for a prefix of the entries. `file` is asked for only if
    /// the answer is not in memory.
    pub(super) fn find_last<F: AsRef<dyn DiskFile>>(
        &self,
        file: impl FnOnce() -> io::Result<F>,
        is_before: impl Fn(&E) -> bool,
    ) -> io::Result<Option<E>> {
        let in_tail = self.tail.partition_point(&is_before);
        if in_tail > 0 {
            return Ok(Some(self.tail[in_tail - 1]));
        }
        if self.flushed == 0 {
            return Ok(None);
        }
        find_last_in_file(file()?.as_ref(), self.flushed, is_before)
    }
}

/// Entries in a file of this length; bytes that make no entry do not count.
pub(super) fn entries_in<E: Entry>(len: u64) -> u32 {
    (len.min(MAX_INDEX_BYTES) / E::BYTES as u64) as u32
}

/// The last of a file's first `count` entries for which `is_before` holds.
pub(super) fn find_last_in_file<E: Entry>(
    file: &dyn DiskFile,
    count: u32,
    is_before: impl Fn(&E) -> bool,
) -> io::Result<Option<E>> {
    // Invariant: it holds for all entries below `low` and for none from `high` on.
    let (mut low, mut high) = (0, count);
    while high - low > SEARCH_BLOCK_ENTRIES {
        let middle = low + (high - low) / 2;
        match entry_at(file, middle)? {
            Some(entry) if is_before(&entry) => low = middle + 1,
            _ => high = middle,
        }
    }
    let from = low.saturating_sub(1);
    let block: Vec<E> = entries_at(file, from, high - from)?;
    let below = block.partition_point(is_before);
    Ok(below.checked_sub(1).map(|index| block[index]))
}

/// The entry of this number.
pub(super) fn entry_at<E: Entry>(file: &dyn DiskFile, number: u32) -> io::Result<Option<E>> {
    Ok(entries_at(file, number, 1)?.first().copied())
}

fn entries_at<E: Entry>(file: &dyn DiskFile, from: u32, count: u32) -> io::Result<Vec<E>> {
    let mut bytes = vec![0; count as usize * E::BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        let at = u64::from(from) * E::BYTES as u64 + filled as u64;
        match file.read_at(&mut bytes[filled..], at)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(bytes[..filled].chunks_exact(E::BYTES).filter_map(E::read).collect())
}

/// The entries of a file that may be torn: those that grow as they must and that `is_sound` accepts, but for the last
/// one, whose bytes may be half there.
pub(super) fn sound_prefix<E: Entry>(
    file: &dyn DiskFile,
    is_sound: impl Fn(&E) -> bool,
) -> io::Result<Vec<E>> {
    let count = entries_in::<E>(file.len()?);
    let mut entries: Vec<E> = entries_at(file, 0, count)?;
    let grows = |index: &usize| {
        let entry = entries[*index];
        is_sound(&entry) && index.checked_sub(1).is_none_or(|before| entry.follows(entries[before]))
    };
    let sound = (0..entries.len()).take_while(grows).count();
    entries.truncate(sound.saturating_sub(1));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::seams::{Disk, OpenMode, SimDisk};
    use std::path::Path;
    use std::sync::Arc;

    fn file() -> Arc<dyn DiskFile> {
        SimDisk::new(1).open(Path::new("/i"), OpenMode::Create).unwrap()
    }

    fn entry(number: i32) -> OffsetIndexEntry {
        OffsetIndexEntry { relative_offset: number * 10, position: number * 100 }
    }

    #[test]
    fn an_entry_is_found_in_the_file_and_in_the_tail() {
        let file = file();
        let mut index = SparseIndex::default();
        for number in 0..3000 {
            index.push(entry(number));
            if number == 2500 {
                index.flush(&*file).unwrap();
            }
        }
        for wanted in [0, 9, 10, 4999, 12_345, 25_000, 25_009, 25_010, 29_990, 1 << 30] {
            let found = index
                .find_last(|| Ok(Arc::clone(&file)), |entry| entry.relative_offset <= wanted)
                .unwrap();
            assert_eq!(found, Some(entry((wanted / 10).min(2999))), "{wanted}");
        }
        let none = index.find_last(|| Ok(Arc::clone(&file)), |entry| entry.relative_offset < 0);
        assert_eq!(none.unwrap(), None);
        assert_eq!(index.size_bytes(), 24_000);
    }

    #[test]
    fn a_torn_index_is_believed_up_to_one_entry_before_the_tear() {
        let file = file();
        let mut index = SparseIndex::default();
        (0..100).for_each(|number| index.push(entry(number)));
        index.flush(&*file).unwrap();
        file.write_all_at(&[IoSlice::new(&[0; 16])], 50 * 8).unwrap();
        let sound = sound_prefix::<OffsetIndexEntry>(&*file, |_| true).unwrap();
        assert_eq!(sound, (0..49).map(entry).collect::<Vec<_>>());
        let bounded = sound_prefix::<OffsetIndexEntry>(&*file, |entry| entry.position < 1000);
        assert_eq!(bounded.unwrap().len(), 9);
    }
}
