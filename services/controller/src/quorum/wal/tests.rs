//! The log under every crash point, with torn tails and with damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_runtime::seams::{Disk, OpenMode, SimDisk};
use raft::eraftpb::{ConfState, Entry, HardState};
use raft::{GetEntriesContext, Storage};

use super::segment::SEGMENT_HEADER_BYTES;
use super::*;

fn dir() -> PathBuf {
    PathBuf::from("/wal")
}

fn open(disk: &SimDisk) -> Result<Wal, WalError> {
    Wal::open(Arc::new(disk.clone()), &dir())
}

fn entry(index: u64, term: u64) -> Entry {
    let data = format!("entry {index} of term {term}").into_bytes();
    Entry { index, term, data: data.into(), ..Entry::default() }
}

fn hard_state(term: u64, commit: u64) -> HardState {
    HardState { term, vote: 1, commit, ..HardState::default() }
}

fn members() -> Batch {
    let conf_state = ConfState::from((vec![1, 2, 3], vec![]));
    Batch { conf_state: Some(conf_state), ..Batch::default() }
}

fn one(index: u64, term: u64) -> Batch {
    let hard_state = Some(hard_state(term, index - 1));
    Batch { entries: vec![entry(index, term)], hard_state, ..Batch::default() }
}

fn all(wal: &Wal) -> Vec<Entry> {
    let context = GetEntriesContext::empty(false);
    wal.entries(wal.start().index + 1, wal.last_index() + 1, None, context).unwrap()
}

fn newest_segment(disk: &SimDisk) -> PathBuf {
    segment::list(disk, &dir()).unwrap().pop().unwrap().1
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    assert!(wal.is_new());
    wal.append(members(), Durability::Synced).unwrap();
    for index in 1..=20 {
        wal.append(one(index, 3), Durability::Synced).unwrap();
    }
    disk.crash();
    let wal = open(&disk).unwrap();
    assert!(!wal.is_new());
    assert_eq!(all(&wal), (1..=20).map(|index| entry(index, 3)).collect::<Vec<_>>());
    assert_eq!(*wal.hard_state(), hard_state(3, 19));
    assert_eq!(wal.conf_state().voters, [1, 2, 3]);
}

#[test]
fn an_entry_of_a_later_term_replaces_the_tail_also_after_a_restart() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    for index in 1..=5 {
        wal.append(one(index, 1), Durability::Synced).unwrap();
    }
    wal.append(one(3, 2), Durability::Synced).unwrap();
    let expected = vec![entry(1, 1), entry(2, 1), entry(3, 2)];
    assert_eq!(all(&wal), expected);
    disk.crash();
    assert_eq!(all(&open(&disk).unwrap()), expected);
}

#[test]
fn every_crash_point_keeps_what_was_answered_and_leaves_a_log_that_opens() {
    let mut points = 0;
    for point in 0..400 {
        let disk = SimDisk::new(point);
        disk.cut_power_after(point);
        let answered = write_until_the_power_goes(&disk);
        disk.crash();
        let wal = open(&disk).unwrap_or_else(|error| panic!("crash point {point}: {error}"));
        assert!(wal.last_index() >= answered, "crash point {point}");
        let entries = all(&wal);
        assert!(entries.iter().enumerate().all(|(nth, e)| *e == entry(nth as u64 + 1, 1)));
        if answered >= 60 {
            break;
        }
        points = point;
    }
    assert!(points > 60, "only {points} crash points");
}

/// Writes some entries synced and some not; returns the last index that was promised.
fn write_until_the_power_goes(disk: &SimDisk) -> u64 {
    let mut answered = 0;
    let Ok(mut wal) = open(disk) else { return 0 };
    for index in 1..=60 {
        let durability = if index % 3 == 0 { Durability::Later } else { Durability::Synced };
        if wal.append(one(index, 1), durability).is_err() {
            return answered;
        }
        if durability == Durability::Synced {
            answered = index;
        }
    }
    answered
}

#[test]
fn a_torn_tail_is_cut_and_writing_goes_on() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    for index in 1..=3 {
        wal.append(one(index, 1), Durability::Synced).unwrap();
    }
    wal.append(one(4, 1), Durability::Later).unwrap();
    let last_byte = wal.position - 9;
    disk.kill_process();
    disk.flip_bit(&newest_segment(&disk), last_byte * 8).unwrap();
    let mut wal = open(&disk).unwrap();
    assert_eq!(wal.last_index(), 3);
    wal.append(one(4, 2), Durability::Synced).unwrap();
    disk.crash();
    assert_eq!(open(&disk).unwrap().read_entry(4).unwrap(), entry(4, 2));
}

#[test]
fn p14_damage_before_a_durable_record_is_a_hard_stop() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    wal.append(one(1, 1), Durability::Synced).unwrap();
    let begin_of_second = wal.position;
    wal.append(one(2, 1), Durability::Synced).unwrap();
    wal.append(one(3, 1), Durability::Synced).unwrap();
    disk.kill_process();
    for byte in [begin_of_second, begin_of_second + 4, begin_of_second + 40] {
        let path = newest_segment(&disk);
        disk.flip_bit(&path, byte * 8 + 1).unwrap();
        let error = open(&disk).err().expect("damage must be found");
        let WalError::Damaged { offset, .. } = error else { panic!("{error}") };
        assert_eq!(offset, begin_of_second);
        disk.flip_bit(&path, byte * 8 + 1).unwrap();
    }
    assert_eq!(open(&disk).unwrap().last_index(), 3);
}

