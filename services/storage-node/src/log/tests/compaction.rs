//! Compaction of a log on a disk: what readers see, what a crash at any point leaves, what recovery makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::harness::*;
use crate::log::*;
use ottla_log_format::compaction::{KeyHasher, OffsetMap};
use ottla_log_format::{BatchBuilder, Codec, Records, batches};
use ottla_runtime::seams::{Disk, OpenMode};
use ottla_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

const TOKEN: u64 = 7;
const BUFFER_BYTES: usize = 1024;
/// Squares leave not all of so many remainders, and some of them rarely.
const KEYS: i64 = 37;

/// What a record is: its key, and its value or none.
type Record = (Vec<u8>, Option<Vec<u8>>);

fn compacted() -> LogConfig {
    LogConfig { compact: true, delete: false, delete_retention_ms: 100, ..small() }
}

/// The record that is written at an offset: each third round of keys has a tombstone.
fn record(offset: i64) -> Record {
    let key = format!("key {}", (offset * offset) % KEYS).into_bytes();
    let is_tombstone = offset % 11 == 3;
    (key, (!is_tombstone).then(|| value(0, offset)))
}

/// Appends some batches, and makes them durable.
fn write(machine: &mut Machine, count: i64) -> Result<(), ()> {
    let mut round = Round::new(&machine.journal);
    let log = &mut machine.logs[0];
    let base = log.end().0;
    let codec = if base % 2 == 0 { Codec::None } else { Codec::Lz4 };
    let producer = (ProducerId(base % 3), ProducerEpoch(0), Sequence(base as i32));
    let mut builder = BatchBuilder::new(Offset(0)).codec(codec);
    builder = builder.producer(producer.0, producer.1, producer.2);
    for offset in base..base + count {
        let (key, value) = record(offset);
        builder.push(TimestampMs(1000 + offset), Some(&key), value.as_deref(), &[]);
    }
    let batch = placed(builder.try_build().unwrap(), base, 1);
    round.append(log, &mut machine.files, vec![batch], TimestampMs(5000)).map_err(drop)?;
    machine.commit(&mut round).map_err(drop)
}

/// The steps of a cleaning, which end early where the disk does; `stop_after` of the swap's steps.
fn compact_until(machine: &mut Machine, now: i64, stop_after: usize) -> Option<()> {
    let (disk, points) = (Arc::clone(machine.files.disk()), &machine.points);
    let log = &mut machine.logs[0];
    if !log.begin_cleaning(TOKEN) {
        return None;
    }
    let cleanable = Arc::new(log.cleanable(log.end()));
    let checkpoint = points.cleaned().get("topic", cleanable.partition.partition);
    let dirty = Dirty::of(&cleanable, checkpoint, &*disk, TimestampMs(now)).ok()?;
    let mut map = OffsetMap::new(KeyHasher::new(1), 1 << 20, 90, dirty.start);
    for segment in cleanable.segments.iter().filter(|one| one.end > dirty.start) {
        let mut scan = KeyScan::begin(&*disk, &cleanable, segment, BUFFER_BYTES).ok()?;
        while scan.step(dirty.start, &mut map).ok()?.1 == Progress::GoesOn {}
    }
    points.cleaned().set("topic", cleanable.partition.partition, dirty.start).ok()?;
    let groups = group_segments(&cleanable, map.end(), &*disk);
    let end = map.end();
    let (now, producers) = (TimestampMs(now), BTreeMap::new());
    let mut rules = RewriteRules { map, now, producers, keeps_tombstones: false };
    for group in groups {
        let mut rewrite = Rewrite::begin(&disk, &cleanable, group, BUFFER_BYTES).ok()?;
        while rewrite.step(&mut rules).ok()?.is_some() {}
        let cleaned = rewrite.finish().ok()?;
        if cleaned.is_unchanged {
            Rewrite::discard(&*disk, &cleanable, cleaned.base);
            continue;
        }
        (stop_after > 0 && log.commit_swap(&*disk, TOKEN, cleaned.base).ok()?).then_some(())?;
        (stop_after > 1 && disk.sync_dir(&cleanable.dir).is_ok()).then_some(())?;
        let renamed = log.replace_segments(&mut machine.files, TOKEN, &cleaned).ok()??;
        (stop_after > 2 && disk.sync_dir(&cleanable.dir).is_ok()).then_some(())?;
        (stop_after > 3 && log.settle_swap(&mut machine.files, TOKEN).ok()?).then_some(())?;
        disk.sync_dir(&cleanable.dir).ok()?;
        remove_renamed(&*disk, &renamed).ok()?;
    }
    points.cleaned().set("topic", cleanable.partition.partition, end).ok()?;
    log.end_cleaning(&*disk, TOKEN).ok()
}

