//! What the journals of a log directory say of each partition, in the order in which it happened.
//!
//! Invariant: only whole rounds of a file's own generation count, from its first one on. The last round of all may be
//! torn (nobody was answered from it) and is left out; damage before that is reported, never skipped over in silence (R16).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_log_format::batches;
use ottla_log_format::journal::{
    BLOCK_BYTES, FIRST_ROUND_AT, FRAME_HEADER_BYTES, FileHeader, FrameHeader, FrameKind,
    JournalFormatError, ROUND_HEADER_BYTES, RoundHeader,
};
use ottla_runtime::seams::{Disk, DiskFile};
use ottla_types::{Offset, TopicPartition};

use super::JOURNAL_DIR_PREFIX;
use super::file::{FILES_PER_JOURNAL, open_existing, path_of};
use super::kept::is_kept_name;

/// Batches in a journal file, not yet known to be in a segment.
#[derive(Clone)]
pub(in crate::log) struct FrameRef {
    pub(in crate::log) file: Arc<dyn DiskFile>,
    pub(in crate::log) position: u64,
    pub(in crate::log) len: usize,
    pub(in crate::log) base: Offset,
    /// Where the frame's batches end, or where a later truncation cut them.
    pub(in crate::log) end: Offset,
}

/// What the journal says of one partition.
#[derive(Clone, Default)]
pub(in crate::log) struct PartitionFrames {
    /// The topic's name and the first offset, if the partition was made within the journal's time.
    pub(in crate::log) created: Option<(String, Offset)>,
    pub(in crate::log) frames: Vec<FrameRef>,
    /// Offsets below were promised to be durable.
    pub(in crate::log) durable_mark: Option<Offset>,
    /// The lowest offset that the log was cut to: a recovery point above it is out of date.
    pub(in crate::log) cut: Option<Offset>,
}

impl PartitionFrames {
    fn raise_mark(&mut self, end: Offset) {
        self.durable_mark = Some(self.durable_mark.map_or(end, |mark| mark.max(end)));
    }

    fn cut(&mut self, to: Offset) {
        self.frames.retain(|frame| frame.base < to);
        self.frames.iter_mut().for_each(|frame| frame.end = frame.end.min(to));
        self.durable_mark = self.durable_mark.map(|mark| mark.min(to));
        self.cut = Some(self.cut.map_or(to, |cut| cut.min(to)));
    }

    fn drop_all(&mut self, start: Offset) {
        *self = Self { cut: Some(start), ..Self::default() };
    }
}

/// A place in a journal that was promised and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal {} is corrupt at position {position}: {reason}", .path.display())]
pub struct JournalDamage {
    /// The file.
    pub path: PathBuf,
    /// Where, in bytes from its beginning.
    pub position: u64,
    /// What is wrong there.
    pub reason: String,
    /// The partition whose frame it is; `None` if that cannot be told.
    pub partition: Option<TopicPartition>,
}

/// A journal that was read.
pub(in crate::log) struct ReadJournal {
    pub(in crate::log) dir: PathBuf,
    /// Partitions that it names, in frames or in damage.
    pub(in crate::log) partitions: BTreeSet<TopicPartition>,
}

/// All journals of a log directory, read; but for those that are kept for quarantined partitions.
#[derive(Default)]
pub struct JournalReplay {
    pub(in crate::log) partitions: BTreeMap<TopicPartition, PartitionFrames>,
    journals: Vec<ReadJournal>,
    damage: Vec<JournalDamage>,
}

impl JournalReplay {
    /// Reads all journals below `log_dir`. After a clean stop there is nothing in them that counts: use `default`.
    ///
    /// # Errors
    /// The disk's own, with the path.
    pub fn read(disk: &dyn Disk, log_dir: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let mut replay = Self::default();
        let entries = disk.list(log_dir).map_err(|error| (log_dir.to_owned(), error))?;
        for entry in entries.iter().filter(|entry| {
            entry.is_dir && entry.name.starts_with(JOURNAL_DIR_PREFIX) && !is_kept_name(&entry.name)
        }) {
            let dir = log_dir.join(&entry.name);
            replay.read_journal(disk, &dir).map_err(|error| (dir, error))?;
        }
        Ok(replay)
    }

    /// Reads one journal.
    pub(in crate::log) fn read_one(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let mut replay = Self::default();
        replay.read_journal(disk, dir)?;
        Ok(replay)
    }

    /// The journals that were read.
    pub(in crate::log) fn journals(&self) -> &[ReadJournal] {
        &self.journals
    }

    /// Places that were promised and cannot be read. Recovery quarantines the partitions that they name; one that names
    /// none concerns every partition that has frames in that journal.
    pub fn damage(&self) -> &[JournalDamage] {
        &self.damage
    }

