//! `meta.properties`: whose a data directory is. Kafka's file, version 1.
//!
//! Invariant: the file is there whole or not at all, also after a crash: it is written beside its place, synced, renamed, and the
//! folder synced.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use ottla_types::{ClusterId, DirectoryId, NodeId};

use crate::config::properties::parse_properties;
use crate::seams::{Disk, OpenMode};

/// The name of the file.
pub const META_PROPERTIES: &str = "meta.properties";
const TEMPORARY: &str = "meta.properties.tmp";
/// The longest file that is read; a real one has some 150 bytes.
const MAX_BYTES: u64 = 64 << 10;
const VERSION: &str = "1";

/// Whose a data directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`.
    pub cluster_id: ClusterId,
    /// `node.id`.
    pub node_id: NodeId,
    /// `directory.id`.
    pub directory_id: DirectoryId,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaPropertiesError {
    /// The disk failed.
    #[error("{path}: {error}; check the disk and the permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        error: io::Error,
    },
    /// The file says something else than it must.
    #[error("{path}: {cause}; restore the file from a copy, or format the directory if its data may go", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The directory is another cluster's.
    #[error(
        "{dir} belongs to cluster {found}, and this process to cluster {expected}; point log.dirs at this cluster's directory",
        dir = dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// Its cluster.
        found: ClusterId,
        /// Ours.
        expected: ClusterId,
    },
    /// The directory is another node's.
    #[error(
        "{dir} belongs to node {found}, and this process is node {expected}; mend node.id or point log.dirs at this node's directory",
        dir = dir.display()
    )]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Its node.
        found: NodeId,
        /// Ours.
        expected: NodeId,
    },
}

impl MetaProperties {
    /// Refuses a directory of another cluster or node, by name. `cluster_id` is `None` while nobody knows it yet.
    ///
    /// # Errors
    /// `OtherCluster` or `OtherNode`.
    pub fn check_owner(
        &self,
        dir: &Path,
        cluster_id: Option<&ClusterId>,
        node_id: NodeId,
    ) -> Result<(), MetaPropertiesError> {
        let dir = dir.to_owned();
        if let Some(expected) = cluster_id.filter(|expected| **expected != self.cluster_id) {
            let (found, expected) = (self.cluster_id.clone(), expected.clone());
            return Err(MetaPropertiesError::OtherCluster { dir, found, expected });
        }
        if self.node_id != node_id {
            return Err(MetaPropertiesError::OtherNode {
                dir,
                found: self.node_id,
                expected: node_id,
            });
        }
        Ok(())
    }

    fn to_text(&self) -> String {
        let mut text = String::from("#\n");
        let lines = [
            ("cluster.id", self.cluster_id.to_string()),
            ("directory.id", self.directory_id.to_string()),
            ("node.id", self.node_id.to_string()),
            ("version", VERSION.to_owned()),
        ];
        for (key, value) in lines {
            writeln!(text, "{key}={}", escaped(&value))
                .expect("a string takes all that is written to it");
        }
        text
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let entries = parse_properties(text).map_err(|error| error.to_string())?;
        let get = |key: &str| {
            let entry = entries.iter().rev().find(|entry| entry.key == key);
            entry.map(|entry| entry.value.as_str()).ok_or_else(|| format!("{key} is missing"))
        };
        match get("version")? {
            VERSION => {}
            other => return Err(format!("version={other} is not {VERSION}")),
        }
        let node_id: i32 =
            get("node.id")?.parse().map_err(|_| "node.id is not a number".to_owned())?;
        if node_id < 0 {
            return Err(format!("node.id={node_id} is negative"));
        }
        let cluster_id = get("cluster.id")?;
        if cluster_id.is_empty() {
            return Err("cluster.id is empty".into());
        }
        let directory_id =
            get("directory.id")?.parse().map_err(|error| format!("directory.id is {error}"))?;
        Ok(Self { cluster_id: ClusterId::new(cluster_id), node_id: NodeId(node_id), directory_id })
    }
}

/// A value as Java writes it: plain ASCII, so that every reader agrees on it.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for (index, unit) in value.encode_utf16().enumerate() {
        match u8::try_from(unit) {
            // A blank at the beginning would be taken for the separator's.
            Ok(b' ') if index == 0 => text.push_str("\\ "),
            Ok(b'\\') => text.push_str("\\\\"),
            Ok(byte) if matches!(byte, b' '..=b'~') => text.push(char::from(byte)),
            _ => write!(text, "\\u{unit:04X}").expect("a string takes all that is written to it"),
        }
    }
    text
}