fn compact(machine: &mut Machine, now: i64) -> Option<()> {
    compact_until(machine, now, usize::MAX)
}

/// All records by their offsets, read as a consumer does, over any gap.
fn read_records(machine: &mut Machine) -> Vec<(i64, Record)> {
    let log = &mut machine.logs[0];
    let (mut next, mut found) = (log.log_start(), Vec::new());
    while next < log.end() {
        let limit = ReadLimit { max_bytes: 700, at_least_one_batch: true };
        let region = log.read(&mut machine.files, next, log.end(), limit).unwrap().unwrap();
        let bytes = region.to_bytes().unwrap();
        let before = next;
        for batch in batches(&bytes).map(Result::unwrap) {
            let payload = &batch.bytes[ottla_log_format::BATCH_HEADER_BYTES..];
            let codec = batch.header.attributes.codec().unwrap();
            let payload =
                ottla_log_format::compression::decompress(codec, payload, 1 << 20).unwrap();
            for one in Records::over(&batch.header, &payload).map(Result::unwrap) {
                if one.offset >= next {
                    let value = one.value.map(<[u8]>::to_vec);
                    found.push((one.offset.0, (one.key.unwrap().to_vec(), value)));
                }
            }
            next = next.max(batch.header.next_offset());
        }
        assert!(next > before, "a reader gets on: {before}");
    }
    found
}

/// Whatever was compacted, a reader sees the last value of each key, in the order of offsets, as it was written.
fn check(machine: &mut Machine, acknowledged: i64, name: &str) {
    assert!(machine.quarantined.is_empty(), "{name}: {:?}", machine.quarantined);
    let end = machine.logs[0].end().0;
    assert!(end >= acknowledged, "{name}: ends at {end}, {acknowledged} was acknowledged");
    let found = read_records(machine);
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}");
    assert!(found.iter().all(|(offset, one)| *one == record(*offset)), "{name}");
    let by_key = |records: Vec<(i64, Record)>| -> BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)> {
        records.into_iter().map(|(offset, (key, value))| (key, (offset, value))).collect()
    };
    let found = by_key(found);
    for (key, last) in by_key((0..end).map(|offset| (offset, record(offset))).collect()) {
        let seen = found.get(&key);
        let is_gone_tombstone = last.1.is_none() && seen.is_none();
        assert!(seen == Some(&last) || is_gone_tombstone, "{name}: {last:?}, found {seen:?}");
    }
}

/// Appends, checkpoints and compactions, until the power goes or it is over. What was acknowledged.
fn live(machine: &mut Machine, rounds: i64) -> i64 {
    let mut acknowledged = machine.logs[0].end().0;
    for number in 0..rounds {
        if write(machine, 5 + number % 4).is_err() {
            return acknowledged;
        }
        acknowledged = machine.logs[0].durable_end().0;
        if number % 8 == 7 {
            let went_well = machine.try_checkpoint().is_ok();
            if !went_well || compact(machine, number * 40).is_none() {
                return acknowledged;
            }
        }
    }
    acknowledged
}

#[test]
fn a_crash_at_every_point_of_a_compaction_loses_no_last_value() {
    let changes = {
        let mut machine = Machine::new(0, 1, compacted());
        let before = machine.disk.changes();
        let acknowledged = live(&mut machine, 50);
        assert!(acknowledged > 250 && machine.logs[0].size_bytes() < 9_000);
        machine.disk.changes() - before
    };
    assert!(changes > 200, "{changes}");
    for point in 0..changes {
        let mut machine = Machine::new(point, 1, compacted());
        machine.disk.cut_power_after(point);
        let acknowledged = live(&mut machine, 50);
        let mut machine = machine.crash();
        check(&mut machine, acknowledged, &format!("point {point}"));
        let names = machine.names(0);
        assert!(!names.iter().any(|name| name.ends_with(".swap") || name.ends_with(".cleaned")));
        // And it goes on from there, through a second crash.
        let acknowledged = live(&mut machine, 10);
        let mut machine = machine.crash();
        check(&mut machine, acknowledged, &format!("after point {point}"));
    }
}

