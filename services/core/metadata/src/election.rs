//! The election rules, by number: how leaders and ISRs follow from a fencing or unfencing.
//!
//! Invariant: the code behind a number is frozen; a golden test holds image + event → hash. New behaviour gets a new
//! number, and old events go on to be replayed by the old one. Deliberately looks at one partition at a time.

use ottla_types::NodeId;

use crate::event::ElectionRules;
use crate::image::Partition;

/// The rules that new events name.
pub const CURRENT_RULES: ElectionRules = ElectionRules(1);

/// The partition after `node` was fenced; `None`: as before. `live` says of the other nodes whether they are unfenced.
///
/// Every number is served by rules 1 so far: a member that meets a number of a later release goes on deterministically, and
/// the next state hash stops it if the later rules differ.
pub(crate) fn after_fencing(
    _rules: ElectionRules,
    partition: &Partition,
    node: NodeId,
    live: impl Fn(NodeId) -> bool,
) -> Option<Partition> {
    rules_1_after_fencing(partition, node, live)
}

/// The partition after `node` was unfenced; `None`: as before.
pub(crate) fn after_unfencing(
    _rules: ElectionRules,
    partition: &Partition,
    node: NodeId,
    live: impl Fn(NodeId) -> bool,
) -> Option<Partition> {
    rules_1_after_unfencing(partition, node, live)
}

/// R11: the first live member of the ISR, in assignment order.
pub(crate) fn r11_first_live(
    replicas: &[NodeId],
    isr: &[NodeId],
    live: impl Fn(NodeId) -> bool,
) -> Option<NodeId> {
    replicas.iter().copied().find(|node| isr.contains(node) && live(*node))
}

/// Rules 1, fencing: the node leaves the ISR, unless it is the last member, which stays so that its records are not
/// forgotten. If it led, the first live member of the ISR in assignment order leads; with none, nobody does. A change of
/// leader makes a new leader epoch, any change a new partition epoch.
fn rules_1_after_fencing(
    partition: &Partition,
    node: NodeId,
    live: impl Fn(NodeId) -> bool,
) -> Option<Partition> {
    let in_isr = partition.isr.contains(&node);
    let led = partition.leader == Some(node);
    let shrinks = in_isr && partition.isr.len() > 1;
    if !led && !shrinks {
        return None;
    }
    let mut next = partition.clone();
    if shrinks {
        next.isr.retain(|&member| member != node);
    }
    if led {
        next.leader =
            r11_first_live(&next.replicas, &next.isr, |other| other != node && live(other));
        next.leader_epoch = next.leader_epoch.next();
    }
    next.partition_epoch = next.partition_epoch.next();
    Some(next)
}

/// Rules 1, unfencing: a partition without leader whose ISR has the node elects the first live member of its ISR.
fn rules_1_after_unfencing(
    partition: &Partition,
    node: NodeId,
    live: impl Fn(NodeId) -> bool,
) -> Option<Partition> {
    if partition.leader.is_some() || !partition.isr.contains(&node) {
        return None;
    }
    let leader =
        r11_first_live(&partition.replicas, &partition.isr, |other| other == node || live(other))?;
    Some(Partition {
        leader: Some(leader),
        leader_epoch: partition.leader_epoch.next(),
        partition_epoch: partition.partition_epoch.next(),
        ..partition.clone()
    })
}