    /// The damage that keeps a partition from being opened.
    pub(in crate::log) fn damage_of(&self, partition: TopicPartition) -> Option<&JournalDamage> {
        let has_frames = |damage: &JournalDamage| {
            let names = |journal: &ReadJournal| {
                damage.path.starts_with(&journal.dir) && journal.partitions.contains(&partition)
            };
            self.journals.iter().any(names)
        };
        self.damage.iter().find(|damage| {
            damage.partition.map_or_else(|| has_frames(damage), |named| named == partition)
        })
    }

    fn note(&mut self, partition: TopicPartition) {
        if let Some(journal) = self.journals.last_mut() {
            journal.partitions.insert(partition);
        }
    }

    fn read_journal(&mut self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        self.journals.push(ReadJournal { dir: dir.to_owned(), partitions: BTreeSet::new() });
        let mut found = Vec::new();
        for number in 0..FILES_PER_JOURNAL {
            let path = path_of(dir, number);
            let Some(there) = open_existing(disk, dir, number)? else { continue };
            if let Some(header) = there.header {
                let len = there.file.len()?;
                found.push(JournalPart { file: there.file, path, header, len });
            } else {
                let reason = JournalFormatError::Magic.to_string();
                self.damage.push(JournalDamage { path, position: 0, reason, partition: None });
            }
        }
        found.sort_by_key(|part: &JournalPart| part.header.generation);
        let firsts = found.iter().map(JournalPart::first_round).collect::<io::Result<Vec<_>>>()?;
        let next_rounds = firsts.into_iter().skip(1).chain([None]);
        for (part, next_round) in found.into_iter().zip(next_rounds) {
            FileReader { replay: self, part, last_round: None, next_round }.read()?;
        }
        Ok(())
    }

    fn apply(&mut self, header: &FrameHeader, frame: FrameRef, payload: &[u8]) {
        self.note(header.partition);
        let partition = self.partitions.entry(header.partition).or_default();
        match header.kind {
            FrameKind::Batches => {
                partition.raise_mark(frame.end);
                partition.frames.push(frame);
            }
            FrameKind::Created => {
                let topic = String::from_utf8_lossy(payload).into_owned();
                partition.created = Some((topic, header.offset));
            }
            FrameKind::Truncated => partition.cut(header.offset),
            FrameKind::Dropped => partition.drop_all(header.offset),
            FrameKind::Synced => partition.raise_mark(header.offset),
        }
    }
}

/// One file of a journal, as it was found.
struct JournalPart {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    header: FileHeader,
    /// Of the file, in bytes.
    len: u64,
}

impl JournalPart {
    /// The number of the first round, if there is one of the file's own generation.
    fn first_round(&self) -> io::Result<Option<u64>> {
        let header = self.round_header_at(FIRST_ROUND_AT)?;
        let own = header.filter(|header| header.generation == self.header.generation);
        Ok(own.map(|header| header.round))
    }

    /// The header of a round, if a whole one begins here.
    fn round_header_at(&self, position: u64) -> io::Result<Option<RoundHeader>> {
        if position + ROUND_HEADER_BYTES as u64 > self.len {
            return Ok(None);
        }
        let mut bytes = [0; ROUND_HEADER_BYTES];
        self.file.read_exact_at(&mut bytes, position)?;
        let header = RoundHeader::decode(&bytes, self.header.salt).ok();
        Ok(header.filter(|header| position + header.size_bytes() <= self.len))
    }
}

struct FileReader<'r> {
    replay: &'r mut JournalReplay,
    part: JournalPart,
    last_round: Option<u64>,
    /// The first round of the file that was used next: when it was written, every round of this one had been synced.
    next_round: Option<u64>,
}

/// Why a round does not count.
struct BadFrame {
    position: u64,
    reason: String,
    partition: Option<TopicPartition>,
}

