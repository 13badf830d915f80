//! Producer state between its two forms: what a replica remembers, and Kafka's snapshot with the batches behind it.
//!
//! Invariant: what is rebuilt after a restart refuses the same duplicates as before: Kafka's snapshot holds the last batch of each
//! producer only, so those before it are read from the log, as far back as a client in flight can reach.

use std::collections::{BTreeMap, VecDeque};

use ottla_log_format::BatchHeader;
use ottla_log_format::producer_snapshot::ProducerEntry;
use ottla_partition::producers::REMEMBERED_BATCHES;
use ottla_partition::{Batch, BatchMemory, OpenTransactions, Producer, Producers};
use ottla_types::{Offset, ProducerId, TimestampMs};

use crate::log::{Files, LoadedProducers, PartitionLog, ProducersError};

/// Offsets before a snapshot in which the last five batches of its producers are looked for, at least. Other producers' batches
/// may lie between them.
const LOOK_BACK_OFFSETS: i64 = 1_000;

/// What a snapshot says of these producers.
pub(crate) fn snapshot_entries(producers: &Producers) -> Vec<ProducerEntry> {
    producers.iter().filter_map(|(id, producer)| entry(id, producer)).collect()
}

fn entry(id: ProducerId, producer: &Producer) -> Option<ProducerEntry> {
    let newest = producer.batches.back()?;
    let delta = newest.last_offset.0.checked_sub(newest.base_offset.0)?;
    Some(ProducerEntry {
        producer_id: id,
        producer_epoch: producer.epoch,
        last_sequence: newest.last_sequence,
        last_offset: newest.last_offset,
        offset_delta: i32::try_from(delta).ok()?,
        timestamp: producer.last_seen,
        coordinator_epoch: -1,
        current_txn_first_offset: Offset::NONE,
    })
}

fn producer(entry: &ProducerEntry) -> Option<Producer> {
    let delta = entry.offset_delta;
    if entry.last_sequence.0 < 0 || delta < 0 || entry.last_offset.0 < i64::from(delta) {
        return None;
    }
    let newest = BatchMemory {
        // Sequences wrap from 2³¹−1 to 0, and back.
        first_sequence: ottla_types::Sequence(
            i32::try_from(
                (i64::from(entry.last_sequence.0) - i64::from(delta)).rem_euclid(1 << 31),
            )
            .unwrap_or(0),
        ),
        last_sequence: entry.last_sequence,
        base_offset: entry.last_offset.plus(-i64::from(delta)),
        last_offset: entry.last_offset,
        timestamp: entry.timestamp,
    };
    Some(Producer {
        epoch: entry.producer_epoch,
        batches: VecDeque::from([newest]),
        last_seen: entry.timestamp,
    })
}

/// Rebuilds what a partition knew of its producers: the newest snapshot, and the batches behind it. `now` counts as the moment at
/// which those were last heard of, so that none expires because the node was down.
pub(crate) fn rebuild(
    log: &PartitionLog,
    files: &mut Files,
    now: TimestampMs,
) -> Result<Producers, ProducersError> {
    let loaded = log.load_producers(files)?;
    let mut producers = Producers::default();
    for entry in &loaded.entries {
        if let Some(producer) = producer(entry) {
            producers.restore(entry.producer_id, producer);
        }
    }
    let open = OpenTransactions::default();
    let mut earlier: BTreeMap<ProducerId, Vec<BatchMemory>> = BTreeMap::new();
    log.for_each_batch(files, look_back_from(log, &loaded), &mut |header, _| {
        let Some((producer, memory)) = memory_of(header) else { return };
        // Without a snapshot this is the log's start, which DeleteRecords may have put within a batch.
        if memory.last_offset >= loaded.offset {
            producers.replay(&producer, memory, now, &open);
        } else if producers.get(producer.id).is_some_and(|known| known.epoch == producer.epoch) {
            earlier.entry(producer.id).or_default().push(memory);
        }
    })?;
    for (id, batches) in earlier {
        remember_earlier(&mut producers, id, &batches);
    }
    Ok(producers)
}

/// From where on batches are read: before the snapshot's offset where it names producers.
fn look_back_from(log: &PartitionLog, loaded: &LoadedProducers) -> Offset {
    let widest = loaded.entries.iter().map(|entry| i64::from(entry.offset_delta) + 1).max();
    let Some(widest) = widest else { return loaded.offset };
    let back = LOOK_BACK_OFFSETS.max(widest.saturating_mul(REMEMBERED_BATCHES as i64));
    loaded.offset.plus(-back.min(loaded.offset.0)).max(log.log_start())
}

/// Puts batches from before the snapshot in front of what is remembered of a producer, as long as they fit without a gap.
fn remember_earlier(producers: &mut Producers, id: ProducerId, batches: &[BatchMemory]) {
    let Some(mut producer) = producers.get(id).cloned() else { return };
    for batch in batches.iter().rev() {
        let Some(first) =
            producer.batches.front().filter(|_| producer.batches.len() < REMEMBERED_BATCHES)
        else {
            break;
        };
        if batch.last_offset >= first.base_offset {
            continue;
        }
        if batch.last_sequence.plus(1) != first.first_sequence {
            break;
        }
        producer.batches.push_front(*batch);
    }
    producers.restore(id, producer);
}

fn memory_of(header: &BatchHeader) -> Option<(ottla_partition::BatchProducer, BatchMemory)> {
    let producer = Batch::from(header).producer.filter(|p| p.base_sequence.0 >= 0)?;
    let memory = BatchMemory {
        first_sequence: producer.base_sequence,
        last_sequence: header.last_sequence(),
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        timestamp: header.max_timestamp,
    };
    Some((producer, memory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{ProducerEpoch, Sequence};

    #[test]
    fn a_snapshot_leads_back_to_the_last_batch_of_each_producer() {
        let newest = BatchMemory {
            first_sequence: Sequence(i32::MAX - 1),
            last_sequence: Sequence(2),
            base_offset: Offset(90),
            last_offset: Offset(94),
            timestamp: TimestampMs(5),
        };
        let before = Producer {
            epoch: ProducerEpoch(3),
            batches: VecDeque::from([newest]),
            last_seen: TimestampMs(5),
        };
        let entry = entry(ProducerId(7), &before).unwrap();
        assert_eq!(producer(&entry), Some(before));
    }
}
