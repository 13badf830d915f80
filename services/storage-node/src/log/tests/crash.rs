//! The power goes at every point: what was answered is there, in one piece, and nothing else that matters is lost.

use super::harness::*;
use crate::log::*;
use ottla_runtime::seams::{Disk, OpenMode, SimDisk};

/// What producers were told: partition → end offset that was acknowledged.
type Acknowledged = Vec<i64>;

/// A life of appends, checkpoints and rolls, until the power goes or it is over.
fn live(machine: &mut Machine, acknowledged: &mut Acknowledged, rounds: i64) {
    for number in 0..rounds {
        let partitions: &[usize] = if number % 3 == 0 { &[0, 1, 2] } else { &[0] };
        if machine.logs.iter().any(PartitionLog::is_failed)
            || try_round(machine, partitions, 1 + number % 4).is_err()
        {
            return;
        }
        for &partition in partitions {
            acknowledged[partition] = machine.logs[partition].durable_end().0;
        }
        if number % 7 == 6 && machine.try_checkpoint().is_err() {
            return;
        }
    }
}

/// Two batches for each of the partitions.
fn try_round(machine: &mut Machine, partitions: &[usize], count: i64) -> Result<(), ()> {
    let mut round = Round::new(&machine.journal);
    for &number in partitions {
        let log = &mut machine.logs[number];
        let base = log.end().0;
        let batches =
            vec![batch(number as i32, base, count, 1), batch(number as i32, base + count, 1, 1)];
        let now = ottla_types::TimestampMs(5000);
        round.append(log, &mut machine.files, batches, now).map_err(drop)?;
    }
    machine.commit(&mut round).map_err(drop)
}

fn crash_and_check(
    disk: &SimDisk,
    machine: Machine,
    acknowledged: &Acknowledged,
    name: &str,
) -> Machine {
    let config = (*machine.config).clone();
    drop(machine);
    disk.crash();
    disk.heal();
    let mut machine =
        Machine::start(disk, config).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(machine.quarantined.is_empty(), "{name}: {:?}", machine.quarantined);
    assert_eq!(machine.logs.len(), acknowledged.len(), "{name}");
    for (number, &end) in acknowledged.iter().enumerate() {
        let found = machine.logs[number].end().0;
        assert!(found >= end, "{name}: partition {number} ends at {found}, {end} was acknowledged");
        machine.assert_holds(number, 0, found);
    }
    machine
}

#[test]
fn every_acknowledged_append_survives_a_crash_at_every_point() {
    let changes = {
        let mut machine = Machine::new(0, 3, small());
        let before = machine.disk.changes();
        live(&mut machine, &mut vec![0; 3], 40);
        machine.disk.changes() - before
    };
    assert!(changes > 200, "{changes}");
    for point in 0..changes {
        let mut machine = Machine::new(point, 3, small());
        let mut acknowledged = vec![0; 3];
        machine.disk.cut_power_after(point);
        live(&mut machine, &mut acknowledged, 40);
        let disk = machine.disk.clone();
        let mut machine = crash_and_check(&disk, machine, &acknowledged, &format!("point {point}"));
        // And it goes on from there, through a second crash.
        for (number, log) in machine.logs.iter().enumerate() {
            acknowledged[number] = log.end().0;
        }
        live(&mut machine, &mut acknowledged, 5);
        crash_and_check(&disk, machine, &acknowledged, &format!("after point {point}"));
    }
}

#[test]
fn a_crash_during_recovery_loses_nothing() {
    for point in 0..60 {
        let mut machine = Machine::new(point, 3, small());
        let mut acknowledged = vec![0; 3];
        live(&mut machine, &mut acknowledged, 20);
        let disk = machine.disk.clone();
        disk.crash();
        disk.cut_power_after(point);
        let config = (*machine.config).clone();
        drop(Machine::start(&disk, config.clone()));
        crash_and_check(&disk, machine, &acknowledged, &format!("recovery point {point}"));
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    let mut config = small();
    config.durable = false;
    let mut machine = Machine::new(4, 2, config);
    for _ in 0..30 {
        machine.round(&[0, 1], 3).unwrap();
    }
    assert_eq!(machine.logs[0].counting_end(), machine.logs[0].end());
    let mut machine = machine.restart();
    machine.assert_holds(0, 0, 90);
    machine.assert_holds(1, 0, 90);
}

#[test]
fn a_log_without_durability_keeps_a_sound_prefix_through_a_crash() {
    for seed in 0..200 {
        let mut config = small();
        config.durable = false;
        let mut machine = Machine::new(seed, 1, config);
        for number in 0..30 {
            machine.round(&[0], 3).unwrap();
            if number == 14 {
                machine.checkpoint();
            }
        }
        let mut machine = machine.crash();
        assert!(machine.quarantined.is_empty(), "seed {seed}: {:?}", machine.quarantined);
        let end = machine.logs[0].end().0;
        assert!(end >= 45, "seed {seed}: {end}");
        machine.assert_holds(0, 0, end);
    }
}

#[test]
fn a_log_that_becomes_durable_is_durable_as_a_whole() {
    for seed in 0..100 {
        let mut config = small();
        config.durable = false;
        let mut machine = Machine::new(seed, 1, config);
        machine.round(&[0], 20).unwrap();
        machine.logs[0].set_config(std::sync::Arc::new(small()));
        machine.round(&[0], 1).unwrap();
        machine.round(&[0], 1).unwrap();
        assert_eq!(machine.logs[0].durable_end().0, 22);
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, 22);
    }
}

