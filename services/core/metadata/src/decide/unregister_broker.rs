//! UnregisterBroker: a storage node is no part of the cluster any more.
//!
//! Invariant: a node that lives is fenced first, so that others lead what it led. Partitions keep it as a replica, as in Kafka;
//! a node that still runs may register anew.

use ottla_types::{ErrorCode, NodeId};

use super::Context;
use super::draft::Draft;
use super::soft::Soft;
use crate::command::{Refusal, Reply};
use crate::election::CURRENT_RULES;
use crate::event::{Event, FenceReason};

pub(super) fn decide(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    node: NodeId,
    context: &Context<'_>,
) -> Reply {
    let Some(broker) = draft.image().brokers.get(&node).cloned() else {
        let message = format!("Broker ID {node} is not currently registered");
        return Reply::Refused(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    let (broker_epoch, at) = (broker.epoch, context.now.wall);
    if !broker.fenced {
        let (reason, rules) = (FenceReason::Asked, CURRENT_RULES);
        draft.push(Event::BrokerFenced { node, broker_epoch, reason, at, rules });
    }
    draft.push(Event::BrokerUnregistered { node, broker_epoch, at });
    soft.brokers.remove(&node);
    Reply::Done
}
