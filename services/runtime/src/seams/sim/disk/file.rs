//! One simulated file: what processes see, what a crash leaves, and the writes in between.
//!
//! Invariant: `durable` with all of `unsynced` applied is `volatile`, until a sync failed: then the difference is lost for good,
//! as it is with a kernel that marks pages clean that it could not write (R16).

use super::content::Content;
use crate::seams::SimRng;

/// What a disk writes at once; a crash keeps, loses or tears each by itself.
pub const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct FileState {
    pub(super) volatile: Content,
    durable: Content,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Extend(u64),
    SetLen(u64),
}

/// A sector that is torn loses at least a machine word of what was written to it, in bytes.
const TORN_BYTES_LEAST: usize = 8;

/// What a crash left of what nobody had synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashDamage {
    /// Changes of files that reached the disk all the same.
    pub kept: u64,
    /// Changes of files that reached it in part, sector by sector.
    pub torn: u64,
    /// Changes of files of which nothing was kept.
    pub lost: u64,
    /// Creations, renames and removals that did not happen.
    pub names_lost: u64,
}

/// What a crash does to the unsynced changes of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing unsynced reached the disk.
    All,
    /// Everything did.
    Nothing,
    /// The first so many changes did, and the next one in part.
    After(usize),
    /// Each sector by itself.
    PerSector,
}

impl Loss {
    pub(super) fn draw(rng: &SimRng, changes: usize) -> Self {
        match rng.below(4) {
            0 => Self::All,
            1 => Self::Nothing,
            2 => Self::After(rng.below(changes as u64 + 1) as usize),
            _ => Self::PerSector,
        }
    }
}

impl FileState {
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.volatile.write(bytes, offset);
        self.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.volatile.set_len(len);
        self.unsynced.push(Change::SetLen(len));
    }

    pub(super) fn extend(&mut self, len: u64) {
        self.volatile.extend(len);
        self.unsynced.push(Change::Extend(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The unsynced changes reach the disk in part, and never again.
    pub(super) fn lose_unsynced(
        &mut self,
        rng: &SimRng,
        loss: Option<Loss>,
        damage: &mut CrashDamage,
    ) {
        let loss = loss.unwrap_or_else(|| Loss::draw(rng, self.unsynced.len()));
        for (index, change) in self.unsynced.drain(..).enumerate() {
            let is_kept = match loss {
                Loss::All => false,
                Loss::Nothing => true,
                Loss::After(kept) if index != kept => index < kept,
                Loss::After(_) | Loss::PerSector => {
                    change.apply_in_part(&mut self.durable, rng);
                    damage.torn += 1;
                    continue;
                }
            };
            if is_kept {
                change.apply(&mut self.durable);
                damage.kept += 1;
            } else {
                damage.lost += 1;
            }
        }
    }

    /// What a process sees after a restart.
    pub(super) fn restart(&mut self) {
        self.volatile = self.durable.clone();
    }

    pub(super) fn flip_bit(&mut self, bit: u64) {
        self.volatile.flip_bit(bit);
        self.durable.flip_bit(bit);
    }
}

impl Change {
    fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write(bytes, *offset),
            Self::Extend(len) => content.extend(*len),
            Self::SetLen(len) => content.set_len(*len),
        }
    }

    fn apply_in_part(&self, content: &mut Content, rng: &SimRng) {
        let Self::Write { offset, bytes } = self else {
            if rng.below(2) == 0 {
                self.apply(content);
            }
            return;
        };
        let mut rest = bytes.as_slice();
        let mut offset = *offset;
        while !rest.is_empty() {
            let in_sector = SECTOR_BYTES - (offset % SECTOR_BYTES as u64) as usize;
            let (sector, later) = rest.split_at(in_sector.min(rest.len()));
            match rng.below(4) {
                0 => {}
                1 => content.write(sector, offset),
                2 => {
                    let kept = rng.below(sector.len() as u64 + 1) as usize;
                    let kept = kept.min(sector.len().saturating_sub(TORN_BYTES_LEAST));
                    content.write(&sector[..kept], offset);
                }
                // The new length was kept, the bytes were not.
                _ => content.extend(offset + sector.len() as u64),
            }
            rest = later;
            offset += in_sector as u64;
        }
    }
}
