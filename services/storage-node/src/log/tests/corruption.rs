//! Damage that no crash can make is named, and keeps its partition from being served (R16); a torn tail is cut.

use std::io::IoSlice;

use super::harness::*;
use crate::log::*;
use ottla_log_format::BatchBuilder;
use ottla_runtime::seams::{Disk, DiskFile, OpenMode};
use ottla_types::{Offset, TimestampMs};

const FIRST: &str = "00000000000000000000.log";

/// Turns a bit in the middle of the segment's part of a file, and starts again.
fn with_flipped_bit(machine: Machine, file: &str, byte: u64) -> Machine {
    machine.disk.flip_bit(&machine.path(0, file), byte * 8 + 3).unwrap();
    machine.restart()
}

fn corrupt_of(machine: &Machine) -> &CorruptSegment {
    match &machine.quarantined[..] {
        [Quarantined { error: OpenError::Corrupt(error), .. }] => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_turned_bit_below_the_recovery_point_is_found_by_readers() {
    let mut machine = Machine::new(1, 1, small());
    (0..60).for_each(|_| machine.round(&[0], 2).unwrap());
    machine.checkpoint();
    machine.disk.flip_bit(&machine.path(0, FIRST), 16 * 8 + 6).unwrap();
    let mut machine = machine.restart();
    let limit = ReadLimit { max_bytes: 1000, at_least_one_batch: true };
    let log = &mut machine.logs[0];
    let error = log.read(&mut machine.files, log.log_start(), log.end(), limit).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt(CorruptSegment { position: 0, .. })), "{error}");
}

#[test]
fn a_turned_bit_that_the_journal_still_holds_is_made_good() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    (0..5).for_each(|_| machine.round(&[0], 5).unwrap());
    let mut machine = with_flipped_bit(machine, FIRST, 100);
    machine.assert_holds(0, 0, 25);
}

/// Three batches in one append that is large enough to be synced directly, so that no journal holds them. No zero is among
/// their bytes where a lost write would leave one.
fn append_three_large_batches(machine: &mut Machine, number: usize) {
    let mut round = Round::new(&machine.journal);
    let large = |base| {
        let value = vec![b'x'; 60_000];
        let builder = BatchBuilder::new(Offset(0));
        let builder =
            builder.record_with_headers(TimestampMs(1), None, Some(&value), &[("h", b"h")]);
        placed(builder.build(), base, 1)
    };
    let log = &mut machine.logs[number];
    let end = log.end().0;
    let batches = (end..end + 3).map(large).collect();
    round.append(log, &mut machine.files, batches, TimestampMs(1)).unwrap();
    machine.commit(&mut round).unwrap();
}

#[test]
fn a_turned_bit_between_sound_batches_quarantines_the_partition() {
    let mut machine = Machine::new(1, 2, LogConfig::default());
    append_three_large_batches(&mut machine, 0);
    machine.round(&[1], 5).unwrap();
    let size = machine.logs[0].size_bytes();
    let limit = ReadLimit { max_bytes: 0, at_least_one_batch: true };
    let log = &mut machine.logs[0];
    let second = log.read(&mut machine.files, Offset(1), log.end(), limit).unwrap().unwrap();
    // The mark in the journal is lost as well, as if nothing had been written after the append.
    let journal = machine.journal.dir().join("0.journal");
    machine.disk.open(&journal, OpenMode::ReadWrite).unwrap().set_len(8192 + 4096).unwrap();
    let machine = with_flipped_bit(machine, FIRST, second.position + 1000);
    let error = corrupt_of(&machine);
    assert!(error.path.ends_with(FIRST) && error.position == second.position, "{error}");
    assert!(error.reason.contains("a sound batch follows"), "{error}");
    assert_eq!(
        machine.disk.open(&error.path, OpenMode::Read).unwrap().len().unwrap(),
        size,
        "untouched"
    );
    assert_eq!(machine.logs[0].id(), id(1), "the other one is served");
}

/// Three batches of which no byte was promised; the second is cut into pieces by `lose`, given its first and last position.
fn after_losing(lose: impl Fn(&dyn DiskFile, std::ops::Range<u64>)) -> Machine {
    let mut machine = Machine::new(1, 1, LogConfig { durable: false, ..LogConfig::default() });
    append_three_large_batches(&mut machine, 0);
    let limit = ReadLimit { max_bytes: 0, at_least_one_batch: true };
    let log = &mut machine.logs[0];
    let second = log.read(&mut machine.files, Offset(1), log.end(), limit).unwrap().unwrap();
    let file = machine.disk.open(&machine.path(0, FIRST), OpenMode::ReadWrite).unwrap();
    lose(&*file, second.position..second.position + second.len as u64);
    drop(file);
    machine.restart()
}

fn write(file: &dyn DiskFile, bytes: &[u8], at: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], at).unwrap();
}

#[test]
fn a_sector_that_was_lost_between_sound_batches_is_cut_with_what_follows() {
    let machine = after_losing(|file, batch| {
        let sector = (batch.start + 1).next_multiple_of(512);
        write(file, &[0; 512], sector);
    });
    assert_eq!(machine.logs[0].end(), Offset(1));
}

#[test]
fn a_batch_of_which_only_the_first_part_of_a_sector_arrived_is_cut_with_what_follows() {
    let machine = after_losing(|file, batch| {
        let next = (batch.start + 1).next_multiple_of(512);
        write(file, &[0; 8], next - 8);
    });
    assert_eq!(machine.logs[0].end(), Offset(1));
}

