//! The last questions, once everything is healed: which topics are there, does every partition take a record, what is in the logs,
//! what have groups committed.
//!
//! Invariant: each of them is answered within [`super::LIVENESS_LIMIT`] of the heal, or that is a problem.

use std::collections::BTreeSet;
use std::rc::Rc;

use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_log_format::BatchBuilder;
use ottla_types::{ErrorCode, Offset, TimestampMs};

use super::member::{GROUPS, committed};
use super::reader::fetch;
use super::{Shared, pause};
use crate::sim::check::FinalLog;
use crate::sim::client::{CallError, Client};
use crate::sim::history::{Spot, TopicState};
use crate::sim::value::ValueId;

const NAME: &str = "finale";
/// The writer of the last records.
const LAST_WRITER: u64 = 99;
/// The Produce version in use.
const PRODUCE_VERSION: i16 = 12;

/// Asks everything.
pub async fn run(mut client: Client, shared: &Rc<Shared>) {
    for (group, _) in GROUPS {
        ask_commits(&mut client, shared, group).await;
    }
    let topics = topics_everywhere(&mut client, shared).await;
    let partitions = shared.history.borrow().partitions.clone();
    for name in topics {
        for partition in 0..partitions.get(&name).copied().unwrap_or_default() {
            let spot = Spot { topic: name.as_str().into(), partition };
            write_once(&mut client, shared, &spot).await;
            read_through(&mut client, shared, &spot).await;
        }
    }
}

/// Asks once more what a group has committed.
async fn ask_commits(client: &mut Client, shared: &Shared, group: &str) {
    loop {
        let why = match committed(client, shared, group).await {
            Ok(offsets) => {
                shared.trace.note(NAME, format_args!("{group} has committed {offsets:?}"));
                return;
            }
            Err(error) => error,
        };
        if shared.is_overdue() {
            let what = format_args!("liveness: commits of {group} cannot be fetched: {why}");
            shared.trace.problem(what);
            return;
        }
        pause().await;
    }
}

/// Waits until every gateway says what clients were told; the topics that are there.
async fn topics_everywhere(client: &mut Client, shared: &Shared) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for address in shared.bootstrap.iter() {
        loop {
            let wrong = match client.metadata(address, None).await {
                Ok(answer) => {
                    let names = answer.topics.into_iter().filter_map(|topic| topic.name);
                    found = names.collect();
                    differences(shared, &found)
                }
                Err(error) => vec![format!("{address}: {error}")],
            };
            if wrong.is_empty() {
                break;
            }
            if shared.is_overdue() {
                for what in wrong {
                    shared.trace.problem(format_args!("{address} says: {what}"));
                }
                break;
            }
            pause().await;
        }
    }
    found
}

fn differences(shared: &Shared, found: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, state) in &shared.history.borrow().topics {
        match (state, found.contains(name)) {
            (TopicState::Created, false) => wrong.push(format!("lost-topic: {name}")),
            (TopicState::Deleted, true) => wrong.push(format!("undead-topic: {name}")),
            _ => {}
        }
    }
    wrong
}

/// Every partition accepts writes.
async fn write_once(client: &mut Client, shared: &Shared, spot: &Spot) {
    let value = ValueId::new(LAST_WRITER, shared.history.borrow().sent.len() as u64);
    shared.history.borrow_mut().send(spot, &[value]);
    loop {
        let why = match try_write(client, spot, value).await {
            Ok((ErrorCode::None, offset)) => {
                shared.trace.note(NAME, format_args!("{spot}@{offset} took the last record"));
                shared.history.borrow_mut().acknowledge(spot, Some(offset), &[value]);
                return;
            }
            Ok((code, _)) => code.name().to_owned(),
            Err(error) => error.to_string(),
        };
        shared.trace.note(NAME, format_args!("{spot}: {why}"));
        client.forget(spot);
        if shared.is_overdue() {
            shared.trace.problem(format_args!("liveness: {spot} takes no record: {why}"));
            return;
        }
        pause().await;
    }
}

async fn try_write(
    client: &mut Client,
    spot: &Spot,
    value: ValueId,
) -> Result<(ErrorCode, i64), CallError> {
    if client.leader(spot).is_none() {
        client.refresh().await?;
    }
    let Some(leader) = client.leader(spot) else {
        return Ok((ErrorCode::LeaderNotAvailable, -1));
    };
    let bytes = value.bytes();
    let batch = BatchBuilder::new(Offset(0)).record(TimestampMs(0), None, Some(&bytes));
    let partition = PartitionProduceData { index: spot.partition, records: Some(batch.build()) };
    let topic = TopicProduceData {
        name: spot.topic.to_string(),
        partition_data: vec![partition],
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 4_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let answer = client.call(&leader, PRODUCE_VERSION, &request).await?;
    let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    let code = partition
        .map_or(ErrorCode::UnknownServerError, |answer| ErrorCode::from_code(answer.error_code));
    Ok((code, partition.map_or(-1, |answer| answer.base_offset)))
}

/// Reads a partition from its beginning to its end.
async fn read_through(client: &mut Client, shared: &Shared, spot: &Spot) {
    let mut log = FinalLog { records: Vec::new(), high_watermark: 0 };
    loop {
        let from = log.records.last().map_or(0, |(offset, _)| offset + 1);
        let why = match fetch(client, spot, from).await {
            Ok(Some(fetched)) if fetched.error == ErrorCode::None => {
                log.high_watermark = log.high_watermark.max(fetched.high_watermark);
                let is_stuck = fetched.records.is_empty();
                log.records.extend(fetched.records);
                let next = log.records.last().map_or(0, |(offset, _)| offset + 1);
                if next >= log.high_watermark {
                    break;
                }
                if is_stuck { "no records below the watermark".to_owned() } else { continue }
            }
            Ok(Some(fetched)) => fetched.error.name().to_owned(),
            Ok(None) => "no leader is named".to_owned(),
            Err(error) => error.to_string(),
        };
        client.forget(spot);
        if shared.is_overdue() {
            shared.trace.problem(format_args!("liveness: {spot}@{from} cannot be read: {why}"));
            break;
        }
        pause().await;
    }
    let (count, end) = (log.records.len(), log.high_watermark);
    shared.trace.note(NAME, format_args!("{spot} holds {count} records, watermark {end}"));
    shared.final_logs.borrow_mut().insert(spot.clone(), log);
}
