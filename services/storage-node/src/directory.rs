//! Log directories: whose they are, that nobody else uses them, and that they have room.
//!
//! Invariant: a directory of another cluster or node, or one that another process has locked, is never opened. A new directory
//! says whose it is as soon as its cluster is known, before a partition is put into it.
//! Deliberately does not know partitions.

use std::io;
use std::path::{Path, PathBuf};

use ottla_runtime::Seams;
use ottla_runtime::config::{
    MetaProperties, MetaPropertiesError, read_meta_properties, write_meta_properties,
};
use ottla_runtime::seams::{Disk, DiskLock, create_dir_durably};
use ottla_types::{ClusterId, DirectoryId, NodeId, Uuid};

/// The lock file of a directory.
const LOCK_FILE: &str = ".lock";

/// A log directory that is this node's.
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// Its id.
    pub id: DirectoryId,
    /// Its cluster.
    pub cluster_id: Option<ClusterId>,
    _lock: Box<dyn DiskLock>,
}

/// Why a directory cannot be used: cause, then cure.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The disk's own error.
    #[error("log directory {path}: {source}; check that it exists and that this user may write to it", path = .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// Another process has it.
    #[error("log directory {path} is in use by another process; stop that process, or give this node another log.dirs", path = .0.display())]
    InUse(PathBuf),
    /// Another cluster's or node's, or nobody can say whose.
    #[error(transparent)]
    Owner(#[from] MetaPropertiesError),
    /// Two directories say that they are the same.
    #[error("log directories {first} and {second} have the same directory.id: one is a copy of the other; remove one from log.dirs", first = .first.display(), second = .second.display())]
    Duplicate {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Too little room.
    #[error("log directory {path} has {free} bytes free, this node needs {needed} to start; free some space, or lower ottla.min.free.disk.bytes", path = .path.display())]
    NoSpace {
        /// The directory.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
}

/// Opens all directories of a node, and checks that they belong together.
pub fn open_all(
    seams: &Seams,
    paths: &[PathBuf],
    node: NodeId,
    cluster_id: Option<&ClusterId>,
    min_free_bytes: u64,
) -> Result<Vec<Directory>, DirectoryError> {
    let mut expected = cluster_id.cloned();
    let mut directories: Vec<Directory> = Vec::with_capacity(paths.len());
    for path in paths {
        let directory = open(seams, path, node, expected.as_ref())?;
        check_space(&*seams.disk, path, min_free_bytes)?;
        if let Some(first) = directories.iter().find(|first| first.id == directory.id) {
            let (first, second) = (first.path.clone(), directory.path);
            return Err(DirectoryError::Duplicate { first, second });
        }
        expected = expected.or_else(|| directory.cluster_id.clone());
        directories.push(directory);
    }
    Ok(directories)
}

/// Opens one directory; an empty one becomes this node's.
fn open(
    seams: &Seams,
    path: &Path,
    node: NodeId,
    cluster_id: Option<&ClusterId>,
) -> Result<Directory, DirectoryError> {
    let failed = |source| DirectoryError::Io { path: path.to_owned(), source };
    let disk = &*seams.disk;
    // Its own name, and those above it, must survive as well as what will be in it.
    create_dir_durably(disk, path).map_err(failed)?;
    let lock = disk.lock(&path.join(LOCK_FILE)).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => DirectoryError::InUse(path.to_owned()),
        _ => failed(source),
    })?;
    let Some(meta) = read_meta_properties(disk, path)? else {
        let id = DirectoryId(Uuid::from_random(seams.rng.next_u128()));
        let mut new = Directory { path: path.to_owned(), id, cluster_id: None, _lock: lock };
        if let Some(cluster_id) = cluster_id {
            adopt_cluster(disk, &mut new, node, cluster_id)?;
        }
        return Ok(new);
    };
    meta.check_owner(path, cluster_id, node)?;
    Ok(Directory {
        path: path.to_owned(),
        id: meta.directory_id,
        cluster_id: Some(meta.cluster_id),
        _lock: lock,
    })
}

fn check_space(disk: &dyn Disk, path: &Path, needed: u64) -> Result<(), DirectoryError> {
    let free = disk
        .free_space_bytes(path)
        .map_err(|source| DirectoryError::Io { path: path.to_owned(), source })?;
    if free < needed {
        return Err(DirectoryError::NoSpace { path: path.to_owned(), free, needed });
    }
    Ok(())
}

/// The cluster is known now: a directory that did not say whose it is, says so from now on.
pub fn adopt_cluster(
    disk: &dyn Disk,
    directory: &mut Directory,
    node: NodeId,
    cluster_id: &ClusterId,
) -> Result<(), DirectoryError> {
    if directory.cluster_id.is_some() {
        return Ok(());
    }
    let meta = MetaProperties {
        cluster_id: cluster_id.clone(),
        node_id: node,
        directory_id: directory.id,
    };
    write_meta_properties(disk, &directory.path, &meta)?;
    directory.cluster_id = Some(cluster_id.clone());
    Ok(())
}

#[cfg(test)]
mod tests;
