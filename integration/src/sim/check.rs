//! The judgement: what clients were told against what the logs hold at the end.
//!
//! Invariant: every finding begins with the name of its anomaly. Deliberately looks at evidence only, never at the cluster.

use std::collections::BTreeMap;

use crate::sim::history::{History, Spot};
use crate::sim::value::ValueId;

/// Findings of one kind that are told one by one.
const MOST_TOLD: usize = 5;

/// A partition as the end found it, read from offset 0 to its high watermark.
#[derive(Clone, Debug)]
pub struct FinalLog {
    /// Offset and value of each record; `None` where the value is not intact.
    pub records: Vec<(i64, Option<ValueId>)>,
    /// The high watermark.
    pub high_watermark: i64,
}

/// All logs.
pub type FinalLogs = BTreeMap<Spot, FinalLog>;

/// Every anomaly.
pub fn judge(history: &History, logs: &FinalLogs) -> Vec<String> {
    let mut findings = first(history.contradictions.clone());
    let by_offset = index(logs);
    findings.extend(first(acknowledged_and_gone(history, logs, &by_offset)));
    findings.extend(first(read_and_gone(history, logs, &by_offset)));
    findings.extend(first(twice_or_unknown(history, logs)));
    findings.extend(first(holes(logs)));
    findings.extend(first(reordered(history, logs)));
    findings
}

type ByOffset<'a> = BTreeMap<(&'a Spot, i64), Option<ValueId>>;

fn index(logs: &FinalLogs) -> ByOffset<'_> {
    let all = logs.iter().flat_map(|(spot, log)| {
        log.records.iter().map(move |(offset, value)| ((spot, *offset), *value))
    });
    all.collect()
}

fn first(mut findings: Vec<String>) -> Vec<String> {
    let more = findings.len().saturating_sub(MOST_TOLD);
    findings.truncate(MOST_TOLD);
    if more > 0 {
        findings.push(format!("… and {more} more"));
    }
    findings
}

/// Every acknowledged record is readable at its offset.
fn acknowledged_and_gone(
    history: &History,
    logs: &FinalLogs,
    by_offset: &ByOffset<'_>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for batch in &history.acknowledged {
        let Some(log) = logs.get(&batch.spot) else { continue };
        for (nth, value) in batch.values.iter().enumerate() {
            let spot = &batch.spot;
            let is_there = match batch.base_offset {
                Some(base) => by_offset.get(&(spot, base + nth as i64)) == Some(&Some(*value)),
                None => log.records.iter().any(|(_, found)| *found == Some(*value)),
            };
            if !is_there {
                let offset = batch.base_offset.map(|base| base + nth as i64);
                findings.push(format!("lost-write: {value}, acknowledged at {spot}@{offset:?}"));
            }
        }
    }
    findings
}

/// Nothing read is ever un-read.
fn read_and_gone(history: &History, logs: &FinalLogs, by_offset: &ByOffset<'_>) -> Vec<String> {
    let read = history.read.iter().filter(|((spot, _), _)| logs.contains_key(spot));
    let gone = read
        .filter(|((spot, offset), value)| by_offset.get(&(spot, *offset)) != Some(&Some(**value)));
    gone.map(|((spot, offset), value)| format!("unread: {value} was read at {spot}@{offset}"))
        .collect()
}

/// No value twice, none that nobody sent there, none that is damaged.
fn twice_or_unknown(history: &History, logs: &FinalLogs) -> Vec<String> {
    let (mut findings, mut seen) = (Vec::new(), BTreeMap::new());
    for (spot, log) in logs {
        for (offset, value) in &log.records {
            let Some(value) = value else {
                findings.push(format!("corrupt-value: {spot}@{offset}"));
                continue;
            };
            if history.sent.get(value) != Some(spot) {
                findings.push(format!("phantom: {value} at {spot}@{offset} was not sent there"));
            }
            if let Some(other) = seen.insert(*value, *offset) {
                findings.push(format!("duplicate: {value} at {spot}@{other} and @{offset}"));
            }
        }
    }
    findings
}