impl FileReader<'_> {
    fn read(mut self) -> io::Result<()> {
        let mut position = FIRST_ROUND_AT;
        while let Some(header) = self.round_at(position)? {
            let body = self.body(&header, position)?;
            let read = parse_round(&header, position, &body);
            let next = position + header.size_bytes();
            if read.bad.is_empty() {
                read.frames.iter().for_each(|frame| self.apply(frame, &body));
            } else if self.next_round.is_none() && self.later_round(next, header.round)?.is_none() {
                // Torn: what comes before the first bad frame is whole, and may count or not.
                read.frames[..read.before_bad].iter().for_each(|frame| self.apply(frame, &body));
                return Ok(());
            } else {
                // A round is written only after the one before was synced: this one was promised.
                read.frames.iter().for_each(|frame| self.apply(frame, &body));
                read.bad.into_iter().for_each(|bad| self.report(bad));
            }
            self.last_round = Some(header.round);
            position = next;
        }
        if let Some(found) = self.later_round(position, self.last_round.unwrap_or(0))? {
            let reason = format!("a round is missing before the one at {found}");
            self.report(BadFrame { position, reason, partition: None });
        } else if let Some(next) = self.next_round
            && self.last_round.is_some_and(|last| last + 1 < next)
        {
            let reason = format!("rounds are missing before round {next} of the file used next");
            self.report(BadFrame { position, reason, partition: None });
        }
        Ok(())
    }

    fn report(&mut self, bad: BadFrame) {
        let BadFrame { position, reason, partition } = bad;
        partition.into_iter().for_each(|named| self.replay.note(named));
        self.replay.damage.push(JournalDamage {
            path: self.part.path.clone(),
            position,
            reason,
            partition,
        });
    }

    /// The header of the next round, if a whole one of this generation begins here.
    fn round_at(&self, position: u64) -> io::Result<Option<RoundHeader>> {
        let Some(header) = self.part.round_header_at(position)? else { return Ok(None) };
        let follows = self.last_round.is_none_or(|last| header.round == last + 1);
        Ok(Some(header)
            .filter(|header| header.generation == self.part.header.generation && follows))
    }

    /// The place of a round of this generation or a newer one that was written after `round`, from `position` on.
    fn later_round(&self, position: u64, round: u64) -> io::Result<Option<u64>> {
        let mut at = position;
        while at < self.part.len {
            if let Some(header) = self.part.round_header_at(at)? {
                // The first torn round is `round + 1` at most: what comes after that was written later.
                let is_later = header.generation > self.part.header.generation
                    || (header.generation == self.part.header.generation && header.round > round);
                if is_later {
                    return Ok(Some(at));
                }
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(None)
    }

    fn body(&self, header: &RoundHeader, position: u64) -> io::Result<Vec<u8>> {
        // Within the file: `round_header_at` saw to it.
        let mut body = vec![0; header.body_len as usize];
        self.part.file.read_exact_at(&mut body, position + ROUND_HEADER_BYTES as u64)?;
        Ok(body)
    }

    fn apply(&mut self, parsed: &ParsedFrame, body: &[u8]) {
        let payload = &body[parsed.payload.clone()];
        let end = match parsed.header.kind {
            FrameKind::Batches => {
                let last = batches(payload).flatten().last();
                last.map_or(parsed.header.offset, |batch| batch.header.next_offset())
            }
            _ => parsed.header.offset,
        };
        let frame = FrameRef {
            file: Arc::clone(&self.part.file),
            position: parsed.position,
            len: payload.len(),
            base: parsed.header.offset,
            end,
        };
        self.replay.apply(&parsed.header, frame, payload);
    }
}

struct ParsedFrame {
    header: FrameHeader,
    /// Of the payload in the file.
    position: u64,
    /// Of the payload in the round's body.
    payload: Range<usize>,
}

#[derive(Default)]
struct ParsedRound {
    frames: Vec<ParsedFrame>,
    /// Frames that stand before the first bad one.
    before_bad: usize,
    bad: Vec<BadFrame>,
}

impl ParsedRound {
    fn add_bad(&mut self, position: u64, reason: impl ToString, partition: Option<TopicPartition>) {
        if self.bad.is_empty() {
            self.before_bad = self.frames.len();
        }
        self.bad.push(BadFrame { position, reason: reason.to_string(), partition });
    }
}

/// The frames of a round that are whole, and what is wrong with the others. `position` is the round's.
fn parse_round(round: &RoundHeader, position: u64, body: &[u8]) -> ParsedRound {
    let mut parsed = ParsedRound::default();
    let (mut at, mut count) = (0, 0);
    while at < body.len() {
        let place = position + ROUND_HEADER_BYTES as u64 + at as u64;
        let header = FrameHeader::decode(&body[at..]);
        let belongs = |header: &FrameHeader| {
            header.generation == round.generation && header.round_low == round.round as u32
        };
        let header = match header {
            Ok(header) if belongs(&header) => header,
            Ok(_) => {
                parsed.add_bad(place, "a frame of another round", None);
                return parsed;
            }
            Err(error) => {
                parsed.add_bad(place, error, None);
                return parsed;
            }
        };
        let from = at + FRAME_HEADER_BYTES;
        let range = from..from.saturating_add(header.payload_len as usize);
        let Some(payload) = body.get(range.clone()) else {
            parsed.add_bad(place, JournalFormatError::TooShort, None);
            return parsed;
        };
        match header.check_payload(payload) {
            Ok(()) => {
                let position = place + FRAME_HEADER_BYTES as u64;
                parsed.frames.push(ParsedFrame { header, position, payload: range });
            }
            Err(error) => parsed.add_bad(place, error, Some(header.partition)),
        }
        at = from + header.payload_len as usize;
        count += 1;
    }
    if count != round.frame_count {
        parsed.add_bad(position, "frames are missing", None);
    }
    parsed
}
