//! What a crash left of a compaction: a segment that counts already takes its place, anything before that goes.
//!
//! Invariant: a segment counts from the moment on from which its log bears the name of a swap. It stands for every segment that begins
//! within its offsets; those are gone for good before it gets its name. Its indexes are made anew.

use std::io;
use std::path::Path;

use ottla_runtime::seams::{DirEntry, Disk, OpenMode};
use ottla_types::Offset;

use super::open::OpenError;
use crate::log::config::LogConfig;
use crate::log::lookup::CorruptSegment;
use crate::log::names::{CLEANED, FileKind, SWAP, file_path, parse_file_name, suffixed};
use crate::log::scan::{Headers, ScanError};
use crate::log::segment::{Active, MAX_SEGMENT_BYTES, Segment};

/// A segment that counts.
struct Swapped {
    base: Offset,
    /// The offset behind its last batch.
    end: Offset,
    active: Active,
}

/// Finishes or drops what is half done in a partition's folder.
pub(super) fn finish_swaps(
    disk: &dyn Disk,
    dir: &Path,
    config: &LogConfig,
) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: dir.to_owned(), source };
    let entries = disk.list(dir).map_err(io)?;
    let is_half_done =
        |entry: &DirEntry| entry.name.ends_with(SWAP) || entry.name.ends_with(CLEANED);
    if !entries.iter().any(is_half_done) {
        return Ok(());
    }
    let bases = entries.iter().filter_map(|entry| match swap_of(&entry.name) {
        Some((base, FileKind::Log)) => Some(base),
        _ => None,
    });
    let swapped = bases.map(|base| read_swapped(disk, dir, base, config));
    for mut one in swapped.collect::<Result<Vec<_>, _>>()? {
        remove_replaced(disk, dir, &one).map_err(io)?;
        put_in_place(disk, dir, &mut one).map_err(io)?;
    }
    for entry in disk.list(dir).map_err(io)?.iter().filter(|entry| is_half_done(entry)) {
        remake_lost_index(disk, dir, &entry.name, config)?;
        disk.remove_file(&dir.join(&entry.name)).map_err(io)?;
    }
    disk.sync_dir(dir).map_err(io)
}

/// What a file that bears the name of a swap is.
fn swap_of(name: &str) -> Option<(Offset, FileKind)> {
    parse_file_name(name.strip_suffix(SWAP)?)
}

fn read_swapped(
    disk: &dyn Disk,
    dir: &Path,
    base: Offset,
    config: &LogConfig,
) -> Result<Swapped, OpenError> {
    let path = suffixed(&file_path(dir, base, FileKind::Log), SWAP);
    read_segment(disk, &path, base, config)
}

/// Walks over a segment that is in order.
fn read_segment(
    disk: &dyn Disk,
    path: &Path,
    base: Offset,
    config: &LogConfig,
) -> Result<Swapped, OpenError> {
    let file = disk.open(path, OpenMode::Read).map_err(OpenError::io(path))?;
    let len = file.len().map_err(OpenError::io(path))?.min(MAX_SEGMENT_BYTES);
    let segment = Segment::new(base, len as u32);
    let mut swapped = Swapped { base, end: base, active: Active::default() };
    let mut headers = Headers::new(&*file, 0, len);
    loop {
        match headers.next() {
            Ok(None) => break,
            Ok(Some(found)) => {
                swapped.active.note(&segment, &found.header, found.position as u32, config);
                swapped.end = found.header.next_offset();
            }
            Err(ScanError::Io(source)) => return Err(OpenError::io(path)(source)),
            Err(ScanError::Batch { position, error }) => {
                let (path, reason) = (path.to_owned(), error.to_string());
                return Err(OpenError::Corrupt(CorruptSegment { path, position, reason }));
            }
        }
    }
    swapped.active.note_time(&segment);
    Ok(swapped)
}

/// Removes the segments that another one stands for, the newest first; producers' snapshot at its base stays.
fn remove_replaced(disk: &dyn Disk, dir: &Path, swapped: &Swapped) -> io::Result<()> {
    let entries = disk.list(dir)?;
    let files = entries.iter().filter_map(|entry| parse_file_name(&entry.name));
    let mut replaced: Vec<_> = files
        .filter(|(base, _)| (swapped.base..swapped.end.max(swapped.base.plus(1))).contains(base))
        .filter(|file| *file != (swapped.base, FileKind::Snapshot))
        .collect();
    // Of each segment the log last.
    let place = |kind: &FileKind| FileKind::ALL.iter().position(|one| one == kind);
    replaced.sort_by_key(|(base, kind)| (*base, place(kind)));
    for (base, kind) in replaced.into_iter().rev() {
        disk.remove_file(&file_path(dir, base, kind))?;
    }
    disk.sync_dir(dir)
}

fn put_in_place(disk: &dyn Disk, dir: &Path, swapped: &mut Swapped) -> io::Result<()> {
    write_indexes(disk, dir, swapped)?;
    let path = file_path(dir, swapped.base, FileKind::Log);
    disk.rename(&suffixed(&path, SWAP), &path)?;
    disk.sync_dir(dir)
}

fn write_indexes(disk: &dyn Disk, dir: &Path, swapped: &mut Swapped) -> io::Result<()> {
    for kind in [FileKind::Index, FileKind::TimeIndex] {
        let file = disk.open(&file_path(dir, swapped.base, kind), OpenMode::Create)?;
        file.set_len(0)?;
        match kind {
            FileKind::Index => swapped.active.offsets.flush(&*file)?,
            _ => swapped.active.times.flush(&*file)?,
        }
        file.sync_data()?;
    }
    Ok(())
}

/// An index that bears the name of a swap while its log has its own: the log was renamed for good, the index was not. One that is
/// there is that of an older log, which was never replaced.
fn remake_lost_index(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    config: &LogConfig,
) -> Result<(), OpenError> {
    let Some((base, kind)) = swap_of(name) else { return Ok(()) };
    let exists = |kind| {
        let path = file_path(dir, base, kind);
        disk.exists(&path).map_err(OpenError::io(&path))
    };
    if exists(kind)? || !exists(FileKind::Log)? {
        return Ok(());
    }
    let path = file_path(dir, base, FileKind::Log);
    match read_segment(disk, &path, base, config) {
        Ok(mut segment) => write_indexes(disk, dir, &mut segment).map_err(OpenError::io(dir)),
        // What is wrong with the log itself is found where it is opened.
        Err(OpenError::Corrupt(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
