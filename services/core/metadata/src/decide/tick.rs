//! Tick: what was silent for too long is fenced or gone.
//!
//! Invariant: only sessions and leases that ended are touched; the reason names how long the silence was.

use std::time::Duration;

use super::draft::Draft;
use super::soft::{BrokerSession, Soft};
use super::{Context, Settings};
use crate::command::Reply;
use crate::election::CURRENT_RULES;
use crate::event::{Event, FenceReason};

pub(super) fn decide(draft: &mut Draft<'_>, soft: &mut Soft, context: &Context<'_>) -> Reply {
    fence_silent_brokers(draft, soft, context);
    drop_silent_gateways(draft, soft, context);
    Reply::Done
}

fn fence_silent_brokers(draft: &mut Draft<'_>, soft: &mut Soft, context: &Context<'_>) {
    let now = context.now;
    let mut fencings = Vec::new();
    for (&node, broker) in draft.image().brokers.iter().filter(|(_, broker)| !broker.fenced) {
        let session = soft.session(node, broker, now);
        if session.ends_at(context.settings) <= now.monotonic {
            session.fenced = true;
            fencings.push(Event::BrokerFenced {
                node,
                broker_epoch: broker.epoch,
                reason: why(session, context.settings, now.monotonic),
                at: now.wall,
                rules: CURRENT_RULES,
            });
        }
    }
    fencings.into_iter().for_each(|event| draft.push(event));
}

fn why(session: &BrokerSession, settings: &Settings, now: Duration) -> FenceReason {
    let silence = now.saturating_sub(session.last_heard);
    let session_timeout = Duration::from_millis(settings.broker_session_timeout_ms);
    match session.broken_since {
        Some(since) if silence < session_timeout => {
            FenceReason::ControlStreamBroken { silent_ms: whole_ms(now.saturating_sub(since)) }
        }
        _ => FenceReason::SessionExpired { silent_ms: whole_ms(silence) },
    }
}

fn drop_silent_gateways(draft: &mut Draft<'_>, soft: &mut Soft, context: &Context<'_>) {
    let lease = Duration::from_millis(context.settings.gateway_lease_ms);
    let now = context.now.monotonic;
    let mut gone = Vec::new();
    for (&node, gateway) in draft.image().gateways.iter() {
        if *soft.gateways.entry(node).or_insert(now) + lease <= now {
            soft.gateways.remove(&node);
            gone.push(Event::GatewayGone { node, incarnation: gateway.registration.incarnation });
        }
    }
    gone.into_iter().for_each(|event| draft.push(event));
}

fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
