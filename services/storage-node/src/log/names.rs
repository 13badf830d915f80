//! The names of a partition's folder and of the files in it.
//!
//! Invariant: a name that was made here is read here as what it was; anything else is not ours and is left alone.

use std::path::{Path, PathBuf};

use ottla_types::limits::MAX_TOPIC_NAME_BYTES;
use ottla_types::{Offset, PartitionIndex, Uuid};

/// `leader-epoch-checkpoint`
pub(super) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
/// `partition.metadata`
pub(super) const PARTITION_METADATA: &str = "partition.metadata";
/// What a file is renamed to end with before it is deleted.
pub(super) const DELETED: &str = ".deleted";
/// Ends the names of a compacted segment's files while they are written.
pub(super) const CLEANED: &str = ".cleaned";
/// Ends the names of a compacted segment's files from the moment on from which it counts, until nothing is left of those that it
/// stands for.
pub(super) const SWAP: &str = ".swap";
/// Ends the name of a folder whose partition was deleted.
const DELETED_DIR: &str = "-delete";
/// Longest file name of the usual file systems, in bytes.
const MAX_FILE_NAME_BYTES: usize = 255;

/// The files of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileKind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
}

impl FileKind {
    pub(super) const ALL: [Self; 5] =
        [Self::Log, Self::Index, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::Index => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TxnIndex => ".txnindex",
            Self::Snapshot => ".snapshot",
        }
    }
}

/// `%020d` and the suffix.
pub(super) fn file_name(base: Offset, kind: FileKind) -> String {
    format!("{:020}{}", base.0, kind.suffix())
}

pub(super) fn file_path(dir: &Path, base: Offset, kind: FileKind) -> PathBuf {
    dir.join(file_name(base, kind))
}

/// A path whose name ends in one of the suffixes above.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What a file of this name is; `None` if it is not part of a segment.
pub(super) fn parse_file_name(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    let base = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some((Offset(base), kind))
}

/// The name of a partition's folder.
pub fn partition_dir_name(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// Topic and partition of a folder's name; `None` if it is not that of a live partition.
pub fn parse_partition_dir_name(name: &str) -> Option<(&str, PartitionIndex)> {
    if name.ends_with(DELETED_DIR) {
        return None;
    }
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok()?;
    let is_topic = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = !topic.is_empty()
        && topic.len() <= MAX_TOPIC_NAME_BYTES
        && topic.bytes().all(is_topic)
        && partition >= 0;
    // "a-+1" and "a-01" parse as numbers, but nobody writes them.
    let index = PartitionIndex(partition);
    (fits && partition_dir_name(topic, index) == name).then_some((topic, index))
}

/// The name that a folder gets when its partition is deleted (R17): unique by `unique`, and never that of a live one.
pub fn deleted_dir_name(topic: &str, partition: PartitionIndex, unique: Uuid) -> String {
    let hex: String = unique.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let tail = format!("-{partition}.{hex}{DELETED_DIR}");
    let room = MAX_FILE_NAME_BYTES - tail.len();
    format!("{}{tail}", topic.get(..room.min(topic.len())).unwrap_or_default())
}

/// Whether a folder is one that `deleted_dir_name` named.
pub fn is_deleted_dir_name(name: &str) -> bool {
    name.ends_with(DELETED_DIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        let name = file_name(Offset(42), FileKind::TimeIndex);
        assert_eq!(name, "00000000000000000042.timeindex");
        assert_eq!(parse_file_name(&name), Some((Offset(42), FileKind::TimeIndex)));
        let dir = partition_dir_name("my-topic.x", PartitionIndex(7));
        assert_eq!(parse_partition_dir_name(&dir), Some(("my-topic.x", PartitionIndex(7))));
    }

    #[test]
    fn foreign_names_are_left_alone() {
        for name in ["0.log", "00000000000000000042.log.deleted", "+0000000000000000042.log", "é"]
        {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
        for name in ["a", "-1", "a-", "a-x", "a-01", "a-+1", "a--1x", "a/b-0", "lost+found"] {
            assert_eq!(parse_partition_dir_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_deleted_partitions_name_is_short_enough_and_never_a_live_one() {
        let topic = "t".repeat(MAX_TOPIC_NAME_BYTES);
        let name = deleted_dir_name(&topic, PartitionIndex(i32::MAX), Uuid::from_random(1));
        assert!(name.len() <= MAX_FILE_NAME_BYTES && is_deleted_dir_name(&name));
        assert_eq!(parse_partition_dir_name(&name), None);
    }
}
