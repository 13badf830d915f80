//! Which metadata directories the members have, and which this one is.
//!
//! Invariant: a binding is durable before it is relied on, and never changes; later disks of a node are only added. A file that cannot be read is a hard stop (P14).

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, OpenMode, create_dir_durably};
use ottla_types::{DirectoryId, NodeId};
use serde::{Deserialize, Serialize};

const FILE: &str = "peers";
const UNFINISHED: &str = "peers.tmp";
/// First bytes: a magic and the format's version.
const MAGIC: &[u8; 8] = b"OttlaPR2";
/// Longest file, bytes: some dozens of voters at most.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Later disks of one node that are remembered; a node that needs more is replaced by another node.
pub(super) const MAX_LATER_DISKS: usize = 64;

/// Why the bindings cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoriesError {
    /// The disk said no.
    #[error(
        "the list of quorum members {path} cannot be used: {source}; check the disk, its space and its permissions"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The bytes make no sense.
    #[error(
        "the list of quorum members {path} is damaged; restore it from a copy of this metadata directory"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

pub(crate) struct Directories {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    stored: Stored,
}

/// What the file holds.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Stored {
    own: Option<DirectoryId>,
    /// This disk is not the first of its node: it came after a disk that the quorum knew.
    is_later: bool,
    /// The quorum goes on without this disk (P13).
    is_removed: bool,
    nodes: BTreeMap<NodeId, Disks>,
}

/// The disks of one node.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Disks {
    first: Option<DirectoryId>,
    later: Vec<DirectoryId>,
}

impl Directories {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, DirectoriesError> {
        let path = dir.join(FILE);
        let read = || {
            create_dir_durably(disk.as_ref(), dir)?;
            if !disk.exists(&path)? {
                return Ok(None);
            }
            let file = disk.open(&path, OpenMode::Read)?;
            let mut bytes = vec![0; usize::try_from(file.len()?.min(MAX_FILE_BYTES)).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Some(bytes))
        };
        let bytes = read().map_err(|source| DirectoriesError::Io { path: path.clone(), source })?;
        let stored = match bytes {
            None => Stored::default(),
            Some(bytes) => decode(&bytes).ok_or(DirectoriesError::Damaged { path })?,
        };
        Ok(Self { disk, dir: dir.to_owned(), stored })
    }

    /// This member's directory, where it was noted before `meta.properties` could be.
    pub(crate) fn own(&self) -> Option<DirectoryId> {
        self.stored.own
    }

    pub(crate) fn set_own(&mut self, directory: DirectoryId) -> Result<(), DirectoriesError> {
        self.change(|stored| stored.own = Some(directory))
    }

    pub(super) fn is_later(&self) -> bool {
        self.stored.is_later
    }

    pub(super) fn is_removed(&self) -> bool {
        self.stored.is_removed
    }

    pub(super) fn mark_later(&mut self) -> Result<(), DirectoriesError> {
        self.change(|stored| stored.is_later = true)
    }

    pub(super) fn p13_mark_removed(&mut self) -> Result<(), DirectoriesError> {
        self.change(|stored| stored.is_removed = true)
    }

    /// The first disk of a node.
    pub(super) fn first(&self, node: NodeId) -> Option<DirectoryId> {
        self.stored.nodes.get(&node)?.first
    }

    pub(super) fn bind_first(
        &mut self,
        node: NodeId,
        directory: DirectoryId,
    ) -> Result<(), DirectoriesError> {
        self.change(|stored| stored.nodes.entry(node).or_default().first = Some(directory))
    }

    /// All later disks, with their nodes.
    pub(super) fn later(&self) -> impl Iterator<Item = (NodeId, DirectoryId)> {
        let of_node = |(node, disks): (&NodeId, &Disks)| {
            let node = *node;
            disks.later.clone().into_iter().map(move |directory| (node, directory))
        };
        self.stored.nodes.iter().flat_map(of_node)
    }

    /// Notes a later disk of a node; the oldest are forgotten beyond [`MAX_LATER_DISKS`].
    pub(super) fn add_later(
        &mut self,
        node: NodeId,
        directory: DirectoryId,
    ) -> Result<(), DirectoriesError> {
        self.change(|stored| {
            let later = &mut stored.nodes.entry(node).or_default().later;
            later.push(directory);
            if later.len() > MAX_LATER_DISKS {
                later.remove(0);
            }
        })
    }

    fn change(&mut self, change: impl FnOnce(&mut Stored)) -> Result<(), DirectoriesError> {
        let mut stored = self.stored.clone();
        change(&mut stored);
        let bytes = encode(&stored);
        let (path, unfinished) = (self.dir.join(FILE), self.dir.join(UNFINISHED));
        let write = || {
            let file = self.disk.open(&unfinished, OpenMode::Create)?;
            file.set_len(0)?;
            file.write_all_at(&[IoSlice::new(&bytes)], 0)?;
            file.sync_data()?;
            self.disk.rename(&unfinished, &path)?;
            self.disk.sync_dir(&self.dir)
        };
        write().map_err(|source| DirectoriesError::Io { path: path.clone(), source })?;
        self.stored = stored;
        Ok(())
    }
}

fn encode(stored: &Stored) -> Vec<u8> {
    let content = postcard::to_stdvec(stored).expect("plain values serialize");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
    bytes.extend_from_slice(&content);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Stored> {
    let content = bytes.strip_prefix(MAGIC)?;
    let (checksum, content) = content.split_first_chunk::<4>()?;
    let is_whole = u32::from_le_bytes(*checksum) == crc32c::crc32c(content);
    is_whole.then(|| postcard::from_bytes(content).ok())?
}
