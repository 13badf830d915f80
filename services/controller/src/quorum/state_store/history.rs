//! What committed events mean to somebody who asks what happened last night.
//!
//! Invariant: every sentence holds the evidence that the event has; what an event does not say is not made up.

use std::collections::BTreeMap;

use ottla_api::controller::{HistoryEntry, HistoryQuery};
use ottla_metadata::Event;
use ottla_metadata::event::{ChangeReason, FenceReason};
use ottla_metadata::image::{Partition, PartitionChange};
use ottla_types::{MetadataOffset, NodeId, TimestampMs};

use super::MAX_HISTORY_ENTRIES_PER_EVENT;
use crate::quorum::driver::Applied;

/// The history entries of an event, the event itself first, then what followed for partitions.
pub(super) fn entries_of(applied: &Applied) -> Vec<HistoryEntry> {
    let (at, why) = (time(&applied.event), cause(&applied.event));
    let mut entries: Vec<_> = event_entry(applied, at).into_iter().collect();
    let mut left_off = applied.changes.partitions_left_off;
    for (nth, change) in applied.changes.partitions.iter().enumerate() {
        if nth >= MAX_HISTORY_ENTRIES_PER_EVENT {
            left_off += (applied.changes.partitions.len() - nth) as u64;
            break;
        }
        entries.push(partition_entry(applied, change, at, &why));
    }
    if left_off > 0 {
        let detail = format!("{left_off} more partitions changed with it; {why}");
        entries.push(entry(applied.offset, at, "PARTITIONS_CHANGED", detail));
    }
    entries
}

/// Whether a query wants an entry.
pub(super) fn matches(query: &HistoryQuery, entry: &HistoryEntry) -> bool {
    let topic =
        |wanted: &String| entry.partition.as_ref().is_some_and(|(topic, _)| topic == wanted);
    let partition =
        |wanted: i32| entry.partition.as_ref().is_some_and(|(_, index)| *index == wanted);
    query.topic.as_ref().is_none_or(topic)
        && query.partition.is_none_or(partition)
        && query.node.is_none_or(|node| entry.node == Some(node))
        && query.before.is_none_or(|before| entry.offset < before)
}

fn entry(offset: MetadataOffset, at: TimestampMs, kind: &str, detail: String) -> HistoryEntry {
    HistoryEntry { offset, at, kind: kind.to_owned(), node: None, partition: None, detail }
}

fn event_entry(applied: &Applied, at: TimestampMs) -> Option<HistoryEntry> {
    let entry = |kind: &str, detail| entry(applied.offset, at, kind, detail);
    let of_node =
        |node: NodeId, made: HistoryEntry| Some(HistoryEntry { node: Some(node), ..made });
    let of_topic = |name: &str, made: HistoryEntry| {
        Some(HistoryEntry { partition: Some((name.to_owned(), -1)), ..made })
    };
    match applied.event.as_ref() {
        Event::BrokerRegistered(registration) => {
            let detail = format!(
                "storage node {} registered at {}:{} with broker epoch {}, fenced until it has caught up",
                registration.node,
                registration.storage_endpoint.host,
                registration.storage_endpoint.port,
                applied.offset,
            );
            of_node(registration.node, entry("BROKER_REGISTERED", detail))
        }
        Event::BrokerUnfenced { node, .. } => {
            let detail =
                format!("storage node {node} caught up with its registration and takes part");
            of_node(*node, entry("BROKER_UNFENCED", detail))
        }
        Event::BrokerFenced { node, .. } => {
            of_node(*node, entry("BROKER_FENCED", cause(&applied.event)))
        }
        Event::BrokerUnregistered { node, .. } => of_node(
            *node,
            entry("BROKER_UNREGISTERED", format!("storage node {node} was unregistered")),
        ),
        Event::TopicCreated { name, id, assignments, .. } => {
            let detail =
                format!("topic {name} ({id}) was created with {} partitions", assignments.len());
            of_topic(name, entry("TOPIC_CREATED", detail))
        }
        Event::TopicDeleted { id, .. } => {
            let name = applied.changes.deleted_topics.get(id)?;
            of_topic(name, entry("TOPIC_DELETED", format!("topic {name} ({id}) was deleted")))
        }
        _ => None,
    }
}

