//! Reads, and searches by time.

use super::harness::*;
use crate::log::*;
use ottla_log_format::{BatchBuilder, Codec, batches};
use ottla_types::{Offset, TimestampMs};

fn limit(max_bytes: usize) -> ReadLimit {
    ReadLimit { max_bytes, at_least_one_batch: true }
}

#[test]
fn every_offset_is_found_in_its_batch_from_every_limit() {
    let mut machine = Machine::new(1, 1, small());
    (0..80).for_each(|number| machine.round(&[0], 1 + number % 5).unwrap());
    let mut machine = machine.stop_cleanly();
    let end = machine.logs[0].end();
    for from in 0..end.0 {
        for max_bytes in [0, 300, 1500, 100_000] {
            for upper in [end, Offset(from + 3)] {
                let log = &mut machine.logs[0];
                let Some(region) =
                    log.read(&mut machine.files, Offset(from), upper, limit(max_bytes)).unwrap()
                else {
                    assert!(upper < end);
                    continue;
                };
                assert!(
                    region.base.0 <= from && region.next.0 > from && region.next <= upper,
                    "{region:?} {upper}"
                );
                let bytes = region.to_bytes().unwrap();
                let headers: Vec<_> = batches(&bytes).map(|batch| batch.unwrap().header).collect();
                assert_eq!(
                    (headers[0].base_offset, headers.last().unwrap().next_offset()),
                    (region.base, region.next)
                );
                assert!(bytes.len() <= max_bytes || headers.len() == 1);
                assert!(headers[0].next_offset().0 > from, "the first batch holds the offset");
                // As much as fits: the next batch would not.
                let next = log.read(&mut machine.files, region.next, end, limit(0)).unwrap();
                if let Some(next) = next.filter(|next| next.next <= upper && next.position > 0) {
                    assert!(bytes.len() + next.len > max_bytes, "{region:?} then {next:?}");
                }
            }
        }
    }
}

#[test]
fn an_offset_outside_the_log_is_out_of_range() {
    let mut machine = Machine::new(1, 1, small());
    machine.round(&[0], 5).unwrap();
    let log = &mut machine.logs[0];
    assert!(log.read(&mut machine.files, Offset(5), Offset(5), limit(10)).unwrap().is_none());
    for offset in [-1, 6] {
        let error = log.read(&mut machine.files, Offset(offset), Offset(5), limit(10)).unwrap_err();
        assert!(matches!(error, ReadError::OutOfRange { .. }));
    }
    let none = ReadLimit { max_bytes: 10, at_least_one_batch: false };
    assert!(log.read(&mut machine.files, Offset(0), Offset(5), none).unwrap().is_none());
}

#[test]
fn an_idle_log_holds_no_file_and_readers_of_many_logs_share_few() {
    let mut machine = Machine::new(1, 40, small());
    let all: Vec<usize> = (0..40).collect();
    machine.round(&all, 3).unwrap();
    (0..40).for_each(|number| machine.assert_holds(number, 0, 3));
    assert!(machine.files.open_count() <= 8);
    assert!(size_of::<PartitionLog>() < 700, "{}", size_of::<PartitionLog>());
}

fn found(machine: &mut Machine, query: TimestampQuery) -> Option<(i64, i64)> {
    found_within(machine, query, &mut InflateBudget::new(MAX_INFLATED_BYTES_PER_REQUEST))
}

fn found_within(
    machine: &mut Machine,
    query: TimestampQuery,
    budget: &mut InflateBudget,
) -> Option<(i64, i64)> {
    let found = machine.logs[0].find_timestamp(&mut machine.files, query, budget).unwrap();
    found.map(|found| (found.timestamp.0, found.offset.0))
}

fn not_before(time: i64) -> TimestampQuery {
    TimestampQuery::NotBefore(TimestampMs(time))
}

#[test]
fn a_time_leads_to_its_record_in_every_segment() {
    let mut machine = Machine::new(1, 1, small());
    (0..80).for_each(|number| machine.round(&[0], 1 + number % 5).unwrap());
    for restart in [false, true] {
        if restart {
            machine = machine.stop_cleanly();
        }
        let end = machine.logs[0].end().0;
        for offset in 0..end {
            assert_eq!(
                found(&mut machine, not_before(1000 + offset)),
                Some((1000 + offset, offset))
            );
        }
        assert_eq!(found(&mut machine, not_before(0)), Some((1000, 0)));
        assert_eq!(found(&mut machine, not_before(1000 + end)), None);
        assert_eq!(found(&mut machine, TimestampQuery::Latest), Some((1000 + end - 1, end - 1)));
    }
}

