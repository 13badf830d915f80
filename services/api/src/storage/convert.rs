//! The storage API's values to protobuf and back.
//!
//! Invariant: what goes out comes back equal; bytes that make no sense become [`Malformed`], never a panic. Records are
//! moved, never copied.

mod coordinate;
mod fetch;
mod node_configs;
mod offsets;
mod produce;
mod replicas;
#[cfg(test)]
mod tests;

use ottla_proto::storage::v1 as wire;
use ottla_types::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition, Uuid};

use crate::context::Malformed;
use crate::context::wire::required;

pub(crate) use fetch::fetched_to_wire;
pub(crate) use node_configs::{node_configs_from_wire, node_configs_to_wire};

pub(super) fn partition_to_wire(partition: TopicPartition) -> Option<wire::TopicPartition> {
    let id = u128::from_be_bytes(*partition.topic.0.as_bytes());
    Some(wire::TopicPartition {
        topic_id_high: (id >> 64) as u64,
        topic_id_low: id as u64,
        partition: partition.partition.0,
    })
}

pub(super) fn partition_from_wire(
    wire: Option<wire::TopicPartition>,
) -> Result<TopicPartition, Malformed> {
    let wire = required(wire, "a partition is missing")?;
    let id = (u128::from(wire.topic_id_high) << 64) | u128::from(wire.topic_id_low);
    Ok(TopicPartition {
        topic: TopicId(Uuid::from_bytes(id.to_be_bytes())),
        partition: PartitionIndex(wire.partition),
    })
}

fn error_from_wire(code: i32) -> ErrorCode {
    i16::try_from(code).map_or(ErrorCode::UnknownServerError, ErrorCode::from_code)
}

fn error_to_wire(error: ErrorCode) -> i32 {
    i32::from(error.code())
}

fn leader_to_wire(leader: Option<(NodeId, LeaderEpoch)>) -> Option<wire::PartitionLeader> {
    let (node, epoch) = leader?;
    Some(wire::PartitionLeader { node_id: node.0, leader_epoch: epoch.0 })
}

fn leader_from_wire(leader: Option<wire::PartitionLeader>) -> Option<(NodeId, LeaderEpoch)> {
    leader.map(|leader| (NodeId(leader.node_id), LeaderEpoch(leader.leader_epoch)))
}

/// Converts every element, or none.
fn each<W, V>(
    wire: Vec<W>,
    one: impl FnMut(W) -> Result<V, Malformed>,
) -> Result<Vec<V>, Malformed> {
    wire.into_iter().map(one).collect()
}
