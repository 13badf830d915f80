//! What lasts of a quarantine: a file in the partition's folder, a list in the log directory, and the journals that are kept.
//!
//! Invariant: a folder with the file `quarantined` is never opened, until a person takes the file away or puts a copy in the
//! folder's place; the list tells such a folder from one that never was in quarantine. File first, then list, then journals, so
//! that at every crash point a folder without the file is one that a person has put in order. A folder that was put in order is
//! served with what is sound in it; what the kept journals hold is appended as far as it continues it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ottla_runtime::seams::{DirEntry, Disk};
use ottla_types::{TopicId, TopicPartition};

use super::open::OpenError;
use super::{FoundLogDir, Quarantined};
use crate::log::journal::{JournalReplay, PartitionFrames, ReadJournal, kept_journals, kept_name};
use crate::log::names::{FileKind, parse_file_name};
use crate::log::partition_log::PartitionLog;
use crate::log::text_file;

/// The file in a quarantined partition's folder.
const MARK: &str = "quarantined";
/// First line of that file: what it is, and the version of its format. The reason follows, as text.
const MARK_MAGIC: &str = "ottla-quarantine 1";
/// Longest reason that is written, in characters.
const MAX_REASON_CHARS: usize = 2_000;
/// The list of a log directory's quarantined folders.
const LIST: &str = ".ottla-quarantined";
/// First line of the list. Each further line is a folder, its topic's id or `?`, and the journals that are kept for it.
const LIST_MAGIC: &str = "ottla-quarantine-list 1";
/// Stands for an id that is not known.
const UNKNOWN: &str = "?";

impl Quarantined {
    /// The file that keeps the partition from being served.
    pub fn mark(&self) -> PathBuf {
        self.dir.join(MARK)
    }

    /// Whether a crash in the middle of making the partition left this: a folder that does not say whose it is, without a record.
    ///
    /// # Errors
    /// The disk's own.
    pub fn is_unborn(&self, disk: &dyn Disk) -> io::Result<bool> {
        if self.partition.is_some() || !matches!(self.error, OpenError::Metadata { .. }) {
            return Ok(false);
        }
        let holds_records = |entry: &DirEntry| {
            entry.len > 0 && matches!(parse_file_name(&entry.name), Some((_, FileKind::Log)))
        };
        Ok(!disk.list(&self.dir)?.iter().any(holds_records))
    }
}

/// Refuses a folder that is in quarantine.
pub(super) fn refuse_marked(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(MARK);
    let Some(bytes) = text_file::read(disk, &path).map_err(OpenError::io(&path))? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&bytes);
    let reason =
        text.strip_prefix(MARK_MAGIC).map_or("for a reason that cannot be read", str::trim);
    let reason = reason.chars().take(MAX_REASON_CHARS).collect();
    Err(OpenError::Quarantined { path, reason })
}

/// Puts a folder into quarantine, durably. The first reason stays.
fn mark(disk: &dyn Disk, broken: &Quarantined) -> io::Result<()> {
    if disk.exists(&broken.mark())? {
        return Ok(());
    }
    let reason: String = broken.error.to_string().chars().take(MAX_REASON_CHARS).collect();
    text_file::replace(disk, &broken.mark(), format!("{MARK_MAGIC}\n{reason}\n").as_bytes())
}

/// What is remembered of a quarantined folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// Its topic, if its metadata could be read.
    topic: Option<TopicId>,
    /// Journals that are kept for it, in the order in which they were written.
    journals: Vec<String>,
}

/// The quarantined folders of a log directory, by name.
#[derive(Debug, Default, PartialEq, Eq)]
struct List(BTreeMap<String, Entry>);

impl List {
    fn read(disk: &dyn Disk, log_dir: &Path) -> io::Result<Self> {
        let path = log_dir.join(LIST);
        let Some(bytes) = text_file::read(disk, &path)? else { return Ok(Self::default()) };
        let list = std::str::from_utf8(&bytes).ok().and_then(Self::parse);
        list.ok_or_else(|| {
            let cure = "remove it only once no folder has a file `quarantined`";
            io::Error::other(format!(
                "{} is no list of quarantined folders; {cure}",
                path.display()
            ))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let entry = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let (name, topic) = (words.next()?, words.next()?);
            let topic = if topic == UNKNOWN { None } else { Some(topic.parse().ok()?) };
            Some((name, Entry { topic, journals: words.collect() }))
        };
        if lines.next() != Some(LIST_MAGIC) {
            return None;
        }
        lines.map(entry).collect::<Option<_>>().map(Self)
    }

    fn text(&self) -> String {
        let mut text = format!("{LIST_MAGIC}\n");
        for (name, entry) in &self.0 {
            let topic = entry.topic.map_or(UNKNOWN.to_owned(), |topic| topic.to_string());
            let words = [name.clone(), topic].into_iter().chain(entry.journals.iter().cloned());
            text.push_str(&words.collect::<Vec<_>>().join(" "));
            text.push('\n');
        }
        text
    }

    fn journals(&self) -> BTreeSet<&String> {
        self.0.values().flat_map(|entry| &entry.journals).collect()
    }
}

/// What a log directory remembers of quarantines of earlier starts.
#[derive(Default)]
pub(super) struct Memory {
    list: List,
    /// The journals that the list names, read.
    kept: BTreeMap<String, JournalReplay>,
}

/// What is remembered of a folder that was quarantined at the start before this one.
pub struct Remembered<'a> {
    entry: &'a Entry,
    memory: &'a Memory,
}

