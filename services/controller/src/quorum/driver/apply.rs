//! Committed entries become the committed image, and answers leave.
//!
//! Invariant: entries are applied in order, each once; a member whose image differs from the leader's stops (P3).

use ottla_metadata::codec;
use raft::eraftpb::{Entry, EntryType};

use super::applied::Applied;
use super::leadership::Answer;
use super::{Driver, Stop, told};

impl Driver {
    /// Applies committed entries.
    pub(super) fn apply(&mut self, entries: Vec<Entry>) -> Result<(), Stop> {
        for entry in entries {
            let index = entry.index;
            self.apply_entry(entry)?;
            self.applied_index = index;
        }
        Ok(())
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<(), Stop> {
        match entry.get_entry_type() {
            EntryType::EntryNormal => {}
            EntryType::EntryConfChangeV2 => return self.p7_apply_members(&entry),
            EntryType::EntryConfChange => return Err(Stop::UnknownEntry { index: entry.index }),
        }
        if entry.data.is_empty() {
            // A new leader's first entry.
            return Ok(());
        }
        self.snapshot.add_bytes(entry.data.len());
        let own = self.leadership.as_mut().and_then(|leadership| leadership.take_committed(&entry));
        let (applied, answers) = match own {
            Some(pending) => (pending.applied, pending.answers),
            None => (self.replay_entry(&entry)?, Vec::new()),
        };
        self.take_over(entry.index, applied)?;
        answers.into_iter().for_each(Answer::send);
        Ok(())
    }

    fn replay_entry(&self, entry: &Entry) -> Result<Vec<Applied>, Stop> {
        let events = codec::decode_events(&entry.data)
            .map_err(|error| Stop::UnreadableEntry { index: entry.index, error })?;
        let mut image = self.committed.clone();
        Ok(events.into_iter().map(|event| Applied::replay(&mut image, event)).collect())
    }

    /// What was replayed becomes visible, to all at once.
    fn take_over(&mut self, index: u64, applied: Vec<Applied>) -> Result<(), Stop> {
        p3_check_follows(self.committed.offset, &applied)?;
        if let Some(mismatch) = applied.iter().find_map(|applied| applied.changes.mismatch) {
            return Err(Stop::StateDiffers(mismatch));
        }
        if self.leadership.as_ref().is_some_and(|leadership| index > leadership.old_news_to) {
            applied.iter().for_each(told::tell);
        }
        if let Some(last) = applied.last() {
            self.committed = last.after.clone();
            self.publisher.remember(&applied);
            self.publisher.publish(&self.committed, index);
            self.unreleased.push_back((index, applied));
            self.release_to_store();
        }
        Ok(())
    }

    /// What is due once raft knows what was applied.
    pub(super) fn after_apply(&mut self) -> Result<(), Stop> {
        self.note_role();
        self.become_ready_to_decide()
    }
}

/// P3: the speculative and the committed image are one history.
fn p3_check_follows(
    committed: ottla_types::MetadataOffset,
    applied: &[Applied],
) -> Result<(), Stop> {
    match applied.first() {
        Some(first) if first.offset != committed.next() => {
            Err(Stop::HistoryBroken { committed, next: first.offset })
        }
        _ => Ok(()),
    }
}
