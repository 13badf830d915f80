//! What is asked of a node's log directories, and what it answers.
//!
//! Invariant: each directory is told of, also one that failed. Deliberately does not know files.

use ottla_types::{DirectoryId, ErrorCode, TopicPartition};

/// Which partitions to describe; `None`: all.
#[derive(Clone, Debug)]
pub struct DescribeLogDirsRequest {
    /// Partitions wanted.
    pub partitions: Option<Vec<TopicPartition>>,
}

/// The node's directories.
#[derive(Clone, Debug)]
pub struct DescribeLogDirsResponse {
    /// One a directory.
    pub directories: Vec<LogDirectory>,
}

/// One log directory.
#[derive(Clone, Debug)]
pub struct LogDirectory {
    /// `None`, or KAFKA_STORAGE_ERROR when the directory failed.
    pub error: ErrorCode,
    /// Absolute path.
    pub path: String,
    /// Its id.
    pub id: DirectoryId,
    /// Size of its file system in bytes, -1 unknown.
    pub total_bytes: i64,
    /// Free bytes of its file system, -1 unknown.
    pub usable_bytes: i64,
    /// Partitions in it.
    pub partitions: Vec<LogDirectoryPartition>,
}

/// One partition of a log directory.
#[derive(Clone, Copy, Debug)]
pub struct LogDirectoryPartition {
    /// Which.
    pub partition: TopicPartition,
    /// Bytes of its segments.
    pub size_bytes: i64,
    /// How far it is behind the high watermark.
    pub offset_lag: i64,
}
