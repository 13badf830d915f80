//! Old journals that are kept: they hold what quarantined partitions were promised, and perhaps the only copy of it.
//!
//! Invariant: a kept journal is never written and never replayed for a partition that was served since; the list of quarantined
//! folders says for whom it is kept. There are few of them. Deliberately does not know who is quarantined.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use ottla_runtime::seams::Disk;

use super::JOURNAL_DIR_PREFIX;

/// Stands between the name of a journal and its number among those that are kept. No dash, as in [`JOURNAL_DIR_PREFIX`].
const KEPT: &str = ".kept.";
/// Most journals that a log directory keeps. Each is there for partitions of its own, so that more than a few tell of a disk that
/// goes on losing data: then the directory is not used any more.
const MAX_KEPT_JOURNALS: usize = 8;

/// Whether a folder of a log directory is a journal that is kept: exactly that, since clients choose topics' names.
pub(super) fn is_kept_name(name: &str) -> bool {
    let numbers = name.strip_prefix(JOURNAL_DIR_PREFIX).and_then(|rest| rest.split_once(KEPT));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(shard, number)| is_number(shard) && is_number(number))
}

/// The journals that a log directory keeps.
pub(in crate::log) fn kept_journals(disk: &dyn Disk, log_dir: &Path) -> io::Result<Vec<String>> {
    let names =
        disk.list(log_dir)?.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name);
    Ok(names.filter(|name| is_kept_name(name)).collect())
}

/// What the journal `name` is to be called when it is kept; `taken` are the names that are not free.
pub(in crate::log) fn kept_name(name: &str, taken: &BTreeSet<String>) -> io::Result<String> {
    if taken.len() >= MAX_KEPT_JOURNALS {
        return Err(io::Error::other(format!(
            "{MAX_KEPT_JOURNALS} old journals are kept for quarantined partitions already; put those partitions in order first"
        )));
    }
    let number = |name: &String| name.rsplit_once(KEPT).and_then(|(_, n)| n.parse::<u64>().ok());
    let last = taken.iter().filter_map(number).max().unwrap_or(0);
    Ok(format!("{name}{KEPT}{}", last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::names::{parse_partition_dir_name, partition_dir_name};
    use ottla_types::PartitionIndex;

    #[test]
    fn a_topics_folder_is_never_taken_for_a_kept_journal() {
        for name in [".ottla-journal.0.kept.1", ".ottla-journal.0.kept.", ".ottla-journal.0"] {
            let folder = partition_dir_name(name, PartitionIndex(0));
            assert!(parse_partition_dir_name(&folder).is_some() && !is_kept_name(&folder));
        }
    }

    #[test]
    fn names_of_kept_journals_are_new_and_few() {
        let mut taken = BTreeSet::from([format!("{JOURNAL_DIR_PREFIX}3{KEPT}5")]);
        for number in 6..13 {
            let name = kept_name(&format!("{JOURNAL_DIR_PREFIX}0"), &taken).unwrap();
            assert_eq!(name, format!("{JOURNAL_DIR_PREFIX}0{KEPT}{number}"));
            assert!(is_kept_name(&name) && parse_partition_dir_name(&name).is_none());
            taken.insert(name);
        }
        assert!(kept_name(&format!("{JOURNAL_DIR_PREFIX}0"), &taken).is_err());
        assert!(!is_kept_name(&format!("{JOURNAL_DIR_PREFIX}0")));
    }
}
