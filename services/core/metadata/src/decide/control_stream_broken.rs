//! ControlStreamBroken: the grace period of a storage node begins; a heartbeat ends it.
//!
//! Invariant: never fences by itself: [`super::Command::Tick`] does, when the grace period is over.

use ottla_types::{BrokerEpoch, NodeId};

use super::Context;
use super::draft::Draft;
use super::soft::Soft;
use crate::command::Reply;

pub(super) fn decide(
    draft: &Draft<'_>,
    soft: &mut Soft,
    (node, broker_epoch): (NodeId, BrokerEpoch),
    context: &Context<'_>,
) -> Reply {
    match draft.current_broker(node, broker_epoch) {
        Ok(broker) => {
            let session = soft.session(node, broker, context.now);
            session.broken_since.get_or_insert(context.now.monotonic);
            Reply::Done
        }
        Err(refusal) => Reply::Refused(refusal),
    }
}
