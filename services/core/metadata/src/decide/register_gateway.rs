//! RegisterGateway: a gateway starts, or comes back after its lease ended.
//!
//! Invariant: a gateway's listeners never give two storage nodes one address.

use std::collections::BTreeSet;

use ottla_types::ErrorCode;
use ottla_types::limits::MAX_GATEWAYS;

use super::Context;
use super::draft::Draft;
use super::register_broker::{MAX_HOST_BYTES, MAX_RACK_BYTES};
use super::soft::Soft;
use crate::command::{Refusal, Reply};
use crate::event::{Endpoint, Event, GatewayListener, GatewayRegistration};
use crate::image::Image;

/// Most listeners of a gateway.
pub const MAX_GATEWAY_LISTENERS: usize = 32;
/// Longest name of a listener, in bytes.
const MAX_LISTENER_NAME_BYTES: usize = 255;

pub(super) fn decide(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    registration: GatewayRegistration,
    context: &Context<'_>,
) -> Reply {
    if let Err(refusal) = check(draft.image(), &registration) {
        return Reply::Refused(refusal);
    }
    soft.gateways.insert(registration.node, context.now.monotonic);
    let known = draft.image().gateways.get(&registration.node);
    // The answer to the first attempt may have been lost.
    if known.is_none_or(|gateway| gateway.registration != registration) {
        draft.push(Event::GatewayRegistered(registration));
    }
    Reply::Done
}

fn check(image: &Image, new: &GatewayRegistration) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    if new.node.0 < 0 {
        return invalid(format!("Invalid node.id {}: it must not be negative.", new.node));
    }
    if new.listeners.is_empty() || new.listeners.len() > MAX_GATEWAY_LISTENERS {
        return invalid(format!("A gateway has 1 to {MAX_GATEWAY_LISTENERS} listeners."));
    }
    let too_long = |listener: &GatewayListener| {
        listener.endpoint.host.len() > MAX_HOST_BYTES
            || listener.name.as_str().len() > MAX_LISTENER_NAME_BYTES
    };
    let rack_bytes = new.rack.as_ref().map_or(0, String::len);
    if rack_bytes > MAX_RACK_BYTES || new.listeners.iter().any(too_long) {
        return invalid("The rack, a host or a listener's name is too long.".to_owned());
    }
    if image.gateways.len() >= MAX_GATEWAYS && !image.gateways.contains_key(&new.node) {
        return invalid(format!("The cluster has {MAX_GATEWAYS} gateways, the most it may."));
    }
    check_ports(&new.listeners)?;
    check_own_addresses(image, new)
}

/// Two broker processes that serve their own nodes must not be at one address: clients tell nodes apart by it.
fn check_own_addresses(image: &Image, new: &GatewayRegistration) -> Result<(), Refusal> {
    let Some(own) = new.own_storage_node else { return Ok(()) };
    for other in image.gateways.values().map(|gateway| &gateway.registration) {
        let Some(node) = other.own_storage_node.filter(|node| *node != own) else { continue };
        let mut endpoints = other.listeners.iter().map(|listener| &listener.endpoint);
        let taken =
            endpoints.find(|theirs| new.listeners.iter().any(|ours| ours.endpoint == **theirs));
        if let Some(Endpoint { host, port }) = taken.filter(|_| other.node != new.node) {
            let message = format!(
                "Nodes {node} and {own} both advertise {host}:{port}, and clients could not tell them \
                 apart. Give each its own address in advertised.listeners."
            );
            return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
        }
    }
    Ok(())
}

/// Two listeners of one host must differ in their port and in their first node port.
fn check_ports(listeners: &[GatewayListener]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for listener in listeners {
        let host = listener.endpoint.host.as_str();
        let own = ports.insert((host, listener.endpoint.port));
        let first = listener.node_port_first.is_none_or(|first| ports.insert((host, first)));
        if !names.insert(&listener.name) || !own || !first {
            let message = format!(
                "Listener {} has the name or an advertised port of another one. Give each listener \
                 ports of its own (ottla.gateway.node.port.first).",
                listener.name.as_str()
            );
            return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
        }
    }
    Ok(())
}
