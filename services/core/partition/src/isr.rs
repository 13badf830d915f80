//! Who is in sync, and who may become so.
//!
//! Invariant: the maximal ISR holds every member of the committed one and of the one proposed; only the controller commits (R3).

use ottla_types::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch, TimestampMs};

/// What the leader knows of a follower, learned within the present leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerProgress {
    /// The follower's registration when it last spoke.
    pub broker_epoch: BrokerEpoch,
    /// Its counting end offset.
    pub counting_end: Offset,
    /// When it last held all that the leader had (`replica.lag.time.max.ms` counts from here).
    pub caught_up_at: TimestampMs,
}

/// How the metadata see a peer at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStanding {
    /// The node.
    pub node: NodeId,
    /// Its present registration.
    pub broker_epoch: BrokerEpoch,
    /// Whether it is fenced.
    pub fenced: bool,
}

/// An ISR that the leader wants the controller to commit, by compare-and-swap on the partition epoch (R3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The members.
    pub isr: Vec<NodeId>,
    /// The leader epoch that proposes.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that it was computed from.
    pub partition_epoch: PartitionEpoch,
}

/// R5. Whether a follower may join the ISR: its end is at or above the watermark and the leader's end when its epoch began, it
/// spoke in this epoch (else there is no `progress`), it is not fenced, and its registration is the present one.
pub fn r5_may_join(
    progress: Option<&FollowerProgress>,
    standing: PeerStanding,
    high_watermark: Offset,
    epoch_start: Offset,
) -> bool {
    progress.is_some_and(|p| {
        p.counting_end >= high_watermark
            && p.counting_end >= epoch_start
            && p.broker_epoch == standing.broker_epoch
            && !standing.fenced
    })
}

/// The union of the committed ISR and the one proposed but not committed.
pub fn maximal_isr<'a>(
    committed: &'a [NodeId],
    proposed: Option<&'a [NodeId]>,
) -> impl Iterator<Item = NodeId> + 'a {
    let more = proposed.unwrap_or_default().iter().filter(|node| !committed.contains(node));
    committed.iter().chain(more).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDING: PeerStanding =
        PeerStanding { node: NodeId(2), broker_epoch: BrokerEpoch(5), fenced: false };

    fn progress(end: i64, epoch: i64) -> FollowerProgress {
        FollowerProgress {
            broker_epoch: BrokerEpoch(epoch),
            counting_end: Offset(end),
            caught_up_at: TimestampMs(0),
        }
    }

    fn may_join(progress: Option<FollowerProgress>, standing: PeerStanding) -> bool {
        r5_may_join(progress.as_ref(), standing, Offset(10), Offset(12))
    }

    #[test]
    fn r5_a_replica_joins_only_with_every_condition_met() {
        assert!(may_join(Some(progress(12, 5)), STANDING));
        assert!(!may_join(Some(progress(11, 5)), STANDING), "below the end when the epoch began");
        assert!(!may_join(Some(progress(9, 5)), STANDING), "below the watermark");
        assert!(!may_join(Some(progress(12, 4)), STANDING), "an older life of the node");
        assert!(!may_join(None, STANDING), "silent in this epoch");
        assert!(!may_join(Some(progress(12, 5)), PeerStanding { fenced: true, ..STANDING }));
    }

    #[test]
    fn the_maximal_isr_is_the_union() {
        let (committed, proposed) = ([NodeId(1), NodeId(2)], [NodeId(1), NodeId(3)]);
        let nodes: Vec<_> = maximal_isr(&committed, Some(&proposed)).map(|n| n.0).collect();
        assert_eq!(nodes, [1, 2, 3]);
    }
}