#[test]
fn a_crash_while_a_swap_is_finished_loses_nothing() {
    for (point, stop_after) in (0..30).flat_map(|point| [(point, 1), (point, 2), (point, 3)]) {
        let mut machine = half_swapped(point, stop_after);
        let disk = machine.disk.clone();
        let acknowledged = machine.logs[0].durable_end().0;
        disk.kill_process();
        disk.cut_power_after(point);
        drop(Machine::start(&disk, compacted()));
        machine = machine.crash();
        check(&mut machine, acknowledged, &format!("point {point} after step {stop_after}"));
    }
}

/// A log whose compaction stopped after so many steps of the first swap.
fn half_swapped(seed: u64, stop_after: usize) -> Machine {
    let mut machine = Machine::new(seed, 1, compacted());
    (0..40).for_each(|_| write(&mut machine, 7).unwrap());
    machine.checkpoint();
    assert!(compact_until(&mut machine, 0, stop_after).is_none());
    machine
}

#[test]
fn a_killed_process_finishes_what_counts_and_drops_what_does_not() {
    let size = half_swapped(3, 0).logs[0].size_bytes();
    for stop_after in 0..4 {
        let mut machine = half_swapped(3, stop_after);
        let has_swap = machine.names(0).iter().any(|name| name.ends_with(".log.swap"));
        assert_eq!(has_swap, stop_after > 0);
        let end = machine.logs[0].end().0;
        machine = machine.restart();
        check(&mut machine, end, &format!("step {stop_after}"));
        let is_swapped = machine.logs[0].size_bytes() < size;
        assert_eq!(is_swapped, stop_after > 0, "step {stop_after}");
        // It can be compacted again, to the end.
        compact(&mut machine, 0).unwrap();
        check(&mut machine, end, &format!("again after step {stop_after}"));
    }
}

#[test]
fn readers_of_an_old_file_go_on_and_others_find_the_new_one_at_every_step() {
    let mut machine = Machine::new(1, 1, compacted());
    (0..40).for_each(|_| write(&mut machine, 7).unwrap());
    machine.checkpoint();
    let limit = ReadLimit { max_bytes: 3000, at_least_one_batch: true };
    let log = &mut machine.logs[0];
    let before = log.read(&mut machine.files, Offset(0), log.end(), limit).unwrap().unwrap();
    let bytes = before.to_bytes().unwrap();
    let size = log.size_bytes();
    // Replaced, and not settled yet.
    assert!(compact_until(&mut machine, 0, 2).is_none());
    assert!(machine.logs[0].size_bytes() < size);
    assert_eq!(before.to_bytes().unwrap(), bytes);
    let end = machine.logs[0].end().0;
    check(&mut machine, end, "replaced");
    write(&mut machine, 3).unwrap();
    assert!(machine.logs[0].is_being_cleaned());
    let renamed =
        machine.logs[0].apply_retention(&mut machine.files, TimestampMs(i64::MAX), Offset(end));
    assert!(renamed.unwrap().is_empty(), "no segment goes while some are swapped");
    check(&mut machine, end + 3, "and written to");
}

#[test]
fn a_cleaning_that_is_given_up_leaves_nothing_that_could_come_back() {
    let mut machine = half_swapped(5, 1);
    let disk = Arc::clone(machine.files.disk());
    machine.logs[0].end_cleaning(&*disk, TOKEN).unwrap();
    assert!(!machine.names(0).iter().any(|name| name.ends_with(".log.swap")));
    assert!(!machine.logs[0].is_being_cleaned());
    // Steps of a cleaning that is over do nothing.
    assert!(!machine.logs[0].commit_swap(&*disk, TOKEN, Offset(0)).unwrap());
    assert!(!machine.logs[0].settle_swap(&mut machine.files, TOKEN).unwrap());
    compact(&mut machine, 0).unwrap();
    let end = machine.logs[0].end().0;
    check(&mut machine, end, "after all");
}

#[test]
fn a_compacted_log_is_read_by_recovery_as_a_whole_with_its_gaps() {
    for lost in [
        &["recovery-point-offset-checkpoint"][..],
        &["recovery-point-offset-checkpoint", "cleaner-offset-checkpoint"],
    ] {
        let mut machine = Machine::new(9, 1, compacted());
        let end = live(&mut machine, 50);
        let offsets = read_records(&mut machine).iter().map(|one| one.0).collect::<Vec<_>>();
        assert!(offsets.windows(2).any(|pair| pair[1] > pair[0] + 1), "there are gaps");
        for name in lost {
            machine.disk.remove_file(&std::path::Path::new(LOG_DIR).join(name)).unwrap();
        }
        let mut machine = machine.restart();
        check(&mut machine, end, "verified from its beginning");
        assert_eq!(read_records(&mut machine).len(), offsets.len());
        let mut machine = machine.stop_cleanly();
        check(&mut machine, end, "and after a clean stop");
    }
}

