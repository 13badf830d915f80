//! The quorum's write-ahead log: raft's entries and hard state, durable before any message leaves.
//!
//! Invariant: what [`Wal::append`] returned for with [`Durability::Synced`] is found again after a crash, in one piece. Opening
//! cuts a torn tail and nothing else: a damaged record that was durable once is a hard stop (P14).
//! Deliberately does not know what entries mean.

mod batch;
mod entries;
mod frame;
mod log;
mod recovery;
mod segment;
mod storage;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::Disk;
use raft::eraftpb::{ConfState, Entry, HardState, SnapshotMetadata};

pub use batch::{Batch, Position};
use frame::{FrameHeader, HEADER_BYTES};
use log::{FrameAt, Log};
use segment::Segment;

/// Why the log cannot be opened or written. All of these end the process: raft cannot go on without its log.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The disk said no.
    #[error(
        "the metadata log {path} cannot be used: {source}; check the disk, its space and its permissions"
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A record that was durable is damaged.
    #[error(
        "the metadata log {path} is damaged at byte {offset} (record {sequence}), and durable records follow; \
         wipe this controller's metadata directory and let it join again, or restore it from a copy"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// Number of the record that should be there.
        sequence: u64,
    },
    /// A segment between two others, or before the first, is not there.
    #[error(
        "the metadata log in {dir} has a hole before record {sequence}; restore the missing segment from a copy, \
         or wipe this controller's metadata directory and let it join again"
    )]
    Missing {
        /// The folder.
        dir: PathBuf,
        /// The first record after the hole.
        sequence: u64,
    },
    /// Written by a later version.
    #[error("the metadata log {path} is of a later version; start the version that wrote it")]
    Version {
        /// The segment.
        path: PathBuf,
    },
}

/// Whether a write is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It survives a crash once the call returned.
    Synced,
    /// It becomes durable with the next synced write, in order.
    Later,
}

/// The log of one member.
pub struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segments: BTreeMap<u64, Segment>,
    /// Where the next frame goes, in the last segment.
    position: u64,
    /// Bytes reserved for the last segment.
    capacity: u64,
    next_sequence: u64,
    synced_up_to: u64,
    log: Log,
    /// Commit index that is durable (P2).
    durable_commit: u64,
    snapshot: Option<SnapshotMetadata>,
    /// A peer needs a newer snapshot than there is.
    wants_snapshot: Cell<bool>,
}