/// Offsets have no holes, up to the high watermark.
fn holes(logs: &FinalLogs) -> Vec<String> {
    let mut findings = Vec::new();
    for (spot, log) in logs {
        let expected = 0..log.high_watermark;
        if !log.records.iter().map(|(offset, _)| *offset).eq(expected) {
            let (count, end) = (log.records.len(), log.high_watermark);
            findings.push(format!("hole: {spot} has {count} records below {end}"));
        }
    }
    findings
}

/// A writer's acknowledged records of a partition stand in the order in which they were sent.
fn reordered(history: &History, logs: &FinalLogs) -> Vec<String> {
    let mut place = BTreeMap::new();
    for (spot, log) in logs {
        let values = log.records.iter().filter_map(|(offset, value)| Some((*offset, (*value)?)));
        place.extend(values.map(|(offset, value)| ((spot, value), offset)));
    }
    let mut findings = Vec::new();
    let mut last: BTreeMap<(&Spot, u64), (ValueId, i64)> = BTreeMap::new();
    let mut acknowledged: Vec<_> = history
        .acknowledged
        .iter()
        .flat_map(|batch| batch.values.iter().map(move |value| (&batch.spot, *value)))
        .collect();
    // The number of a value tells when it was sent.
    acknowledged.sort_unstable_by_key(|(_, value)| *value);
    for (spot, value) in acknowledged {
        let Some(offset) = place.get(&(spot, value)).copied() else { continue };
        let before = last.insert((spot, value.writer()), (value, offset));
        if let Some((earlier, at)) = before.filter(|(_, at)| *at > offset) {
            findings.push(format!("reordered: {value} at {spot}@{offset}, {earlier} at @{at}"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot() -> Spot {
        Spot { topic: "t".into(), partition: 0 }
    }

    fn value(count: u64) -> ValueId {
        ValueId::new(1, count)
    }

    /// A history in which 0, 1 and 2 were acknowledged and read, and the log that belongs to it.
    fn sound() -> (History, FinalLogs) {
        let mut history = History::default();
        history.send(&spot(), &[value(0), value(1), value(2)]);
        history.acknowledge(&spot(), Some(0), &[value(0), value(1)]);
        history.acknowledge(&spot(), None, &[value(2)]);
        (0..3).for_each(|n| history.read(&spot(), n, value(n as u64)));
        let records = (0..3).map(|n| (n, Some(value(n as u64)))).collect();
        (history, [(spot(), FinalLog { records, high_watermark: 3 })].into())
    }

    fn anomalies(damage: impl FnOnce(&mut History, &mut Vec<(i64, Option<ValueId>)>)) -> String {
        let (mut history, mut logs) = sound();
        damage(&mut history, &mut logs.get_mut(&spot()).unwrap().records);
        let findings = judge(&history, &logs);
        let names = findings.iter().map(|finding| finding.split(':').next().unwrap());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_sound_history_has_no_anomaly() {
        assert_eq!(anomalies(|_, _| {}), "");
    }

    #[test]
    fn every_anomaly_is_found() {
        assert!(anomalies(|_, log| _ = log.pop()).starts_with("lost-write unread hole"));
        assert!(anomalies(|_, log| log[0].1 = None).contains("corrupt-value"));
        assert!(anomalies(|_, log| log[2].1 = Some(value(1))).contains("duplicate"));
        assert!(anomalies(|_, log| log[2].1 = Some(value(9))).contains("phantom"));
        assert_eq!(anomalies(|_, log| _ = log.remove(1)), "lost-write unread hole");
        let swapped = anomalies(|_, log| {
            (log[0].1, log[1].1) = (log[1].1, log[0].1);
        });
        assert!(swapped.contains("reordered"), "{swapped}");
        assert_eq!(anomalies(|h, _| h.read(&spot(), 1, value(2))), "inconsistent-offset unread");
        let back = anomalies(|h, _| {
            h.watermark(7, &spot(), 3);
            h.watermark(7, &spot(), 2);
        });
        assert_eq!(back, "watermark-back");
    }
}
