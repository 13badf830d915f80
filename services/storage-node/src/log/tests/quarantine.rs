//! A quarantine lasts until a person ends it, and what was promised is kept for that long (R16).

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::harness::*;
use crate::log::*;
use ottla_runtime::seams::{Disk, OpenMode, SimDisk};
use ottla_types::TimestampMs;

/// Where the second of the rounds that follow the making of the partitions stands in the first journal file.
const SECOND_ROUND: u64 = 8192 + 2 * 4096;

/// Two partitions whose four rounds are in the journal alone, with a damaged frame of partition 0 in the second one.
fn damaged_journal(seed: u64) -> Machine {
    let mut machine = Machine::new(seed, 2, small());
    (0..4).for_each(|_| machine.round(&[0, 1], 2).unwrap());
    let path = machine.journal.dir().join("0.journal");
    machine.disk.crash_losing_all();
    machine.disk.flip_bit(&path, (SECOND_ROUND + 32 + 64 + 80) * 8).unwrap();
    machine
}

fn ids(machine: &Machine) -> Vec<i32> {
    machine.logs.iter().map(|log| log.id().partition.0).collect()
}

fn reason(machine: &Machine) -> String {
    let [one] = &machine.quarantined[..] else { panic!("{:?}", machine.quarantined) };
    one.error.to_string()
}

fn kept(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(LOG_DIR.as_ref()).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.contains(".kept.")).collect()
}

/// Rounds of two records each for the only partition that is served, whose number is `partition`.
fn append_to(machine: &mut Machine, partition: i32, rounds: usize) {
    for _ in 0..rounds {
        let mut round = Round::new(&machine.journal);
        let [log] = &mut machine.logs[..] else { panic!("{:?}", machine.logs) };
        let batch = batch(partition, log.end().0, 2, 1);
        round.append(log, &mut machine.files, vec![batch], TimestampMs(1)).unwrap();
        machine.commit(&mut round).unwrap();
    }
}

/// What a person does to have a partition served with what is sound.
fn take_mark_away(disk: &SimDisk) {
    disk.remove_file("/data/topic-0/quarantined".as_ref()).unwrap();
    disk.sync_dir("/data/topic-0".as_ref()).unwrap();
}

#[test]
fn a_quarantine_outlasts_every_kind_of_stop() {
    let machine = damaged_journal(1).restart();
    assert_eq!(ids(&machine), [1]);
    let machine = machine.stop_cleanly().crash().restart().stop_cleanly();
    assert_eq!(ids(&machine), [1]);
    let reason = reason(&machine);
    assert!(reason.contains("earlier start") && reason.contains("0.journal"), "{reason}");
}

#[test]
fn what_the_journal_holds_of_a_quarantined_partition_is_kept_and_comes_back() {
    for is_clean in [false, true] {
        let mut machine = damaged_journal(1).restart();
        let of_first = kept(&machine.disk);
        assert_eq!(of_first.len(), 1);
        // Others go on, and their journal is voided again and again.
        append_to(&mut machine, 1, 3);
        machine = if is_clean { machine.stop_cleanly() } else { machine.crash() };
        assert_eq!(kept(&machine.disk), of_first);
        take_mark_away(&machine.disk);
        machine = if is_clean { machine.stop_cleanly() } else { machine.crash() };
        assert_eq!(ids(&machine), [0, 1]);
        assert_eq!(kept(&machine.disk), [""; 0]);
        // The first round's records are there; the second one's were damaged.
        machine.assert_holds(0, 0, 2);
        machine.round(&[0], 3).unwrap();
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, 5);
    }
}

#[test]
fn a_quarantine_is_whole_whenever_the_power_goes() {
    for point in 0..60 {
        let machine = damaged_journal(point);
        let (disk, config) = (machine.disk.clone(), (*machine.config).clone());
        disk.kill_process();
        disk.cut_power_after(point);
        _ = Machine::start(&disk, config.clone());
        disk.crash();
        disk.heal();
        let machine = Machine::start(&disk, config.clone()).unwrap();
        assert_eq!((ids(&machine), machine.quarantined.len()), (vec![1], 1), "point {point}");
        take_mark_away(&disk);
        // And again while the partition is put in order.
        disk.kill_process();
        disk.cut_power_after(point);
        _ = Machine::start(&disk, config.clone());
        disk.crash();
        disk.heal();
        let mut machine = Machine::start(&disk, config).unwrap();
        assert!(machine.quarantined.is_empty(), "point {point}: {:?}", machine.quarantined);
        machine.assert_holds(0, 0, 2);
        machine.assert_holds(1, 0, 8);
    }
}

/// Two partitions whose last rounds are in the journal alone, which does not say that they were made.
fn long_made() -> Machine {
    let mut machine = Machine::new(1, 2, LogConfig::default());
    for _ in 0..3 {
        machine.round(&[0, 1], 2).unwrap();
        machine.checkpoint();
    }
    machine.round(&[0, 1], 2).unwrap();
    machine.disk.crash_losing_all();
    machine
}

