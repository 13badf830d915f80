//! What the records of the write-ahead log add up to.
//!
//! Invariant: appending and recovery go through the same code, so that a restart finds what the running member had.

use raft::eraftpb::{ConfState, HardState};

use super::batch::{Batch, Position};
use super::entries::{Entries, Place};

/// What the records add up to.
#[derive(Default)]
pub(super) struct Log {
    pub(super) entries: Entries,
    /// The newest start or installation that a record named.
    pub(super) start: Position,
    pub(super) hard_state: HardState,
    pub(super) conf_state: ConfState,
}

/// Where a frame's payload lies.
#[derive(Clone, Copy)]
pub(super) struct FrameAt {
    pub(super) segment: u64,
    pub(super) payload_offset: u64,
}

impl Log {
    /// Adds a record to what the records before it added up to; returns the highest index of its entries, else 0.
    pub(super) fn take_in(
        &mut self,
        batch: Batch,
        payload: &[u8],
        places: &[std::ops::Range<usize>],
        frame: FrameAt,
    ) -> u64 {
        if let Some(installed) = batch.installed {
            self.entries.reset(installed);
            self.start = installed;
        }
        if let Some(start) = batch.start {
            self.start = start;
            // Equal too: at recovery the entries may begin where a hole ends, with a term that is only known from here.
            if start.index >= self.entries.start.index {
                self.entries.drop_up_to(start);
            }
        }
        if let Some(conf_state) = batch.conf_state {
            self.conf_state = conf_state;
        }
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        let mut last = 0;
        for (entry, range) in batch.entries.into_iter().zip(places) {
            last = last.max(entry.index);
            if entry.index > self.entries.last_index() + 1 {
                // Only at recovery: the segments between are gone, and a later record will say that they are not needed.
                self.entries.reset(Position { index: entry.index - 1, term: 0 });
            }
            if entry.index <= self.entries.start.index {
                continue;
            }
            let bytes = &payload[range.clone()];
            let place = Place {
                term: entry.term,
                segment: frame.segment,
                offset: frame.payload_offset + range.start as u64,
                length: u32::try_from(bytes.len()).expect("an entry is shorter than a payload"),
                checksum: crc32c::crc32c(bytes),
            };
            self.entries.push(entry, place);
        }
        last
    }
}
