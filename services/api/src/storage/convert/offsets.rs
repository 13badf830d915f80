//! ListOffsets and DescribeLogDirs.

use bytes::Bytes;
use ottla_proto::storage::v1 as wire;
use ottla_types::{LeaderEpoch, Offset, TimestampMs};

use super::fetch::{isolation_from_wire, isolation_to_wire};
use super::{each, error_from_wire, error_to_wire, partition_from_wire, partition_to_wire};
use crate::context::Malformed;
use crate::context::wire::directory_id;
use crate::storage::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, ListOffsetsPartition,
    ListOffsetsPartitionResult, ListOffsetsRequest, ListOffsetsResponse, LogDirectory,
    LogDirectoryPartition,
};

impl From<ListOffsetsRequest> for wire::ListOffsetsRequest {
    fn from(request: ListOffsetsRequest) -> Self {
        let one = |partition: ListOffsetsPartition| wire::ListOffsetsPartition {
            partition: partition_to_wire(partition.partition),
            current_leader_epoch: partition.current_leader_epoch.0,
            timestamp: partition.timestamp,
        };
        Self {
            isolation_level: isolation_to_wire(request.isolation),
            partitions: request.partitions.into_iter().map(one).collect(),
        }
    }
}

impl TryFrom<wire::ListOffsetsRequest> for ListOffsetsRequest {
    type Error = Malformed;

    fn try_from(wire: wire::ListOffsetsRequest) -> Result<Self, Malformed> {
        let one = |partition: wire::ListOffsetsPartition| {
            Ok(ListOffsetsPartition {
                partition: partition_from_wire(partition.partition)?,
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                timestamp: partition.timestamp,
            })
        };
        Ok(Self {
            isolation: isolation_from_wire(wire.isolation_level())?,
            partitions: each(wire.partitions, one)?,
        })
    }
}

impl From<ListOffsetsResponse> for wire::ListOffsetsResponse {
    fn from(response: ListOffsetsResponse) -> Self {
        let one = |result: ListOffsetsPartitionResult| wire::ListOffsetsPartitionResult {
            partition: partition_to_wire(result.partition),
            error_code: error_to_wire(result.error),
            timestamp_ms: result.timestamp.0,
            offset: result.offset.0,
            leader_epoch: result.leader_epoch.0,
        };
        Self { partitions: response.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::ListOffsetsResponse> for ListOffsetsResponse {
    type Error = Malformed;

    fn try_from(wire: wire::ListOffsetsResponse) -> Result<Self, Malformed> {
        let one = |result: wire::ListOffsetsPartitionResult| {
            Ok(ListOffsetsPartitionResult {
                partition: partition_from_wire(result.partition)?,
                error: error_from_wire(result.error_code),
                timestamp: TimestampMs(result.timestamp_ms),
                offset: Offset(result.offset),
                leader_epoch: LeaderEpoch(result.leader_epoch),
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<DescribeLogDirsRequest> for wire::DescribeLogDirsRequest {
    fn from(request: DescribeLogDirsRequest) -> Self {
        let partitions = request.partitions.map(|partitions| wire::TopicPartitions {
            partitions: partitions.into_iter().filter_map(partition_to_wire).collect(),
        });
        Self { partitions }
    }
}

impl TryFrom<wire::DescribeLogDirsRequest> for DescribeLogDirsRequest {
    type Error = Malformed;

    fn try_from(wire: wire::DescribeLogDirsRequest) -> Result<Self, Malformed> {
        let one = |partition| partition_from_wire(Some(partition));
        let partitions = wire.partitions.map(|wanted| each(wanted.partitions, one)).transpose()?;
        Ok(Self { partitions })
    }
}

impl From<DescribeLogDirsResponse> for wire::DescribeLogDirsResponse {
    fn from(response: DescribeLogDirsResponse) -> Self {
        Self { directories: response.directories.into_iter().map(Into::into).collect() }
    }
}

impl TryFrom<wire::DescribeLogDirsResponse> for DescribeLogDirsResponse {
    type Error = Malformed;

    fn try_from(wire: wire::DescribeLogDirsResponse) -> Result<Self, Malformed> {
        Ok(Self { directories: each(wire.directories, TryInto::try_into)? })
    }
}

impl From<LogDirectory> for wire::LogDirectory {
    fn from(directory: LogDirectory) -> Self {
        let one = |partition: LogDirectoryPartition| wire::LogDirectoryPartition {
            partition: partition_to_wire(partition.partition),
            size_bytes: partition.size_bytes,
            offset_lag: partition.offset_lag,
        };
        Self {
            error_code: error_to_wire(directory.error),
            path: directory.path,
            id: Bytes::copy_from_slice(directory.id.0.as_bytes()),
            total_bytes: directory.total_bytes,
            usable_bytes: directory.usable_bytes,
            partitions: directory.partitions.into_iter().map(one).collect(),
        }
    }
}

impl TryFrom<wire::LogDirectory> for LogDirectory {
    type Error = Malformed;

    fn try_from(wire: wire::LogDirectory) -> Result<Self, Malformed> {
        let one = |partition: wire::LogDirectoryPartition| {
            Ok(LogDirectoryPartition {
                partition: partition_from_wire(partition.partition)?,
                size_bytes: partition.size_bytes,
                offset_lag: partition.offset_lag,
            })
        };
        Ok(Self {
            error: error_from_wire(wire.error_code),
            path: wire.path,
            id: directory_id(&wire.id)?,
            total_bytes: wire.total_bytes,
            usable_bytes: wire.usable_bytes,
            partitions: each(wire.partitions, one)?,
        })
    }
}
