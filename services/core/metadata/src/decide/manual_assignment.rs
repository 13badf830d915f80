//! Assignments by hand, in CreateTopics and CreatePartitions.
//!
//! Invariant: what passes names registered nodes only, each once a partition, the same number for each partition, and at
//! least one of them live. Messages are Kafka's.

use std::collections::BTreeMap;

use ottla_types::{ErrorCode, NodeId, PartitionIndex};

use super::Settings;
use super::create_topics::check_replication_factor;
use crate::command::{NewTopic, Refusal};
use crate::event::Assignment;
use crate::image::Image;

/// The assignments of a new topic, by index from 0.
pub(super) fn of_new_topic(
    image: &Image,
    topic: &NewTopic,
    settings: &Settings,
) -> Result<Vec<Assignment>, Refusal> {
    let invalid_request = |message| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if topic.replication_factor.is_some() {
        return invalid_request(
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        );
    }
    if topic.partitions.is_some() {
        return invalid_request(
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        );
    }
    let mut by_index = BTreeMap::new();
    let mut factor = None;
    for (index, replicas) in &topic.assignments {
        if by_index.contains_key(index) {
            let message =
                format!("Found multiple manual partition assignments for partition {index}");
            return Err(invalid(message));
        }
        let assignment = of_partition(image, (*index, replicas), factor, settings)?;
        factor = Some(replicas.len());
        by_index.insert(*index, assignment);
    }
    if !by_index.keys().map(|index| index.0).eq((0..).take(by_index.len())) {
        return Err(invalid("partitions should be a consecutive 0-based integer sequence"));
    }
    Ok(by_index.into_values().collect())
}

/// The assignment of one partition; `factor` is that of the partitions before it.
pub(super) fn of_partition(
    image: &Image,
    (index, replicas): (PartitionIndex, &[NodeId]),
    factor: Option<usize>,
    settings: &Settings,
) -> Result<Assignment, Refusal> {
    check_nodes(image, replicas)?;
    let found = replicas.len();
    if let Some(expected) = factor.filter(|expected| *expected != found) {
        return Err(invalid(format!(
            "The manual partition assignment includes a partition with {found} replica(s), but this \
             is not consistent with previous partitions, which have {expected} replica(s)."
        )));
    }
    check_replication_factor(found, settings)?;
    let isr: Vec<NodeId> = replicas.iter().copied().filter(|node| image.is_live(*node)).collect();
    if isr.is_empty() {
        return Err(invalid(format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        )));
    }
    Ok(Assignment { replicas: replicas.to_vec(), isr })
}

fn check_nodes(image: &Image, replicas: &[NodeId]) -> Result<(), Refusal> {
    if replicas.is_empty() {
        return Err(invalid("The manual partition assignment includes an empty replica list."));
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for node in sorted {
        if !image.brokers.contains_key(&node) {
            return Err(invalid(format!(
                "The manual partition assignment includes broker {node}, but no such broker is \
                 registered."
            )));
        }
        if previous == Some(node) {
            return Err(invalid(format!(
                "The manual partition assignment includes the broker {node} more than once."
            )));
        }
        previous = Some(node);
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidReplicaAssignment, message)
}
