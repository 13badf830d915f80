//! AllocateProducerIds: a storage node gets a block of producer ids of its own.
//!
//! Invariant: no id is given out twice, over all nodes and lives of the cluster.

use ottla_types::{BrokerEpoch, ErrorCode, NodeId};

use super::draft::Draft;
use crate::command::{Refusal, Reply};
use crate::event::Event;

/// Ids of a block, as in Kafka (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_IDS_PER_BLOCK: u32 = 1_000;

pub(super) fn decide(draft: &mut Draft<'_>, node: NodeId, broker_epoch: BrokerEpoch) -> Reply {
    if let Err(refusal) = draft.current_broker(node, broker_epoch) {
        return Reply::Refused(refusal);
    }
    let (first, count) = (draft.image().next_producer_id, PRODUCER_IDS_PER_BLOCK);
    if first.0 > i64::MAX - i64::from(count) {
        let message = format!("Exhausted all producerIds as the next block starts at {first}.");
        return Reply::Refused(Refusal::new(ErrorCode::UnknownServerError, message));
    }
    draft.push(Event::ProducerIdsAllocated { node, broker_epoch, first, count });
    Reply::ProducerIds { first, count }
}
