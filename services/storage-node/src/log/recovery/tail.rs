//! Where the sound part of a log ends, what is wrong behind it, and how it is put in order.
//!
//! Invariant: `find` and `check` change nothing; `settle` leaves exactly the sound part, with indexes that fit it.

use std::io;

use ottla_log_format::BATCH_HEADER_BYTES;
use ottla_log_format::index::{OffsetIndexEntry, TimeIndexEntry};
use ottla_runtime::seams::DiskFile;
use ottla_types::Offset;

use super::open::OpenError;
use super::start::{Start, Walked, open_if_there};
use crate::log::epochs::EpochCache;
use crate::log::files::Files;
use crate::log::lookup::{CorruptSegment, cut_index};
use crate::log::names::FileKind;
use crate::log::partition_log::PartitionLog;
use crate::log::scan::{Headers, SoundEnd, VerifyFrom, find_sound_batch, verify};
use crate::log::segment::Segment;

/// What a disk writes at once, in bytes: the smallest piece that a crash loses.
const SECTOR_BYTES: u64 = 512;
/// Fewest zeros, in bytes, at the end of a sector that are taken for a lost write. A batch's end that is shorter than this is
/// lost when all of it is zeros: of so few bytes nobody can tell, and a partition that is not served after an honest crash
/// costs its users more than records that nobody was promised.
const LOST_BYTES_LEAST: usize = 8;
/// Where a batch says how long the rest of it is.
const LENGTH_FIELD: std::ops::Range<usize> = 8..12;

/// From where a log is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Index of the first segment that may not have been synced.
    pub(super) first: usize,
    pub(super) recovery_point: Offset,
    pub(super) is_clean: bool,
    /// The log was compacted: offsets may be missing between the batches of a segment.
    pub(super) allows_gaps: bool,
}

/// The sound part of a log, as far as it was looked at.
pub(super) struct Tail {
    /// Of the last segment in `walked`.
    index: usize,
    sound: SoundEnd,
    /// Segments from the first one that was looked at to the one in which the sound part ends.
    walked: Vec<Walked>,
    epochs: EpochCache,
    /// Files are as a clean stop left them.
    is_trusted: bool,
}

impl Tail {
    /// Looks for the end of the sound part.
    pub(super) fn find(
        files: &mut Files,
        log: &PartitionLog,
        walk: Walk,
    ) -> Result<Self, OpenError> {
        let last = log.segments.len() - 1;
        if walk.is_clean
            && let Some(tail) = Self::trust(files, log, last)?
        {
            return Ok(tail);
        }
        // A clean stop whose files do not fit it: believe nothing of the last segment.
        let (first, from) = if walk.is_clean {
            (last, log.segments[last].base)
        } else {
            (walk.first, walk.recovery_point)
        };
        let mut epochs = log.epochs.clone();
        let mut walked = Vec::new();
        let mut index = first;
        loop {
            let segment = log.segments[index];
            // An empty segment may have no file yet.
            let start = if index == first && segment.size > 0 {
                Start::before(files, log, segment, from)?
            } else {
                Start::front(segment)
            };
            let walked_over = (&mut epochs, walk.allows_gaps);
            let (one, sound) = walk_segment(files, log, segment, start, walked_over)?;
            walked.push(one);
            let next = log.segments.get(index + 1);
            // Also in a compacted log a segment ends where the next one begins; else its end is lost.
            let goes_on =
                sound.damage.is_none() && next.is_some_and(|next| next.base == sound.next_offset);
            if !goes_on {
                return Ok(Self { index, sound, walked, epochs, is_trusted: false });
            }
            index += 1;
        }
    }

    /// After a clean stop: only what lies behind the last index entry is looked at. `None` if the files do not fit.
    fn trust(
        files: &mut Files,
        log: &PartitionLog,
        index: usize,
    ) -> Result<Option<Self>, OpenError> {
        let segment = log.segments[index];
        let start = if segment.size > 0 {
            Start::last_entries(files, log, segment)?
        } else {
            Some(Start::front(segment))
        };
        let Some(start) = start else { return Ok(None) };
        let mut epochs = log.epochs.clone();
        let mut walked = start.walked(segment);
        let mut sound =
            SoundEnd { position: start.position, next_offset: start.next_offset, damage: None };
        if segment.size > 0 {
            let path = log.path(segment.base, FileKind::Log);
            let file =
                log.open_file(files, segment.base, FileKind::Log).map_err(OpenError::io(&path))?;
            let mut headers = Headers::new(&*file, start.position, u64::from(segment.size));
            loop {
                match headers.next() {
                    Ok(None) => break,
                    Ok(Some(found)) => {
                        walked.active.note(
                            &segment,
                            &found.header,
                            found.position as u32,
                            &log.config,
                        );
                        epochs.assign(found.header.leader_epoch, found.header.base_offset);
                        sound.position = found.end();
                        sound.next_offset = found.header.next_offset();
                    }
                    Err(_) => return Ok(None),
                }
            }
        }
        Ok(Some(Self { index, sound, walked: vec![walked], epochs, is_trusted: true }))
    }

