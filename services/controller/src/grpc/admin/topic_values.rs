//! Topics as the admin API shows them.

use std::collections::HashMap;

use ottla_metadata::command::{NewPartitions, NewTopic, TopicOutcome};
use ottla_metadata::image;
use ottla_metadata::topic_config::{ConfigSource, DescribedConfig, Served};
use ottla_metadata::{Refusal, Reply};
use ottla_proto::admin::v1 as wire;
use ottla_types::{NodeId, PartitionIndex};

use super::errors::AdminError;

pub(super) fn topic(topic: &image::Topic) -> wire::Topic {
    let count = |is: fn(&image::Partition) -> bool| {
        to_i32(topic.partitions.iter().filter(|partition| is(partition)).count())
    };
    wire::Topic {
        name: topic.name.clone(),
        id: topic.id.to_string(),
        partition_count: to_i32(topic.partitions.len()),
        replication_factor: topic
            .partitions
            .first()
            .map_or(0, |first| to_i32(first.replicas.len())),
        offline_partition_count: count(|partition| partition.leader.is_none()),
        under_replicated_partition_count: count(|partition| {
            partition.isr.len() < partition.replicas.len()
        }),
        configs: topic.configs.clone().into_iter().collect(),
    }
}

pub(super) fn partitions(topic: &image::Topic) -> Vec<wire::Partition> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let partition =
        |(index, partition): (i32, &std::sync::Arc<image::Partition>)| wire::Partition {
            index,
            leader_node_id: partition.leader.map(|node| node.0),
            leader_epoch: partition.leader_epoch.0,
            partition_epoch: partition.partition_epoch.0,
            replica_node_ids: ids(&partition.replicas),
            isr_node_ids: ids(&partition.isr),
        };
    (0..).zip(&topic.partitions).map(partition).collect()
}

pub(super) fn new_topic(request: wire::CreateTopicRequest) -> Result<NewTopic, AdminError> {
    let factor = |factor: i32| {
        i16::try_from(factor)
            .map_err(|_| AdminError::invalid("replication_factor is out of range; at most 32767"))
    };
    let assignment = |assignment: wire::ReplicaAssignment| {
        let replicas = assignment.replica_node_ids.into_iter().map(NodeId).collect();
        (PartitionIndex(assignment.partition), replicas)
    };
    let mut configs: Vec<_> =
        request.configs.into_iter().map(|(name, value)| (name, Some(value))).collect();
    configs.sort_unstable();
    Ok(NewTopic {
        name: request.name,
        partitions: request.partitions,
        replication_factor: request.replication_factor.map(factor).transpose()?,
        assignments: request.assignments.into_iter().map(assignment).collect(),
        configs,
    })
}

/// A topic's new partitions. By hand they are all placed, in order, behind those that are there.
pub(super) fn new_partitions(
    request: &wire::CreatePartitionsRequest,
    current: usize,
) -> Result<NewPartitions, AdminError> {
    let mut by_hand = request.assignments.clone();
    by_hand.sort_by_key(|assignment| assignment.partition);
    let expected = by_hand.iter().zip(to_i32(current)..);
    if let Some((wrong, next)) = expected.into_iter().find(|(one, next)| one.partition != *next) {
        let message = format!(
            "assignments has partition {} where {next} comes next; place the new partitions, each once",
            wrong.partition
        );
        return Err(AdminError::invalid(message));
    }
    let replicas =
        |one: wire::ReplicaAssignment| one.replica_node_ids.into_iter().map(NodeId).collect();
    let assignments: Vec<_> = by_hand.into_iter().map(replicas).collect();
    Ok(NewPartitions {
        name: request.name.clone(),
        count: request.partition_count,
        assignments: (!assignments.is_empty()).then_some(assignments),
    })
}

/// A topic that was created, or would be.
pub(super) fn outcome(outcome: &TopicOutcome, configs: HashMap<String, String>) -> wire::Topic {
    wire::Topic {
        name: outcome.name.clone(),
        id: if outcome.id.0.is_zero() { String::new() } else { outcome.id.to_string() },
        partition_count: outcome.partitions,
        replication_factor: outcome.replication_factor.into(),
        configs,
        ..wire::Topic::default()
    }
}

/// The one outcome of a command about one topic.
pub(super) fn one_topic(reply: Reply) -> Result<TopicOutcome, AdminError> {
    match reply {
        Reply::Topics(outcomes) => {
            let missing = || {
                Refusal::new(
                    ottla_types::ErrorCode::UnknownServerError,
                    "the controller gave no outcome",
                )
            };
            Ok(outcomes.into_iter().next().ok_or_else(missing)??)
        }
        Reply::Refused(refusal) => Err(refusal.into()),
        _ => {
            let code = ottla_types::ErrorCode::UnknownServerError;
            Err(Refusal::new(code, "the controller answered something else").into())
        }
    }
}

pub(super) fn config(config: DescribedConfig) -> wire::TopicConfig {
    let source = match config.source {
        ConfigSource::DynamicTopic => wire::ConfigSource::Topic,
        ConfigSource::DynamicBroker
        | ConfigSource::DynamicDefaultBroker
        | ConfigSource::StaticBroker => wire::ConfigSource::Node,
        ConfigSource::Default => wire::ConfigSource::Default,
    };
    wire::TopicConfig {
        name: config.name.to_owned(),
        value: config.value.unwrap_or_default(),
        source: source.into(),
        is_not_obeyed: config.served != Served::Obeyed,
    }
}

pub(super) fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
