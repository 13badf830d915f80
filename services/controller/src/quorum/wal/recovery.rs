//! Reads the write-ahead log back after a start.
//!
//! Invariant: only what was never durable is cut. A record that a later one knows to have been synced must be whole.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_runtime::seams::{Disk, OpenMode, create_dir_durably};

use super::batch::Batch;
use super::frame::{self, Parsed};
use super::log::{FrameAt, Log};
use super::segment::{self, HeaderFault, Segment};
use super::{WalError, io_error};

/// What was found.
pub(super) struct Recovered {
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) next_sequence: u64,
    pub(super) log: Log,
}

/// Reads all segments of a folder; makes the folder if it is not there.
pub(super) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, WalError> {
    create_dir_durably(disk, dir).map_err(|error| io_error(dir, error))?;
    let found = segment::list(disk, dir).map_err(|error| io_error(dir, error))?;
    let first = found.first().map_or(1, |(number, _)| *number);
    let mut recovered =
        Recovered { segments: BTreeMap::new(), next_sequence: first, log: Log::default() };
    let count = found.len();
    for (nth, (number, path)) in found.into_iter().enumerate() {
        if number != recovered.next_sequence {
            return Err(WalError::Missing { dir: dir.to_owned(), sequence: number });
        }
        recover_segment(disk, &mut recovered, &path, nth + 1 == count)?;
    }
    check_no_hole(dir, &recovered)?;
    Ok(recovered)
}

fn recover_segment(
    disk: &dyn Disk,
    recovered: &mut Recovered,
    path: &Path,
    is_last: bool,
) -> Result<(), WalError> {
    let number = recovered.next_sequence;
    let io = |error| io_error(path, error);
    let file = disk.open(path, OpenMode::ReadWrite).map_err(io)?;
    let bytes = segment::read(file.as_ref()).map_err(io)?;
    match segment::check_header(&bytes, number) {
        Ok(()) => {}
        Err(HeaderFault::Version(_)) => return Err(WalError::Version { path: path.to_owned() }),
        Err(HeaderFault::Broken) => {
            p14_check_may_cut(path, &bytes, 0, number, is_last)?;
            return remove_unborn(disk, path);
        }
    }
    let mut segment = Segment { path: path.to_owned(), file, last_index: 0 };
    let end = replay(recovered, &mut segment, &bytes)?;
    if frame::has_content(&bytes[end..]) {
        p14_check_may_cut(path, &bytes, end, recovered.next_sequence, is_last)?;
        tracing::warn!(path = %path.display(), offset = end, "cut a torn tail off the metadata log");
    }
    if recovered.next_sequence == number {
        p14_check_may_cut(path, &bytes, end, number, is_last)?;
        return remove_unborn(disk, path);
    }
    if is_last {
        segment.file.set_len(end as u64).map_err(io)?;
        segment.file.sync_data().map_err(io)?;
    }
    recovered.segments.insert(number, segment);
    Ok(())
}

/// A crash came between making a segment and syncing its first frame.
fn remove_unborn(disk: &dyn Disk, path: &Path) -> Result<(), WalError> {
    disk.remove_file(path).map_err(|error| io_error(path, error))?;
    let dir = path.parent().unwrap_or(path);
    disk.sync_dir(dir).map_err(|error| io_error(dir, error))
}

/// Replays frames until the first that is not whole; returns where that is.
fn replay(
    recovered: &mut Recovered,
    segment: &mut Segment,
    bytes: &[u8],
) -> Result<usize, WalError> {
    let number = recovered.next_sequence;
    let mut at = segment::SEGMENT_HEADER_BYTES;
    while let Parsed::Record { header, payload, frame_bytes } = frame::parse(&bytes[at..]) {
        if header.sequence != recovered.next_sequence {
            break;
        }
        let (batch, places) =
            Batch::decode(payload).map_err(|_| WalError::Version { path: segment.path.clone() })?;
        let payload_offset = (at + frame::HEADER_BYTES) as u64;
        let frame = FrameAt { segment: number, payload_offset };
        let last = recovered.log.take_in(batch, payload, &places, frame);
        segment.last_index = segment.last_index.max(last);
        recovered.next_sequence += 1;
        at = (at + frame_bytes).min(bytes.len());
    }
    Ok(at)
}

/// P14: what begins at `end` may be cut if it is the log's tail and nothing behind it knows record `sequence` to be durable.
fn p14_check_may_cut(
    path: &Path,
    bytes: &[u8],
    end: usize,
    sequence: u64,
    is_last: bool,
) -> Result<(), WalError> {
    let was_durable = frame::highest_synced(&bytes[end..]).is_some_and(|synced| synced >= sequence);
    if is_last && !was_durable {
        return Ok(());
    }
    Err(WalError::Damaged { path: path.to_owned(), offset: end as u64, sequence })
}

/// P4: the entries begin right after the position that the log says it begins at.
fn check_no_hole(dir: &Path, recovered: &Recovered) -> Result<(), WalError> {
    if recovered.log.entries.start == recovered.log.start {
        return Ok(());
    }
    let sequence = recovered.segments.first_key_value().map_or(1, |(number, _)| *number);
    Err(WalError::Missing { dir: dir.to_owned(), sequence })
}
