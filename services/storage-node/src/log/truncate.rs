//! Cutting a log at its end, beginning it anew, and deleting it.
//!
//! Invariant: a cut is durable when it returned, the journal included (R8): what was cut off cannot come back. Epochs,
//! indexes and snapshots are cut at the same place.

use std::io;
use std::path::PathBuf;

use ottla_types::{Offset, Uuid};

use super::files::Files;
use super::journal::{Frame, Journal, JournalError};
use super::lookup::{CorruptSegment, LookupError};
use super::names::{FileKind, deleted_dir_name, parse_file_name};
use super::partition_log::PartitionLog;
use super::round::Round;
use super::scan::Headers;
use super::segment::{Active, Segment};

/// Why a log was not cut. The log is failed, but for `Failed`.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// The log failed earlier (R16).
    #[error("the log {} failed and takes no writes", .0.display())]
    Failed(PathBuf),
    /// A segment is corrupt.
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// The journal. `Full`: checkpoint, then cut again.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The disk's own error.
    #[error("cannot cut {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl From<LookupError> for TruncateError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Corrupt(error) => Self::Corrupt(error),
            LookupError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// Why a partition's folder was not renamed.
#[derive(Debug, thiserror::Error)]
#[error("cannot rename {}: {source}", .path.display())]
pub struct DeleteError {
    /// The folder.
    pub path: PathBuf,
    /// The error.
    pub source: io::Error,
}

impl PartitionLog {
    /// Cuts the log so that it ends at `to`, or where the batch that holds `to` begins. Durable once it returned.
    ///
    /// # Errors
    /// See [`TruncateError`].
    pub fn truncate_to(
        &mut self,
        files: &mut Files,
        journal: &mut Journal,
        to: Offset,
    ) -> Result<(), TruncateError> {
        if to >= self.end {
            return Ok(());
        }
        if to <= self.segments[0].base {
            return self.restart_at(files, journal, to);
        }
        self.refuse_if_failed()?;
        self.give_up_cleaning(files)?;
        let index = self.segment_index(to);
        let (position, end) = self.cut_place(files, index, to)?;
        // The journal first: whatever a crash leaves of the rest, what was cut off cannot be replayed over what follows.
        let cut = journal.commit(vec![Frame::truncated(self.id, end)]).map_err(TruncateError::from);
        let cut = cut.and_then(|()| self.cut_segments(files, index, position, end));
        self.fail_unless_full(cut)
    }

    /// Throws everything away and begins anew at `start`. Durable once it returned.
    ///
    /// # Errors
    /// See [`TruncateError`].
    pub fn restart_at(
        &mut self,
        files: &mut Files,
        journal: &mut Journal,
        start: Offset,
    ) -> Result<(), TruncateError> {
        self.refuse_if_failed()?;
        self.give_up_cleaning(files)?;
        // Gone, and made again: `dropped` alone is a deletion.
        let frames =
            vec![Frame::dropped(self.id, start), Frame::created(self.id, self.topic(), start)];
        let cut = journal.commit(frames).map_err(TruncateError::from);
        let cut = cut.and_then(|()| {
            self.remove_segments_from(files, 0)?;
            self.cleaning = None;
            self.begin_at(files, start)
        });
        self.fail_unless_full(cut)
    }

    fn refuse_if_failed(&self) -> Result<(), TruncateError> {
        if self.is_failed { Err(TruncateError::Failed(self.dir.to_path_buf())) } else { Ok(()) }
    }

    /// A compacted segment that waits to take its place must not come back after the cut.
    fn give_up_cleaning(&mut self, files: &Files) -> Result<(), TruncateError> {
        let abandoned = self.abandon_cleaning(&**files.disk());
        abandoned.map_err(|source| TruncateError::Io { path: self.dir.to_path_buf(), source })
    }

    fn fail_unless_full(&mut self, cut: Result<(), TruncateError>) -> Result<(), TruncateError> {
        self.is_failed |= !matches!(&cut, Ok(()) | Err(TruncateError::Journal(JournalError::Full)));
        cut
    }

    fn cut_segments(
        &mut self,
        files: &mut Files,
        index: usize,
        position: u64,
        end: Offset,
    ) -> Result<(), TruncateError> {
        self.remove_segments_from(files, index + 1)?;
        self.segments.truncate(index + 1);
        self.generation += 1;
        let segment = self.segments[index];
        let path = self.path(segment.base, FileKind::Log);
        if segment.size > 0 {
            let file = self.open_segment(files, index)?.file;
            file.set_len(position)
                .and_then(|()| file.sync_data())
                .map_err(|source| TruncateError::Io { path, source })?;
        }
        self.segments[index] = Segment::new(segment.base, position as u32);
        self.set_end(end);
        self.remove_snapshots_above(files, end)?;
        if position > 0 {
            let open = self.open_segment(files, index)?;
            self.rebuild_indexes(files, &open)?;
        } else {
            self.active = Active::default();
        }
        Ok(())
    }

