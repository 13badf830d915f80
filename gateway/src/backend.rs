//! The storage nodes behind a gateway.
//!
//! Invariant: a request goes to the node that the client addressed, and that node says what it does not lead; only a request
//! that addressed none is routed by leader. Deliberately does not know what is asked of the nodes.

mod fan_out;

pub(crate) use fan_out::FanOut;
pub(crate) use ottla_api::storage::{RemoteStorages, StorageLinks as Backends};

use ottla_metadata::Image;
use ottla_metadata::image::Partition;
use ottla_types::NodeId;

use crate::request::Peer;

/// Where a request about a partition goes: the node that the client addressed, else the leader. `None`: nobody leads.
pub(crate) fn target(peer: &Peer, partition: &Partition) -> Option<NodeId> {
    peer.addressed.or(partition.leader)
}

/// Where a request goes that is about no partition: the node that the client addressed, else any that lives.
pub(crate) fn any_target(peer: &Peer, own: Option<NodeId>, image: &Image) -> Option<NodeId> {
    let own = own.filter(|own| image.is_live(*own));
    let first_live = || image.brokers.values().find(|broker| !broker.fenced);
    peer.addressed.or(own).or_else(|| first_live().map(|broker| broker.registration.node))
}
