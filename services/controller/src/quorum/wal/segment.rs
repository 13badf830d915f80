//! One file of the write-ahead log: a header, then frames, then zeros.
//!
//! Invariant: a segment's first frame holds all that is needed without the segments before it (log start, members, hard
//! state), so old segments can simply be removed.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, DiskFile, OpenMode};

/// Bytes reserved for a segment at once; a longer record makes a longer segment.
pub(super) const SEGMENT_BYTES: u64 = 8 << 20;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
/// Longest segment that is read back: one frame of the longest payload in a segment that was nearly full.
const MAX_SEGMENT_BYTES: u64 = SEGMENT_BYTES + (80 << 20);
const MAGIC: &[u8; 8] = b"OttlaWAL";
const VERSION: u32 = 1;
const SUFFIX: &str = ".wal";

/// An open segment.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    /// Index of the newest entry in it; 0: none.
    pub(super) last_index: u64,
}

/// The path of the segment whose first record has this number.
pub(super) fn path(dir: &Path, first_sequence: u64) -> PathBuf {
    dir.join(format!("{first_sequence:020}{SUFFIX}"))
}

/// The segments in a folder, by number of their first record.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found: Vec<_> = disk
        .list(dir)?
        .into_iter()
        .filter_map(|entry| {
            let sequence = entry.name.strip_suffix(SUFFIX)?.parse().ok()?;
            Some((sequence, dir.join(&entry.name)))
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Makes a segment with its header; the caller writes the first frame and syncs both at once.
pub(super) fn create(disk: &dyn Disk, dir: &Path, first: u64, bytes: u64) -> io::Result<Segment> {
    let path = path(dir, first);
    let file = disk.open(&path, OpenMode::CreateNew)?;
    file.allocate(bytes)?;
    let mut header = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&first.to_le_bytes());
    let checksum = crc32c::crc32c(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header.resize(SEGMENT_HEADER_BYTES, 0);
    file.write_all_at(&[IoSlice::new(&header)], 0)?;
    Ok(Segment { path, file, last_index: 0 })
}

/// All bytes of a segment, at most [`MAX_SEGMENT_BYTES`].
pub(super) fn read(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = file.len()?;
    if length > MAX_SEGMENT_BYTES {
        return Err(io::Error::other(format!("{length} bytes are more than a segment can have")));
    }
    let mut bytes = vec![0; usize::try_from(length).expect("a segment fits into memory")];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What is wrong with a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Not ours, damaged, or never written.
    Broken,
    /// Written by a later version.
    Version(u32),
}

/// Checks the header of the segment that should begin with this record.
pub(super) fn check_header(bytes: &[u8], first: u64) -> Result<(), HeaderFault> {
    let header = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(HeaderFault::Broken)?;
    let checksum = u32::from_le_bytes(header[20..24].try_into().expect("four bytes"));
    if &header[..8] != MAGIC || checksum != crc32c::crc32c(&header[..20]) {
        return Err(HeaderFault::Broken);
    }
    let version = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
    if version != VERSION {
        return Err(HeaderFault::Version(version));
    }
    let named = u64::from_le_bytes(header[12..20].try_into().expect("eight bytes"));
    if named == first { Ok(()) } else { Err(HeaderFault::Broken) }
}