fn partition_entry(
    applied: &Applied,
    change: &PartitionChange,
    at: TimestampMs,
    why: &str,
) -> HistoryEntry {
    let (before, after) = (&change.before, &change.after);
    let name = topic_name(applied, change);
    let (kind, what) = if before.leader != after.leader {
        ("LEADER_CHANGED", leader_sentence(before, after))
    } else {
        ("ISR_CHANGED", isr_sentence(before, after))
    };
    HistoryEntry {
        node: affected_node(applied, before, after),
        partition: Some((name, change.partition.0)),
        ..entry(applied.offset, at, kind, format!("{what}; {why}"))
    }
}

fn leader_sentence(before: &Partition, after: &Partition) -> String {
    let name = |leader: Option<NodeId>| leader.map_or("nobody".to_owned(), |node| node.to_string());
    format!(
        "leader {} -> {}, leader epoch {}, in sync {}",
        name(before.leader),
        name(after.leader),
        after.leader_epoch,
        nodes(&after.isr),
    )
}

fn isr_sentence(before: &Partition, after: &Partition) -> String {
    let level = match after.isr.len() {
        all if all == after.replicas.len() => "complete",
        1 => "critical: one replica in sync",
        few if 2 * few < after.replicas.len() => "warning: fewer than half of the replicas in sync",
        _ => "info: fewer than all replicas in sync",
    };
    format!("in sync {} -> {} ({level})", nodes(&before.isr), nodes(&after.isr))
}

/// The node whose deed it was, or that lost or gained the partition.
fn affected_node(applied: &Applied, before: &Partition, after: &Partition) -> Option<NodeId> {
    match applied.event.as_ref() {
        Event::BrokerFenced { node, .. } | Event::BrokerUnfenced { node, .. } => Some(*node),
        Event::BrokerRegistered(registration) => Some(registration.node),
        _ if before.leader != after.leader => after.leader.or(before.leader),
        _ => before.isr.iter().find(|node| !after.isr.contains(node)).copied(),
    }
}

fn topic_name(applied: &Applied, change: &PartitionChange) -> String {
    let here = applied.after.topics.get(&change.topic).map(|topic| topic.name.clone());
    let deleted: &BTreeMap<_, String> = &applied.changes.deleted_topics;
    here.or_else(|| deleted.get(&change.topic).cloned()).unwrap_or_else(|| change.topic.to_string())
}

fn nodes(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    format!("[{}]", names.join(", "))
}

fn time(event: &Event) -> TimestampMs {
    match event {
        Event::BrokerFenced { at, .. }
        | Event::TopicCreated { at, .. }
        | Event::TopicDeleted { at, .. }
        | Event::BrokerUnregistered { at, .. }
        | Event::PartitionChanged { at, .. } => *at,
        _ => TimestampMs::NONE,
    }
}

/// Why something happened, in a sentence.
pub(in crate::quorum) fn cause(event: &Event) -> String {
    match event {
        Event::BrokerFenced { node, reason, .. } => match reason {
            FenceReason::SessionExpired { silent_ms } => {
                format!("storage node {node} was fenced: not heard of for {silent_ms} ms")
            }
            FenceReason::ControlStreamBroken { silent_ms } => format!(
                "storage node {node} was fenced: its control stream broke {silent_ms} ms ago and it did not come back"
            ),
            FenceReason::ControlledShutdown => {
                format!("storage node {node} was fenced: it shut down in order")
            }
            FenceReason::Asked => format!("storage node {node} was fenced: it asked for it"),
            FenceReason::Restarted => {
                format!("storage node {node} was fenced: a new process of it registered")
            }
        },
        Event::BrokerUnfenced { node, .. } => format!("storage node {node} came back"),
        Event::PartitionChanged { reason: ChangeReason::PreferredLeader, .. } => {
            "the preferred leader took over again".to_owned()
        }
        Event::PartitionChanged { reason: ChangeReason::Asked, .. } => {
            "an operator asked".to_owned()
        }
        Event::BrokerRegistered(registration) => {
            format!("a new process of storage node {} registered", registration.node)
        }
        _ => "it followed from another change".to_owned(),
    }
}
