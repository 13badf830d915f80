//! One partition's log: what is known of it between two calls.
//!
//! Invariant: `log_start <= end`, `recovery_point <= durable_end <= end`, and the segments lie one after the other, the
//! last of them being the one that is appended to. A log that failed takes no more writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::DiskFile;
use ottla_types::{LeaderEpoch, Offset, TopicPartition};

use super::compaction::Cleaning;
use super::config::LogConfig;
use super::epochs::EpochCache;
use super::files::{FileKey, Files};
use super::lookup::ReadHints;
use super::names::{FileKind, parse_partition_dir_name};
use super::segment::{Active, Segment};

/// A partition's log. Holds no descriptor: files come from [`Files`].
#[derive(Debug)]
pub struct PartitionLog {
    pub(super) id: TopicPartition,
    pub(super) dir: Box<Path>,
    pub(super) config: Arc<LogConfig>,
    /// Never empty; ascending. The last one is active, and its file may not exist yet if it holds nothing.
    pub(super) segments: Vec<Segment>,
    pub(super) active: Active,
    pub(super) log_start: Offset,
    pub(super) end: Offset,
    /// Offsets below are synced, in a segment or in the journal.
    pub(super) durable_end: Offset,
    /// Offsets below are in the journal or in a segment that the round syncs.
    pub(super) noted_end: Offset,
    /// Offsets below are synced in segments.
    pub(super) recovery_point: Offset,
    pub(super) epochs: EpochCache,
    /// Names were made in the folder since it was last synced.
    pub(super) has_unsynced_names: bool,
    /// A checkpoint that runs has names to sync: they are not durable before it ended.
    pub(super) has_names_in_checkpoint: bool,
    /// The written recovery point may be above the end, after a cut: it must be written anew before the journal's frame
    /// that tells of the cut is void.
    pub(super) is_point_outdated: bool,
    /// Base of the oldest segment whose index files have entries that were not synced.
    pub(super) unsynced_indexes: Option<Offset>,
    pub(super) is_failed: bool,
    /// Counts cuts: a checkpoint that began before one says nothing about what came after it.
    pub(super) generation: u32,
    pub(super) hints: ReadHints,
    /// Segments of it are being compacted: none is deleted meanwhile.
    pub(super) cleaning: Option<Cleaning>,
}

impl PartitionLog {
    /// Topic id and index.
    pub fn id(&self) -> TopicPartition {
        self.id
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The topic's name, as the folder bears it.
    pub fn topic(&self) -> &str {
        let name = self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        parse_partition_dir_name(name).map_or(name, |(topic, _)| topic)
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Another configuration from now on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that can be read.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset of the next record (exclusive end).
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Offsets below survive a crash.
    pub fn durable_end(&self) -> Offset {
        self.durable_end
    }

    /// Says that a round that ended at `end` is durable. Never moves back.
    pub fn set_durable_end(&mut self, end: Offset) {
        self.durable_end = self.durable_end.max(end.min(self.end));
    }

    /// The end offset that counts for the high watermark: durable, or written, as `flush.messages` says.
    pub fn counting_end(&self) -> Offset {
        if self.config.durable { self.durable_end } else { self.end }
    }

    /// Offsets below need no recovery.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Leader epochs.
    pub fn epochs(&self) -> &EpochCache {
        &self.epochs
    }

    /// Notes that a leader epoch begins at the end of the log.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.end);
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.size)).sum()
    }

    /// Bytes of the segment that is written.
    pub fn active_bytes(&self) -> u64 {
        u64::from(self.active_segment().size)
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Whether a write or a sync failed: the log takes no more writes until it is opened anew (R16).
    pub fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// Refuses writes from now on: for an error that happened elsewhere, such as a checkpoint's.
    pub fn fail(&mut self) {
        self.is_failed = true;
    }

    pub(super) fn active_segment(&self) -> Segment {
        *self.segments.last().expect("a log has a segment")
    }

    pub(super) fn active_segment_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has a segment")
    }

    pub(super) fn is_active(&self, index: usize) -> bool {
        index + 1 == self.segments.len()
    }

    pub(super) fn key(&self, base: Offset, kind: FileKind) -> FileKey {
        let is_swap = self.cleaning.is_some_and(|cleaning| cleaning.is_swap(base, kind));
        FileKey { log: self.id, base, kind, is_swap }
    }

    pub(super) fn path(&self, base: Offset, kind: FileKind) -> PathBuf {
        self.key(base, kind).path(&self.dir)
    }

    pub(super) fn open_file(
        &self,
        files: &mut Files,
        base: Offset,
        kind: FileKind,
    ) -> std::io::Result<Arc<dyn DiskFile>> {
        files.open(&self.dir, self.key(base, kind))
    }

    /// Notes that index entries of the segment at `base` were written.
    pub(super) fn note_unsynced_indexes(&mut self, base: Offset) {
        self.unsynced_indexes = Some(self.unsynced_indexes.map_or(base, |oldest| oldest.min(base)));
    }

    /// A file of a segment, made on first use.
    pub(super) fn create_file(
        &self,
        files: &mut Files,
        base: Offset,
        kind: FileKind,
    ) -> std::io::Result<Arc<dyn DiskFile>> {
        files.create(&self.dir, self.key(base, kind))
    }

    /// The offset behind the last one of a segment.
    pub(super) fn segment_end(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.end, |next| next.base)
    }

    /// The segment that holds `offset`, or would; the first one if it is below all.
    pub(super) fn segment_index(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }
}