#[test]
fn fewer_zeros_than_a_word_at_the_end_of_a_sector_are_no_lost_write() {
    let machine = after_losing(|file, batch| {
        let next = (batch.start + 1).next_multiple_of(512);
        write(file, &[0; 7], next - 7);
    });
    let reason = &corrupt_of(&machine).reason;
    assert!(reason.contains("a sound batch follows"), "{reason}");
}

#[test]
fn the_zeros_of_a_batchs_last_sector_are_a_lost_write_too() {
    let machine = after_losing(|file, batch| {
        let last = batch.end % 512;
        write(file, &vec![0; last as usize], batch.end - last);
    });
    assert_eq!(machine.logs[0].end(), Offset(1));
}

#[test]
fn damage_to_what_was_synced_past_the_journal_is_not_taken_for_a_lost_write() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    // No frame ever needs a round of the journal.
    (0..120).for_each(|_| append_three_large_batches(&mut machine, 0));
    let file = machine.disk.open(&machine.path(0, FIRST), OpenMode::ReadWrite).unwrap();
    write(&*file, &[0; 512], 1 << 20);
    drop(file);
    let reason = &corrupt_of(&machine.restart()).reason.clone();
    assert!(reason.contains("were promised"), "{reason}");
}

#[test]
fn damage_below_what_was_promised_quarantines_the_partition() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    // Synced directly, so that only the mark in the journal knows of it.
    machine.round(&[0], 6000).unwrap();
    machine.round(&[0], 1).unwrap();
    let size = machine.logs[0].size_bytes();
    let machine = with_flipped_bit(machine, FIRST, 1000);
    let error = corrupt_of(&machine);
    assert!(error.reason.contains("were promised") && error.position == 0, "{error}");
    assert!(
        machine.disk.list("/data/topic-0".as_ref()).unwrap().iter().any(|entry| entry.len == size)
    );
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let config = LogConfig { durable: false, ..LogConfig::default() };
    let mut machine = Machine::new(1, 1, config.clone());
    (0..3).for_each(|_| machine.round(&[0], 2).unwrap());
    let bytes = machine.logs[0].size_bytes();
    for len in 0..bytes {
        let mut machine = Machine::new(1, 1, config.clone());
        (0..3).for_each(|_| machine.round(&[0], 2).unwrap());
        let file = machine.disk.open(&machine.path(0, FIRST), OpenMode::ReadWrite).unwrap();
        file.set_len(len).unwrap();
        let mut machine = machine.restart();
        let end = machine.logs[0].end().0;
        assert!(end <= 4 && end % 2 == 0, "{len}: {end}");
        machine.assert_holds(0, 0, end);
        machine.round(&[0], 3).unwrap();
        machine.assert_holds(0, 0, end + 3);
    }
}

#[test]
fn zeros_behind_the_end_are_cut() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    machine.round(&[0], 2).unwrap();
    let size = machine.logs[0].size_bytes();
    let path = machine.path(0, FIRST);
    let file = machine.disk.open(&path, OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[IoSlice::new(&[0; 5000])], size).unwrap();
    let mut machine = machine.restart();
    machine.assert_holds(0, 0, 2);
    assert_eq!(machine.disk.open(&path, OpenMode::Read).unwrap().len().unwrap(), size);
}

#[test]
fn a_lost_or_lying_index_is_made_again() {
    for kind in ["index", "timeindex"] {
        for fault in 0..3 {
            let mut machine = Machine::new(1, 1, small());
            (0..60).for_each(|_| machine.round(&[0], 2).unwrap());
            let mut machine = machine.stop_cleanly();
            let bases: Vec<String> = machine
                .names(0)
                .into_iter()
                .filter(|name| name.ends_with(&format!(".{kind}")))
                .collect();
            assert!(bases.len() > 2, "{bases:?}");
            for name in bases {
                let path = machine.path(0, &name);
                let file = machine.disk.open(&path, OpenMode::ReadWrite).unwrap();
                match fault {
                    0 => machine.disk.remove_file(&path).unwrap(),
                    1 => file.set_len(0).unwrap(),
                    _ => file.write_all_at(&[IoSlice::new(&[0x01; 24])], 0).unwrap(),
                }
            }
            machine.assert_holds(0, 0, 120);
            let mut machine = machine.stop_cleanly();
            machine.assert_holds(0, 0, 120);
            machine.round(&[0], 2).unwrap();
            machine.assert_holds(0, 0, 122);
        }
    }
}

#[test]
fn a_log_whose_metadata_is_broken_is_quarantined() {
    let mut machine = Machine::new(1, 1, small());
    machine.round(&[0], 2).unwrap();
    machine.checkpoint();
    let machine = machine.stop_cleanly();
    let path = machine.path(0, "partition.metadata");
    machine.disk.open(&path, OpenMode::ReadWrite).unwrap().set_len(3).unwrap();
    let machine = machine.restart();
    assert!(matches!(
        machine.quarantined[..],
        [Quarantined { error: OpenError::Metadata { .. }, .. }]
    ));
}

#[test]
fn indexes_without_a_log_and_files_on_their_way_out_are_removed() {
    let mut machine = Machine::new(1, 1, small());
    machine.round(&[0], 2).unwrap();
    for name in [
        "00000000000000000077.index",
        "00000000000000000077.timeindex",
        "00000000000000000077.log.deleted",
    ] {
        machine.disk.open(&machine.path(0, name), OpenMode::Create).unwrap();
    }
    let machine = machine.restart();
    let names = machine.names(0);
    assert!(!names.iter().any(|name| name.contains("77")), "{names:?}");
}