impl Remembered<'_> {
    /// Whether a person has put this topic's log in order: what is sound in it is all there is.
    pub(super) fn is_in_order(&self, topic: TopicId) -> bool {
        self.entry.topic == Some(topic)
    }

    /// What the kept journals have for a partition.
    pub(super) fn frames(&self, id: TopicPartition) -> PartitionFrames {
        let journals = self.entry.journals.iter().filter_map(|name| self.memory.kept.get(name));
        let mut all = PartitionFrames::default();
        for frames in journals.filter_map(|journal| journal.partitions.get(&id)) {
            all.frames.extend(frames.frames.iter().cloned());
            all.durable_mark = all.durable_mark.max(frames.durable_mark);
            all.cut = all.cut.into_iter().chain(frames.cut).min();
            all.created = all.created.or_else(|| frames.created.clone());
        }
        all
    }
}

impl Memory {
    pub(super) fn read(disk: &dyn Disk, log_dir: &Path) -> io::Result<Self> {
        let list = List::read(disk, log_dir)?;
        let read =
            |name: &String| Ok((name.clone(), JournalReplay::read_one(disk, &log_dir.join(name))?));
        let kept = list.journals().into_iter().map(read).collect::<io::Result<_>>()?;
        Ok(Self { list, kept })
    }

    pub(super) fn of(&self, folder: &str) -> Option<Remembered<'_>> {
        self.list.0.get(folder).map(|entry| Remembered { entry, memory: self })
    }
}

/// Whose the quarantined folders are, as far as that is known.
type Owners<'q> = BTreeMap<&'q str, Option<TopicPartition>>;

impl FoundLogDir {
    /// Makes the quarantines last, keeps the journals that they need, and removes those that none needs any more.
    pub(super) fn keep_quarantined(
        &self,
        logs: &[PartitionLog],
        quarantined: &[Quarantined],
    ) -> io::Result<()> {
        let disk = &*self.disk;
        let (mut list, partitions) = self.mark_all(quarantined)?;
        let known = logs.iter().map(PartitionLog::id).chain(partitions.values().flatten().copied());
        let known: BTreeSet<TopicPartition> = known.collect();
        let on_disk = kept_journals(disk, &self.log_dir)?;
        let mut taken: BTreeSet<String> = on_disk.iter().cloned().collect();
        let mut renames = Vec::new();
        for journal in self.replay.journals() {
            let is_needed = |partition: &Option<TopicPartition>| match partition {
                Some(id) => journal.partitions.contains(id),
                None => self.has_orphans(journal, &known),
            };
            let wanting: Vec<_> = partitions.iter().filter(|(_, one)| is_needed(one)).collect();
            let name = journal.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if wanting.is_empty() {
                continue;
            }
            let kept = kept_name(name, &taken)?;
            for (folder, _) in wanting {
                list.0.entry((*folder).to_owned()).or_default().journals.push(kept.clone());
            }
            renames.push((&journal.dir, self.log_dir.join(&kept)));
            taken.insert(kept);
        }
        if list != self.memory.list {
            text_file::replace(disk, &self.log_dir.join(LIST), list.text().as_bytes())?;
        }
        renames.iter().try_for_each(|(from, to)| disk.rename(from, to))?;
        let needed = list.journals();
        let unneeded = on_disk.iter().filter(|name| !needed.contains(name));
        unneeded.into_iter().try_for_each(|name| disk.remove_dir_all(&self.log_dir.join(name)))?;
        disk.sync_dir(&self.log_dir)
    }

    /// Marks all quarantined folders. What is to be listed, and whose each folder is.
    fn mark_all<'q>(&self, quarantined: &'q [Quarantined]) -> io::Result<(List, Owners<'q>)> {
        let (mut list, mut owners) = (List::default(), Owners::new());
        for broken in quarantined {
            let name = broken.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if broken.is_unborn(&*self.disk)? {
                continue;
            }
            mark(&*self.disk, broken)?;
            let topic = broken.partition.map(|id| id.topic);
            let before = self.memory.list.0.get(name).filter(|entry| {
                // Else the folder before was one of a deleted topic of the same name.
                topic.is_none() || entry.topic.is_none() || entry.topic == topic
            });
            let before = before.cloned().unwrap_or_default();
            let entry = Entry { topic: topic.or(before.topic), ..before };
            list.0.insert(name.to_owned(), entry);
            owners.insert(name, broken.partition);
        }
        Ok((list, owners))
    }

    /// Whether a journal holds batches of partitions that no folder is known to be of.
    fn has_orphans(&self, journal: &ReadJournal, known: &BTreeSet<TopicPartition>) -> bool {
        let unknown = journal.partitions.iter().filter(|id| !known.contains(id));
        unknown
            .filter_map(|id| self.replay.partitions.get(id))
            .any(|frames| !frames.frames.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::Uuid;

    #[test]
    fn a_list_leads_back_and_what_is_none_is_told() {
        let topic = Some(TopicId(Uuid::from_random(7)));
        let journals = vec!["a.kept.1".to_owned(), "b.kept.2".to_owned()];
        let entries = [
            ("t-0".to_owned(), Entry { topic, journals }),
            ("t-1".to_owned(), Entry { topic: None, journals: vec![] }),
        ];
        let list = List(entries.into());
        assert_eq!(List::parse(&list.text()), Some(list));
        for text in
            ["", "t-0 ?\n", "ottla-quarantine-list 1\nt-0\n", "ottla-quarantine-list 1\nt-0 x\n"]
        {
            assert_eq!(List::parse(text), None, "{text}");
        }
    }
}