#[test]
fn times_out_of_order_and_compressed_batches_are_answered_to_the_record() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut machine = Machine::new(1, 1, small());
        let mut base = 0;
        for times in [[50, 10, 90], [20, 20, 20], [90, 95, 5], [60, 95, 1]] {
            let mut builder = BatchBuilder::new(Offset(0)).codec(codec);
            times.iter().for_each(|&time| builder.push(TimestampMs(time), None, Some(b"v"), &[]));
            let mut round = Round::new(&machine.journal);
            let batch = placed(builder.try_build().unwrap(), base, 1);
            round
                .append(&mut machine.logs[0], &mut machine.files, vec![batch], TimestampMs(1))
                .unwrap();
            machine.commit(&mut round).unwrap();
            base += 3;
        }
        for (time, answer) in
            [(1, (50, 0)), (50, (50, 0)), (51, (90, 2)), (91, (95, 7)), (95, (95, 7))]
        {
            assert_eq!(found(&mut machine, not_before(time)), Some(answer), "{codec:?} {time}");
        }
        assert_eq!(found(&mut machine, not_before(96)), None);
        assert_eq!(found(&mut machine, TimestampQuery::Latest), Some((95, 7)));
        machine.logs[0].raise_log_start(Offset(8), Offset(12));
        assert_eq!(found(&mut machine, not_before(1)), Some((5, 8)));
    }
}

#[test]
fn what_a_request_decompresses_is_bounded_over_all_that_it_looks_up() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut machine = Machine::new(1, 1, small());
        let mut builder = BatchBuilder::new(Offset(0)).codec(codec);
        let value = [0; 30_000];
        for time in [10, 20, 30] {
            builder.push(TimestampMs(time), None, Some(&value), &[]);
        }
        let mut round = Round::new(&machine.journal);
        let batch = placed(builder.try_build().unwrap(), 0, 1);
        round
            .append(&mut machine.logs[0], &mut machine.files, vec![batch], TimestampMs(1))
            .unwrap();
        machine.commit(&mut round).unwrap();
        // Enough for one batch of 90,000 bytes, not for two.
        let mut budget = InflateBudget::new(150_000);
        let mut next = |query| found_within(&mut machine, query, &mut budget);
        assert_eq!(next(not_before(15)), Some((20, 1)), "{codec:?}");
        assert_eq!(next(not_before(15)), Some((30, 0)), "{codec:?}: the batch's own");
        assert_eq!(next(TimestampQuery::Latest), Some((30, 0)), "{codec:?}");
    }
}

#[test]
fn producer_state_is_rebuilt_from_the_newest_snapshot_that_is_whole() {
    use ottla_log_format::producer_snapshot::ProducerEntry;
    use ottla_types::{ProducerEpoch, ProducerId, Sequence};
    let mut machine = Machine::new(1, 1, small());
    (0..40).for_each(|_| machine.round(&[0], 2).unwrap());
    let entry = ProducerEntry {
        producer_id: ProducerId(5),
        producer_epoch: ProducerEpoch(0),
        last_sequence: Sequence(1),
        last_offset: Offset(9),
        offset_delta: 0,
        timestamp: TimestampMs(4),
        coordinator_epoch: -1,
        current_txn_first_offset: Offset::NONE,
    };
    for offset in [30, 60, 70, 500] {
        machine.logs[0].write_producers(&machine.files, Offset(offset), &[entry]).unwrap();
    }
    machine.disk.flip_bit(&machine.path(0, "00000000000000000070.snapshot"), 100).unwrap();
    let loaded = machine.logs[0].load_producers(&machine.files).unwrap();
    assert_eq!(loaded, LoadedProducers { offset: Offset(60), entries: vec![entry] });
    let names = machine.names(0);
    let left: Vec<_> = names.iter().filter(|name| name.ends_with(".snapshot")).collect();
    assert_eq!(left, ["00000000000000000060.snapshot"]);
    let mut seen = Vec::new();
    machine.logs[0]
        .for_each_batch(&mut machine.files, loaded.offset, &mut |header, body| {
            seen.push((header.base_offset.0, body.is_some()))
        })
        .unwrap();
    assert_eq!(seen, (30..40).map(|number| (number * 2, false)).collect::<Vec<_>>());
}
