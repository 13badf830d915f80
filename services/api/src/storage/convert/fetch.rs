//! Fetch.

use bytes::Bytes;
use ottla_proto::storage::v1 as wire;
use ottla_types::{LeaderEpoch, NodeId, Offset, ProducerId};

use super::{
    each, error_from_wire, error_to_wire, leader_from_wire, leader_to_wire, partition_from_wire,
    partition_to_wire,
};
use crate::context::Malformed;
use crate::storage::{
    FetchPartition, FetchPartitionResult, FetchRequest, FetchResponse, FetchedRecords,
    IsolationLevel,
};

pub(super) fn isolation_to_wire(isolation: IsolationLevel) -> i32 {
    match isolation {
        IsolationLevel::ReadUncommitted => wire::IsolationLevel::ReadUncommitted,
        IsolationLevel::ReadCommitted => wire::IsolationLevel::ReadCommitted,
    }
    .into()
}

pub(super) fn isolation_from_wire(
    isolation: wire::IsolationLevel,
) -> Result<IsolationLevel, Malformed> {
    match isolation {
        wire::IsolationLevel::ReadUncommitted => Ok(IsolationLevel::ReadUncommitted),
        wire::IsolationLevel::ReadCommitted => Ok(IsolationLevel::ReadCommitted),
        wire::IsolationLevel::Unspecified => Err(Malformed("the isolation level is missing")),
    }
}

impl From<FetchRequest> for wire::FetchRequest {
    fn from(request: FetchRequest) -> Self {
        let one = |partition: FetchPartition| wire::FetchPartition {
            partition: partition_to_wire(partition.partition),
            current_leader_epoch: partition.current_leader_epoch.0,
            fetch_offset: partition.fetch_offset.0,
            last_fetched_epoch: partition.last_fetched_epoch.0,
            max_bytes: partition.max_bytes,
        };
        Self {
            max_wait_ms: request.max_wait_ms,
            min_bytes: request.min_bytes,
            max_bytes: request.max_bytes,
            isolation_level: isolation_to_wire(request.isolation),
            rack: request.rack,
            partitions: request.partitions.into_iter().map(one).collect(),
        }
    }
}

impl TryFrom<wire::FetchRequest> for FetchRequest {
    type Error = Malformed;

    fn try_from(wire: wire::FetchRequest) -> Result<Self, Malformed> {
        let one = |partition: wire::FetchPartition| {
            Ok(FetchPartition {
                partition: partition_from_wire(partition.partition)?,
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                fetch_offset: Offset(partition.fetch_offset),
                last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
                max_bytes: partition.max_bytes,
            })
        };
        Ok(Self {
            max_wait_ms: wire.max_wait_ms,
            min_bytes: wire.min_bytes,
            max_bytes: wire.max_bytes,
            isolation: isolation_from_wire(wire.isolation_level())?,
            rack: wire.rack,
            partitions: each(wire.partitions, one)?,
        })
    }
}

/// One partition's answer, with its records already in memory: a region of a file cannot travel.
pub(crate) fn fetched_to_wire(
    result: FetchPartitionResult,
    records: Vec<Bytes>,
) -> wire::FetchPartitionResult {
    let transaction = |(producer, first): (ProducerId, Offset)| wire::AbortedTransaction {
        producer_id: producer.0,
        first_offset: first.0,
    };
    let aborted = result.aborted.map(|transactions| wire::AbortedTransactions {
        transactions: transactions.into_iter().map(transaction).collect(),
    });
    let diverging = |(epoch, end): (LeaderEpoch, Offset)| wire::DivergingEpoch {
        leader_epoch: epoch.0,
        end_offset: end.0,
    };
    wire::FetchPartitionResult {
        partition: partition_to_wire(result.partition),
        error_code: error_to_wire(result.error),
        high_watermark: result.high_watermark.0,
        last_stable_offset: result.last_stable_offset.0,
        log_start_offset: result.log_start_offset.0,
        aborted,
        diverging_epoch: result.diverging_epoch.map(diverging),
        current_leader: leader_to_wire(result.current_leader),
        preferred_read_replica: result.preferred_read_replica.map(|node| node.0),
        records,
    }
}

impl TryFrom<wire::FetchResponse> for FetchResponse {
    type Error = Malformed;

    fn try_from(wire: wire::FetchResponse) -> Result<Self, Malformed> {
        Ok(Self { partitions: each(wire.partitions, fetched_from_wire)? })
    }
}

fn fetched_from_wire(wire: wire::FetchPartitionResult) -> Result<FetchPartitionResult, Malformed> {
    let transaction = |transaction: wire::AbortedTransaction| {
        (ProducerId(transaction.producer_id), Offset(transaction.first_offset))
    };
    let aborted =
        wire.aborted.map(|aborted| aborted.transactions.into_iter().map(transaction).collect());
    let diverging = |diverging: wire::DivergingEpoch| {
        (LeaderEpoch(diverging.leader_epoch), Offset(diverging.end_offset))
    };
    Ok(FetchPartitionResult {
        partition: partition_from_wire(wire.partition)?,
        error: error_from_wire(wire.error_code),
        high_watermark: Offset(wire.high_watermark),
        last_stable_offset: Offset(wire.last_stable_offset),
        log_start_offset: Offset(wire.log_start_offset),
        aborted,
        diverging_epoch: wire.diverging_epoch.map(diverging),
        current_leader: leader_from_wire(wire.current_leader),
        preferred_read_replica: wire.preferred_read_replica.map(NodeId),
        records: FetchedRecords::Bytes(wire.records),
    })
}
