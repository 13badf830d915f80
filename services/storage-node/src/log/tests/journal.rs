//! The journal: what an earlier use of a file left behind is never replayed, and damage in it is told.

use std::sync::Arc;

use super::harness::*;
use crate::log::*;
use ottla_runtime::seams::Disk;

fn read(machine: &Machine) -> JournalReplay {
    JournalReplay::read(&machine.disk, LOG_DIR.as_ref()).unwrap()
}

fn frames(machine: &Machine) -> Vec<(i64, i64)> {
    let replay = read(machine);
    assert_eq!(replay.damage(), []);
    let Some(found) = replay.partitions.get(&id(0)) else { return Vec::new() };
    found.frames.iter().map(|frame| (frame.base.0, frame.end.0)).collect()
}

#[test]
fn frames_are_read_in_order_and_only_those_of_this_generation() {
    let mut machine = Machine::new(1, 1, small());
    (0..4).for_each(|_| machine.round(&[0], 2).unwrap());
    assert_eq!(frames(&machine), [(0, 2), (2, 4), (4, 6), (6, 8)]);
    machine.checkpoint();
    machine.round(&[0], 2).unwrap();
    assert_eq!(frames(&machine), [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]);
    machine.checkpoint();
    // The first file is in use again: its old frames are still on the disk, and void.
    machine.round(&[0], 1).unwrap();
    assert_eq!(frames(&machine), [(8, 10), (10, 11)]);
    let machine = machine.restart();
    assert_eq!(frames(&machine), []);
}

#[test]
fn stale_frames_do_not_come_back_after_a_truncation() {
    for seed in 0..30 {
        let mut machine = Machine::new(seed, 1, small());
        (0..10).for_each(|_| machine.round(&[0], 2).unwrap());
        let log = &mut machine.logs[0];
        log.truncate_to(&mut machine.files, &mut machine.journal, 7.into()).unwrap();
        assert_eq!(log.end().0, 6);
        let mut machine = machine.crash();
        assert_eq!(machine.logs[0].end().0, 6, "seed {seed}");
        machine.assert_holds(0, 0, 6);
        // Again, with something else behind the cut.
        machine.round(&[0], 4).unwrap();
        let log = &mut machine.logs[0];
        log.truncate_to(&mut machine.files, &mut machine.journal, 6.into()).unwrap();
        machine.round(&[0], 1).unwrap();
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, 7);
    }
}