impl Wal {
    /// Opens the log in a folder, or begins one.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, WalError> {
        let recovered = recovery::recover(disk.as_ref(), dir)?;
        let mut wal = Self {
            disk,
            dir: dir.to_owned(),
            segments: recovered.segments,
            position: 0,
            capacity: 0,
            next_sequence: recovered.next_sequence,
            synced_up_to: recovered.next_sequence - 1,
            durable_commit: recovered.log.hard_state.commit,
            log: recovered.log,
            snapshot: None,
            wants_snapshot: Cell::new(false),
        };
        // Writing always begins in a segment of its own: whatever a crash left behind the cut is never written over.
        wal.begin_segment(0)?;
        Ok(wal)
    }

    /// Whether nothing was ever written.
    pub fn is_new(&self) -> bool {
        self.log.conf_state == ConfState::default()
    }

    /// Term, vote and commit index.
    pub fn hard_state(&self) -> &HardState {
        &self.log.hard_state
    }

    /// The members.
    pub fn conf_state(&self) -> &ConfState {
        &self.log.conf_state
    }

    /// The last position that is not in the log any more.
    pub fn start(&self) -> Position {
        self.log.entries.start
    }

    /// Index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.log.entries.last_index()
    }

    /// The commit index that is durable: what was applied beyond it must not be made durable elsewhere (P2).
    pub fn durable_commit(&self) -> u64 {
        self.durable_commit
    }

    /// Says who the members are at the position that raft begins at.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.log.conf_state = conf_state;
    }

    /// Names the snapshot that peers get when they need one.
    pub fn set_snapshot(&mut self, metadata: SnapshotMetadata) {
        self.snapshot = Some(metadata);
    }

    /// Whether a peer needed a newer snapshot than there is, since this was last asked.
    pub fn take_snapshot_wish(&self) -> bool {
        self.wants_snapshot.take()
    }

    /// Writes a batch in one piece. After an error the log must not be used any more (R16).
    pub fn append(&mut self, batch: Batch, durability: Durability) -> Result<(), WalError> {
        let (payload, places) = batch.encode();
        if self.position + frame::frame_bytes(payload.len()) as u64 > self.capacity {
            self.begin_segment(payload.len())?;
        }
        let at = self.position;
        self.write_frame(&payload)?;
        if durability == Durability::Synced {
            self.sync()?;
        }
        self.take_in(batch, &payload, &places, at);
        if durability == Durability::Synced {
            self.durable_commit = self.log.hard_state.commit;
        }
        Ok(())
    }

    /// Makes everything durable that was written for later.
    pub fn sync(&mut self) -> Result<(), WalError> {
        if self.synced_up_to + 1 < self.next_sequence {
            let segment = self.current();
            segment.file.sync_data().map_err(|error| io_error(&segment.path, error))?;
            self.synced_up_to = self.next_sequence - 1;
            self.durable_commit = self.log.hard_state.commit;
        }
        Ok(())
    }

    /// Forgets entries up to a position, and removes the segments that held nothing else.
    pub fn compact(&mut self, start: Position) -> Result<(), WalError> {
        if start.index <= self.log.entries.start.index {
            return Ok(());
        }
        let batch = Batch { start: Some(start), ..Batch::default() };
        self.append(batch, Durability::Synced)?;
        let current = self.current_number();
        let old: Vec<u64> = self
            .segments
            .iter()
            .take_while(|(number, segment)| {
                **number != current && segment.last_index <= start.index
            })
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            let segment = self.segments.remove(&number).expect("it was just listed");
            self.disk.remove_file(&segment.path).map_err(|e| io_error(&segment.path, e))?;
            // One after the other, the oldest first: a crash must not keep one and lose the one after it.
            self.disk.sync_dir(&self.dir).map_err(|error| io_error(&self.dir, error))?;
        }
        Ok(())
    }

    /// Entry of an index, from memory or disk.
    fn read_entry(&self, index: u64) -> Result<Entry, io::Error> {
        if let Some(entry) = self.log.entries.cached(index) {
            return Ok(entry.clone());
        }
        let place = self.log.entries.place(index).ok_or(io::ErrorKind::NotFound)?;
        let segment = self.segments.get(&place.segment).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; place.length as usize];
        segment.file.read_exact_at(&mut bytes, place.offset)?;
        let damaged = || io::Error::other(format!("entry {index} of the metadata log is damaged"));
        if crc32c::crc32c(&bytes) != place.checksum {
            return Err(damaged());
        }
        batch::decode_entry(&bytes).map_err(|_| damaged())
    }

    fn begin_segment(&mut self, payload_bytes: usize) -> Result<(), WalError> {
        if !self.segments.is_empty() {
            self.finish_segment()?;
        }
        let first = self.next_sequence;
        let checkpoint = Batch {
            start: Some(self.log.entries.start),
            conf_state: Some(self.log.conf_state.clone()),
            hard_state: Some(self.log.hard_state.clone()),
            ..Batch::default()
        };
        let (payload, _) = checkpoint.encode();
        let used = segment::SEGMENT_HEADER_BYTES + frame::frame_bytes(payload.len());
        let needed = (used + frame::frame_bytes(payload_bytes)) as u64;
        let capacity = needed.max(segment::SEGMENT_BYTES);
        let path = segment::path(&self.dir, first);
        let segment = segment::create(self.disk.as_ref(), &self.dir, first, capacity)
            .map_err(|error| io_error(&path, error))?;
        self.segments.insert(first, segment);
        (self.position, self.capacity) = (segment::SEGMENT_HEADER_BYTES as u64, capacity);
        self.write_frame(&payload)?;
        self.sync()?;
        self.disk.sync_dir(&self.dir).map_err(|error| io_error(&self.dir, error))
    }

    /// Everything before the next segment is durable before that begins, and takes no more space than it needs.
    fn finish_segment(&mut self) -> Result<(), WalError> {
        self.sync()?;
        if self.position > 0 {
            let segment = self.current();
            segment.file.set_len(self.position).map_err(|e| io_error(&segment.path, e))?;
            segment.file.sync_data().map_err(|e| io_error(&segment.path, e))?;
        }
        Ok(())
    }

    fn write_frame(&mut self, payload: &[u8]) -> Result<(), WalError> {
        let header = FrameHeader { sequence: self.next_sequence, synced_up_to: self.synced_up_to };
        let frame = frame::encode(header, payload);
        let segment = self.current();
        segment
            .file
            .write_all_at(&[IoSlice::new(&frame)], self.position)
            .map_err(|error| io_error(&segment.path, error))?;
        self.next_sequence += 1;
        self.position += frame.len() as u64;
        Ok(())
    }

    fn take_in(
        &mut self,
        batch: Batch,
        payload: &[u8],
        places: &[std::ops::Range<usize>],
        at: u64,
    ) {
        let number = self.current_number();
        let segment = self.segments.get_mut(&number).expect("there is a current segment");
        let frame = FrameAt { segment: number, payload_offset: at + HEADER_BYTES as u64 };
        let last = self.log.take_in(batch, payload, places, frame);
        segment.last_index = segment.last_index.max(last);
    }

    fn current_number(&self) -> u64 {
        *self.segments.last_key_value().expect("there is a current segment").0
    }

    fn current(&self) -> &Segment {
        self.segments.last_key_value().expect("there is a current segment").1
    }
}

fn io_error(path: &Path, source: io::Error) -> WalError {
    WalError::Io { path: path.to_owned(), source }
}
