//! DeleteRecords, OffsetForLeaderEpoch and DescribeProducers.

use ottla_proto::storage::v1 as wire;
use ottla_types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition,
};

use super::{each, error_from_wire, error_to_wire, partition_from_wire, partition_to_wire};
use crate::context::Malformed;
use crate::storage::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsResult,
    DescribeProducersRequest, DescribeProducersResponse, DescribeProducersResult,
    EpochEndPartition, EpochEndRequest, EpochEndResponse, EpochEndResult, ProducerState,
};

impl From<DeleteRecordsRequest> for wire::DeleteRecordsRequest {
    fn from(request: DeleteRecordsRequest) -> Self {
        let one = |asked: DeleteRecordsPartition| wire::DeleteRecordsPartition {
            partition: partition_to_wire(asked.partition),
            before_offset: asked.before.0,
        };
        Self { partitions: request.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::DeleteRecordsRequest> for DeleteRecordsRequest {
    type Error = Malformed;

    fn try_from(wire: wire::DeleteRecordsRequest) -> Result<Self, Malformed> {
        let one = |asked: wire::DeleteRecordsPartition| {
            Ok(DeleteRecordsPartition {
                partition: partition_from_wire(asked.partition)?,
                before: Offset(asked.before_offset),
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<DeleteRecordsResponse> for wire::DeleteRecordsResponse {
    fn from(response: DeleteRecordsResponse) -> Self {
        let one = |result: DeleteRecordsResult| wire::DeleteRecordsPartitionResult {
            partition: partition_to_wire(result.partition),
            error_code: error_to_wire(result.error),
            low_watermark: result.low_watermark.0,
        };
        Self { partitions: response.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::DeleteRecordsResponse> for DeleteRecordsResponse {
    type Error = Malformed;

    fn try_from(wire: wire::DeleteRecordsResponse) -> Result<Self, Malformed> {
        let one = |result: wire::DeleteRecordsPartitionResult| {
            Ok(DeleteRecordsResult {
                partition: partition_from_wire(result.partition)?,
                error: error_from_wire(result.error_code),
                low_watermark: Offset(result.low_watermark),
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<EpochEndRequest> for wire::OffsetForLeaderEpochRequest {
    fn from(request: EpochEndRequest) -> Self {
        let one = |asked: EpochEndPartition| wire::OffsetForLeaderEpochPartition {
            partition: partition_to_wire(asked.partition),
            current_leader_epoch: asked.current_leader_epoch.0,
            leader_epoch: asked.leader_epoch.0,
        };
        Self { partitions: request.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::OffsetForLeaderEpochRequest> for EpochEndRequest {
    type Error = Malformed;

    fn try_from(wire: wire::OffsetForLeaderEpochRequest) -> Result<Self, Malformed> {
        let one = |asked: wire::OffsetForLeaderEpochPartition| {
            Ok(EpochEndPartition {
                partition: partition_from_wire(asked.partition)?,
                current_leader_epoch: LeaderEpoch(asked.current_leader_epoch),
                leader_epoch: LeaderEpoch(asked.leader_epoch),
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<EpochEndResponse> for wire::OffsetForLeaderEpochResponse {
    fn from(response: EpochEndResponse) -> Self {
        let one = |result: EpochEndResult| wire::OffsetForLeaderEpochResult {
            partition: partition_to_wire(result.partition),
            error_code: error_to_wire(result.error),
            leader_epoch: result.leader_epoch.0,
            end_offset: result.end_offset.0,
        };
        Self { partitions: response.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::OffsetForLeaderEpochResponse> for EpochEndResponse {
    type Error = Malformed;

    fn try_from(wire: wire::OffsetForLeaderEpochResponse) -> Result<Self, Malformed> {
        let one = |result: wire::OffsetForLeaderEpochResult| {
            Ok(EpochEndResult {
                partition: partition_from_wire(result.partition)?,
                error: error_from_wire(result.error_code),
                leader_epoch: LeaderEpoch(result.leader_epoch),
                end_offset: Offset(result.end_offset),
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<DescribeProducersRequest> for wire::DescribeProducersRequest {
    fn from(request: DescribeProducersRequest) -> Self {
        let one = |asked: TopicPartition| partition_to_wire(asked);
        Self { partitions: request.partitions.into_iter().filter_map(one).collect() }
    }
}

impl TryFrom<wire::DescribeProducersRequest> for DescribeProducersRequest {
    type Error = Malformed;

    fn try_from(wire: wire::DescribeProducersRequest) -> Result<Self, Malformed> {
        let one = |asked| partition_from_wire(Some(asked));
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<DescribeProducersResponse> for wire::DescribeProducersResponse {
    fn from(response: DescribeProducersResponse) -> Self {
        let one = |result: DescribeProducersResult| wire::DescribeProducersResult {
            partition: partition_to_wire(result.partition),
            error_code: error_to_wire(result.error),
            producers: result.producers.into_iter().map(Into::into).collect(),
        };
        Self { partitions: response.partitions.into_iter().map(one).collect() }
    }
}

impl TryFrom<wire::DescribeProducersResponse> for DescribeProducersResponse {
    type Error = Malformed;

    fn try_from(wire: wire::DescribeProducersResponse) -> Result<Self, Malformed> {
        let one = |result: wire::DescribeProducersResult| {
            Ok(DescribeProducersResult {
                partition: partition_from_wire(result.partition)?,
                error: error_from_wire(result.error_code),
                producers: each(result.producers, TryInto::try_into)?,
            })
        };
        Ok(Self { partitions: each(wire.partitions, one)? })
    }
}

impl From<ProducerState> for wire::ProducerState {
    fn from(state: ProducerState) -> Self {
        Self {
            producer_id: state.id.0,
            producer_epoch: i32::from(state.epoch.0),
            last_sequence: state.last_sequence.0,
            last_timestamp_ms: state.last_timestamp.0,
            current_txn_start_offset: state.transaction_start.0,
        }
    }
}

impl TryFrom<wire::ProducerState> for ProducerState {
    type Error = Malformed;

    fn try_from(wire: wire::ProducerState) -> Result<Self, Malformed> {
        let epoch = i16::try_from(wire.producer_epoch);
        Ok(Self {
            id: ProducerId(wire.producer_id),
            epoch: ProducerEpoch(epoch.map_err(|_| Malformed("a producer's epoch is no i16"))?),
            last_sequence: Sequence(wire.last_sequence),
            last_timestamp: TimestampMs(wire.last_timestamp_ms),
            transaction_start: Offset(wire.current_txn_start_offset),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::topic_partition;
    use ottla_types::{ErrorCode, TopicId};
    use prost::Message;

    fn at(partition: i32) -> TopicPartition {
        topic_partition(TopicId(ottla_types::Uuid::from_random(3)), partition)
    }

    /// Through bytes, as another process would see it.
    fn travelled<W: Message + Default>(wire: W) -> W {
        W::decode(wire.encode_to_vec().as_slice()).unwrap()
    }

    #[test]
    fn questions_about_replicas_travel() {
        let parts = [(0, -1), (1, i64::MAX)];
        let parts = parts
            .map(|(p, before)| DeleteRecordsPartition { partition: at(p), before: Offset(before) });
        let delete = DeleteRecordsRequest { partitions: parts.to_vec() };
        let back = travelled::<wire::DeleteRecordsRequest>(delete.clone().into());
        let back = DeleteRecordsRequest::try_from(back).unwrap();
        assert_eq!(format!("{back:?}"), format!("{delete:?}"));
        let ends = EpochEndRequest {
            partitions: vec![EpochEndPartition {
                partition: at(2),
                current_leader_epoch: LeaderEpoch(-1),
                leader_epoch: LeaderEpoch(7),
            }],
        };
        let back = travelled::<wire::OffsetForLeaderEpochRequest>(ends.clone().into());
        let back = EpochEndRequest::try_from(back).unwrap();
        assert_eq!(format!("{back:?}"), format!("{ends:?}"));
        let describe = DescribeProducersRequest { partitions: vec![at(3), at(1)] };
        let back = travelled::<wire::DescribeProducersRequest>(describe.clone().into());
        let back = DescribeProducersRequest::try_from(back).unwrap();
        assert_eq!(back.partitions, describe.partitions);
    }

    #[test]
    fn answers_about_replicas_travel() {
        let refused = Err(ErrorCode::PolicyViolation);
        let deleted = [Ok(Offset(5)), refused].map(|low| DeleteRecordsResult::of(at(0), low));
        let sent = DeleteRecordsResponse { partitions: deleted.to_vec() };
        let back = travelled::<wire::DeleteRecordsResponse>(sent.into());
        assert_eq!(DeleteRecordsResponse::try_from(back).unwrap().partitions, deleted);
        let ends = [Ok((LeaderEpoch(2), Offset(9))), Err(ErrorCode::FencedLeaderEpoch)];
        let ends = ends.map(|end| EpochEndResult::of(at(1), end));
        let sent = EpochEndResponse { partitions: ends.to_vec() };
        let back = travelled::<wire::OffsetForLeaderEpochResponse>(sent.into());
        assert_eq!(EpochEndResponse::try_from(back).unwrap().partitions, ends);
        let producer = ProducerState {
            id: ProducerId(i64::MAX),
            epoch: ProducerEpoch(3),
            last_sequence: Sequence(-1),
            last_timestamp: TimestampMs(4),
            transaction_start: Offset::NONE,
        };
        let found = DescribeProducersResult::of(at(2), Ok(vec![producer]));
        let sent = DescribeProducersResponse { partitions: vec![found.clone()] };
        let back = travelled::<wire::DescribeProducersResponse>(sent.into());
        assert_eq!(DescribeProducersResponse::try_from(back).unwrap().partitions, [found]);
        let too_large = wire::ProducerState { producer_epoch: 1 << 20, ..Default::default() };
        assert!(ProducerState::try_from(too_large).is_err());
    }
}