#[test]
fn a_disk_that_could_not_be_read_once_costs_no_record() {
    for file in ["00000000000000000000.log", "partition.metadata"] {
        let machine = long_made();
        let path = Path::new("/data/topic-0").join(file);
        machine.disk.fail_reads(move |read| read == path);
        let machine = machine.restart();
        assert_eq!(ids(&machine), [1], "{file}");
        machine.disk.heal();
        let machine = machine.stop_cleanly().crash();
        assert_eq!(ids(&machine), [1], "{file}");
        take_mark_away(&machine.disk);
        let mut machine = machine.stop_cleanly();
        assert_eq!(ids(&machine), [0, 1], "{file}: {:?}", machine.quarantined);
        machine.assert_holds(0, 0, 8);
    }
}

#[test]
fn a_damaged_batch_is_never_served_after_a_clean_stop_of_the_others() {
    let mut machine = Machine::new(1, 2, LogConfig::default());
    (0..3).for_each(|_| machine.round(&[0, 1], 100).unwrap());
    machine.checkpoint();
    let batch = machine.logs[0].size_bytes() / 3;
    let path = machine.path(0, "00000000000000000000.log");
    // The journal is lost with the power, the recovery points are not.
    let journal = machine.journal.dir().join("0.journal");
    machine.disk.open(&journal, OpenMode::ReadWrite).unwrap().set_len(8192).unwrap();
    machine.disk.remove_file(Path::new("/data/recovery-point-offset-checkpoint")).unwrap();
    machine.disk.flip_bit(&path, (batch + batch / 2) * 8).unwrap();
    let machine = machine.restart().stop_cleanly();
    assert_eq!(ids(&machine), [1]);
    take_mark_away(&machine.disk);
    let mut machine = machine.stop_cleanly();
    machine.assert_holds(0, 0, 100);
    machine.assert_holds(1, 0, 300);
}

#[test]
fn a_copy_in_the_place_of_a_quarantined_folder_is_served() {
    let machine = damaged_journal(1).restart();
    let (disk, dir) = (machine.disk.clone(), Path::new("/data/topic-0"));
    let copy = Machine::new(2, 1, LogConfig::default());
    let mut copy = copy.stop_cleanly();
    copy.round(&[0], 6).unwrap();
    let files = ["partition.metadata", "00000000000000000000.log"];
    disk.remove_dir_all(dir).unwrap();
    disk.create_dir_all(dir).unwrap();
    for name in files {
        let from = copy.disk.open(&dir.join(name), OpenMode::Read).unwrap();
        let mut bytes = vec![0; from.len().unwrap() as usize];
        from.read_exact_at(&mut bytes, 0).unwrap();
        let to = disk.open(&dir.join(name), OpenMode::Create).unwrap();
        to.write_all_at(&[IoSlice::new(&bytes)], 0).unwrap();
    }
    let mut machine = machine.restart();
    machine.assert_holds(0, 0, 8);
    assert_eq!(kept(&machine.disk), [""; 0]);
}

#[test]
fn a_journal_is_kept_no_longer_than_the_folder() {
    let machine = damaged_journal(1).restart();
    assert_eq!(kept(&machine.disk).len(), 1);
    machine.disk.remove_dir_all("/data/topic-0".as_ref()).unwrap();
    let machine = machine.restart();
    assert_eq!((kept(&machine.disk).len(), machine.quarantined.len()), (0, 0));
}

#[test]
fn a_journal_whose_damage_names_nobody_concerns_its_own_partitions_only() {
    let mut machine = Machine::new(1, 2, small());
    (0..4).for_each(|_| machine.round(&[0], 2).unwrap());
    let disk: Arc<dyn Disk> = Arc::new(machine.disk.clone());
    machine.journal = Journal::start(&disk, LOG_DIR.as_ref(), 3, SMALL_JOURNAL).unwrap();
    machine.logs.remove(0);
    append_to(&mut machine, 1, 4);
    // The header of a round in the middle.
    let path = machine.journal.dir().join("0.journal");
    machine.disk.flip_bit(&path, (8192 + 4096 + 5) * 8).unwrap();
    let machine = machine.restart();
    assert_eq!((ids(&machine), machine.quarantined.len()), (vec![0], 1));
}

#[test]
fn a_folder_that_lost_its_segments_is_left_as_it_was() {
    let mut machine = Machine::new(1, 1, small());
    (0..60).for_each(|_| machine.round(&[0], 2).unwrap());
    let machine = machine.stop_cleanly();
    let names = machine.names(0);
    let (logs, mut others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.ends_with(".log"));
    logs.iter().for_each(|name| machine.disk.remove_file(&machine.path(0, name)).unwrap());
    let deleted = "00000000000000000000.log.deleted".to_owned();
    machine.disk.open(&machine.path(0, &deleted), OpenMode::Create).unwrap();
    others.extend([deleted, "quarantined".to_owned()]);
    others.sort();
    assert!(others.iter().any(|name| name.ends_with(".index")));
    let machine = machine.restart();
    assert!(reason(&machine).contains("were promised"), "{}", reason(&machine));
    let left = machine.disk.list("/data/topic-0".as_ref()).unwrap().into_iter();
    assert_eq!(left.map(|entry| entry.name).collect::<Vec<_>>(), others);
}
