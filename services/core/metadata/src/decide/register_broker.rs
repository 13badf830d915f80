//! RegisterBroker: a storage node starts.
//!
//! Invariant (R1): one registration of a node is unfenced at a time. A new life of a node is let in only when the old one
//! is fenced, or can be fenced at once without doubt. Deliberately does not know what is in the node's directories.

use std::collections::BTreeSet;

use ottla_types::limits::MAX_STORAGE_NODES;
use ottla_types::{ClusterId, ErrorCode, NodeId};

use super::draft::Draft;
use super::soft::{BrokerSession, Soft};
use super::{Context, Settings};
use crate::command::{Refusal, Reply};
use crate::election::CURRENT_RULES;
use crate::event::{BrokerRegistration, Event, FenceReason};
use crate::image::{Broker, Image};

/// Most log directories of a storage node.
pub const MAX_DIRECTORIES: usize = 256;
/// Longest host name of an endpoint, in bytes.
pub const MAX_HOST_BYTES: usize = 255;
/// Longest `broker.rack`, in bytes.
pub const MAX_RACK_BYTES: usize = 255;

pub(super) fn decide(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    (cluster_id, registration): (Option<ClusterId>, BrokerRegistration),
    context: &Context<'_>,
) -> Reply {
    let image = draft.image().clone();
    let outcome = check_cluster(&image, cluster_id.as_ref())
        .and_then(|()| check_registration(&image, &registration))
        .and_then(|()| register(draft, soft, (&image, registration), context));
    outcome.unwrap_or_else(Reply::Refused)
}

fn register(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    (image, registration): (&Image, BrokerRegistration),
    context: &Context<'_>,
) -> Result<Reply, Refusal> {
    let node = registration.node;
    if let Some(old) = image.brokers.get(&node) {
        let session = soft.session(node, old, context.now);
        if old.registration == registration {
            // The answer to the first attempt was lost.
            session.last_heard = context.now.monotonic;
            return Ok(Reply::BrokerRegistered { broker_epoch: old.epoch });
        }
        if !old.fenced {
            if !r1_old_life_may_be_fenced(old, &registration, session, context) {
                return Err(still_registered(node, context.settings));
            }
            draft.push(Event::BrokerFenced {
                node,
                broker_epoch: old.epoch,
                reason: FenceReason::Restarted,
                at: context.now.wall,
                rules: CURRENT_RULES,
            });
        }
    }
    let broker_epoch = draft.next_broker_epoch(image);
    soft.brokers.insert(node, BrokerSession::new(broker_epoch, true, context.now));
    draft.push(Event::BrokerRegistered(registration));
    Ok(Reply::BrokerRegistered { broker_epoch })
}

/// R1: whether the unfenced old life of a node may be fenced because a new one registers.
///
/// Yes if it is the same life, amending what it said; if its control stream has been broken for the grace period; or if
/// the new life shares a log directory with the old one and the old one gave no sign of life since its control stream broke
/// or since this controller became active: a process locks its directories, so the old one is dead. That makes a restart
/// after kill -9 fast. Without a shared directory it may be a second machine with the same `node.id`: that one waits.
fn r1_old_life_may_be_fenced(
    old: &Broker,
    new: &BrokerRegistration,
    session: &BrokerSession,
    context: &Context<'_>,
) -> bool {
    let same_life = old.registration.incarnation == new.incarnation;
    let expired = session.ends_at(context.settings) <= context.now.monotonic;
    let shares_directory =
        new.directories.iter().any(|directory| old.registration.directories.contains(directory));
    let silent = session.broken_since.is_some() || !session.was_heard;
    same_life || expired || (shares_directory && silent)
}

fn still_registered(node: NodeId, settings: &Settings) -> Refusal {
    Refusal::new(
        ErrorCode::DuplicateBrokerRegistration,
        format!(
            "Another process is registered as node {node}. If it was restarted just now, this \
             resolves itself within {} ms; otherwise give one of them another node.id.",
            settings.broker_session_timeout_ms
        ),
    )
}

fn check_cluster(image: &Image, claimed: Option<&ClusterId>) -> Result<(), Refusal> {
    match (&image.cluster_id, claimed) {
        (None, _) => Err(Refusal::new(
            ErrorCode::BrokerNotAvailable,
            "The cluster is not formatted yet. Try again.",
        )),
        (Some(ours), Some(theirs)) if ours != theirs => Err(Refusal::new(
            ErrorCode::InconsistentClusterId,
            format!(
                "Expected cluster ID {ours}, but got cluster ID {theirs}. The data directory belongs \
                 to another cluster: use that cluster's controllers, or an empty directory."
            ),
        )),
        _ => Ok(()),
    }
}

fn check_registration(image: &Image, new: &BrokerRegistration) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    let distinct: BTreeSet<_> = new.directories.iter().collect();
    if new.node.0 < 0 {
        return invalid(format!("Invalid node.id {}: it must not be negative.", new.node));
    }
    if new.directories.is_empty() {
        return invalid("No directories specified in request".to_owned());
    }
    if new.directories.len() > MAX_DIRECTORIES {
        return invalid(format!("Too many log directories: at most {MAX_DIRECTORIES}."));
    }
    if distinct.len() != new.directories.len() {
        return invalid("Duplicate directory ID in request".to_owned());
    }
    if new.directories.iter().any(|directory| directory.0.is_zero()) {
        return invalid("Reserved directory ID in request".to_owned());
    }
    let rack_bytes = new.rack.as_ref().map_or(0, String::len);
    if rack_bytes > MAX_RACK_BYTES || new.storage_endpoint.host.len() > MAX_HOST_BYTES {
        return invalid("The rack or the host is too long.".to_owned());
    }
    if image.brokers.len() >= MAX_STORAGE_NODES && !image.brokers.contains_key(&new.node) {
        return invalid(format!(
            "The cluster has {MAX_STORAGE_NODES} storage nodes, the most it may."
        ));
    }
    for (node, broker) in image.brokers.iter().filter(|(node, _)| **node != new.node) {
        if let Some(taken) = broker.registration.directories.iter().find(|id| distinct.contains(id))
        {
            return invalid(format!("Broker {node} is already registered with directory {taken}"));
        }
    }
    Ok(())
}