    /// Where the batch that holds `to` begins, and its base offset.
    fn cut_place(
        &self,
        files: &mut Files,
        index: usize,
        to: Offset,
    ) -> Result<(u64, Offset), LookupError> {
        let segment = self.segments[index];
        if segment.size == 0 {
            return Ok((0, segment.base));
        }
        let open = self.open_segment(files, index)?;
        let mut headers = Headers::new(&*open.file, 0, u64::from(segment.size));
        let mut place = (0, segment.base);
        while let Some(found) =
            headers.next().map_err(|error| self.scan_error(segment.base, error))?
        {
            if found.header.last_offset() >= to {
                break;
            }
            place = (found.end(), found.header.next_offset());
        }
        Ok(place)
    }

    fn set_end(&mut self, end: Offset) {
        self.end = end;
        self.durable_end = self.durable_end.min(end);
        self.noted_end = self.noted_end.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.log_start = self.log_start.min(end);
        self.epochs.truncate_end(end);
        self.hints.clear();
        self.is_point_outdated = true;
    }

    fn begin_at(&mut self, files: &Files, start: Offset) -> Result<(), TruncateError> {
        self.generation += 1;
        self.segments = vec![Segment::new(start, 0)];
        self.active = Active::default();
        self.set_end(Offset::ZERO);
        (self.end, self.log_start) = (start, start);
        (self.durable_end, self.noted_end, self.recovery_point) = (start, start, start);
        self.remove_snapshots_above(files, Offset(-1))?;
        // The empty segment says where the log begins, should the journal be gone.
        let path = self.path(start, FileKind::Log);
        let made = files
            .disk()
            .open(&path, ottla_runtime::seams::OpenMode::Create)
            .and_then(|file| file.sync_data())
            .and_then(|()| files.disk().sync_dir(&self.dir));
        made.map_err(|source| TruncateError::Io { path, source })
    }

    /// Removes the files of the segments from `index` on, the newest first, so that a crash leaves no gap.
    fn remove_segments_from(&self, files: &mut Files, index: usize) -> Result<(), TruncateError> {
        for segment in self.segments[index.min(self.segments.len())..].iter().rev() {
            files.forget_segment(self.id, segment.base);
            // The log last: an index that stays behind would be taken for that of the next segment of this base.
            for kind in FileKind::ALL.into_iter().rev() {
                let path = self.path(segment.base, kind);
                match files.disk().remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(TruncateError::Io { path, source });
                    }
                    _ => {}
                }
            }
        }
        self.sync_names(files)
    }

    fn remove_snapshots_above(&self, files: &Files, end: Offset) -> Result<(), TruncateError> {
        let io = |path: PathBuf| move |source| TruncateError::Io { path, source };
        for entry in files.disk().list(&self.dir).map_err(io(self.dir.to_path_buf()))? {
            if let Some((offset, FileKind::Snapshot)) = parse_file_name(&entry.name)
                && offset > end
            {
                let path = self.path(offset, FileKind::Snapshot);
                files.disk().remove_file(&path).map_err(io(path))?;
            }
        }
        self.sync_names(files)
    }

    fn sync_names(&self, files: &Files) -> Result<(), TruncateError> {
        let failed = |source| TruncateError::Io { path: self.dir.to_path_buf(), source };
        files.disk().sync_dir(&self.dir).map_err(failed)
    }

    /// Renames the folder so that it is no longer a live partition's (R17), and answers what it is called now. The round
    /// makes void what the journal holds of it. Until the log directory is synced (by a checkpoint at the latest) a crash
    /// may bring the folder back: it is then one that the controller does not know, and is renamed again.
    ///
    /// # Errors
    /// `DeleteError`; the log is then as before.
    pub fn delete(
        self,
        files: &mut Files,
        round: &mut Round,
        unique: Uuid,
    ) -> Result<PathBuf, Box<(Self, DeleteError)>> {
        let name = deleted_dir_name(self.topic(), self.id.partition, unique);
        let to = self.dir.with_file_name(name);
        if let Err(source) = files.disk().rename(&self.dir, &to) {
            let path = self.dir.to_path_buf();
            return Err(Box::new((self, DeleteError { path, source })));
        }
        files.forget_log(self.id);
        round.dropped(self.id);
        Ok(to)
    }
}
