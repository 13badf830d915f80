//! Cutting, beginning anew, deleting.

use super::harness::*;
use crate::log::*;
use ottla_runtime::seams::Disk;
use ottla_types::{LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition, Uuid};

#[test]
fn a_cut_is_durable_when_it_returned_at_every_crash_point() {
    for seed in 0..60 {
        for to in [0, 1, 5, 30, 75, 79] {
            let mut machine = Machine::new(seed, 1, small());
            (0..40).for_each(|_| machine.round(&[0], 2).unwrap());
            if seed % 2 == 0 {
                machine.checkpoint();
            }
            machine.disk.cut_power_after(seed);
            let cut =
                machine.logs[0].truncate_to(&mut machine.files, &mut machine.journal, Offset(to));
            let mut machine = machine.crash();
            assert!(
                machine.quarantined.is_empty(),
                "seed {seed} to {to}: {:?}",
                machine.quarantined
            );
            let end = machine.logs[0].end().0;
            match cut {
                Ok(()) => assert_eq!(end, to / 2 * 2, "seed {seed}"),
                Err(_) => assert!(end >= to / 2 * 2, "seed {seed}: cut too much"),
            }
            machine.assert_holds(0, 0, end);
            machine.round(&[0], 1).unwrap();
            let mut machine = machine.crash();
            machine.assert_holds(0, 0, end + 1);
        }
    }
}

#[test]
fn a_log_that_begins_anew_has_nothing_of_before() {
    for seed in 0..60 {
        let mut machine = Machine::new(seed, 1, small());
        (0..40).for_each(|_| machine.round(&[0], 2).unwrap());
        if seed % 2 == 0 {
            machine.checkpoint();
        }
        machine.logs[0].restart_at(&mut machine.files, &mut machine.journal, Offset(1000)).unwrap();
        if seed % 3 == 0 {
            machine = machine.crash();
        }
        assert_eq!((machine.logs[0].log_start().0, machine.logs[0].end().0), (1000, 1000));
        assert_eq!(machine.logs[0].epochs().entries(), []);
        machine.round(&[0], 2).unwrap();
        let mut machine = machine.crash();
        assert!(machine.quarantined.is_empty(), "seed {seed}: {:?}", machine.quarantined);
        machine.assert_holds(0, 1000, 1002);
    }
}

#[test]
fn epochs_are_cut_with_the_log_and_found_again_after_a_crash() {
    let mut machine = Machine::new(1, 1, small());
    for (epoch, count) in [(0, 5), (3, 2), (4, 6)] {
        let mut round = Round::new(&machine.journal);
        let log = &mut machine.logs[0];
        let batch = batch(0, log.end().0, count, epoch);
        round.append(log, &mut machine.files, vec![batch], TimestampMs(1)).unwrap();
        machine.commit(&mut round).unwrap();
    }
    let expected = |machine: &Machine, entries: &[(i32, i64)]| {
        let found = machine.logs[0]
            .epochs()
            .entries()
            .iter()
            .map(|entry| (entry.epoch.0, entry.start_offset.0));
        assert_eq!(found.collect::<Vec<_>>(), entries);
    };
    expected(&machine, &[(0, 0), (3, 5), (4, 7)]);
    let mut machine = machine.crash();
    expected(&machine, &[(0, 0), (3, 5), (4, 7)]);
    let log = &mut machine.logs[0];
    log.truncate_to(&mut machine.files, &mut machine.journal, Offset(7)).unwrap();
    expected(&machine, &[(0, 0), (3, 5)]);
    assert_eq!(
        machine.logs[0].epochs().end_offset_for(LeaderEpoch(3), Offset(7)),
        Some((LeaderEpoch(3), Offset(7)))
    );
    let machine = machine.crash();
    expected(&machine, &[(0, 0), (3, 5)]);
}

#[test]
fn an_index_is_cut_for_good_before_other_entries_are_written() {
    let mut machine =
        Machine::new(1, 1, LogConfig { index_interval_bytes: 100, ..LogConfig::default() });
    (0..80).for_each(|_| machine.round(&[0], 2).unwrap());
    let mut machine = machine.stop_cleanly();
    let log = &mut machine.logs[0];
    log.truncate_to(&mut machine.files, &mut machine.journal, Offset(20)).unwrap();
    // Half an entry of before the cut and half of one after could make one that looks sound.
    machine.disk.crash_losing_all();
    for entry in machine.disk.list("/data/topic-0".as_ref()).unwrap() {
        let is_index = entry.name.ends_with("index");
        assert!(!is_index || entry.len == 0, "{entry:?}");
    }
}

#[test]
fn a_deleted_partition_is_renamed_and_another_topic_may_take_its_name() {
    for seed in 0..60 {
        let mut machine = Machine::new(seed, 2, small());
        (0..20).for_each(|_| machine.round(&[0, 1], 2).unwrap());
        machine.checkpoint();
        machine.round(&[0, 1], 2).unwrap();
        let mut round = Round::new(&machine.journal);
        let log = machine.logs.remove(0);
        machine.points.forget("topic", log.id());
        let renamed =
            log.delete(&mut machine.files, &mut round, Uuid::from_random(seed.into())).unwrap();
        assert!(machine.disk.exists(&renamed).unwrap());
        machine.points.write_forgotten().unwrap();
        let other = TopicPartition { topic: TopicId(Uuid::from_random(99)), ..id(0) };
        let log = PartitionLog::create(
            &machine.files,
            LOG_DIR.as_ref(),
            "topic",
            other,
            machine.config.clone(),
        )
        .unwrap();
        round.created(&log);
        machine.logs.insert(0, log);
        machine.commit(&mut round).unwrap();
        machine.round(&[0], 1).unwrap();
        let mut machine = machine.crash();
        assert!(machine.quarantined.is_empty(), "seed {seed}: {:?}", machine.quarantined);
        machine.logs.sort_by_key(|log| log.id().partition);
        assert_eq!(machine.logs[0].id(), other, "seed {seed}");
        machine.assert_holds(0, 0, 1);
        machine.assert_holds(1, 0, 42);
    }
}
