//! Opening one partition.
//!
//! Invariant: nothing in the folder is changed before it is known that the partition can be served, but for a compacted segment that
//! counts already: it takes its place first. A folder that is in quarantine is not looked at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::checkpoint::{
    CheckpointError as TextError, read_epochs, read_partition_metadata,
};
use ottla_log_format::{PlacedBatch, batches};
use ottla_types::{Offset, TimestampMs, TopicId, TopicPartition};

use super::finish_swaps::finish_swaps;
use super::quarantine::{Remembered, refuse_marked};
use super::segments::{Folder, segment_at};
use super::tail::{Tail, Walk};
use crate::log::append::AppendError;
use crate::log::config::LogConfig;
use crate::log::epochs::EpochCache;
use crate::log::files::Files;
use crate::log::journal::{FrameRef, JournalDamage, JournalReplay, PartitionFrames};
use crate::log::lookup::CorruptSegment;
use crate::log::names::{FileKind, LEADER_EPOCHS, PARTITION_METADATA, parse_partition_dir_name};
use crate::log::partition_log::PartitionLog;
use crate::log::recovery_points::RecoveryPoints;
use crate::log::text_file;

/// Why a partition cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `partition.metadata` is missing or malformed.
    #[error("{} does not say whose log this is{}", .path.display(), .reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; `None` if it is missing.
        reason: Option<TextError>,
    },
    /// A segment is corrupt where that cannot come from a crash (R16).
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// The journal is corrupt, and the partition's latest batches may have been there (R16).
    #[error(transparent)]
    Journal(#[from] JournalDamage),
    /// An earlier start found it broken (R16).
    #[error("quarantined by an earlier start: {reason}")]
    Quarantined {
        /// The file that says so.
        path: PathBuf,
        /// What that start found.
        reason: String,
    },
    /// Batches from the journal could not be appended again.
    #[error("cannot replay the journal: {0}")]
    Replay(#[from] AppendError),
    /// The disk's own error.
    #[error("cannot open {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What opening needs to know besides the folder.
pub struct OpenInput<'a> {
    /// Of the log directory.
    pub points: &'a RecoveryPoints,
    /// Of the log directory; empty after a clean stop.
    pub replay: &'a JournalReplay,
    /// The clean-shutdown marker was there: files are as they were left.
    pub is_clean: bool,
    /// What is known of the folder if it was in quarantine before this start.
    pub remembered: Option<Remembered<'a>>,
    /// The configuration of a topic.
    pub config: &'a dyn Fn(TopicId) -> Arc<LogConfig>,
}

impl OpenInput<'_> {
    /// Whether a person has put the log in order after a quarantine: what is sound in it is all that was promised.
    fn is_put_in_order(&self, topic: TopicId) -> bool {
        self.remembered.as_ref().is_some_and(|remembered| remembered.is_in_order(topic))
    }

    /// Whether the files are as a clean stop left them: it never touched those of a folder that was in quarantine.
    fn is_left_clean(&self) -> bool {
        self.is_clean && self.remembered.is_none()
    }

    fn frames(&self, id: TopicPartition) -> PartitionFrames {
        let kept = || self.remembered.as_ref().map(|remembered| remembered.frames(id));
        self.replay.partitions.get(&id).cloned().or_else(kept).unwrap_or_default()
    }
}

impl PartitionLog {
    /// Opens the log in `dir`: verifies what may not have been synced, replays the journal beyond it, cuts a torn tail.
    /// What was repaired is not synced yet: checkpoint the log before the journal is started anew.
    ///
    /// # Errors
    /// The partition, if it is known, and why it is to be quarantined; the folder is then as it was.
    pub fn open(
        files: &mut Files,
        dir: &Path,
        input: &OpenInput<'_>,
    ) -> Result<Self, (Option<TopicPartition>, OpenError)> {
        let id = read_id(files, dir).map_err(|error| (None, error))?;
        files.forget_log(id);
        refuse_marked(&**files.disk(), dir).map_err(|error| (Some(id), error))?;
        open_known(files, dir, id, input).map_err(|error| (Some(id), error))
    }
}

fn read_id(files: &Files, dir: &Path) -> Result<TopicPartition, OpenError> {
    let path = dir.join(PARTITION_METADATA);
    let bytes = text_file::read(&**files.disk(), &path).map_err(OpenError::io(&path))?;
    let metadata = |reason| OpenError::Metadata { path: path.clone(), reason };
    let topic = read_partition_metadata(&bytes.ok_or_else(|| metadata(None))?)
        .map_err(|reason| metadata(Some(reason)))?;
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (_, partition) = parse_partition_dir_name(name).ok_or_else(|| metadata(None))?;
    Ok(TopicPartition { topic, partition })
}

