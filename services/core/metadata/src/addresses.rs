//! Which gateway serves which storage node, and at which address a client finds it.
//!
//! Invariant: a pure function of the image and the question, so that every gateway gives a client the same answer. A node
//! moves only when the gateway that served it goes, or a better one comes; while any gateway with node ports is left, every
//! node has an address. Deliberately does not know whether a gateway can be reached: its lease says that it lives.

use ottla_types::{ListenerName, NodeId};

use crate::dice::scramble;
use crate::event::{Endpoint, GatewayListener};
use crate::image::{Broker, Gateway, Image};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct AddressQuestion<'a> {
    /// The name of the listener that the client came in by.
    pub listener: &'a ListenerName,
    /// The gateway that answers.
    pub asking: NodeId,
    /// The client's rack (`client.rack`), where it is known.
    pub client_rack: Option<&'a str>,
}

/// Where a client finds a storage node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node: a Kafka broker id.
    pub node: NodeId,
    /// Host and port for the client.
    pub endpoint: Endpoint,
    /// The node's rack.
    pub rack: Option<String>,
    /// The gateway that serves it there.
    pub gateway: NodeId,
}

/// How well a gateway fits a node; a lower one is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// The gateway that answers, in the node's process.
    AskedInSameProcess,
    SameProcess,
    SameHost,
    ClientRack,
    Elsewhere,
}

/// The address of every live storage node that some live, non-draining gateway serves on this listener, by node id.
pub fn addresses(image: &Image, question: &AddressQuestion<'_>) -> Vec<NodeAddress> {
    let serving: Vec<(&Gateway, &GatewayListener)> = image
        .gateways
        .values()
        .filter(|gateway| !gateway.draining)
        .filter_map(|gateway| Some((&**gateway, listener_of(gateway, question.listener)?)))
        .collect();
    let live = image.brokers.values().filter(|broker| !broker.fenced);
    live.filter_map(|broker| address(broker, &serving, question)).collect()
}

fn address(
    broker: &Broker,
    serving: &[(&Gateway, &GatewayListener)],
    question: &AddressQuestion<'_>,
) -> Option<NodeAddress> {
    let node = broker.registration.node;
    let candidates = serving.iter().filter_map(|(gateway, listener)| {
        let endpoint = endpoint_for(node, gateway, listener)?;
        let nearness = nearness(broker, gateway, listener, question);
        let id = gateway.registration.node;
        // Rendezvous hashing: the largest weight wins, and only the nodes of a gateway that went away move.
        Some(((nearness, u64::MAX - weight(node, id), id), endpoint))
    });
    let ((_, _, gateway), endpoint) = candidates.min_by_key(|(rank, _)| *rank)?;
    Some(NodeAddress { node, endpoint, rack: broker.registration.rack.clone(), gateway })
}

/// Where a gateway serves a node on a listener: on the listener's own port if it is the node of its process, else on the
/// node's port, if it has node ports and the number is a port.
fn endpoint_for(node: NodeId, gateway: &Gateway, listener: &GatewayListener) -> Option<Endpoint> {
    if gateway.registration.own_storage_node == Some(node) {
        return Some(listener.endpoint.clone());
    }
    let port = i32::from(listener.node_port_first?).checked_add(node.0)?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    Some(Endpoint { host: listener.endpoint.host.clone(), port })
}

fn nearness(
    broker: &Broker,
    gateway: &Gateway,
    listener: &GatewayListener,
    question: &AddressQuestion<'_>,
) -> Nearness {
    let registration = &gateway.registration;
    if registration.own_storage_node == Some(broker.registration.node) {
        let asked = registration.node == question.asking;
        return if asked { Nearness::AskedInSameProcess } else { Nearness::SameProcess };
    }
    if listener.endpoint.host == broker.registration.storage_endpoint.host {
        return Nearness::SameHost;
    }
    match (question.client_rack, registration.rack.as_deref()) {
        (Some(client), Some(rack)) if client == rack => Nearness::ClientRack,
        _ => Nearness::Elsewhere,
    }
}

fn listener_of<'a>(gateway: &'a Gateway, name: &ListenerName) -> Option<&'a GatewayListener> {
    gateway.registration.listeners.iter().find(|listener| listener.name == *name)
}

fn weight(node: NodeId, gateway: NodeId) -> u64 {
    scramble((u64::from(node.0.cast_unsigned()) << 32) | u64::from(gateway.0.cast_unsigned()))
}

#[cfg(test)]
mod tests;
