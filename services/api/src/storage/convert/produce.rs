//! Produce and InitProducerId.

use ottla_proto::storage::v1 as wire;
use ottla_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::{
    each, error_from_wire, error_to_wire, leader_from_wire, leader_to_wire, partition_from_wire,
    partition_to_wire,
};
use crate::context::Malformed;
use crate::storage::{
    Acks, InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProducePartitionResult,
    ProduceRequest, ProduceResponse,
};

impl From<ProduceRequest> for wire::ProduceRequest {
    fn from(request: ProduceRequest) -> Self {
        let acks = match request.acks {
            Acks::None => wire::Acks::None,
            Acks::Leader => wire::Acks::Leader,
            Acks::All => wire::Acks::All,
        };
        let one = |partition: ProducePartition| wire::ProducePartition {
            partition: partition_to_wire(partition.partition),
            records: partition.records,
        };
        Self {
            acks: acks.into(),
            timeout_ms: request.timeout_ms,
            transactional_id: request.transactional_id,
            partitions: request.partitions.into_iter().map(one).collect(),
        }
    }
}

impl TryFrom<wire::ProduceRequest> for ProduceRequest {
    type Error = Malformed;

    fn try_from(wire: wire::ProduceRequest) -> Result<Self, Malformed> {
        let acks = match wire.acks() {
            wire::Acks::None => Acks::None,
            wire::Acks::Leader => Acks::Leader,
            wire::Acks::All => Acks::All,
            wire::Acks::Unspecified => return Err(Malformed("acks is missing")),
        };
        let one = |partition: wire::ProducePartition| {
            Ok(ProducePartition {
                partition: partition_from_wire(partition.partition)?,
                records: partition.records,
            })
        };
        Ok(Self {
            acks,
            timeout_ms: wire.timeout_ms,
            transactional_id: wire.transactional_id,
            partitions: each(wire.partitions, one)?,
        })
    }
}

impl From<ProduceResponse> for wire::ProduceResponse {
    fn from(response: ProduceResponse) -> Self {
        Self { partitions: response.partitions.into_iter().map(Into::into).collect() }
    }
}

impl TryFrom<wire::ProduceResponse> for ProduceResponse {
    type Error = Malformed;

    fn try_from(wire: wire::ProduceResponse) -> Result<Self, Malformed> {
        Ok(Self { partitions: each(wire.partitions, TryInto::try_into)? })
    }
}

impl From<ProducePartitionResult> for wire::ProducePartitionResult {
    fn from(result: ProducePartitionResult) -> Self {
        let refused = |(batch_index, message)| wire::RecordError { batch_index, message };
        Self {
            partition: partition_to_wire(result.partition),
            error_code: error_to_wire(result.error),
            error_message: result.error_message,
            base_offset: result.base_offset.0,
            log_append_time_ms: result.log_append_time.0,
            log_start_offset: result.log_start_offset.0,
            record_errors: result.record_errors.into_iter().map(refused).collect(),
            current_leader: leader_to_wire(result.current_leader),
        }
    }
}

impl TryFrom<wire::ProducePartitionResult> for ProducePartitionResult {
    type Error = Malformed;

    fn try_from(wire: wire::ProducePartitionResult) -> Result<Self, Malformed> {
        let refused = |error: wire::RecordError| (error.batch_index, error.message);
        Ok(Self {
            partition: partition_from_wire(wire.partition)?,
            error: error_from_wire(wire.error_code),
            error_message: wire.error_message,
            base_offset: Offset(wire.base_offset),
            log_append_time: TimestampMs(wire.log_append_time_ms),
            log_start_offset: Offset(wire.log_start_offset),
            record_errors: wire.record_errors.into_iter().map(refused).collect(),
            current_leader: leader_from_wire(wire.current_leader),
        })
    }
}

impl From<InitProducerIdRequest> for wire::InitProducerIdRequest {
    fn from(request: InitProducerIdRequest) -> Self {
        Self {
            transactional_id: request.transactional_id,
            producer_id: request.producer_id.0,
            producer_epoch: i32::from(request.producer_epoch.0),
        }
    }
}

impl TryFrom<wire::InitProducerIdRequest> for InitProducerIdRequest {
    type Error = Malformed;

    fn try_from(wire: wire::InitProducerIdRequest) -> Result<Self, Malformed> {
        Ok(Self {
            transactional_id: wire.transactional_id,
            producer_id: ProducerId(wire.producer_id),
            producer_epoch: epoch_from_wire(wire.producer_epoch)?,
        })
    }
}

impl From<InitProducerIdResponse> for wire::InitProducerIdResponse {
    fn from(response: InitProducerIdResponse) -> Self {
        Self {
            error_code: error_to_wire(response.error),
            producer_id: response.producer_id.0,
            producer_epoch: i32::from(response.producer_epoch.0),
        }
    }
}

impl TryFrom<wire::InitProducerIdResponse> for InitProducerIdResponse {
    type Error = Malformed;

    fn try_from(wire: wire::InitProducerIdResponse) -> Result<Self, Malformed> {
        Ok(Self {
            error: error_from_wire(wire.error_code),
            producer_id: ProducerId(wire.producer_id),
            producer_epoch: epoch_from_wire(wire.producer_epoch)?,
        })
    }
}

fn epoch_from_wire(epoch: i32) -> Result<ProducerEpoch, Malformed> {
    i16::try_from(epoch).map(ProducerEpoch).map_err(|_| Malformed("a producer epoch has 16 bits"))
}
