//! Where the replicas of new partitions go.
//!
//! Invariant: leaders go round over all live nodes, beginning with the one that is preferred leader of the fewest
//! partitions, so that both one large topic and many small ones spread evenly; neighbours in that round are in different
//! racks as far as the racks allow, and the replicas of a partition are in as many racks as possible. The same image and
//! seed give the same placement. Deliberately knows nothing of load or disk space.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_types::NodeId;

use crate::dice::Dice;
use crate::event::Assignment;
use crate::image::Image;

/// Why partitions with so many replicas cannot be placed; Kafka's words where Kafka has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacementError {
    /// No node is live.
    #[error("All brokers are currently fenced.")]
    AllFenced,
    /// There are not so many nodes.
    #[error(
        "The target replication factor of {factor} cannot be reached because only {registered} \
         broker(s) are registered."
    )]
    TooFewRegistered {
        /// Replicas wanted.
        factor: usize,
        /// Nodes registered.
        registered: usize,
    },
    /// There are, but some are fenced.
    #[error(
        "The target replication factor of {factor} cannot be reached because only {live} of \
         {registered} registered broker(s) are unfenced."
    )]
    TooFewLive {
        /// Replicas wanted.
        factor: usize,
        /// Nodes live.
        live: usize,
        /// Nodes registered.
        registered: usize,
    },
}

/// A live node and its rack.
#[derive(Clone, Copy)]
struct Node<'a> {
    id: NodeId,
    rack: Option<&'a str>,
}

/// Whether partitions with `factor` replicas can be placed.
pub(crate) fn check(image: &Image, factor: usize) -> Result<(), PlacementError> {
    let registered = image.brokers.len();
    let live = image.brokers.values().filter(|broker| !broker.fenced).count();
    match (live, registered) {
        (0, _) => Err(PlacementError::AllFenced),
        _ if factor > registered => Err(PlacementError::TooFewRegistered { factor, registered }),
        _ if factor > live => Err(PlacementError::TooFewLive { factor, live, registered }),
        _ => Ok(()),
    }
}

/// Places `count` partitions with `factor` replicas each; [`check`] has passed.
pub(crate) fn place(
    image: &Image,
    count: usize,
    factor: usize,
    dice: &mut Dice,
) -> Vec<Assignment> {
    let round = leader_round(image, dice);
    if round.is_empty() {
        return Vec::new();
    }
    let racks = round.iter().map(|node| node.rack).collect::<BTreeSet<_>>().len();
    (0..count)
        .map(|partition| {
            let replicas = replicas_of(&round, partition, factor, racks);
            Assignment { isr: replicas.clone(), replicas }
        })
        .collect()
}

/// All live nodes in the order in which they lead: the least loaded first, ties by the dice, racks alternating.
fn leader_round<'a>(image: &'a Image, dice: &mut Dice) -> Vec<Node<'a>> {
    let live = image.brokers.iter().filter(|(_, broker)| !broker.fenced);
    let mut nodes: Vec<((u64, u64), Node<'a>)> = live
        .map(|(&id, broker)| {
            let rank = (image.preferred_leaders_on(id), dice.next_u64());
            (rank, Node { id, rack: broker.registration.rack.as_deref() })
        })
        .collect();
    nodes.sort_by_key(|(rank, node)| (*rank, node.id));
    alternate_racks(nodes.into_iter().map(|(_, node)| node))
}

/// Takes one node of each rack in turn, racks in the order of their first node.
fn alternate_racks<'a>(nodes: impl Iterator<Item = Node<'a>>) -> Vec<Node<'a>> {
    let mut position: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut racks: Vec<VecDeque<Node<'a>>> = Vec::new();
    for node in nodes {
        let at = *position.entry(node.rack).or_insert(racks.len());
        if at == racks.len() {
            racks.push(VecDeque::new());
        }
        racks[at].push_back(node);
    }
    let mut round = Vec::new();
    while racks.iter().any(|rack| !rack.is_empty()) {
        round.extend(racks.iter_mut().filter_map(VecDeque::pop_front));
    }
    round
}

/// The replicas of one partition: its leader by its turn, then the nodes after it, shifted by one with every full round so
/// that a node's followers are not always the same; each rack once before any rack again.
fn replicas_of(round: &[Node<'_>], partition: usize, factor: usize, racks: usize) -> Vec<NodeId> {
    let len = round.len();
    let leader = round[partition % len];
    let shift = partition / len;
    let others: Vec<Node<'_>> = (0..len - 1)
        .map(|step| round[(partition + 1 + (step + shift) % (len - 1).max(1)) % len])
        .collect();
    let mut replicas = vec![leader.id];
    let mut used_racks = BTreeSet::from([leader.rack]);
    while replicas.len() < factor.min(len) {
        if used_racks.len() == racks {
            used_racks.clear();
        }
        let unused = |node: &&Node<'_>| !replicas.contains(&node.id);
        let fresh = others.iter().filter(unused).find(|node| !used_racks.contains(&node.rack));
        let Some(node) = fresh.or_else(|| others.iter().find(unused)) else { break };
        used_racks.insert(node.rack);
        replicas.push(node.id);
    }
    replicas
}

#[cfg(test)]
mod tests;
