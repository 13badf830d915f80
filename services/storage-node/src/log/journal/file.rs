//! One file of a journal.
//!
//! Invariant: a file has a valid header from the moment it has its name; a new header goes into the other slot and is
//! synced before the first round under it, so that a torn header leaves the old one.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::journal::{
    BLOCK_BYTES, FILE_HEADER_BYTES, FIRST_ROUND_AT, FRAME_HEADER_BYTES, FileHeader, RoundHeader,
};
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};

use super::JournalConfig;
use super::frame::{Frame, body_bytes};

/// A journal has so many files, written in turn.
pub(super) const FILES_PER_JOURNAL: usize = 2;
/// What a file is called until it has a header.
const DRAFT_SUFFIX: &str = ".new";

/// A round that is the first to reach a part of the file is followed by zeros up to a multiple of this many bytes. Space
/// that was only reserved costs as much to sync as a growing file, since the file system must note that it is written now
/// (measured on ext4: 140–165 µs, in space that was written before 80–116 µs); so it is written ahead, a bit at a time.
const WRITE_AHEAD_BYTES: u64 = 256 * 1024;

/// Where the two header slots begin.
const HEADER_SLOTS: [u64; 2] = [0, BLOCK_BYTES as u64];

static ZEROS: [u8; WRITE_AHEAD_BYTES as usize] = [0; WRITE_AHEAD_BYTES as usize];

pub(in crate::log) struct JournalFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    generation: u64,
    salt: u32,
    /// Where the header stands: the next one goes into the other slot.
    slot: u64,
    /// Where the next round goes.
    position: u64,
    /// Bytes below were written since the start.
    written: u64,
    len: u64,
}