#[test]
fn a_gap_in_a_log_that_was_never_compacted_is_damage_still() {
    let mut machine = Machine::new(2, 1, LogConfig::default());
    (0..5).for_each(|_| machine.round(&[0], 5).unwrap());
    machine.checkpoint();
    machine.round(&[0], 5).unwrap();
    // The base offset of the last batch, which its checksum does not cover, is one too high.
    let path = machine.path(0, "00000000000000000000.log");
    let file = machine.disk.open(&path, OpenMode::ReadWrite).unwrap();
    let limit = ReadLimit { max_bytes: 0, at_least_one_batch: true };
    let log = &mut machine.logs[0];
    let last = log.read(&mut machine.files, Offset(25), log.end(), limit).unwrap().unwrap();
    file.write_all_at(&[std::io::IoSlice::new(&26_i64.to_be_bytes())], last.position).unwrap();
    let mut machine = machine.restart();
    machine.assert_holds(0, 0, 30);
}

#[test]
fn how_dirty_a_log_is_decides_with_the_lags_of_its_topic() {
    let mut machine = Machine::new(1, 1, compacted());
    (0..40).for_each(|_| write(&mut machine, 7).unwrap());
    machine.checkpoint();
    let dirty = |machine: &Machine, config: LogConfig, from: Option<i64>, now: i64| {
        let log = &machine.logs[0];
        let mut cleanable = log.cleanable(log.end());
        cleanable.config = Arc::new(config);
        let dirty =
            Dirty::of(&cleanable, from.map(Offset), &machine.disk, TimestampMs(now)).unwrap();
        (dirty, dirty.is_worth_it(&cleanable.config))
    };
    let segments = machine.logs[0].cleanable(Offset(i64::MAX)).segments;
    let limit = segments.last().unwrap().end;
    let (all, is_worth_it) = dirty(&machine, compacted(), None, 0);
    assert_eq!((all.start, all.end, all.clean_bytes, is_worth_it), (Offset(0), limit, 0, true));
    // Compacted but for the last closed segment: less than half is dirty.
    let last = segments.last().unwrap().base.0;
    let (some, is_worth_it) = dirty(&machine, compacted(), Some(last), 0);
    assert_eq!((some.start.0, is_worth_it, segments.len() > 2), (last, false, true));
    let eager = LogConfig { min_cleanable_millionths: 0, ..compacted() };
    assert!(dirty(&machine, eager, Some(last), 0).1);
    let overdue = LogConfig { max_compaction_lag_ms: 50, ..compacted() };
    assert!(dirty(&machine, overdue.clone(), Some(last), 100_000).1);
    assert!(!dirty(&machine, overdue, Some(last), 1000 + last).1);
    // Records are 1000 + offset old: all are too young, or those from the second segment on.
    let lag = LogConfig { min_compaction_lag_ms: 1_000_000, ..compacted() };
    assert_eq!(dirty(&machine, lag, None, 2000).0.dirty_bytes, 0);
    let second = segments[1].base.0;
    let lag = LogConfig { min_compaction_lag_ms: 10, ..compacted() };
    assert_eq!(dirty(&machine, lag, None, 1000 + second + 10).0.end, Offset(second));
    // What lies outside the log says nothing.
    assert_eq!(dirty(&machine, compacted(), Some(i64::MAX), 0).0.start, Offset(0));
}

#[test]
fn only_what_is_closed_synced_and_committed_may_be_compacted() {
    let mut machine = Machine::new(1, 1, compacted());
    (0..40).for_each(|_| write(&mut machine, 7).unwrap());
    let end = machine.logs[0].end();
    assert!(machine.logs[0].cleanable(end).segments.is_empty(), "nothing is synced in segments");
    assert!(machine.logs[0].has_unsynced_closed(end));
    machine.checkpoint();
    assert!(!machine.logs[0].has_unsynced_closed(end));
    let all = machine.logs[0].cleanable(end).segments;
    assert_eq!(all.len() + 1, machine.logs[0].segment_count(), "the active one never");
    let first = all[0].end;
    assert_eq!(machine.logs[0].cleanable(first).segments.len(), 1);
    assert_eq!(machine.logs[0].cleanable(first.plus(-1)).segments.len(), 0);
}
