//! Rolling and deleting segments.

use super::harness::*;
use crate::log::*;
use ottla_runtime::seams::Disk;
use ottla_types::{Offset, TimestampMs};

fn filled(config: LogConfig) -> Machine {
    let mut machine = Machine::new(1, 1, config);
    (0..80).for_each(|_| machine.round(&[0], 2).unwrap());
    machine
}

fn retain(machine: &mut Machine, now: i64, upper: i64) -> usize {
    let renamed = machine.logs[0]
        .apply_retention(&mut machine.files, TimestampMs(now), Offset(upper))
        .unwrap();
    assert!(renamed.iter().all(|path| machine.disk.exists(path).unwrap()));
    assert!(renamed.iter().all(|path| path.to_string_lossy().ends_with(".deleted")));
    machine.write_log_starts();
    remove_renamed(&machine.disk, &renamed).unwrap();
    renamed.len()
}

#[test]
fn segments_roll_by_size_and_by_age() {
    let machine = filled(small());
    let log = &machine.logs[0];
    assert!(log.segment_count() as u64 >= log.size_bytes() / 4096 && log.segment_count() > 2);
    let mut machine = Machine::new(1, 1, LogConfig { segment_ms: 10, ..LogConfig::default() });
    (0..30).for_each(|_| machine.round(&[0], 1).unwrap());
    // Timestamps are 1000 + offset: a segment holds 11 of them.
    assert_eq!(machine.logs[0].segment_count(), 3);
    let mut machine = Machine::new(
        1,
        1,
        LogConfig { segment_index_bytes: 24, index_interval_bytes: 0, ..LogConfig::default() },
    );
    (0..20).for_each(|_| machine.round(&[0], 1).unwrap());
    assert!(machine.logs[0].segment_count() > 4);
    machine.assert_holds(0, 0, 20);
}

#[test]
fn old_segments_go_by_time_and_the_log_begins_behind_them() {
    let mut machine = filled(LogConfig { retention_ms: 100, ..small() });
    assert_eq!(retain(&mut machine, 1100, 160), 0);
    assert!(retain(&mut machine, 1180, 160) > 0);
    let start = machine.logs[0].log_start().0;
    assert!(start > 0 && start <= 80, "{start}");
    machine.assert_holds(0, start, 160);
    let mut machine = machine.crash();
    assert_eq!(machine.logs[0].log_start().0, start);
    machine.assert_holds(0, start, 160);
    // All of it is old: the active segment goes too, and the log goes on at its end.
    assert!(retain(&mut machine, 100_000, 160) > 0);
    assert_eq!((machine.logs[0].log_start().0, machine.logs[0].size_bytes()), (160, 0));
    machine.checkpoint();
    machine.checkpoint();
    let mut machine = machine.crash();
    assert_eq!(
        (machine.logs[0].log_start().0, machine.logs[0].end().0),
        (160, 160),
        "offsets never begin anew"
    );
    machine.round(&[0], 3).unwrap();
    let mut machine = machine.crash();
    machine.assert_holds(0, 160, 163);
}

#[test]
fn old_segments_go_by_size_but_never_above_the_watermark() {
    let mut machine = filled(LogConfig { retention_bytes: 5000, retention_ms: -1, ..small() });
    assert_eq!(retain(&mut machine, 0, 0), 0);
    let size = machine.logs[0].size_bytes();
    assert!(retain(&mut machine, 0, 160) > 0);
    let kept = machine.logs[0].size_bytes();
    assert!((5000..9200).contains(&kept) && kept < size, "{kept} of {size}");
    let start = machine.logs[0].log_start().0;
    machine.assert_holds(0, start, 160);
}

#[test]
fn records_below_the_log_start_are_gone_and_their_segments_too() {
    let mut machine = filled(LogConfig { delete: false, ..small() });
    let segments = machine.logs[0].segment_count();
    machine.logs[0].raise_log_start(Offset(100), Offset(160));
    machine.write_log_starts();
    assert!(retain(&mut machine, 0, 160) > 0);
    assert!(machine.logs[0].segment_count() < segments);
    let mut machine = machine.crash();
    assert_eq!(machine.logs[0].log_start().0, 100);
    machine.assert_holds(0, 100, 160);
}

#[test]
fn a_checkpoint_that_began_earlier_does_not_take_a_raised_start_back() {
    let mut machine = filled(small());
    let begun = machine.logs[0].begin_checkpoint(&mut machine.files).unwrap();
    let raised = machine.logs[0].plan_log_start(Offset(100));
    machine.points.raise_log_starts(&[raised]).unwrap();
    begun.run(&machine.disk).unwrap();
    machine.points.advance([&begun]).unwrap();
    assert_eq!(machine.points.log_start("topic", id(0).partition), Some(Offset(100)));
    machine.logs[0].raise_log_start(Offset(100), Offset(160));
    machine.logs[0].end_checkpoint(&begun);
    let mut machine = machine.crash();
    assert_eq!(machine.logs[0].log_start(), Offset(100));
    machine.assert_holds(0, 100, 160);
    // A cut below it counts again.
    machine.logs[0].truncate_to(&mut machine.files, &mut machine.journal, Offset(40)).unwrap();
    machine.checkpoint();
    assert_eq!(
        machine.points.log_start("topic", id(0).partition),
        Some(machine.logs[0].log_start())
    );
}

#[test]
fn a_segment_that_is_preallocated_wants_its_space_at_once() {
    for (preallocate, expected) in [(true, false), (false, true)] {
        let config = LogConfig { preallocate, segment_bytes: 1 << 18, ..LogConfig::default() };
        let mut machine = Machine::new(1, 1, config);
        // Two files of the journal, and less than a segment.
        machine.disk.set_capacity_bytes(Some(2_200_000));
        let mut round = Round::new(&machine.journal);
        let first = vec![batch(0, 0, 1, 1)];
        let log = &mut machine.logs[0];
        let went = round.append(log, &mut machine.files, first, TimestampMs(5000)).is_ok();
        assert_eq!((went, log.is_failed()), (expected, false), "{preallocate}");
        machine.disk.set_capacity_bytes(None);
        machine.commit(&mut round).unwrap();
        (0..200).for_each(|_| machine.round(&[0], 40).unwrap());
        assert!(machine.logs[0].segment_count() > 1);
        let end = machine.logs[0].end().0;
        machine.assert_holds(0, 0, end);
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, end);
    }
}

#[test]
fn jitter_takes_time_off_the_age_at_which_segments_roll_and_never_all_of_it() {
    let config =
        |jitter| LogConfig { segment_ms: 20, segment_jitter_ms: jitter, ..LogConfig::default() };
    let counts = |jitter| -> Vec<_> {
        let mut machine = Machine::new(1, 4, config(jitter));
        (0..60).for_each(|_| machine.round(&[0, 1, 2, 3], 1).unwrap());
        machine.logs.iter().map(PartitionLog::segment_count).collect()
    };
    assert_eq!(counts(0), [3; 4]);
    let spread = counts(15);
    assert!(
        spread.iter().all(|count| *count >= 3) && spread.iter().any(|count| *count > 3),
        "{spread:?}"
    );
    assert!(counts(i64::MAX).iter().all(|count| *count >= 3));
}
