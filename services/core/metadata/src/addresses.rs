//! Which gateway serves which storage node, and at which address a client finds it.
//!
//! Invariant: a pure function of the image and the question, so that every gateway gives a client the same answer. No gateway
//! serves more nodes than its share. Nodes move only when gateways or nodes come or go: then those that must, and few others so
//! that the shares stay even. While any gateway with node ports is left, every node has an address. Deliberately does not know whether a gateway can be reached: its lease says that it lives.

use std::collections::BTreeMap;

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
    let live: Vec<&Broker> =
        image.brokers.values().map(|broker| &**broker).filter(|broker| !broker.fenced).collect();
    let mut shares = Shares { nodes: live.len(), served: BTreeMap::new() };
    live.into_iter().filter_map(|broker| shares.address(broker, &serving, question)).collect()
}

/// How many nodes each gateway has, among those that it serves only because somebody must.
struct Shares {
    /// All nodes that want an address.
    nodes: usize,
    served: BTreeMap<NodeId, usize>,
}

impl Shares {
    /// The nearest gateway; of several the one with the largest weight that has room (rendezvous hashing with bounded loads):
    /// with few nodes the weights alone would often give all of them to one.
    fn address(
        &mut self,
        broker: &Broker,
        serving: &[(&Gateway, &GatewayListener)],
        question: &AddressQuestion<'_>,
    ) -> Option<NodeAddress> {
        let node = broker.registration.node;
        let candidates: Vec<(Nearness, NodeId, Endpoint)> = serving
            .iter()
            .filter_map(|(gateway, listener)| {
                let endpoint = endpoint_for(node, gateway, listener)?;
                let nearness = nearness(broker, gateway, listener, question);
                Some((nearness, gateway.registration.node, endpoint))
            })
            .collect();
        let nearest = candidates.iter().map(|(nearness, ..)| *nearness).min()?;
        let nearest_count = candidates.iter().filter(|(at, ..)| *at == nearest).count();
        let share = self.nodes.div_ceil(nearest_count);
        let is_bounded = nearest >= Nearness::ClientRack;
        let has_room = |gateway: &NodeId| {
            !is_bounded || self.served.get(gateway).is_none_or(|served| *served < share)
        };
        let fitting =
            candidates.into_iter().filter(|(at, gateway, _)| *at == nearest && has_room(gateway));
        // All shares together are enough for all nodes, so that one always has room.
        let (_, gateway, endpoint) =
            fitting.max_by_key(|(_, gateway, _)| (weight(node, *gateway), *gateway))?;
        if is_bounded {
            *self.served.entry(gateway).or_default() += 1;
        }
        Some(NodeAddress { node, endpoint, rack: broker.registration.rack.clone(), gateway })
    }
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