#[test]
fn large_appends_sync_their_segment_and_survive_a_crash() {
    for seed in 0..40 {
        let mut machine = Machine::new(seed, 2, LogConfig::default());
        for _ in 0..3 {
            machine.round(&[0, 1], 2).unwrap();
            machine.round(&[0], 6000).unwrap();
            assert_eq!(machine.logs[0].recovery_point(), machine.logs[0].end(), "synced directly");
            machine.round(&[0, 1], 2).unwrap();
        }
        let (first, second) = (machine.logs[0].end().0, machine.logs[1].end().0);
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, first);
        machine.assert_holds(1, 0, second);
    }
}

#[test]
fn a_direct_sync_does_not_count_on_a_checkpoint_that_runs() {
    for seed in 0..40 {
        let mut machine = Machine::new(seed, 1, LogConfig::default());
        machine.round(&[0], 1).unwrap();
        // It has taken on to sync the names of a new log, and has not begun.
        let pending = machine.logs[0].begin_checkpoint(&mut machine.files).unwrap();
        machine.round(&[0], 6000).unwrap();
        drop(pending);
        let mut machine = machine.crash();
        machine.assert_holds(0, 0, 6001);
    }
}

#[test]
fn a_clean_stop_needs_no_recovery_and_loses_nothing() {
    for seed in 0..20 {
        let mut machine = Machine::new(seed, 2, small());
        for _ in 0..40 {
            machine.round(&[0, 1], 3).unwrap();
        }
        let epochs = machine.logs[0].epochs().clone();
        let mut machine = machine.stop_cleanly();
        assert_eq!(machine.logs[0].epochs().entries(), epochs.entries());
        assert_eq!(machine.logs[0].recovery_point().0, 120);
        machine.assert_holds(0, 0, 120);
        machine.round(&[0], 1).unwrap();
        machine.assert_holds(0, 0, 121);
    }
}

#[test]
fn a_created_partition_is_made_again_after_a_crash() {
    for seed in 0..50 {
        let machine = Machine::new(seed, 5, small());
        let machine = machine.crash();
        assert_eq!(machine.logs.len(), 5);
        assert!(machine.logs.iter().all(|log| log.end().0 == 0 && log.topic() == "topic"));
    }
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    let mut machine = Machine::new(1, 1, small());
    machine.round(&[0], 1).unwrap();
    machine.disk.fail_sync(|path| path.to_string_lossy().contains("journal"));
    assert!(matches!(machine.round(&[0], 1), Err(RoundError::Journal(JournalError::Io { .. }))));
    machine.disk.heal();
    assert!(machine.journal.is_failed());
    assert!(matches!(machine.round(&[0], 1), Err(RoundError::Journal(JournalError::Failed(_)))));
    assert_eq!(machine.logs[0].durable_end().0, 1, "nothing more was promised");
}

#[test]
fn a_full_disk_takes_nothing_of_an_append_and_the_log_goes_on_later() {
    let mut machine = Machine::new(1, 1, LogConfig::default());
    machine.round(&[0], 3).unwrap();
    let used = 2 * SMALL_JOURNAL.file_bytes + 4096;
    machine.disk.set_capacity_bytes(Some(used));
    let mut round = Round::new(&machine.journal);
    let big = batch(0, 3, 200, 1);
    let refused = round.append(
        &mut machine.logs[0],
        &mut machine.files,
        vec![big],
        ottla_types::TimestampMs(1),
    );
    assert!(matches!(refused, Err(AppendError::Io { .. })));
    assert!(!machine.logs[0].is_failed() && round.is_empty());
    let path = machine.path(0, "00000000000000000000.log");
    let file = machine.disk.open(&path, OpenMode::Read).unwrap();
    assert_eq!(file.len().unwrap(), machine.logs[0].size_bytes(), "nothing is left of it");
    machine.disk.heal();
    machine.round(&[0], 2).unwrap();
    let mut machine = machine.crash();
    machine.assert_holds(0, 0, 5);
}
