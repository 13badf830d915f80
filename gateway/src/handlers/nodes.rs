//! The storage nodes as clients of one listener see them.
//!
//! Invariant: the addresses are computed once per image and listener, however many clients ask. Deliberately does not know
//! which API asks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ottla_metadata::Image;
use ottla_metadata::addresses::{AddressQuestion, NodeAddress, addresses};
use ottla_types::{ListenerName, MetadataOffset, NodeId};

use crate::request::Call;

type Known = (MetadataOffset, Arc<Vec<NodeAddress>>);

/// Addresses of the last image that somebody asked about, by listener.
#[derive(Debug, Default)]
pub(crate) struct AddressBook(Mutex<HashMap<ListenerName, Known>>);

impl AddressBook {
    /// The live storage nodes with their addresses on a listener, in order of their ids.
    pub(crate) fn nodes(
        &self,
        image: &Image,
        listener: &ListenerName,
        asking: NodeId,
    ) -> Arc<Vec<NodeAddress>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((offset, nodes)) = known.get(listener)
            && *offset == image.offset
        {
            return nodes.clone();
        }
        let question = AddressQuestion { listener, asking, client_rack: None };
        let nodes = Arc::new(addresses(image, &question));
        known.insert(listener.clone(), (image.offset, nodes.clone()));
        nodes
    }
}

/// The live storage nodes as this client sees them.
pub(super) fn nodes_for(call: &Call, image: &Image) -> Arc<Vec<NodeAddress>> {
    let gateway = &call.gateway;
    gateway.addresses.nodes(image, &call.peer.listener, gateway.config.node)
}

/// One of the nodes, to be shown as the controller: clients send it what concerns the cluster, and any node will do.
pub(super) fn controller_for(call: &Call, nodes: &[NodeAddress]) -> i32 {
    let preferred = call.peer.addressed.or(call.gateway.backends.own());
    let is_shown = |wanted: &NodeId| nodes.iter().any(|node| node.node == *wanted);
    let first = || nodes.first().map(|node| node.node);
    preferred.filter(is_shown).or_else(first).unwrap_or(NodeId::NONE).0
}

/// Where the nodes are that a result names as new leaders.
pub(super) fn new_leaders(
    call: &Call,
    image: &Image,
    named: impl Iterator<Item = NodeId>,
) -> Vec<NodeAddress> {
    let named: HashSet<NodeId> = named.collect();
    if named.is_empty() {
        return Vec::new();
    }
    let nodes = nodes_for(call, image);
    nodes.iter().filter(|node| named.contains(&node.node)).cloned().collect()
}