#[test]
fn p14_damage_in_a_segment_with_others_behind_it_is_a_hard_stop() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    wal.append(one(1, 1), Durability::Synced).unwrap();
    drop(wal);
    let oldest = newest_segment(&disk);
    let mut wal = open(&disk).unwrap();
    wal.append(one(2, 1), Durability::Synced).unwrap();
    drop(wal);
    disk.flip_bit(&oldest, (SEGMENT_HEADER_BYTES as u64 + 60) * 8).unwrap();
    assert!(matches!(open(&disk), Err(WalError::Damaged { .. })));
}

#[test]
fn a_segment_that_is_gone_is_a_hard_stop() {
    let disk = SimDisk::new(1);
    for index in 1..=3 {
        open(&disk).unwrap().append(one(index, 1), Durability::Synced).unwrap();
    }
    let middle = segment::list(&disk, &dir()).unwrap()[1].1.clone();
    disk.remove_file(&middle).unwrap();
    assert!(matches!(open(&disk), Err(WalError::Missing { .. })));
}

#[test]
fn compaction_removes_old_segments_and_the_term_at_the_start_is_kept() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    wal.append(members(), Durability::Synced).unwrap();
    let big = vec![0x5a; 1 << 20];
    for index in 1..=30 {
        let mut batch = one(index, 7);
        batch.entries[0].data = big.clone().into();
        wal.append(batch, Durability::Synced).unwrap();
    }
    let before = segment::list(&disk, &dir()).unwrap().len();
    wal.compact(Position { index: 25, term: 7 }).unwrap();
    let after = segment::list(&disk, &dir()).unwrap().len();
    assert!(after < before, "{after} of {before} segments are left");
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!((wal.start(), wal.last_index()), (Position { index: 25, term: 7 }, 30));
    assert_eq!(wal.term(25).unwrap(), 7);
    assert!(wal.term(24).is_err());
    assert_eq!(all(&wal).len(), 5);
    assert_eq!(wal.conf_state().voters, [1, 2, 3]);
}

#[test]
fn a_crash_in_the_middle_of_a_compaction_leaves_no_hole() {
    for point in 0..30 {
        let disk = SimDisk::new(point);
        for index in 1..=6 {
            open(&disk).unwrap().append(one(index, 1), Durability::Synced).unwrap();
        }
        let mut wal = open(&disk).unwrap();
        disk.cut_power_after(point % 10);
        _ = wal.compact(Position { index: 5, term: 1 });
        disk.crash();
        let wal = open(&disk).unwrap_or_else(|error| panic!("crash point {point}: {error}"));
        assert_eq!(wal.read_entry(6).unwrap(), entry(6, 1));
    }
}

#[test]
fn a_log_that_was_compacted_up_to_the_end_of_a_segment_opens() {
    let disk = SimDisk::new(1);
    for index in 1..=4 {
        open(&disk).unwrap().append(one(index, 9), Durability::Synced).unwrap();
    }
    let mut wal = open(&disk).unwrap();
    wal.append(one(5, 9), Durability::Synced).unwrap();
    wal.compact(Position { index: 4, term: 9 }).unwrap();
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!((wal.start(), wal.term(4).unwrap()), (Position { index: 4, term: 9 }, 9));
    assert_eq!(wal.read_entry(5).unwrap(), entry(5, 9));
}

#[test]
fn p4_an_installed_snapshot_empties_the_log() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    for index in 1..=5 {
        wal.append(one(index, 1), Durability::Synced).unwrap();
    }
    let installed = Position { index: 100, term: 4 };
    let hard_state = Some(hard_state(4, 100));
    let batch = Batch { installed: Some(installed), hard_state, ..Batch::default() };
    wal.append(batch, Durability::Synced).unwrap();
    wal.append(one(101, 4), Durability::Synced).unwrap();
    disk.crash();
    let wal = open(&disk).unwrap();
    assert_eq!(wal.start(), installed);
    assert_eq!(wal.first_index().unwrap(), 101);
    assert_eq!(wal.term(100).unwrap(), 4);
    assert_eq!(all(&wal), [entry(101, 4)]);
}

#[test]
fn entries_that_left_the_cache_are_read_from_disk() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    for index in 1..=40 {
        let mut batch = one(index, 1);
        batch.entries[0].data = vec![index as u8; 1 << 20].into();
        wal.append(batch, Durability::Later).unwrap();
    }
    assert!(wal.log.entries.cached(1).is_none());
    assert_eq!(wal.read_entry(1).unwrap().data, vec![1; 1 << 20]);
    let context = GetEntriesContext::empty(false);
    assert_eq!(wal.entries(1, 41, 3 << 20, context).unwrap().len(), 2);
}

#[test]
fn a_commit_index_that_is_not_synced_is_not_called_durable() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    wal.append(one(1, 1), Durability::Synced).unwrap();
    let commit = Batch { hard_state: Some(hard_state(1, 1)), ..Batch::default() };
    wal.append(commit, Durability::Later).unwrap();
    assert_eq!(wal.durable_commit(), 0);
    wal.sync().unwrap();
    assert_eq!(wal.durable_commit(), 1);
}

#[test]
fn a_failed_sync_is_an_error_that_names_the_file() {
    let disk = SimDisk::new(1);
    let mut wal = open(&disk).unwrap();
    disk.fail_sync(|path: &Path| path.extension().is_some_and(|e| e == "wal"));
    let error = wal.append(one(1, 1), Durability::Synced).unwrap_err();
    assert!(error.to_string().contains(".wal"), "{error}");
}

#[test]
fn a_file_that_is_no_segment_is_left_alone() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(&dir()).unwrap();
    disk.open(&dir().join("notes.txt"), OpenMode::Create).unwrap();
    open(&disk).unwrap();
    assert!(disk.exists(&dir().join("notes.txt")).unwrap());
}
