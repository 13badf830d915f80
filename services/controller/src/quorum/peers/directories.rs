//! Which metadata directory each member had when this one first heard of it.
//!
//! Invariant: a binding is durable before it is relied on, and never changes. A file that cannot be read is a hard stop (P14).

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, OpenMode};
use ottla_types::{DirectoryId, NodeId};

use crate::quorum::folders;

const FILE: &str = "peers";
const UNFINISHED: &str = "peers.tmp";
/// First bytes: a magic and the format's version.
const MAGIC: &[u8; 8] = b"OttlaPR1";
/// Longest file, bytes: some dozens of voters at most.
const MAX_FILE_BYTES: u64 = 64 << 10;

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
    bound: BTreeMap<NodeId, DirectoryId>,
}

impl Directories {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, DirectoriesError> {
        let path = dir.join(FILE);
        let read = || {
            folders::create_durably(disk.as_ref(), dir)?;
            if !disk.exists(&path)? {
                return Ok(None);
            }
            let file = disk.open(&path, OpenMode::Read)?;
            let mut bytes = vec![0; usize::try_from(file.len()?.min(MAX_FILE_BYTES)).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Some(bytes))
        };
        let bytes = read().map_err(|source| DirectoriesError::Io { path: path.clone(), source })?;
        let bound = match bytes {
            None => BTreeMap::new(),
            Some(bytes) => decode(&bytes).ok_or(DirectoriesError::Damaged { path })?,
        };
        Ok(Self { disk, dir: dir.to_owned(), bound })
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<DirectoryId> {
        self.bound.get(&node).copied()
    }

    pub(crate) fn bind(
        &mut self,
        node: NodeId,
        directory: DirectoryId,
    ) -> Result<(), DirectoriesError> {
        let mut bound = self.bound.clone();
        bound.insert(node, directory);
        let bytes = encode(&bound);
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
        self.bound = bound;
        Ok(())
    }
}

fn encode(bound: &BTreeMap<NodeId, DirectoryId>) -> Vec<u8> {
    let content = postcard::to_stdvec(bound).expect("plain values serialize");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
    bytes.extend_from_slice(&content);
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<NodeId, DirectoryId>> {
    let content = bytes.strip_prefix(MAGIC)?;
    let (checksum, content) = content.split_first_chunk::<4>()?;
    let is_whole = u32::from_le_bytes(*checksum) == crc32c::crc32c(content);
    is_whole.then(|| postcard::from_bytes(content).ok())?
}
