//! The segments that a partition's folder holds.
//!
//! Invariant: ascending by base offset. Files that were on their way out are removed; files without a log are ignored.

use std::io;
use std::path::Path;

use ottla_runtime::seams::Disk;
use ottla_types::Offset;

use crate::log::names::{DELETED, FileKind, parse_file_name};
use crate::log::segment::{MAX_SEGMENT_BYTES, Segment};

/// The segments in a folder. A file that is too long for a segment counts up to what a segment can be.
pub(super) fn list_segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in disk.list(dir)? {
        if entry.name.ends_with(DELETED) {
            disk.remove_file(&dir.join(&entry.name))?;
        } else if let Some((base, FileKind::Log)) = parse_file_name(&entry.name) {
            segments.push(Segment::new(base, entry.len.min(MAX_SEGMENT_BYTES) as u32));
        }
    }
    segments.sort_by_key(|segment| segment.base);
    Ok(segments)
}

/// The segment to begin at for what lies at `offset`: the last one whose base is not above it.
pub(super) fn segment_at(segments: &[Segment], offset: Offset) -> usize {
    segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
}