fn open_known(
    files: &mut Files,
    dir: &Path,
    id: TopicPartition,
    input: &OpenInput<'_>,
) -> Result<PartitionLog, OpenError> {
    if let Some(damage) = input.replay.damage_of(id) {
        return Err(damage.clone().into());
    }
    let frames = input.frames(id);
    let is_put_in_order = input.is_put_in_order(id.topic);
    let mut log = PartitionLog::empty(dir.to_owned(), id, (input.config)(id.topic), Offset::ZERO);
    finish_swaps(&**files.disk(), dir, &log.config)?;
    let folder = Folder::look(&**files.disk(), dir, first_offset(&frames));
    let folder = folder.map_err(OpenError::io(dir))?;
    let base = folder.segments[0].base;
    let written = input.points.recovery_point(log.topic(), id.partition);
    let known = if is_put_in_order { base } else { written };
    let recovery_point = frames.cut.map_or(known, |cut| known.min(cut)).max(base);
    let start = input.points.log_start(log.topic(), id.partition);
    log.log_start = start.map_or(base, |start| start.max(base));
    log.epochs = read_epoch_file(files, dir)?;
    log.segments.clone_from(&folder.segments);

    // The segment that ends at the recovery point was the active one of that checkpoint: its indexes were not synced.
    let first = segment_at(&log.segments, recovery_point.plus(-1));
    let allows_gaps = input.points.cleaned().may_have_gaps(log.topic(), id.partition);
    let walk = Walk { first, recovery_point, is_clean: input.is_left_clean(), allows_gaps };
    let tail = Tail::find(files, &log, walk)?;
    let durable_mark = frames.durable_mark.unwrap_or(Offset::ZERO).max(recovery_point);
    let plan = plan_replay(&frames.frames, &tail);
    if !is_put_in_order {
        tail.check(files, &log, plan.end, durable_mark)?;
    }
    folder.settle(files, &mut log)?;
    tail.settle(files, &mut log)?;
    log.recovery_point = recovery_point.min(log.end);
    for (frame, from) in plan.appends {
        append_frame(files, &mut log, frame, from)?;
    }
    log.log_start = log.log_start.min(log.end);
    log.epochs.truncate_start(log.log_start);
    log.epochs.truncate_end(log.end);
    log.recovery_point = if walk.is_clean { log.end } else { log.recovery_point };
    (log.durable_end, log.noted_end) = (log.end, log.end);
    // What was made within the journal's time may have unsynced names. And a recovery point that a cut put out of date must
    // be written anew before the journal, which alone knows of the cut, is void.
    log.is_point_outdated = log.recovery_point < written;
    log.has_unsynced_names |= frames.created.is_some() || log.recovery_point < log.end;
    Ok(log)
}

/// Where a log without a segment begins: where the journal made it.
fn first_offset(frames: &PartitionFrames) -> Offset {
    let created = frames.created.as_ref().map(|(_, start)| *start);
    created.or(frames.cut.filter(|_| !frames.frames.is_empty())).unwrap_or(Offset::ZERO)
}

fn read_epoch_file(files: &Files, dir: &Path) -> Result<EpochCache, OpenError> {
    let path = dir.join(LEADER_EPOCHS);
    let bytes = text_file::read(&**files.disk(), &path).map_err(OpenError::io(&path))?;
    // A malformed file is as good as none: the batches bear their epochs.
    Ok(EpochCache::from_entries(
        bytes.and_then(|bytes| read_epochs(&bytes).ok()).unwrap_or_default(),
    ))
}

/// What is appended again from the journal.
pub(super) struct Plan<'a> {
    /// Frames, and the offset from which on their batches are missing.
    pub(super) appends: Vec<(&'a FrameRef, Offset)>,
    /// The log's end afterwards.
    pub(super) end: Offset,
}

fn plan_replay<'a>(frames: &'a [FrameRef], tail: &Tail) -> Plan<'a> {
    let mut plan = Plan { appends: Vec::new(), end: tail.end() };
    for frame in frames {
        // A gap stays one: the check against the durable mark finds it.
        if frame.base <= plan.end && frame.end > plan.end {
            plan.appends.push((frame, plan.end));
            plan.end = frame.end;
        }
    }
    plan
}

fn append_frame(
    files: &mut Files,
    log: &mut PartitionLog,
    frame: &FrameRef,
    from: Offset,
) -> Result<(), OpenError> {
    let mut bytes = vec![0; frame.len];
    frame
        .file
        .read_exact_at(&mut bytes, frame.position)
        .map_err(OpenError::io(&log.path(from, FileKind::Log)))?;
    let bytes = bytes::Bytes::from(bytes);
    // The replay checked every batch; one that a later cut divided is left out, as the cut left it out.
    let missing = batches(&bytes)
        .flatten()
        .filter(|batch| batch.header.base_offset >= from && batch.header.next_offset() <= frame.end)
        .map(|batch| {
            let range = batch.position..batch.position + batch.bytes.len();
            PlacedBatch::stored(bytes.slice(range), batch.header)
        });
    let missing: Vec<PlacedBatch> = missing.collect();
    if let Some(first) = missing.first() {
        let now = TimestampMs(first.header().max_timestamp.0);
        log.append(files, &missing, now)?;
    }
    Ok(())
}