impl JournalFile {
    /// A file in which nothing counts yet.
    fn void(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        slot: u64,
        header: FileHeader,
    ) -> io::Result<Self> {
        let FileHeader { generation, salt } = header;
        let len = file.len()?;
        Ok(Self { file, path, generation, salt, slot, position: FIRST_ROUND_AT, written: 0, len })
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of rounds that an empty file takes.
    pub(super) fn capacity(&self) -> u64 {
        self.len - FIRST_ROUND_AT
    }

    /// Bytes of rounds that this file still takes.
    pub(super) fn room(&self) -> u64 {
        self.len - self.position
    }

    /// Uses the file anew: what is in it is void from now on.
    pub(super) fn begin(&mut self, generation: u64) -> io::Result<()> {
        let header = FileHeader { generation, salt: self.salt };
        let slot = HEADER_SLOTS.into_iter().find(|&slot| slot != self.slot).unwrap_or_default();
        self.file.write_all_at(&[IoSlice::new(&header.encode())], slot)?;
        self.file.sync_data()?;
        self.slot = slot;
        self.generation = generation;
        self.position = FIRST_ROUND_AT;
        Ok(())
    }

    /// Where the zeros behind a round end that is the first to reach `end`.
    fn write_ahead(&self, end: u64) -> u64 {
        end.next_multiple_of(WRITE_AHEAD_BYTES).min(self.len)
    }

    /// Writes a round behind the last one, and syncs it.
    pub(super) fn write_round(&mut self, round: u64, frames: &[Frame<'_>]) -> io::Result<()> {
        let header = RoundHeader {
            body_len: body_bytes(frames) as u32,
            frame_count: frames.len() as u32,
            generation: self.generation,
            round,
        };
        let round_header = header.encode(self.salt);
        let frame_headers: Vec<[u8; FRAME_HEADER_BYTES]> =
            frames.iter().map(|frame| frame.header(self.generation, round)).collect();
        let mut slices = Vec::with_capacity(3 + 4 * frames.len());
        slices.push(IoSlice::new(&round_header));
        for (frame, header) in frames.iter().zip(&frame_headers) {
            slices.push(IoSlice::new(header));
            slices.extend(frame.payload().filter(|piece| !piece.is_empty()).map(IoSlice::new));
        }
        let end = self.position + header.size_bytes();
        let used = self.position + round_header.len() as u64 + u64::from(header.body_len);
        let zeros_to = if end <= self.written { end } else { self.write_ahead(end) };
        slices.push(IoSlice::new(&ZEROS[..(end - used) as usize]));
        slices.push(IoSlice::new(&ZEROS[..(zeros_to - end) as usize]));
        self.file.write_all_at(&slices, self.position)?;
        self.file.sync_data()?;
        self.position = end;
        self.written = self.written.max(zeros_to);
        Ok(())
    }
}

/// The name of a journal's file.
fn file_name(number: usize) -> String {
    format!("{number}.journal")
}

/// Makes or reuses the files of a journal, all of them void.
pub(super) fn start_files(
    disk: &dyn Disk,
    log_dir: &Path,
    dir: &Path,
    config: JournalConfig,
) -> io::Result<[JournalFile; FILES_PER_JOURNAL]> {
    disk.create_dir_all(dir)?;
    // Also where it is there: a start before this one may have ended in between.
    disk.sync_dir(log_dir)?;
    let newest = (0..FILES_PER_JOURNAL).try_fold(0, |newest, number| {
        let header = open_existing(disk, dir, number)?.and_then(|found| found.header);
        io::Result::Ok(header.map_or(newest, |header| newest.max(header.generation)))
    })?;
    let start = |number: usize| start_file(disk, dir, number, newest + 1 + number as u64, config);
    Ok([start(0)?, start(1)?])
}

fn start_file(
    disk: &dyn Disk,
    dir: &Path,
    number: usize,
    generation: u64,
    config: JournalConfig,
) -> io::Result<JournalFile> {
    let path = dir.join(file_name(number));
    let len = config.file_bytes;
    if let Some(Found { file, header: Some(header), slot }) = open_existing(disk, dir, number)?
        && file.len()? == len
    {
        let mut reused = JournalFile::void(file, path, slot, FileHeader { generation, ..header })?;
        reused.begin(generation)?;
        return Ok(reused);
    }
    let draft = dir.join(file_name(number) + DRAFT_SUFFIX);
    let file = disk.open(&draft, OpenMode::Create)?;
    file.set_len(0)?;
    file.allocate(len)?;
    let header = FileHeader { generation, salt: config.salt };
    let mut made = JournalFile::void(file, path, HEADER_SLOTS[0], header)?;
    made.begin(generation)?;
    disk.rename(&draft, &made.path)?;
    disk.sync_dir(dir)?;
    Ok(made)
}

/// A journal's file as it is found.
pub(super) struct Found {
    pub(super) file: Arc<dyn DiskFile>,
    /// The newest header that is whole, if there is one.
    pub(super) header: Option<FileHeader>,
    /// Where it stands.
    slot: u64,
}

/// Opens a file of a journal, if it is there.
pub(super) fn open_existing(
    disk: &dyn Disk,
    dir: &Path,
    number: usize,
) -> io::Result<Option<Found>> {
    let file = match disk.open(&dir.join(file_name(number)), OpenMode::ReadWrite) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut found = Found { file, header: None, slot: HEADER_SLOTS[0] };
    for slot in HEADER_SLOTS {
        let mut bytes = [0; FILE_HEADER_BYTES];
        if found.file.len()? >= slot + FILE_HEADER_BYTES as u64 {
            found.file.read_exact_at(&mut bytes, slot)?;
        }
        let Ok(header) = FileHeader::decode(&bytes) else { continue };
        if found.header.is_none_or(|newest| header.generation > newest.generation) {
            (found.header, found.slot) = (Some(header), slot);
        }
    }
    Ok(Some(found))
}

/// The path of a journal's file.
pub(super) fn path_of(dir: &Path, number: usize) -> PathBuf {
    dir.join(file_name(number))
}
