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
    machine.points.write_log_starts(&machine.logs).unwrap();
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
    machine.points.write_log_starts(&machine.logs).unwrap();
    assert!(retain(&mut machine, 0, 160) > 0);
    assert!(machine.logs[0].segment_count() < segments);
    let mut machine = machine.crash();
    assert_eq!(machine.logs[0].log_start().0, 100);
    machine.assert_holds(0, 100, 160);
}
