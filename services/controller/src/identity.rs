//! Whose a metadata directory is, and which cluster it belongs to.
//!
//! A directory gets its id before its cluster is known: the quorum of a new cluster meets first, and its first leader draws the
//! cluster's id. Until `meta.properties` can be written, the directory id stands in the list of members.
//!
//! Invariant: a directory id is durable before anybody hears of it, and never changes. A directory of another node or cluster is
//! refused by name.

use std::path::Path;

use ottla_runtime::Seams;
use ottla_runtime::config::{
    MetaProperties, MetaPropertiesError, read_meta_properties, write_meta_properties,
};
use ottla_runtime::seams::create_dir_durably;
use ottla_types::{ClusterId, DirectoryId, NodeId, Uuid};

use crate::quorum::peers::{Directories, DirectoriesError};

/// Why a directory cannot be this controller's.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// `meta.properties`.
    #[error(transparent)]
    Meta(#[from] MetaPropertiesError),
    /// The list of members.
    #[error(transparent)]
    Members(#[from] DirectoriesError),
    /// The directory cannot be made.
    #[error(
        "the metadata directory {path} cannot be made: {source}; check metadata.log.dir and its permissions"
    )]
    Create {
        /// Where.
        path: std::path::PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
}

/// Whose a metadata directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) directory: DirectoryId,
    /// `None` until the quorum has formatted the cluster.
    pub(crate) cluster_id: Option<ClusterId>,
}

/// Reads whose the directory is, or makes it this node's. A quorum of one formats its cluster at once.
pub(crate) fn identify(
    seams: &Seams,
    dir: &Path,
    members_dir: &Path,
    own: (NodeId, bool),
) -> Result<Identity, IdentityError> {
    let (node, is_alone) = own;
    let disk = seams.disk.as_ref();
    create_dir_durably(disk, dir)
        .map_err(|source| IdentityError::Create { path: dir.to_owned(), source })?;
    if let Some(meta) = read_meta_properties(disk, dir)? {
        meta.check_owner(dir, None, node)?;
        return Ok(Identity { directory: meta.directory_id, cluster_id: Some(meta.cluster_id) });
    }
    let mut members = Directories::open(seams.disk.clone(), members_dir)?;
    let directory = match members.own() {
        Some(directory) => directory,
        None => {
            let drawn = DirectoryId(Uuid::from_random(seams.rng.next_u128()));
            members.set_own(drawn)?;
            drawn
        }
    };
    let mut identity = Identity { directory, cluster_id: None };
    if is_alone {
        let drawn = ClusterId::new(Uuid::from_random(seams.rng.next_u128()).to_string());
        write(seams, dir, node, &mut identity, &drawn)?;
    }
    Ok(identity)
}

/// Notes the cluster's id, once the quorum says it.
pub(crate) fn write(
    seams: &Seams,
    dir: &Path,
    node: NodeId,
    identity: &mut Identity,
    cluster_id: &ClusterId,
) -> Result<(), IdentityError> {
    let meta = MetaProperties {
        cluster_id: cluster_id.clone(),
        node_id: node,
        directory_id: identity.directory,
    };
    if let Some(found) = read_meta_properties(seams.disk.as_ref(), dir)? {
        found.check_owner(dir, Some(cluster_id), node)?;
    } else {
        write_meta_properties(seams.disk.as_ref(), dir, &meta)?;
    }
    identity.cluster_id = Some(cluster_id.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_runtime::seams::{ManualClock, RealNet, RealTasks, SimDisk, SimRng};

    use super::*;

    fn seams(disk: &SimDisk, seed: u64) -> Seams {
        Seams {
            clock: Arc::new(ManualClock::new()),
            rng: Arc::new(SimRng::new(seed)),
            disk: Arc::new(disk.clone()),
            net: Arc::new(RealNet),
            tasks: Arc::new(RealTasks::new()),
        }
    }

    fn identify_on(disk: &SimDisk, seed: u64, own: (i32, bool)) -> Result<Identity, IdentityError> {
        let (dir, members) = (Path::new("/d"), Path::new("/d/q"));
        identify(&seams(disk, seed), dir, members, (NodeId(own.0), own.1))
    }

    #[tokio::test]
    async fn a_directory_keeps_its_id_from_the_first_start_on() {
        let disk = SimDisk::new(1);
        let first = identify_on(&disk, 1, (1, false)).unwrap();
        assert_eq!(first.cluster_id, None);
        disk.crash();
        let mut second = identify_on(&disk, 2, (1, false)).unwrap();
        assert_eq!(second, first);
        let cluster = ClusterId::new("c");
        write(&seams(&disk, 1), Path::new("/d"), NodeId(1), &mut second, &cluster).unwrap();
        disk.crash();
        let third = identify_on(&disk, 3, (1, false)).unwrap();
        assert_eq!((third.directory, third.cluster_id), (first.directory, Some(cluster)));
    }

    #[tokio::test]
    async fn a_quorum_of_one_has_its_cluster_id_at_once() {
        let disk = SimDisk::new(1);
        let first = identify_on(&disk, 1, (1, true)).unwrap();
        assert!(first.cluster_id.is_some());
        disk.crash();
        assert_eq!(identify_on(&disk, 2, (1, true)).unwrap(), first);
    }

    #[tokio::test]
    async fn a_directory_of_another_node_or_cluster_is_refused_by_name() {
        let disk = SimDisk::new(1);
        let mut identity = identify_on(&disk, 1, (1, true)).unwrap();
        let error = identify_on(&disk, 1, (2, true)).unwrap_err().to_string();
        assert!(error.contains("node 1") && error.contains("node 2"), "{error}");
        let other = ClusterId::new("other");
        let written = write(&seams(&disk, 1), Path::new("/d"), NodeId(1), &mut identity, &other);
        assert!(written.unwrap_err().to_string().contains("other"));
    }
}
