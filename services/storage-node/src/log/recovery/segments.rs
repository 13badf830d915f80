//! The segments that a partition's folder holds.
//!
//! Invariant: ascending by base offset. Looking changes nothing; `settle` removes what was on its way out, and indexes without a log:
//! they would be taken for those of the next segment of their base.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use ottla_runtime::seams::{DirEntry, Disk, OpenMode};
use ottla_types::Offset;

use super::open::OpenError;
use crate::log::files::Files;
use crate::log::names::{DELETED, FileKind, parse_file_name};
use crate::log::partition_log::PartitionLog;
use crate::log::segment::{MAX_SEGMENT_BYTES, Segment};

/// What a folder holds.
pub(super) struct Folder {
    /// Its segments; one without a file if there is none.
    pub(super) segments: Vec<Segment>,
    is_empty: bool,
    strays: Vec<PathBuf>,
}

impl Folder {
    /// Looks into a folder. A file that is too long for a segment counts up to what a segment can be. Without a segment the log
    /// begins at `first`.
    pub(super) fn look(disk: &dyn Disk, dir: &Path, first: Offset) -> io::Result<Self> {
        let entries = disk.list(dir)?;
        let segment = |entry: &DirEntry| match parse_file_name(&entry.name) {
            Some((base, FileKind::Log)) => {
                Some(Segment::new(base, entry.len.min(MAX_SEGMENT_BYTES) as u32))
            }
            _ => None,
        };
        let mut segments: Vec<Segment> = entries.iter().filter_map(segment).collect();
        segments.sort_by_key(|segment| segment.base);
        let bases: BTreeSet<Offset> = segments.iter().map(|segment| segment.base).collect();
        let is_stray = |entry: &&DirEntry| match parse_file_name(&entry.name) {
            Some((_, FileKind::Log | FileKind::Snapshot)) => false,
            Some((base, _)) => !bases.contains(&base),
            None => entry.name.ends_with(DELETED),
        };
        let strays = entries.iter().filter(is_stray).map(|entry| dir.join(&entry.name)).collect();
        let is_empty = segments.is_empty();
        if is_empty {
            segments.push(Segment::new(first, 0));
        }
        Ok(Self { segments, is_empty, strays })
    }

    /// Removes what does not belong to a segment. The name of an empty segment says where the log begins, once the journal is void.
    pub(super) fn settle(&self, files: &Files, log: &mut PartitionLog) -> Result<(), OpenError> {
        for path in &self.strays {
            files.disk().remove_file(path).map_err(OpenError::io(path))?;
        }
        if self.is_empty {
            let path = log.path(log.segments[0].base, FileKind::Log);
            files.disk().open(&path, OpenMode::Create).map_err(OpenError::io(&path))?;
            log.has_unsynced_names = true;
        }
        Ok(())
    }
}

/// The segment to begin at for what lies at `offset`: the last one whose base is not above it.
pub(super) fn segment_at(segments: &[Segment], offset: Offset) -> usize {
    segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
}