    /// Where the sound part ends.
    pub(super) fn end(&self) -> Offset {
        self.sound.next_offset
    }

    /// Refuses what cannot come from a crash (R16): less than was promised, or sound batches behind damage that does not
    /// look like lost writes. `end` is the log's end once the journal was replayed.
    pub(super) fn check(
        &self,
        files: &mut Files,
        log: &PartitionLog,
        end: Offset,
        durable_mark: Offset,
    ) -> Result<(), OpenError> {
        let segment = log.segments[self.index];
        let path = log.path(segment.base, FileKind::Log);
        let corrupt = |reason: String| {
            let path = path.clone();
            OpenError::Corrupt(CorruptSegment { path, position: self.sound.position, reason })
        };
        let damage = self.sound.damage.as_ref().map(ToString::to_string);
        if end < durable_mark {
            let reason = damage.unwrap_or_else(|| format!("the log ends at offset {end}"));
            return Err(corrupt(format!("{reason}; offsets below {durable_mark} were promised")));
        }
        // What the journal made good needs no further question.
        let Some(damage) = damage.filter(|_| end == self.end()) else { return Ok(()) };
        let file =
            log.open_file(files, segment.base, FileKind::Log).map_err(OpenError::io(&path))?;
        let behind = self.sound.position + 1..u64::from(segment.size);
        let offsets = self.end().0.saturating_add(1)..i64::MAX;
        let found = find_sound_batch(&*file, behind, offsets).map_err(OpenError::io(&path))?;
        // Segments that follow are records behind the damage, too.
        let goes_on = log.segments[self.index + 1..].iter().any(|next| next.size > 0);
        let Some(to) = found.or_else(|| goes_on.then_some(u64::from(segment.size))) else {
            return Ok(());
        };
        let lost = has_lost_write(&*file, self.sound.position, to).map_err(OpenError::io(&path))?;
        if lost {
            Ok(())
        } else {
            Err(corrupt(format!("{damage}; a sound batch follows at position {to}")))
        }
    }

    /// Cuts what is behind the sound part, and puts indexes and epochs in order.
    pub(super) fn settle(self, files: &mut Files, log: &mut PartitionLog) -> Result<(), OpenError> {
        for segment in log.segments.split_off(self.index + 1).into_iter().rev() {
            remove_segment(files, log, segment)?;
            log.has_unsynced_names = true;
        }
        let segment = log.segments[self.index];
        if u64::from(segment.size) > self.sound.position {
            let path = log.path(segment.base, FileKind::Log);
            let file =
                log.open_file(files, segment.base, FileKind::Log).map_err(OpenError::io(&path))?;
            file.set_len(self.sound.position).map_err(OpenError::io(&path))?;
            log.segments[self.index].size = self.sound.position as u32;
        }
        log.end = self.sound.next_offset;
        log.epochs = self.epochs;
        let count = self.walked.len();
        for (number, mut walked) in self.walked.into_iter().enumerate() {
            let is_last = number + 1 == count;
            if !is_last {
                walked.active.note_time(&walked.segment);
            }
            cut_indexes(files, log, &walked)?;
            if !self.is_trusted {
                log.note_unsynced_indexes(walked.segment.base);
            }
            if is_last {
                log.active = walked.active;
            } else {
                flush_indexes(files, log, &mut walked)?;
            }
        }
        Ok(())
    }
}

