//! Kafka's small text files: offset checkpoints of a log directory, `leader-epoch-checkpoint` and `partition.metadata`
//! of a partition.
//!
//! Invariant: a text of another version or shape is an error, never a guess: the caller then falls back to the log itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};

/// The version that Kafka writes in all of these files.
const VERSION: &str = "0";

/// Why a checkpoint file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The file is not UTF-8.
    #[error("not a text")]
    NotText,
    /// Another version.
    #[error("version {0:?} is unknown, only 0 is")]
    Version(String),
    /// A line that does not have the shape of its place.
    #[error("line {line} is malformed: {text:?}")]
    Malformed {
        /// From 1.
        line: usize,
        /// The line's beginning.
        text: String,
    },
    /// The file has another number of entries than it says.
    #[error("{expected} entries expected, {found} found")]
    Count {
        /// What the file says.
        expected: usize,
        /// What it has.
        found: usize,
    },
}

/// Entries of an offset checkpoint: (topic name, partition) → offset.
pub type OffsetCheckpoint = BTreeMap<(String, PartitionIndex), Offset>;

/// The text of `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint` or
/// `replication-offset-checkpoint`.
pub fn write_offsets(entries: &OffsetCheckpoint) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for ((topic, partition), offset) in entries {
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text
}

/// Reads what `write_offsets` or Kafka wrote.
///
/// # Errors
/// See [`CheckpointError`].
pub fn read_offsets(bytes: &[u8]) -> Result<OffsetCheckpoint, CheckpointError> {
    let lines = entry_lines(bytes)?;
    let mut entries = OffsetCheckpoint::new();
    for (number, line) in lines {
        let mut words = line.split_ascii_whitespace();
        let entry = (|| {
            let topic = words.next()?.to_owned();
            let partition = PartitionIndex(number_from(words.next())?);
            let offset = Offset(number_from(words.next())?);
            words.next().is_none().then_some(((topic, partition), offset))
        })();
        let (key, offset) = entry.ok_or_else(|| malformed(number, line))?;
        entries.insert(key, offset);
    }
    Ok(entries)
}

/// One line of `leader-epoch-checkpoint`: the first offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start_offset: Offset,
}

/// The text of `leader-epoch-checkpoint`.
pub fn write_epochs(entries: &[EpochEntry]) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
    }
    text
}

/// Reads what `write_epochs` or Kafka wrote.
///
/// # Errors
/// See [`CheckpointError`]; entries whose epochs or offsets do not grow are malformed.
pub fn read_epochs(bytes: &[u8]) -> Result<Vec<EpochEntry>, CheckpointError> {
    let mut entries: Vec<EpochEntry> = Vec::new();
    for (number, line) in entry_lines(bytes)? {
        let mut words = line.split_ascii_whitespace();
        let entry = (|| {
            let epoch = LeaderEpoch(number_from(words.next())?);
            let start_offset = Offset(number_from(words.next())?);
            words.next().is_none().then_some(EpochEntry { epoch, start_offset })
        })();
        let grows = |entry: &EpochEntry| {
            entry.epoch.0 >= 0
                && entry.start_offset.0 >= 0
                && entries.last().is_none_or(|last| {
                    last.epoch < entry.epoch && last.start_offset <= entry.start_offset
                })
        };
        entries.push(entry.filter(grows).ok_or_else(|| malformed(number, line))?);
    }
    Ok(entries)
}

/// The text of `partition.metadata`.
pub fn write_partition_metadata(topic: TopicId) -> String {
    format!("version: {VERSION}\ntopic_id: {topic}")
}

/// The topic id of a `partition.metadata`.
///
/// # Errors
/// See [`CheckpointError`].
pub fn read_partition_metadata(bytes: &[u8]) -> Result<TopicId, CheckpointError> {
    let text = text(bytes)?;
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    match version.strip_prefix("version:").map(str::trim) {
        Some(VERSION) => {}
        Some(other) => return Err(CheckpointError::Version(shortened(other))),
        None => return Err(malformed(1, version)),
    }
    let topic = lines.next().unwrap_or_default();
    topic
        .strip_prefix("topic_id:")
        .and_then(|id| id.trim().parse().ok())
        .ok_or_else(|| malformed(2, topic))
}

/// The lines behind version and count, with their numbers; as many as the count says.
fn entry_lines(bytes: &[u8]) -> Result<Vec<(usize, &str)>, CheckpointError> {
    let text = text(bytes)?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (_, version) = lines.next().unwrap_or((1, ""));
    if version.trim() != VERSION {
        return Err(CheckpointError::Version(shortened(version)));
    }
    let (number, count) = lines.next().unwrap_or((2, ""));
    let expected: usize = count.trim().parse().map_err(|_| malformed(number, count))?;
    // Collected from what is there: the count alone allocates nothing.
    let entries: Vec<_> = lines.filter(|(_, line)| !line.trim().is_empty()).collect();
    if entries.len() != expected {
        return Err(CheckpointError::Count { expected, found: entries.len() });
    }
    Ok(entries)
}

fn text(bytes: &[u8]) -> Result<&str, CheckpointError> {
    std::str::from_utf8(bytes).map_err(|_| CheckpointError::NotText)
}

fn number_from<T: FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

fn malformed(line: usize, text: &str) -> CheckpointError {
    CheckpointError::Malformed { line, text: shortened(text) }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
