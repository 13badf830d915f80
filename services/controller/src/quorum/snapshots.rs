//! Snapshots: files that hold everything up to a position of the log (P5), so that the log before it can go.
//!
//! Invariant: a file with the final name is whole: it was written under another name, synced, then renamed, then the folder
//! synced. The newest [`SNAPSHOTS_KEPT`] are kept, so that a damaged one is not the only one.
//! Deliberately does not know what the image's bytes mean.

mod format;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, DiskFile, OpenMode, create_dir_durably};
use ottla_types::{DirectoryId, MetadataOffset, NodeId};
use raft::eraftpb::{ConfState, SnapshotMetadata};

use format::{checksum, decode, encode_head};

use super::wal::Position;

/// Snapshots that are kept.
pub const SNAPSHOTS_KEPT: usize = 2;
/// Longest image, bytes: a bound for what is read from disk or taken from a peer.
pub const MAX_IMAGE_BYTES: u64 = 1 << 30;

const SUFFIX: &str = ".snapshot";
const UNFINISHED_SUFFIX: &str = ".snapshot.tmp";

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotHead {
    /// The position whose state it is.
    pub position: Position,
    /// The members at that position.
    pub conf_state: ConfState,
    /// Later disks of nodes that are or were members, by which their raft ids are known (P5).
    pub later_disks: Vec<(NodeId, DirectoryId)>,
    /// Metadata offset of the image.
    pub offset: MetadataOffset,
    /// Hash of the image (P3): compared after decoding.
    pub hash: u64,
}

/// A snapshot with its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What it says of itself.
    pub head: SnapshotHead,
    /// The image, encoded.
    pub image: Vec<u8>,
}

/// Why there is no usable snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk said no.
    #[error(
        "the metadata snapshot {path} cannot be used: {source}; check the disk, its space and its permissions"
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The bytes are not those of a snapshot.
    #[error(
        "the metadata snapshot {path} is damaged: {what}; remove it, an older one or the log takes its place"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In which way.
        what: &'static str,
    },
    /// The log does not reach back to any snapshot that can be read.
    #[error(
        "no metadata snapshot in {dir} can be read, and the log begins only after index {log_start}; \
         wipe this controller's metadata directory and let it join again, or restore it from a copy"
    )]
    None {
        /// The folder.
        dir: PathBuf,
        /// Where the log begins.
        log_start: u64,
    },
}

/// The snapshots of one member.
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl SnapshotHead {
    /// As raft names it.
    pub fn metadata(&self) -> SnapshotMetadata {
        let Position { index, term } = self.position;
        let mut metadata = SnapshotMetadata { index, term, ..SnapshotMetadata::default() };
        metadata.set_conf_state(self.conf_state.clone());
        metadata
    }
}

impl Snapshots {
    /// Opens a folder; makes it if it is not there, and removes what a crash left unfinished.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, SnapshotError> {
        let snapshots = Self { disk, dir: dir.to_owned() };
        let disk = &snapshots.disk;
        create_dir_durably(disk.as_ref(), dir).map_err(|error| io_error(dir, error))?;
        for entry in disk.list(dir).map_err(|error| io_error(dir, error))? {
            if entry.name.ends_with(UNFINISHED_SUFFIX) {
                let path = dir.join(&entry.name);
                disk.remove_file(&path).map_err(|error| io_error(&path, error))?;
            }
        }
        Ok(snapshots)
    }

    /// Positions of all snapshots, newest first.
    pub fn list(&self) -> Result<Vec<Position>, SnapshotError> {
        let entries = self.disk.list(&self.dir).map_err(|error| io_error(&self.dir, error))?;
        let mut found: Vec<_> = entries
            .iter()
            .filter_map(|entry| {
                let (index, term) = entry.name.strip_suffix(SUFFIX)?.split_once('-')?;
                Some(Position { index: index.parse().ok()?, term: term.parse().ok()? })
            })
            .collect();
        found.sort_unstable_by_key(|position| std::cmp::Reverse((position.index, position.term)));
        Ok(found)
    }

    /// Writes a snapshot, durable when this returns; older ones go, down to [`SNAPSHOTS_KEPT`].
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let path = self.path(snapshot.head.position);
        let unfinished = path.with_extension("snapshot.tmp");
        let (head, tail) = (encode_head(snapshot), checksum(snapshot).to_le_bytes());
        let slices = [IoSlice::new(&head), IoSlice::new(&snapshot.image), IoSlice::new(&tail)];
        let written = (|| {
            let file = self.disk.open(&unfinished, OpenMode::Create)?;
            file.set_len(0)?;
            file.write_all_at(&slices, 0)?;
            file.sync_data()?;
            self.disk.rename(&unfinished, &path)?;
            self.disk.sync_dir(&self.dir)
        })();
        written.map_err(|error| io_error(&path, error))?;
        self.remove_all_but_newest()
    }

    /// Reads and checks a snapshot.
    pub fn read(&self, position: Position) -> Result<Snapshot, SnapshotError> {
        let path = self.path(position);
        let bytes = self.read_file(&path).map_err(|error| io_error(&path, error))?;
        decode(&bytes).map_err(|what| SnapshotError::Damaged { path, what })
    }

    /// Opens a snapshot's file, to send it to a peer; with its length in bytes. It can be read on while the snapshot is removed.
    pub fn open_file(&self, position: Position) -> Result<(Arc<dyn DiskFile>, u64), SnapshotError> {
        let path = self.path(position);
        let opened = (|| {
            let file = self.disk.open(&path, OpenMode::Read)?;
            let length = file.len()?;
            Ok((file, length))
        })();
        opened.map_err(|error| io_error(&path, error))
    }

    /// Checks the bytes of a snapshot's file that a peer sent.
    pub fn decode_received(&self, bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        let path = self.dir.join("(received)");
        decode(bytes).map_err(|what| SnapshotError::Damaged { path, what })
    }

    /// Removes a snapshot that the log never heard of: a crash came between the two.
    pub fn remove(&self, position: Position) -> Result<(), SnapshotError> {
        let path = self.path(position);
        self.disk.remove_file(&path).map_err(|error| io_error(&path, error))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn remove_all_but_newest(&self) -> Result<(), SnapshotError> {
        for position in self.list()?.into_iter().skip(SNAPSHOTS_KEPT) {
            self.remove(position)?;
        }
        Ok(())
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.disk.open(path, OpenMode::Read)?;
        let length = file.len()?;
        if length > MAX_IMAGE_BYTES + (1 << 20) {
            return Err(io::Error::other("it is longer than a snapshot can be"));
        }
        let mut bytes = vec![0; usize::try_from(length).expect("a snapshot fits into memory")];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn path(&self, position: Position) -> PathBuf {
        self.dir.join(format!("{:020}-{:020}{SUFFIX}", position.index, position.term))
    }
}

fn io_error(path: &Path, source: io::Error) -> SnapshotError {
    SnapshotError::Io { path: path.to_owned(), source }
}