#[test]
fn a_journal_that_is_full_says_so_until_its_retired_file_is_free() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    let mut refused = 0;
    for _ in 0..60 {
        let mut round = Round::new(&machine.journal);
        let log = &mut machine.logs[0];
        let batch = batch(0, log.end().0, 1000, 1);
        round.append(log, &mut machine.files, vec![batch], ottla_types::TimestampMs(1)).unwrap();
        match round.commit(&machine.disk, &mut machine.journal) {
            Ok(committed) => {
                committed.iter().for_each(|committed| machine.logs[0].apply_commit(committed))
            }
            Err(RoundError::Journal(JournalError::Full)) => {
                refused += 1;
                machine.checkpoint();
                machine.commit(&mut round).unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 1, "{refused}");
    let mut machine = machine.crash();
    machine.assert_holds(0, 0, 60_000);
}

#[test]
fn a_damaged_frame_in_the_middle_quarantines_its_partition_only() {
    let mut machine = Machine::new(1, 2, small());
    (0..4).for_each(|_| machine.round(&[0, 1], 2).unwrap());
    // Rounds begin at blocks; the first one made the partitions. Behind its header comes the frame of partition 0.
    let path = machine.journal.dir().join("0.journal");
    machine.disk.flip_bit(&path, (8192 + 2 * 4096 + 32 + 64 + 80) * 8).unwrap();
    let replay = read(&machine);
    let [damage] = replay.damage() else { panic!("{:?}", replay.damage()) };
    assert_eq!((damage.partition, damage.position), (Some(id(0)), 8192 + 2 * 4096 + 32));
    let machine = machine.restart();
    assert_eq!(machine.logs.iter().map(PartitionLog::id).collect::<Vec<_>>(), [id(1)]);
    assert!(matches!(machine.quarantined[0].error, OpenError::Journal(_)));
}

#[test]
fn a_damaged_round_header_in_the_middle_quarantines_all_that_the_journal_names() {
    let mut machine = Machine::new(1, 2, small());
    (0..4).for_each(|_| machine.round(&[0, 1], 2).unwrap());
    let path = machine.journal.dir().join("0.journal");
    machine.disk.flip_bit(&path, (8192 + 2 * 4096 + 5) * 8).unwrap();
    let machine = machine.restart();
    assert_eq!((machine.logs.len(), machine.quarantined.len()), (0, 2));
}

#[test]
fn damage_in_the_last_round_is_a_torn_tail() {
    let mut machine = Machine::new(1, 1, small());
    (0..4).for_each(|_| machine.round(&[0], 2).unwrap());
    let path = machine.journal.dir().join("0.journal");
    machine.disk.flip_bit(&path, (8192 + 4 * 4096 + 40) * 8).unwrap();
    assert_eq!(frames(&machine), [(0, 2), (2, 4), (4, 6)]);
}

#[test]
fn damage_in_the_last_round_is_told_once_the_next_file_has_rounds() {
    let mut machine = Machine::new(1, 1, small());
    (0..4).for_each(|_| machine.round(&[0], 2).unwrap());
    machine.journal.rotate().unwrap();
    machine.round(&[0], 2).unwrap();
    assert_eq!(read(&machine).damage(), []);
    let path = machine.journal.dir().join("0.journal");
    for byte in [40, 5] {
        // In the round's frame, then in its header.
        let place = (8192 + 4 * 4096 + byte) * 8;
        machine.disk.flip_bit(&path, place).unwrap();
        let replay = read(&machine);
        assert_eq!(replay.damage().len(), 1, "byte {byte}: {:?}", replay.damage());
        machine.disk.flip_bit(&path, place).unwrap();
    }
    machine.disk.flip_bit(&path, (8192 + 4 * 4096 + 5) * 8).unwrap();
    assert_eq!(machine.restart().quarantined.len(), 1);
}

#[test]
fn a_lost_file_header_is_told() {
    let mut machine = Machine::new(1, 1, small());
    machine.round(&[0], 2).unwrap();
    machine.checkpoint();
    machine.checkpoint();
    machine.round(&[0], 2).unwrap();
    // File 0 began with generation 1, and is in use again with generation 3, in its other slot.
    let path = machine.journal.dir().join("0.journal");
    machine.disk.flip_bit(&path, 13 * 8).unwrap();
    let replay = read(&machine);
    assert_eq!(replay.damage().len(), 1, "{:?}", replay.damage());
}

#[test]
fn a_torn_header_never_leaves_a_file_without_one() {
    for seed in 0..100 {
        let mut machine = Machine::new(seed, 1, small());
        for life in 0..6 {
            machine.round(&[0], 1).unwrap();
            machine.checkpoint();
            // The power goes while one of the journal's headers is written anew.
            machine.disk.cut_power_after(seed % 4 + life % 2);
            let disk: Arc<dyn Disk> = Arc::new(machine.disk.clone());
            _ = Journal::start(&disk, LOG_DIR.as_ref(), 0, SMALL_JOURNAL);
            machine = machine.crash();
            assert!(
                machine.quarantined.is_empty(),
                "seed {seed} life {life}: {:?}",
                machine.quarantined
            );
        }
    }
}

#[test]
fn journals_of_former_shards_are_replayed_and_then_removed() {
    let mut machine = Machine::new(1, 1, small());
    let disk: Arc<dyn Disk> = Arc::new(machine.disk.clone());
    machine.journal = Journal::start(&disk, LOG_DIR.as_ref(), 3, SMALL_JOURNAL).unwrap();
    machine.round(&[0], 5).unwrap();
    let mut machine = machine.crash();
    machine.assert_holds(0, 0, 5);
    Journal::remove_above(&machine.disk, LOG_DIR.as_ref(), 1).unwrap();
    let names: Vec<_> =
        machine.disk.list(LOG_DIR.as_ref()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(!names.contains(&".ottla-journal.3".to_owned()), "{names:?}");
    assert!(names.contains(&".ottla-journal.0".to_owned()), "{names:?}");
}
