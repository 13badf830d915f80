//! The swap, as the owner of a log does it: renames only, no sync.
//!
//! Invariant: what is renamed belongs to the cleaning that the log knows of; after a cut, or the log's end, there is none. A log whose
//! swap fails midway takes no more writes, and the next start finishes it (R16).

use std::io;
use std::path::PathBuf;

use ottla_runtime::seams::Disk;
use ottla_types::Offset;

use super::{Cleanable, CleanedSegment, ClosedSegment};
use crate::log::files::Files;
use crate::log::names::{CLEANED, FileKind, SWAP, file_path, suffixed};
use crate::log::partition_log::PartitionLog;
use crate::log::retention::RetentionError;
use crate::log::segment::Segment;

/// The files of a compacted segment, in the order in which they are renamed: that of the log last.
const KINDS: [FileKind; 3] = [FileKind::Index, FileKind::TimeIndex, FileKind::Log];

/// What a log knows of its cleaning.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Cleaning {
    token: u64,
    /// The base of the segment that is being swapped in.
    swap: Option<Offset>,
    /// Readers find that segment under the name of its swap.
    is_live: bool,
}

impl Cleaning {
    /// Whether a file is to be found under the name of a swap.
    pub(in crate::log) fn is_swap(self, base: Offset, kind: FileKind) -> bool {
        self.is_live && self.swap == Some(base) && KINDS.contains(&kind)
    }
}

impl PartitionLog {
    /// What may be compacted: closed segments that are synced, and below `upper` (the high watermark).
    pub fn cleanable(&self, upper: Offset) -> Cleanable {
        let upper = upper.min(self.recovery_point);
        let closed = self.segments.iter().zip(self.segments.iter().skip(1));
        let closed = closed.map(|(segment, next)| ClosedSegment {
            base: segment.base,
            end: next.base,
            size: segment.size,
            max_timestamp: segment.max_timestamp,
        });
        Cleanable {
            partition: self.id,
            topic: self.topic().into(),
            dir: self.dir.to_path_buf(),
            config: self.config.clone(),
            log_start: self.log_start,
            segments: closed
                .skip_while(|segment| segment.end <= self.log_start)
                .take_while(|segment| segment.end <= upper)
                .collect(),
        }
    }

    /// Whether a closed segment below `upper` waits for a checkpoint to be cleanable.
    pub fn has_unsynced_closed(&self, upper: Offset) -> bool {
        self.active_segment().base > self.recovery_point && upper > self.recovery_point
    }

    /// Whether the log is being compacted.
    pub fn is_being_cleaned(&self) -> bool {
        self.cleaning.is_some()
    }

    /// Begins a cleaning; false if one is under way, or the log is failed. `token` names it in the calls that follow.
    pub fn begin_cleaning(&mut self, token: u64) -> bool {
        if self.cleaning.is_some() || self.is_failed {
            return false;
        }
        self.cleaning = Some(Cleaning { token, swap: None, is_live: false });
        true
    }

    fn known_cleaning(&self, token: u64) -> Option<Cleaning> {
        self.cleaning.filter(|cleaning| cleaning.token == token && !self.is_failed)
    }

    /// Says that the compacted segment at `base` is to count: from the next sync of the folder on it does. False if there is no
    /// such cleaning any more.
    ///
    /// # Errors
    /// The disk's own; the segment may count or not, until the cleaning ends.
    pub fn commit_swap(&mut self, disk: &dyn Disk, token: u64, base: Offset) -> io::Result<bool> {
        let Some(cleaning) = self.known_cleaning(token) else { return Ok(false) };
        self.cleaning = Some(Cleaning { swap: Some(base), is_live: false, ..cleaning });
        for kind in KINDS {
            let path = file_path(&self.dir, base, kind);
            disk.rename(&suffixed(&path, CLEANED), &suffixed(&path, SWAP))?;
        }
        Ok(true)
    }

    /// Puts the committed segment in the place of those that it stands for, and renames those; answers what they are called now.
    /// `None` if there is no such cleaning any more.
    ///
    /// # Errors
    /// The disk's own: the log is failed.
    pub fn replace_segments(
        &mut self,
        files: &mut Files,
        token: u64,
        cleaned: &CleanedSegment,
    ) -> Result<Option<Vec<PathBuf>>, RetentionError> {
        let Some(cleaning) = self.known_cleaning(token) else { return Ok(None) };
        let at = self.segments.partition_point(|segment| segment.base < cleaned.base);
        let end = self.segments.partition_point(|segment| segment.base < cleaned.end);
        let mut renamed = Vec::new();
        // The newest first, as everywhere.
        for index in (at..end).rev() {
            let base = self.segments[index].base;
            let kept = (base == cleaned.base).then_some(FileKind::Snapshot);
            let done = self.rename_segment_but(files, base, kept, &mut renamed);
            done.inspect_err(|_| self.is_failed = true)?;
        }
        let mut segment = Segment::new(cleaned.base, cleaned.size);
        segment.max_timestamp = cleaned.max_timestamp;
        self.segments.splice(at..end, [segment]);
        self.cleaning = Some(Cleaning { is_live: true, ..cleaning });
        self.hints.clear();
        Ok(Some(renamed))
    }

    /// Gives the segment that was swapped in its name. Call it once the names of those that it stands for are gone for good. False
    /// if there is no such cleaning any more.
    ///
    /// # Errors
    /// The disk's own: the log is failed.
    pub fn settle_swap(&mut self, files: &mut Files, token: u64) -> io::Result<bool> {
        let Some(cleaning) = self.known_cleaning(token).filter(|cleaning| cleaning.is_live) else {
            return Ok(false);
        };
        let Some(base) = cleaning.swap else { return Ok(false) };
        files.forget_segment(self.id, base);
        for kind in KINDS {
            let path = file_path(&self.dir, base, kind);
            let renamed = files.disk().rename(&suffixed(&path, SWAP), &path);
            renamed.inspect_err(|_| self.is_failed = true)?;
        }
        self.cleaning = Some(Cleaning { swap: None, is_live: false, ..cleaning });
        self.has_unsynced_names = true;
        Ok(true)
    }

    /// Ends a cleaning. A segment that was committed and did not take its place goes; one that did and has not its name yet gets it
    /// at the next start.
    ///
    /// # Errors
    /// The disk's own: the log is failed, as the segment would count at the next start.
    pub fn end_cleaning(&mut self, disk: &dyn Disk, token: u64) -> io::Result<()> {
        match self.cleaning {
            Some(cleaning) if cleaning.token == token => self.abandon_cleaning(disk),
            _ => Ok(()),
        }
    }

    /// Ends whatever cleaning is under way, as `end_cleaning` does.
    pub(in crate::log) fn abandon_cleaning(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let Some(cleaning) = self.cleaning.filter(|cleaning| !cleaning.is_live) else {
            return Ok(());
        };
        let undone = cleaning.swap.map_or(Ok(()), |base| self.undo_commit(disk, base));
        self.is_failed |= undone.is_err();
        if undone.is_ok() {
            self.cleaning = None;
        }
        undone
    }

    /// The file of the log first: without it the others mean nothing. Its loss must be durable before an old segment goes.
    fn undo_commit(&self, disk: &dyn Disk, base: Offset) -> io::Result<()> {
        for kind in KINDS.into_iter().rev() {
            let path = suffixed(&file_path(&self.dir, base, kind), SWAP);
            match disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        disk.sync_dir(&self.dir)
    }
}
