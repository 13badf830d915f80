//! The segments that a partition's folder holds.
//!
//! Invariant: ascending by base offset. What was on its way out is removed, and so are indexes without a log: they would be
//! taken for those of the next segment of their base.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use ottla_runtime::seams::{DirEntry, Disk};
use ottla_types::Offset;

use crate::log::names::{DELETED, FileKind, parse_file_name};
use crate::log::segment::{MAX_SEGMENT_BYTES, Segment};

/// The segments in a folder. A file that is too long for a segment counts up to what a segment can be.
pub(super) fn list_segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
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
    for entry in entries {
        let is_stray = match parse_file_name(&entry.name) {
            Some((_, FileKind::Log | FileKind::Snapshot)) => false,
            Some((base, _)) => !bases.contains(&base),
            None => entry.name.ends_with(DELETED),
        };
        if is_stray {
            disk.remove_file(&dir.join(&entry.name))?;
        }
    }
    Ok(segments)
}

/// The segment to begin at for what lies at `offset`: the last one whose base is not above it.
pub(super) fn segment_at(segments: &[Segment], offset: Offset) -> usize {
    segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
}
