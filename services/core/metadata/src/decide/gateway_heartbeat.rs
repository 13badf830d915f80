//! GatewayHeartbeat: a gateway's lease goes on, or it drains, or it says goodbye.
//!
//! Invariant: a life of a gateway that is not registered is refused, so that it registers again; it changes nothing.

use ottla_types::{ErrorCode, IncarnationId, NodeId};

use super::Context;
use super::draft::Draft;
use super::soft::Soft;
use crate::command::{Refusal, Reply};
use crate::event::Event;

/// What the gateway says of itself.
pub(super) struct State {
    pub(super) draining: bool,
    pub(super) goodbye: bool,
}

pub(super) fn decide(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    (node, incarnation, state): (NodeId, IncarnationId, State),
    context: &Context<'_>,
) -> Reply {
    let Some(gateway) = draft.image().gateways.get(&node) else {
        let message = format!("Gateway {node} is not registered. It must register again.");
        return Reply::Refused(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    if gateway.registration.incarnation != incarnation {
        let message = format!("A newer process registered as gateway {node}.");
        return Reply::Refused(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    }
    let drains = state.draining && !gateway.draining;
    if state.goodbye {
        soft.gateways.remove(&node);
        draft.push(Event::GatewayGone { node, incarnation });
    } else {
        soft.gateways.insert(node, context.now.monotonic);
        if drains {
            draft.push(Event::GatewayDraining { node, incarnation });
        }
    }
    Reply::GatewayHeartbeat
}
