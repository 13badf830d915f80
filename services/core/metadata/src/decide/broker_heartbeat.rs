//! BrokerHeartbeat: a storage node lives, and may be unfenced, fenced or let go.
//!
//! Invariant (R2): a node is unfenced only once it has replayed its own registration. A node that asked to shut down is not
//! unfenced again in that life.

use ottla_types::{MetadataOffset, NodeId};

use super::Context;
use super::draft::Draft;
use super::soft::Soft;
use crate::command::{Command, Reply};
use crate::election::CURRENT_RULES;
use crate::event::{Event, FenceReason};
use crate::image::Broker;

/// Where a heartbeat leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// As it was.
    Same,
    Unfence,
    Fence,
    ShutDown,
}

pub(super) fn decide(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    command: &Command,
    context: &Context<'_>,
) -> Reply {
    let Command::BrokerHeartbeat { node, broker_epoch, want_shutdown, caught_up_to, .. } = *command
    else {
        return Reply::Done;
    };
    let broker = match draft.current_broker(node, broker_epoch) {
        Ok(broker) => broker.clone(),
        Err(refusal) => return Reply::Refused(refusal),
    };
    let session = soft.session(node, &broker, context.now);
    session.last_heard = context.now.monotonic;
    session.was_heard = true;
    session.broken_since = None;
    session.shutting_down |= want_shutdown;
    session.caught_up_to = caught_up_to;
    if caught_up_to >= draft.image().offset {
        session.caught_up_at = Some(context.now.monotonic);
    }
    let next = next_state(&broker, command, session.shutting_down);
    session.fenced = match next {
        Next::Same => broker.fenced,
        Next::Unfence => false,
        Next::Fence | Next::ShutDown => true,
    };
    let reply =
        Reply::BrokerHeartbeat { fenced: session.fenced, may_shut_down: session.shutting_down };
    push_event(draft, (node, &broker), next, context);
    reply
}

fn next_state(broker: &Broker, command: &Command, shutting_down: bool) -> Next {
    let Command::BrokerHeartbeat { caught_up_to, want_fence, .. } = *command else {
        return Next::Same;
    };
    match (broker.fenced, shutting_down) {
        // Leaders cannot move while there is one replica: the node is fenced and may end.
        (false, true) => Next::ShutDown,
        (false, false) if want_fence => Next::Fence,
        (true, false) if r2_has_seen_itself(broker, caught_up_to) && !want_fence => Next::Unfence,
        _ => Next::Same,
    }
}

/// R2: whether a node has replayed its own registration.
fn r2_has_seen_itself(broker: &Broker, caught_up_to: MetadataOffset) -> bool {
    u64::try_from(broker.epoch.0).is_ok_and(|epoch| caught_up_to.0 >= epoch)
}

fn push_event(
    draft: &mut Draft<'_>,
    (node, broker): (NodeId, &Broker),
    next: Next,
    context: &Context<'_>,
) {
    let reason = match next {
        Next::Same => return,
        Next::Unfence => {
            let broker_epoch = broker.epoch;
            return draft.push(Event::BrokerUnfenced { node, broker_epoch, rules: CURRENT_RULES });
        }
        Next::Fence => FenceReason::Asked,
        Next::ShutDown => FenceReason::ControlledShutdown,
    };
    draft.push(Event::BrokerFenced {
        node,
        broker_epoch: broker.epoch,
        reason,
        at: context.now.wall,
        rules: CURRENT_RULES,
    });
}