/// Reads whose a directory is; `None` if nobody's yet.
///
/// # Errors
/// The disk failed, or the file is malformed.
pub fn read_meta_properties(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<MetaProperties>, MetaPropertiesError> {
    let path = dir.join(META_PROPERTIES);
    let text = match read_text(disk, &path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(MetaPropertiesError::Io { path, error }),
    };
    let parsed = MetaProperties::from_text(&text);
    parsed.map(Some).map_err(|cause| MetaPropertiesError::Malformed { path, cause })
}

fn read_text(disk: &dyn Disk, path: &Path) -> io::Result<String> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?.min(MAX_BYTES)).expect("bounded above")];
    file.read_exact_at(&mut bytes, 0)?;
    // Other bytes than UTF-8 are caught by whatever they are part of.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes whose a directory is, durably; the directory must exist.
///
/// # Errors
/// The disk failed: the directory is as it was.
pub fn write_meta_properties(
    disk: &dyn Disk,
    dir: &Path,
    meta: &MetaProperties,
) -> Result<(), MetaPropertiesError> {
    let path = dir.join(META_PROPERTIES);
    let temporary = dir.join(TEMPORARY);
    let write = || {
        let file = disk.open(&temporary, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(meta.to_text().as_bytes())], 0)?;
        file.sync_data()?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)
    };
    write().map_err(|error| MetaPropertiesError::Io { path: path.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::SimDisk;
    use ottla_types::Uuid;

    fn meta(cluster: &str, node: i32) -> MetaProperties {
        MetaProperties {
            cluster_id: ClusterId::new(cluster),
            node_id: NodeId(node),
            directory_id: DirectoryId(Uuid::from_random(u128::MAX / 3)),
        }
    }

    #[test]
    fn a_file_of_kafka_is_read() {
        let text = "#\n#Tue Nov 24 10:46:22 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\ndirectory.id=q-Q4FQzMTrGeDkN7XyfZPw\nnode.id=1\nversion=1\n";
        let read = MetaProperties::from_text(text).unwrap();
        assert_eq!((read.cluster_id.as_str(), read.node_id), ("MkU3OEVBNTcwNTJENDM2Qk", NodeId(1)));
        assert_eq!(read.directory_id.to_string(), "q-Q4FQzMTrGeDkN7XyfZPw");
    }

    #[test]
    fn what_is_written_is_read_whatever_the_cluster_is_called() {
        let disk = SimDisk::new(0);
        for cluster in ["plain", " blank first", "back\\slash = : #", "größer"] {
            write_meta_properties(&disk, Path::new("/"), &meta(cluster, 7)).unwrap();
            let read = read_meta_properties(&disk, Path::new("/")).unwrap().unwrap();
            assert_eq!(read, meta(cluster, 7));
        }
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one() {
        for seed in 0..20 {
            for point in 0..6 {
                let disk = SimDisk::new(seed);
                let dir = Path::new("/");
                write_meta_properties(&disk, dir, &meta("c", 1)).unwrap();
                disk.cut_power_after(point);
                let written = write_meta_properties(&disk, dir, &meta("c", 2));
                disk.crash();
                let read = read_meta_properties(&disk, dir).unwrap().unwrap();
                assert!(
                    read.node_id == NodeId(2) || (written.is_err() && read.node_id == NodeId(1))
                );
            }
        }
    }

    #[test]
    fn a_directory_of_another_cluster_or_node_is_refused_by_name() {
        let found = meta("theirs", 1);
        let ours = ClusterId::new("ours");
        let error =
            found.check_owner(Path::new("/data"), Some(&ours), NodeId(1)).unwrap_err().to_string();
        assert!(
            error.contains("/data") && error.contains("theirs") && error.contains("ours"),
            "{error}"
        );
        let error = found.check_owner(Path::new("/data"), None, NodeId(2)).unwrap_err().to_string();
        assert!(error.contains("node 1") && error.contains("node 2"), "{error}");
        found.check_owner(Path::new("/data"), Some(&found.cluster_id), NodeId(1)).unwrap();
    }

    #[test]
    fn a_malformed_file_is_told_and_not_taken_for_a_new_directory() {
        for text in [
            "",
            "version=0\nnode.id=1",
            "version=1\nnode.id=-1\ncluster.id=c\ndirectory.id=x",
            "\u{0}\u{0}",
        ] {
            assert!(MetaProperties::from_text(text).is_err(), "{text:?}");
        }
    }
}