fn walk_segment(
    files: &mut Files,
    log: &PartitionLog,
    segment: Segment,
    start: Start,
    (epochs, allows_gaps): (&mut EpochCache, bool),
) -> Result<(Walked, SoundEnd), OpenError> {
    let mut walked = start.walked(segment);
    let sound = SoundEnd { position: start.position, next_offset: start.next_offset, damage: None };
    if segment.size == 0 {
        return Ok((walked, sound));
    }
    let path = log.path(segment.base, FileKind::Log);
    let file = log.open_file(files, segment.base, FileKind::Log).map_err(OpenError::io(&path))?;
    let from = VerifyFrom {
        position: start.position,
        end: u64::from(segment.size),
        next_offset: start.next_offset,
        allows_gaps,
    };
    let sound = verify(&*file, from, &mut |found| {
        walked.active.note(&segment, &found.header, found.position as u32, &log.config);
        epochs.assign(found.header.leader_epoch, found.header.base_offset);
    })
    .map_err(OpenError::io(&path))?;
    Ok((walked, sound))
}

/// Whether the damaged batch at `from` may be a write that was lost, whole or in part: that leaves zeros up to the end of a
/// sector, or of the batch's part of one. Records hold short runs of zeros themselves (no headers, no attributes, no time since
/// the batch's first), so a few are not enough; where records are longer runs, damage counts as a lost write. A sound batch
/// begins at `to`.
fn has_lost_write(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<bool> {
    let Some(end) = batch_end(file, from, to)? else { return Ok(true) };
    let mut at = from;
    while at < end {
        let piece_end = (at + 1).next_multiple_of(SECTOR_BYTES).min(end);
        let mut piece = [0; SECTOR_BYTES as usize];
        let piece = &mut piece[..(piece_end - at) as usize];
        file.read_exact_at(piece, at)?;
        let zeros_behind = piece.iter().rev().take_while(|byte| **byte == 0).count();
        let zeros_before = piece.iter().take_while(|byte| **byte == 0).count();
        let is_lost = zeros_behind >= LOST_BYTES_LEAST.min(piece.len());
        // A batch of which nothing arrived may share its sector with a later one that did.
        if is_lost || (at == from && zeros_before >= BATCH_HEADER_BYTES) {
            return Ok(true);
        }
        at = piece_end;
    }
    Ok(false)
}

/// Where the batch at `from` ends by its own word; `to` where that cannot be, and `None` where the file ends before it does:
/// its length was lost.
fn batch_end(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<Option<u64>> {
    let is_last = to == file.len()?;
    let mut start = [0; LENGTH_FIELD.end];
    if to - from < start.len() as u64 {
        return Ok((!is_last).then_some(to));
    }
    file.read_exact_at(&mut start, from)?;
    let length = start[LENGTH_FIELD].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    let end = from + start.len() as u64 + length;
    let least = from + BATCH_HEADER_BYTES as u64;
    let is_length = i32::try_from(length).is_ok() && end >= least;
    match (is_length, end <= to) {
        (true, true) => Ok(Some(end)),
        (true, false) if is_last => Ok(None),
        _ => Ok(Some(to)),
    }
}

fn remove_segment(
    files: &mut Files,
    log: &PartitionLog,
    segment: Segment,
) -> Result<(), OpenError> {
    files.forget_segment(log.id, segment.base);
    for kind in FileKind::ALL.into_iter().rev() {
        let path = log.path(segment.base, kind);
        match files.disk().remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Cuts both index files to what was believed of them.
fn cut_indexes(files: &mut Files, log: &PartitionLog, walked: &Walked) -> Result<(), OpenError> {
    let lens = [
        (FileKind::Index, u64::from(walked.kept.0) * OffsetIndexEntry::BYTES as u64),
        (FileKind::TimeIndex, u64::from(walked.kept.1) * TimeIndexEntry::BYTES as u64),
    ];
    for (kind, len) in lens {
        let Some(file) = open_if_there(files, log, walked.segment, kind)? else { continue };
        let path = log.path(walked.segment.base, kind);
        cut_index(&*file, len).map_err(OpenError::io(&path))?;
    }
    Ok(())
}

fn flush_indexes(
    files: &mut Files,
    log: &mut PartitionLog,
    walked: &mut Walked,
) -> Result<(), OpenError> {
    let base = walked.segment.base;
    let path = log.path(base, FileKind::Index);
    log.has_unsynced_names = true;
    log.note_unsynced_indexes(base);
    let file = log.create_file(files, base, FileKind::Index).map_err(OpenError::io(&path))?;
    walked.active.offsets.flush(&*file).map_err(OpenError::io(&path))?;
    let file = log.create_file(files, base, FileKind::TimeIndex).map_err(OpenError::io(&path))?;
    walked.active.times.flush(&*file).map_err(OpenError::io(&path))
}
